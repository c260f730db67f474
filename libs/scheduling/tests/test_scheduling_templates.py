"""Templates: reading, refusing, writing back, and expansion against a walk of the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduling.templates import WEEKDAYS, Holidays, InvalidSchedule, LocalRange, Starts, Template, Weekly
from scheduling.zones import zone

ZONES = (
    "Africa/Casablanca",
    "America/Denver",
    "America/Nuuk",
    "America/Phoenix",
    "America/St_Johns",
    "Antarctica/Troll",
    "Australia/Lord_Howe",
    "Europe/Dublin",
    "Europe/Warsaw",
    "Pacific/Apia",
    "Pacific/Chatham",
)


def hhmm(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@st.composite
def day_ranges(draw: st.DrawFn) -> list[list[str]]:
    """Disjoint ranges in any order; neighbours may touch."""
    cuts = sorted(draw(st.lists(st.integers(0, 288), unique=True, max_size=6)))
    pairs = list(pairwise(cuts))
    kept = [pair for pair in pairs if draw(st.booleans())]
    return [[hhmm(5 * start), hhmm(5 * end)] for start, end in draw(st.permutations(kept))]


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    weekly = draw(st.dictionaries(st.sampled_from(WEEKDAYS), day_ranges()))
    days = draw(st.lists(st.dates(date(2010, 1, 1), date(2030, 1, 1)), unique=True, max_size=3))
    body: dict[str, Any] = {
        "time_zone": draw(st.sampled_from(ZONES)),
        "weekly": weekly,
        "overrides": [{"date": day.isoformat(), "ranges": draw(day_ranges())} for day in days],
    }
    if draw(st.booleans()):
        body["valid_from"] = draw(st.dates(date(2010, 1, 1), date(2019, 1, 1))).isoformat()
    if draw(st.booleans()):
        body["valid_until"] = draw(st.dates(date(2019, 1, 1), date(2030, 1, 1))).isoformat()
    return body


@given(bodies())
def test_written_back_it_reads_the_same(body: dict[str, Any]) -> None:
    template = Template.parse(body)
    assert Template.parse(template.to_json()) == template
    assert hash(Template.parse(template.to_json())) == hash(template)


def walked_instant(day: date, minute_of_day: int, tz: ZoneInfo) -> int:
    """The wall-clock rule by walking UTC from well before: the first minute whose clock is there.

    When the clock jumps over the time instead, as many minutes after the jump as it was ahead.
    """
    wanted = datetime(day.year, day.month, day.day) + timedelta(minutes=minute_of_day)
    at = int(wanted.replace(tzinfo=UTC).timestamp()) // 60 - 15 * 60
    shown = datetime.fromtimestamp(at * 60, tz).replace(tzinfo=None)
    while True:
        following = datetime.fromtimestamp((at + 5) * 60, tz).replace(tzinfo=None)
        if shown == wanted:
            return at
        if shown < wanted < following:
            return at + int((wanted - shown).total_seconds()) // 60
        at, shown = at + 5, following


@settings(max_examples=60, deadline=None)
@given(bodies(), st.data())
def test_expansion_against_a_walk(body: dict[str, Any], data: st.DataObject) -> None:
    near = [date(2011, 12, 29), date(2026, 3, 28), date(2026, 10, 24), date(2026, 4, 4), date(2026, 10, 3)]
    near += [date.fromisoformat(override["date"]) for override in body["overrides"]]
    first = data.draw(st.sampled_from(near)) - timedelta(days=1)
    last = first + timedelta(days=3)
    overrides = {override["date"]: override["ranges"] for override in body["overrides"]}
    tz = ZoneInfo(body["time_zone"])
    expected = set()
    day = first
    while day <= last:
        text = day.isoformat()
        if body.get("valid_from", "0000") <= text <= body.get("valid_until", "9999"):
            ranges = overrides.get(text, body["weekly"].get(day.strftime("%a").lower(), []))
            for ends in ranges:
                start, end = (walked_instant(day, int(t[:2]) * 60 + int(t[3:]), tz) for t in (ends[0], ends[1]))
                if start < end:
                    expected.add((start, end))
        day += timedelta(days=1)
    assert Template.parse(body).expand(first, last) == tuple(sorted(expected))


def local_times(template: Template, first: date, last: date) -> list[str]:
    tz = zone(template.time_zone)
    spans = template.expand(first, last)
    return [" ".join(f"{datetime.fromtimestamp(m * 60, tz):%dT%H:%M%z}" for m in found_span) for found_span in spans]


def weekly(tz: str, *ranges: list[str], **more: object) -> Template:
    return Template.parse({"time_zone": tz, "weekly": {day: list(ranges) for day in WEEKDAYS}, **more})


@pytest.mark.parametrize(
    ("tz", "day", "ranges", "expected"),
    [
        ("Europe/Warsaw", date(2026, 3, 29), [["01:00", "04:00"]], ["29T01:00+0100 29T04:00+0200"]),
        ("Europe/Warsaw", date(2026, 3, 29), [["02:15", "02:45"]], ["29T03:15+0200 29T03:45+0200"]),
        ("Europe/Warsaw", date(2026, 3, 29), [["02:30", "03:00"]], []),
        ("Europe/Warsaw", date(2026, 10, 25), [["02:00", "02:30"]], ["25T02:00+0200 25T02:30+0200"]),
        ("Europe/Warsaw", date(2026, 10, 25), [["02:30", "03:00"]], ["25T02:30+0200 25T03:00+0100"]),
        ("Australia/Lord_Howe", date(2026, 10, 4), [["01:00", "03:00"]], ["04T01:00+1030 04T03:00+1100"]),
        ("Pacific/Apia", date(2011, 12, 30), [["09:00", "17:00"]], ["31T09:00+1400 31T17:00+1400"]),
        ("America/Phoenix", date(2026, 7, 1), [["09:00", "24:00"]], ["01T09:00-0700 02T00:00-0700"]),
        ("America/Santiago", date(2026, 9, 5), [["22:00", "24:00"]], ["05T22:00-0400 06T01:00-0300"]),
    ],
)
def test_odd_days(tz: str, day: date, ranges: list[list[str]], expected: list[str]) -> None:
    assert local_times(weekly(tz, *ranges), day, day) == expected


def test_a_skipped_date_is_not_worked_twice() -> None:
    template = weekly("Pacific/Apia", ["09:00", "17:00"])
    found = local_times(template, date(2011, 12, 29), date(2011, 12, 31))
    assert found == ["29T09:00-1000 29T17:00-1000", "31T09:00+1400 31T17:00+1400"]


def test_denver_leaves_phoenix_in_summer() -> None:
    hours = (["09:00", "17:00"],)
    for day, apart in ((date(2026, 7, 1), 60), (date(2026, 12, 1), 0)):
        denver, phoenix = (weekly(tz, *hours).expand(day, day)[0] for tz in ("America/Denver", "America/Phoenix"))
        assert phoenix[0] - denver[0] == apart


def test_overrides_holidays_and_validity() -> None:
    template = weekly(
        "Europe/Warsaw",
        ["09:00", "10:00"],
        overrides=[
            {"date": "2026-12-24", "ranges": []},
            {"date": "2026-12-26", "ranges": [["12:00", "13:00"]]},
        ],
        valid_from="2026-12-23",
        valid_until="2026-12-27",
        holidays={"country": "PL"},
    )
    assert template.holidays == Holidays("PL")
    spans = template.expand(date(2026, 12, 1), date(2027, 1, 5), {date(2026, 12, 25), date(2026, 12, 26)})
    shown = [datetime.fromtimestamp(start * 60, zone("Europe/Warsaw")).strftime("%d %H") for start, _ in spans]
    assert shown == ["23 09", "26 12", "27 09"]
    assert template.expand(date(2027, 1, 5), date(2026, 12, 1)) == ()


def test_dates_without_end_are_fine() -> None:
    template = weekly("UTC", ["00:00", "24:00"], valid_from="0001-01-01", valid_until="9999-12-31")
    assert len(template.expand(date(2026, 1, 1), date(2026, 1, 31))) == 31
    with pytest.raises(ValueError, match="2000"):
        template.expand(date(1999, 12, 31), date(2026, 1, 1))


GOOD: dict[str, Any] = {
    "time_zone": "Europe/Warsaw",
    "weekly": {"mon": [["09:00", "12:30"], ["12:30", "17:00"]]},
}


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"time_zone": None}, "time_zone", "is required"),
        ({"time_zone": 3}, "time_zone", "must be a text"),
        ({"time_zone": "Europe/Warsa"}, "time_zone", "not an IANA time zone"),
        ({"weekly": None}, "weekly", "is required"),
        ({"weekly": []}, "weekly", "must be an object, not a list"),
        ({"weekly": {"monday": []}}, "weekly.monday", "mon, tue, wed"),
        ({"weekly": {"mon": "09:00"}}, "weekly.mon", "must be a list"),
        ({"weekly": {"mon": None}}, "weekly.mon", "not null"),
        ({"weekly": {"mon": ["09:00"]}}, "weekly.mon[0]", "must be a list"),
        ({"weekly": {"mon": [["09:00"]]}}, "weekly.mon[0]", "two times"),
        ({"weekly": {"mon": [["09:00", "10:00", "11:00"]]}}, "weekly.mon[0]", "two times"),
        ({"weekly": {"mon": [["9:00", "10:00"]]}}, "weekly.mon[0][0]", '"9:00" is not a time'),
        ({"weekly": {"mon": [["09:00", "25:00"]]}}, "weekly.mon[0][1]", '"25:00" is not a time'),
        ({"weekly": {"mon": [["09:00", "10:60"]]}}, "weekly.mon[0][1]", "is not a time"),
        ({"weekly": {"mon": [["09:00", 600]]}}, "weekly.mon[0][1]", "a number is not a time"),
        ({"weekly": {"mon": [["٠٩:00", "10:00"]]}}, "weekly.mon[0][0]", "is not a time"),
        ({"weekly": {"mon": [["09:00\n", "10:00"]]}}, "weekly.mon[0][0]", "is not a time"),
        ({"weekly": {"mon": [["09:00", "x" * 999]]}}, "weekly.mon[0][1]", "a long text is not"),
        ({"weekly": {"mon": [["09:03", "10:00"]]}}, "weekly.mon[0][0]", "multiple of 5"),
        ({"weekly": {"mon": [["24:00", "24:00"]]}}, "weekly.mon[0][0]", "can only end"),
        ({"weekly": {"mon": [["09:00", "09:00"]]}}, "weekly.mon[0]", "is empty"),
        ({"weekly": {"mon": [["22:00", "02:00"]]}}, "weekly.mon[0]", "split it at 24:00"),
        (
            {"weekly": {"mon": [["09:00", "12:00"], ["11:55", "13:00"]]}},
            "weekly.mon[1]",
            "overlaps 09:00–12:00",
        ),
        (
            {"weekly": {"mon": [["11:55", "13:00"], ["09:00", "12:00"]]}},
            "weekly.mon[0]",
            "overlaps 09:00–12:00",
        ),
        ({"weekly": {"mon": [["09:00", "12:00"], ["09:00", "12:00"]]}}, "weekly.mon[1]", "overlaps"),
        ({"overrides": {}}, "overrides", "must be a list"),
        ({"overrides": ["2026-12-24"]}, "overrides[0]", "must be an object"),
        ({"overrides": [{"ranges": []}]}, "overrides[0].date", "is required"),
        ({"overrides": [{"date": "2026-12-24"}]}, "overrides[0].ranges", "is required"),
        ({"overrides": [{"date": "2026-02-30", "ranges": []}]}, "overrides[0].date", "not in the calendar"),
        ({"overrides": [{"date": "20261224", "ranges": []}]}, "overrides[0].date", "is not a date"),
        (
            {"overrides": [{"date": "2026-12-24", "ranges": [["1", "2"]]}]},
            "overrides[0].ranges[0][0]",
            "not a time",
        ),
        ({"overrides": [{"date": "2026-12-24", "ranges": [], "note": ""}]}, "overrides[0].note", "not known"),
        ({"overrides": [{"date": "2026-12-24", "ranges": []}] * 2}, "overrides[1].date", "listed twice"),
        ({"valid_from": "soon"}, "valid_from", "is not a date"),
        ({"valid_from": "2026-02-01", "valid_until": "2026-01-31"}, "valid_until", "before valid_from"),
        ({"holidays": "PL"}, "holidays", "must be an object"),
        ({"holidays": {"country": "Poland"}}, "holidays.country", "two-letter"),
        ({"holidays": {"country": "DE", "region": 3}}, "holidays.region", "must be a text"),
        ({"overides": []}, "overides", "not known"),
    ],
)
def test_refusals_name_the_field(change: dict[str, Any], field: str, message: str) -> None:
    assert Template.parse(GOOD)
    with pytest.raises(InvalidSchedule) as caught:
        Template.parse(GOOD | change)
    assert caught.value.field == field
    assert message in caught.value.message


def test_a_body_that_is_no_object() -> None:
    with pytest.raises(InvalidSchedule, match="must be an object") as caught:
        Template.parse(None)
    assert caught.value.field == ""


def test_ranges_that_touch_are_kept_apart_and_sorted() -> None:
    parsed = Weekly.parse({"mon": [["12:30", "24:00"], ["09:00", "12:30"]]}, "opening_hours")
    assert parsed.days[0] == (LocalRange(540, 750), LocalRange(750, 1440))
    assert parsed.to_json() == {"mon": [["09:00", "12:30"], ["12:30", "24:00"]]}


def test_starts() -> None:
    starts = Starts.parse({"tue": ["18:00", "07:30"], "sun": ["02:30", "03:30"]})
    assert starts.to_json() == {"tue": ["07:30", "18:00"], "sun": ["02:30", "03:30"]}
    found = starts.expand(zone("Europe/Warsaw"), date(2026, 3, 24), date(2026, 3, 29))
    # On the Sunday the clock skips 02:30, which is then 03:30: one start, not two.
    assert [f"{datetime.fromtimestamp(m * 60, UTC):%dT%H:%M}" for m in found] == [
        "24T06:30",
        "24T17:00",
        "29T01:30",
    ]


@pytest.mark.parametrize(
    ("value", "field", "message"),
    [
        ({}, "starts", "at least one"),
        ({"tue": []}, "starts", "at least one"),
        ({"tue": "18:00"}, "starts.tue", "must be a list"),
        ({"tue": ["24:00"]}, "starts.tue[0]", "can only end"),
        ({"tue": ["18:00", "18:00"]}, "starts.tue[1]", "twice"),
        ({"tues": ["18:00"]}, "starts.tues", "not known"),
    ],
)
def test_starts_that_are_refused(value: object, field: str, message: str) -> None:
    with pytest.raises(InvalidSchedule) as caught:
        Starts.parse(value)
    assert (caught.value.field, message in caught.value.message) == (field, True)
    with pytest.raises(ValueError, match="2000"):
        Starts.parse({"mon": ["09:00"]}).expand(zone("UTC"), date(1999, 1, 1), date(1999, 1, 2))
