"""Whether a visit lies within working hours, against a walk over UTC minutes and the clocks that they show."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from booking import hours
from events import new_id
from events.contracts.availability import ResourceState

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# The clocks go forward, back, and by half an hour; and a day on which nothing happens.
CHANGES = (
    ("Europe/Warsaw", date(2027, 3, 28)),
    ("Europe/Warsaw", date(2027, 10, 31)),
    ("America/New_York", date(2027, 3, 14)),
    ("America/New_York", date(2027, 11, 7)),
    ("Australia/Lord_Howe", date(2027, 4, 4)),
    ("Australia/Lord_Howe", date(2027, 10, 3)),
    ("Asia/Kolkata", date(2027, 6, 2)),
)


def resource(schedule: dict[str, Any] | None, kind: str = "practitioner", *, active: bool = True) -> ResourceState:
    return ResourceState(
        tenant_id=new_id(), version=1, resource_id=new_id(), type=kind, slug="anna", name="Anna", active=active,
        time_zone="Europe/Warsaw", approval_required=False, schedule_version=1, schedule=schedule,
    )  # fmt: skip


def weekly(zone: str, *ranges: list[str], **more: Any) -> dict[str, Any]:
    """The same hours on every day."""
    return {"time_zone": zone, "weekly": {day: list(ranges) for day in WEEKDAYS}} | more


@cache
def clocks(zone: str, day: date) -> dict[datetime, datetime]:
    """What a clock on the wall shows → the first UTC minute at which it shows that, for some days around."""
    tz, shown = ZoneInfo(zone), {}
    minute = datetime.combine(day, time(), UTC) - 4 * DAY
    for _ in range(8 * 1440):
        shown.setdefault(minute.astimezone(tz).replace(tzinfo=None, fold=0), minute)
        minute += MINUTE
    return shown


def instant(zone: str, day: date, wall: datetime) -> datetime:
    """The minute that a wall time means; one that is skipped goes by the clock as it was before."""
    shown, skipped = clocks(zone, day), timedelta()
    while wall not in shown:
        wall, skipped = wall - MINUTE, skipped + MINUTE
    return shown[wall] + skipped


def worked(zone: str, day: date, ranges: list[tuple[int, int]]) -> set[datetime]:
    """Every UTC minute of the days around in which somebody with these hours (minutes of the day) works."""
    found: set[datetime] = set()
    for local in (day + n * DAY for n in range(-2, 3)):
        midnight = datetime.combine(local, time())
        for opens, closes in ranges:
            minute, end = (instant(zone, day, midnight + n * MINUTE) for n in (opens, closes))
            while minute < end:
                found.add(minute)
                minute += MINUTE
    return found


def clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


@st.composite
def days(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Up to four ranges of a day in steps of five minutes, disjoint, some of them touching."""
    ends = sorted(draw(st.sets(st.integers(0, 288), min_size=2, max_size=5)))
    pairs = pairwise(ends)
    return [(5 * a, 5 * b) for a, b in pairs if draw(st.booleans())] or [(5 * ends[0], 5 * ends[1])]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(CHANGES), days(), st.integers(-1440, 2880), st.integers(1, 600))
def test_a_visit_fits_when_every_minute_of_it_is_worked(
    change: tuple[str, date], ranges: list[tuple[int, int]], offset: int, length: int
) -> None:
    zone, day = change
    schedule = weekly(zone, *([clock(opens), clock(closes)] for opens, closes in ranges))
    start = instant(zone, day, datetime.combine(day, time())) + offset * MINUTE
    minutes = worked(zone, day, ranges)
    expected = all(start + n * MINUTE in minutes for n in range(length))
    assert hours.fits(resource(schedule), start, start + length * MINUTE) == expected


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(CHANGES), days(), st.data())
def test_what_fits_is_as_long_as_the_hours_and_not_a_minute_longer(
    change: tuple[str, date], ranges: list[tuple[int, int]], data: st.DataObject
) -> None:
    zone, day = change
    anna = resource(weekly(zone, *([clock(opens), clock(closes)] for opens, closes in ranges)))
    minutes = worked(zone, day, ranges)
    start = data.draw(st.sampled_from(sorted(minutes)))
    first = start
    while first - MINUTE in minutes:
        first -= MINUTE
    end = start
    while end in minutes:
        end += MINUTE
    edges = {min(minutes), max(minutes) + MINUTE}  # of the walk, not of the hours
    assert hours.fits(anna, start, end)
    assert first in edges or not hours.fits(anna, first - MINUTE, start)
    assert end in edges or not hours.fits(anna, start, end + MINUTE)


