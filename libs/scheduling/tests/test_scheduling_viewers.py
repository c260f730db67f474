"""780 days of offers whose provider, viewer and clinic live in three zones, against a walk over every minute.

The classic failure is a day around a transition in one of the three: times missing, twice, an hour off, or
listed under the wrong date. Every local date of the viewer is asked for by itself, and then pages of 62 days.
"""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest
from scheduling_oracle import DAY, EPOCH, Walk, clock, day_of

from scheduling.bitmaps import Bitmap, Horizon
from scheduling.instants import Minute, Span, utc
from scheduling.intervals import intersect
from scheduling.search import Visit, find
from scheduling.templates import WEEKDAYS, Template
from scheduling.zones import day_span, names, to_local, zone

DAYS = 780
VISIT, STEP = Visit(45, before=10, after=5), 30
PROVIDER_HOURS = {
    **{day: [["09:00", "12:30"], ["13:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")},
    "sat": [["00:00", "02:30"], ["20:00", "24:00"]],
    "sun": [["00:00", "05:00"], ["22:30", "24:00"]],  # most transitions are on a Sunday night
}
CLINIC_HOURS = {
    **{day: [["00:00", "24:00"]] for day in ("tue", "wed", "thu", "fri", "sat")},
    "mon": [["02:30", "23:00"]],
    "sun": [["01:00", "24:00"]],
}
CASES = [
    # provider, viewer, clinic, the first day
    ("Europe/Warsaw", "America/New_York", "Europe/Dublin", date(2026, 10, 1)),
    ("America/Denver", "America/Phoenix", "Australia/Lord_Howe", date(2026, 10, 1)),
    ("Pacific/Apia", "Antarctica/Troll", "Pacific/Kiritimati", date(2010, 6, 1)),
    ("Africa/Casablanca", "Pacific/Apia", "America/Nuuk", date(2022, 12, 1)),
    ("Australia/Lord_Howe", "Africa/Casablanca", "America/St_Johns", date(2010, 1, 1)),
]


def minutes_of(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


def walked(walk: Walk, hours: dict[str, list[list[str]]], first: date, last: date) -> set[Span]:
    """Working ranges of the local dates first … last, each end read off the walk."""
    spans = set()
    for n in range((last - first).days + 1):
        day = first + timedelta(days=n)
        for start, end in hours.get(WEEKDAYS[day.weekday()], []):
            span = (walk.at(day, minutes_of(start)), walk.at(day, minutes_of(end)))
            if span[0] < span[1]:
                spans.add(span)
    return spans


def written(start: Minute, viewer: str) -> str:
    """A start as the viewer reads it, from the oracle's clock: 2026-12-01T09:00+0100."""
    shown = clock(viewer).shown(start)
    sign, ahead = "+-"[shown < start], abs(shown - start)
    return f"{utc(shown):%Y-%m-%dT%H:%M}{sign}{ahead // 60:02}{ahead % 60:02}"


def check(provider: str, viewer: str, clinic: str, first: date) -> tuple[int, int]:
    """How many starts were compared, and in how many days of the viewer."""
    last = first + timedelta(days=DAYS - 1)
    early, late = first - timedelta(days=2), last + timedelta(days=2)
    ends = ((early - EPOCH).days * DAY - 3 * DAY, (late - EPOCH).days * DAY + 4 * DAY)

    # The oracle: every minute of each range, whether a visit may start there.
    provider_walk, clinic_walk = Walk(clock(provider), *ends), Walk(clock(clinic), *ends)
    working = walked(provider_walk, PROVIDER_HOURS, early, late)
    opened = {minute for span in walked(clinic_walk, CLINIC_HOURS, early, late) for minute in range(*span)}
    chance = random.Random(f"{provider} {viewer} {clinic}")
    claims = [(start + 15, start + 15 + chance.randrange(5, 90, 5)) for start, _ in sorted(working)[::3]]
    taken = {minute for span in claims for minute in range(*span)}
    possible: set[Minute] = set()
    for start, end in working:
        # Steps count from the start of the provider's range or, where the clinic opens later, from there.
        began = start
        for minute in range(start, end - VISIT.duration + 1):
            if minute - 1 not in opened and minute > start:
                began = minute
            if (minute - began) % STEP == 0 and opened.issuperset(range(minute, minute + VISIT.duration)):
                possible.add(minute)
    expected: dict[date, list[str]] = {}
    for minute in sorted(possible):
        day = day_of(clock(viewer).shown(minute))
        if first <= day <= last and taken.isdisjoint(range(*VISIT.claim(minute))):
            expected.setdefault(day, []).append(written(minute, viewer))

    # The library, asked as a booking page asks it.
    theirs = Template.parse({"time_zone": provider, "weekly": PROVIDER_HOURS}).expand(early, late)
    ours = Template.parse({"time_zone": clinic, "weekly": CLINIC_HOURS}).expand(early, late)
    # Ranges that touch must stay two, which `intersect` would make one: every other one, then the rest.
    ranges = sorted(intersect(theirs[::2], ours) + intersect(theirs[1::2], ours))
    busy = Bitmap.of(Horizon.covering(*ends, align=DAY), claims)
    tz = zone(viewer)

    def asked(start: date, end: date) -> list[str]:
        since, until = day_span(start, tz)[0], day_span(end, tz)[1]
        near = [part for part in ranges if since < part[1] and part[0] < until]
        there = busy.moved(Horizon.covering(since - DAY, until + DAY, align=DAY))
        found = find(near, VISIT, there, step=STEP, not_before=since, until=until)
        return [f"{to_local(minute, tz):%Y-%m-%dT%H:%M%z}" for minute in found]

    for n in range(DAYS):
        day = first + timedelta(days=n)
        assert asked(day, day) == expected.get(day, []), (provider, viewer, clinic, day)
    for n in range(0, DAYS, 62):
        page = [first + timedelta(days=m) for m in range(n, min(n + 62, DAYS))]
        found = asked(page[0], page[-1])
        assert found == [start for day in page for start in expected.get(day, [])], (provider, viewer, clinic, page[0])
    return sum(map(len, expected.values())), len(expected)


@pytest.mark.parametrize(("provider", "viewer", "clinic", "first"), CASES)
def test_780_days_in_three_zones(provider: str, viewer: str, clinic: str, first: date) -> None:
    starts, days = check(provider, viewer, clinic, first)
    assert starts > 5000
    assert days > 600


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_780_days_in_any_three_zones(capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(780)
    starts = days = 0
    for n in range(30):
        first = date(2000, 2, 1) + timedelta(days=n * 435)
        provider, viewer, clinic = chance.sample(sorted(names()), 3)
        counted = check(provider, viewer, clinic, first)
        starts, days = starts + counted[0], days + counted[1]
    with capsys.disabled():
        print(f"\n30 × 780 days in three zones: {starts:,} local starts on {days:,} days, 0 differences")
