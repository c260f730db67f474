"""Properties across modules: hours to free starts through transitions, several resources, series, interval laws."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from hypothesis import given, settings
from hypothesis import strategies as st
from scheduling_oracle import DAY, EPOCH, Walk, clock, day_of

from scheduling.bitmaps import Bitmap, Horizon, any_of
from scheduling.instants import Minute, Span, utc
from scheduling.intervals import contains, covers, intersect, merge, subtract
from scheduling.recurrences import occurrences
from scheduling.search import Visit, find, free, grid
from scheduling.templates import WEEKDAYS, LocalRange, Template, Weekly
from scheduling.zones import zone

ZONES = (
    "Africa/Casablanca",
    "America/Nuuk",
    "America/Phoenix",
    "America/St_Johns",
    "Antarctica/Troll",
    "Australia/Lord_Howe",
    "Europe/Dublin",
    "Europe/Warsaw",
    "Pacific/Apia",
)
SINCE, UNTIL = ((date(year, 1, 1) - EPOCH).days * DAY for year in (2009, 2027))


@st.composite
def transitions(draw: st.DrawFn) -> tuple[str, Minute]:
    """A zone and one of its transitions (in Phoenix, any minute)."""
    name = draw(st.sampled_from(ZONES))
    return name, draw(st.sampled_from(clock(name).transitions(SINCE, UNTIL) or [SINCE, UNTIL]))


@st.composite
def day_ranges(draw: st.DrawFn) -> tuple[LocalRange, ...]:
    """Up to three ranges of a local day, sorted and apart."""
    cuts = sorted(draw(st.lists(st.integers(0, 48).map(lambda n: 30 * n), unique=True, max_size=6)))
    return tuple(LocalRange(*pair) for pair in zip(cuts[::2], cuts[1::2], strict=False))


@settings(max_examples=60, deadline=None)
@given(
    transitions(),
    day_ranges(),
    st.integers(1, 24).map(lambda n: 5 * n),
    st.integers(0, 4).map(lambda n: 5 * n),
    st.integers(1, 12).map(lambda n: 5 * n),
    st.lists(st.tuples(st.integers(-900, 900), st.integers(1, 120)), max_size=4),
)
def test_free_starts_from_local_hours_equal_a_walk_over_every_minute(
    around: tuple[str, Minute],
    ranges: tuple[LocalRange, ...],
    duration: int,
    buffer: int,
    step: int,
    busy: list[Span],
) -> None:
    name, at = around
    visit = Visit(duration, before=buffer, after=buffer)
    days = [day_of(clock(name).shown(at)) + timedelta(days=n) for n in (-1, 0, 1)]
    taken = [(at + start, at + start + length) for start, length in busy]

    walk = Walk(clock(name), at - 5 * DAY, at + 5 * DAY)
    granules = {minute // 5 for span in taken for minute in range(*span)}
    expected = set()
    for day in days:
        for local in ranges:
            opens, closes = walk.at(day, local.start), walk.at(day, local.end)
            for start in range(opens, closes - duration + 1):
                claim = range(start - buffer, start + duration + buffer)
                if (start - opens) % step == 0 and granules.isdisjoint(minute // 5 for minute in claim):
                    expected.add(start)

    working = Template(name, Weekly((ranges,) * 7)).expand(days[0], days[-1])
    horizon = Horizon.covering(at - 6 * DAY, at + 6 * DAY, align=DAY)
    assert find(working, visit, Bitmap.of(horizon, taken), step=step) == sorted(expected)


ORIGIN = 29_000_160
HORIZON = Horizon(ORIGIN, 72)
fives = st.integers(-6, 78).map(lambda n: ORIGIN + 5 * n)
some_ranges = st.lists(st.tuples(fives, st.integers(1, 48)).map(lambda r: (r[0], r[0] + 5 * r[1])), max_size=3)
busy_spans = st.lists(
    st.tuples(st.integers(ORIGIN - 30, HORIZON.end + 30), st.integers(0, 60)).map(lambda r: (r[0], r[0] + r[1])),
    max_size=3,
)
people = st.tuples(some_ranges, busy_spans)


@settings(max_examples=150, deadline=None)
@given(people, st.lists(people, max_size=3), st.integers(1, 12).map(lambda n: 5 * n), st.sampled_from([5, 15, 30]))
def test_a_leader_and_any_room_equal_a_walk(
    leader: tuple[list[Span], list[Span]], rooms: list[tuple[list[Span], list[Span]]], duration: int, step: int
) -> None:
    visit = Visit(duration)

    def possible(minute: Minute, who: tuple[list[Span], list[Span]], every: int) -> bool:
        working, busy = who
        inside = range(minute, minute + duration)
        taken = {m // 5 for start, end in busy for m in range(start, end)}
        return any(a <= minute and inside.stop <= b and (minute - a) % every == 0 for a, b in working) and (
            inside.stop <= HORIZON.end and taken.isdisjoint(m // 5 for m in inside)
        )

    expected = [
        minute
        for minute in range(HORIZON.origin, HORIZON.end, 5)
        if possible(minute, leader, step) and any(possible(minute, room, 5) for room in rooms)
    ]
    lead = grid(HORIZON, leader[0], duration, step) & free(visit, Bitmap.of(HORIZON, leader[1]))
    each = [grid(HORIZON, working, duration) & free(visit, Bitmap.of(HORIZON, busy)) for working, busy in rooms]
    assert (lead & any_of(HORIZON, each)).minutes() == expected


@given(busy_spans, st.integers(0, 40))
def test_a_bitmaps_spans_are_the_intervals_rounded_outwards(items: list[Span], pad: int) -> None:
    outwards = [((a - pad) // 5 * 5, -(-(b + pad) // 5) * 5) for a, b in items if a < b]
    assert Bitmap.of(HORIZON, items, pad).spans() == intersect(outwards, [(HORIZON.origin, HORIZON.end)])


@given(busy_spans, busy_spans, busy_spans)
def test_laws_of_intervals(a: list[Span], b: list[Span], c: list[Span]) -> None:
    assert merge(merge(a)) == merge(a) == merge(reversed(a))
    assert merge(subtract(a, b) + intersect(a, b)) == merge(a)
    assert subtract(subtract(a, b), c) == subtract(a, b + c)
    assert intersect(a, b + c) == merge(intersect(a, b) + intersect(a, c))
    assert intersect(subtract(a, b), b) == subtract(a, a) == []
    assert all(covers(merge(a), part) and contains(merge(a), part[0]) for part in subtract(a, b))


@given(busy_spans, busy_spans)
def test_intervals_of_datetimes_are_those_of_minutes(a: list[Span], b: list[Span]) -> None:
    def dated(items: list[Span]) -> list[tuple[datetime, datetime]]:
        return [(utc(start), utc(end)) for start, end in items]

    for operation in (intersect, subtract):
        assert operation(dated(a), dated(b)) == dated(operation(a, b))
    assert merge(dated(a)) == dated(merge(a))


@lru_cache(maxsize=8)
def walk_of(name: str, first: date) -> Walk:
    at = (first - EPOCH).days * DAY
    return Walk(clock(name), at - 2 * DAY, at + 125 * DAY)


@st.composite
def rules(draw: st.DrawFn) -> dict[str, str]:
    rule = {"FREQ": draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY"])), "INTERVAL": str(draw(st.integers(1, 4)))}
    if rule["FREQ"] == "WEEKLY":
        names = draw(st.lists(st.sampled_from(WEEKDAYS), unique=True, max_size=3))
        if names:
            rule["BYDAY"] = ",".join(name[:2].upper() for name in names)
    elif rule["FREQ"] == "MONTHLY":
        weekday = draw(st.sampled_from(WEEKDAYS))[:2].upper()
        rule |= draw(
            st.sampled_from([{}, {"BYMONTHDAY": "1,15,-1"}, {"BYDAY": f"2{weekday}"}, {"BYDAY": f"-1{weekday}"}])
        )
    if draw(st.booleans()):
        rule["COUNT"] = str(draw(st.integers(1, 30)))
    return rule


def falls(rule: dict[str, str], began: date, day: date) -> bool:
    """Whether a rule that began on a date falls on `day`, by the calendar."""
    every = int(rule["INTERVAL"])
    weekday = WEEKDAYS[day.weekday()][:2].upper()
    if rule["FREQ"] == "DAILY":
        return (day - began).days % every == 0
    if rule["FREQ"] == "WEEKLY":
        weeks = ((day - timedelta(days=day.weekday())) - (began - timedelta(days=began.weekday()))).days // 7
        return weeks % every == 0 and weekday in rule.get("BYDAY", WEEKDAYS[began.weekday()][:2].upper()).split(",")
    if ((day.year - began.year) * 12 + day.month - began.month) % every:
        return False
    length = monthrange(day.year, day.month)[1]
    if "BYDAY" in rule:
        nth = -1 if day.day > length - 7 else 0
        return rule["BYDAY"] in (f"{(day.day - 1) // 7 + 1}{weekday}", f"{nth}{weekday}")
    if "BYMONTHDAY" in rule:
        return day.day in (1, 15, length)
    return day.day == began.day


def local_days(rule: dict[str, str], began: date, days: int) -> Iterator[date]:
    falling = (day for n in range(days) if falls(rule, began, day := began + timedelta(days=n)))
    for count, day in enumerate(falling):
        if "COUNT" in rule and count >= int(rule["COUNT"]):
            return
        yield day


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(ZONES),
    st.sampled_from([date(2011, 2, 20), date(2011, 9, 10), date(2026, 1, 25)]),
    st.integers(0, 20),
    st.integers(0, 287).map(lambda n: 5 * n) | st.sampled_from([60, 90, 105, 120, 135, 150, 1350, 1410]),
    rules(),
)
def test_four_months_of_any_series_equals_the_calendar_and_the_walk(
    name: str, first: date, later: int, minute_of_day: int, rule: dict[str, str]
) -> None:
    walk = walk_of(name, first)
    start = walk.at(first + timedelta(days=later), minute_of_day)
    began = clock(name).shown(start)  # the clock may have skipped what was asked
    wanted = {walk.at(day, began % DAY) for day in local_days(rule, day_of(began), 101)}
    text = ";".join(f"{key}={value}" for key, value in rule.items())
    until = utc(start) + timedelta(days=99)
    found = occurrences(text, utc(start), zone(name), since=utc(start), until=until)
    assert found == [utc(minute) for minute in sorted(wanted) if minute >= start and utc(minute) < until]
    assert all(instant.tzinfo is UTC for instant in found)