WARSAW = ZoneInfo("Europe/Warsaw")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=WARSAW).astimezone(UTC)


@pytest.mark.parametrize(
    ("start", "end", "fits"),
    [
        ("2027-06-02 09:00", "2027-06-02 09:30", True),
        ("2027-06-02 08:59", "2027-06-02 09:29", False),
        ("2027-06-02 12:00", "2027-06-02 12:30", True),
        ("2027-06-02 12:00", "2027-06-02 12:31", False),
        ("2027-06-02 12:15", "2027-06-02 13:15", False),  # lunch
        ("2027-06-02 14:30", "2027-06-02 15:30", True),  # ranges that touch are no break
        ("2027-06-05 10:00", "2027-06-05 10:30", False),  # Saturday
        ("2027-06-06 10:00", "2027-06-06 10:30", True),  # an override on a Sunday
        ("2027-06-03 10:00", "2027-06-03 10:30", False),  # an override closes the day
        ("2027-05-03 10:00", "2027-05-03 10:30", False),  # a public holiday
        ("2027-05-28 10:00", "2027-05-28 10:30", True),
        ("2027-04-30 10:00", "2027-04-30 10:30", False),  # before the schedule is valid
        ("2027-06-30 10:00", "2027-06-30 10:30", True),
        ("2027-07-01 10:00", "2027-07-01 10:30", False),  # after it
    ],
)
def test_breaks_overrides_holidays_and_validity_count(start: str, end: str, fits: bool) -> None:
    working = [["09:00", "12:30"], ["13:00", "15:00"], ["15:00", "17:00"]]
    schedule = {
        "time_zone": "Europe/Warsaw",
        "weekly": {day: working for day in ("mon", "tue", "wed", "thu", "fri")},
        "overrides": [
            {"date": "2027-06-03", "ranges": []},
            {"date": "2027-06-06", "ranges": [["10:00", "11:00"]]},
        ],
        "valid_from": "2027-05-01",
        "valid_until": "2027-06-30",
        "holidays": {"country": "PL"},
    }
    assert hours.fits(resource(schedule), at(start), at(end)) == fits


def test_a_visit_may_span_midnight_where_both_days_are_worked() -> None:
    nights = resource(weekly("Europe/Warsaw", ["00:00", "06:00"], ["20:00", "24:00"]))
    assert hours.fits(nights, at("2027-06-02 23:30"), at("2027-06-03 00:30"))
    assert not hours.fits(nights, at("2027-06-03 05:30"), at("2027-06-03 06:30"))


def test_without_a_schedule_a_room_is_always_there_and_a_practitioner_never() -> None:
    visit = at("2027-06-02 03:00"), at("2027-06-02 03:30")
    assert not hours.fits(resource(None), *visit)
    for kind in ("room", "equipment", "virtual"):
        assert hours.fits(resource(None, kind), *visit)
        assert not hours.fits(resource(None, kind, active=False), *visit)
        assert not hours.fits(resource(weekly("Europe/Warsaw", ["09:00", "17:00"]), kind), *visit)


def test_who_is_inactive_has_no_hours() -> None:
    visit = at("2027-06-02 10:00"), at("2027-06-02 10:30")
    always = weekly("Europe/Warsaw", ["00:00", "24:00"])
    assert hours.fits(resource(always), *visit)
    assert not hours.fits(resource(always, active=False), *visit)
