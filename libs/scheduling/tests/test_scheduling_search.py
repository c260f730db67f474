"""The search against a walk over every minute that knows nothing of bitmaps."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduling.bitmaps import Bitmap, Horizon, all_of, any_of
from scheduling.instants import Span, floor_minute
from scheduling.search import Visit, find, free, grid, listed
from scheduling.templates import Template

ORIGIN = 29_000_160
HORIZON = Horizon(ORIGIN, 96)  # eight hours

fives = st.integers(-20, 116).map(lambda n: ORIGIN + 5 * n)
ranges = st.lists(st.tuples(fives, st.integers(1, 60)).map(lambda r: (r[0], r[0] + 5 * r[1])), max_size=5)
anything = st.integers(ORIGIN - 60, HORIZON.end + 60)
busy_spans = st.lists(st.tuples(anything, st.integers(0, 70)).map(lambda r: (r[0], r[0] + r[1])), max_size=5)
visits = st.builds(
    Visit,
    duration=st.integers(1, 18).map(lambda n: n * 5),
    before=st.integers(0, 6).map(lambda n: n * 5),
    after=st.integers(0, 6).map(lambda n: n * 5),
)
steps = st.integers(1, 12).map(lambda n: n * 5)
bounds = st.none() | anything


def outwards(spans: list[Span], pad: int = 0) -> set[int]:
    taken = {m for start, end in spans if start < end for m in range(start - pad, end + pad)}
    return {m for minute in taken for m in range(minute // 5 * 5, minute // 5 * 5 + 5)}


def walked(
    working: list[Span],
    visit: Visit,
    claims: list[Span],
    external: list[Span],
    time_off: list[Span],
    step: int,
    not_before: int | None,
    until: int | None,
) -> list[int]:
    """Every start, one minute after the other."""
    known = set(range(HORIZON.origin, HORIZON.end))
    claimed = outwards(claims)
    blocked = outwards(external, pad=30) | outwards(time_off)
    found = []
    for start in range(HORIZON.origin, HORIZON.end):
        inside = set(range(start, start + visit.duration))
        claim = set(range(start - visit.before, start + visit.duration + visit.after))
        if (
            any((start - a) % step == 0 and a <= start and start + visit.duration <= b for a, b in working)
            and claim <= known
            and not claim & claimed
            and not inside & blocked
            and (not_before is None or not_before <= start)
            and (until is None or start < until)
        ):
            found.append(start)
    return found


@settings(max_examples=300, deadline=None)
@given(ranges, visits, busy_spans, busy_spans, busy_spans, steps, bounds, bounds)
def test_against_a_walk(
    working: list[Span],
    visit: Visit,
    claims: list[Span],
    external: list[Span],
    time_off: list[Span],
    step: int,
    not_before: int | None,
    until: int | None,
) -> None:
    found = find(
        working,
        visit,
        Bitmap.of(HORIZON, claims),
        step=step,
        blocks=Bitmap.of(HORIZON, external, pad=30) | Bitmap.of(HORIZON, time_off),
        not_before=not_before,
        until=until,
    )
    assert found == walked(working, visit, claims, external, time_off, step, not_before, until)


@settings(max_examples=100, deadline=None)
@given(ranges, visits, busy_spans, st.lists(fives, max_size=10))
def test_explicit_starts_against_a_walk(
    working: list[Span], visit: Visit, claims: list[Span], starts: list[int]
) -> None:
    found = find(working, visit, Bitmap.of(HORIZON, claims), starts=starts)
    possible = walked(working, visit, claims, [], [], 5, None, None)
    # Ranges begin on granules, so a step of 5 finds every start that exists.
    assert found == [start for start in possible if start in starts]


def at(hour: int, minute: int = 0) -> int:
    return ORIGIN + hour * 60 + minute


def test_a_break_may_not_be_booked_but_buffers_may_lie_in_it() -> None:
    working = [(at(1), at(2)), (at(2, 30), at(3, 30))]
    nothing = Bitmap.empty(HORIZON)
    assert find(working, Visit(60, before=15, after=30), nothing, step=30) == [at(1), at(2, 30)]
    assert find(working, Visit(65), nothing) == []


def test_ranges_that_touch_stay_two() -> None:
    working = [(at(1), at(2)), (at(2), at(3))]
    assert find(working, Visit(45), Bitmap.empty(HORIZON), step=15) == [at(1), at(1, 15), at(2), at(2, 15)]


def test_buffers_meet_claims_but_not_blocks() -> None:
    working = [(at(1), at(3))]
    taken = Bitmap.of(HORIZON, [(at(2), at(2, 30))])
    nothing = Bitmap.empty(HORIZON)
    visit = Visit(30, before=10, after=10)
    assert find(working, visit, taken, step=30) == [at(1)]  # 01:30 would end in the claim's way
    assert find(working, visit, nothing, step=30, blocks=taken) == [at(1), at(1, 30), at(2, 30)]


def test_steps_count_from_each_ranges_own_start_even_before_the_horizon() -> None:
    nothing = Bitmap.empty(HORIZON)
    assert find([(ORIGIN - 35, at(1))], Visit(15), nothing, step=20) == [at(0, 5), at(0, 25), at(0, 45)]
    assert find([(at(1, 5), at(2))], Visit(15), nothing, step=20) == [at(1, 5), at(1, 25), at(1, 45)]


def test_several_resources() -> None:
    working = ((at(1), at(4)),)
    leader = grid(HORIZON, working, 60, 30) & free(Visit(60), Bitmap.of(HORIZON, [(at(1), at(1, 30))]))
    fits = grid(HORIZON, working, 60)
    rooms = [
        fits & free(Visit(60, after=30), Bitmap.of(HORIZON, [(at(2), at(3))])),
        fits & free(Visit(60), Bitmap.of(HORIZON, [(at(3), at(4))])),
    ]
    both = all_of(HORIZON, [leader, any_of(HORIZON, rooms)])
    assert both.minutes() == [at(1, 30), at(2), at(3)]
    assert [at(3) in room for room in rooms] == [True, False]


def test_starts_go_on_in_elapsed_time_through_a_transition() -> None:
    template = Template.parse({"time_zone": "Europe/Warsaw", "weekly": {"sun": [["01:00", "04:00"]]}})
    for day, hours in ((date(2026, 3, 29), 2), (date(2026, 10, 25), 4)):
        working = template.expand(day, day)
        horizon = Horizon.covering(working[0][0], working[0][1], align=1440)
        found = find(working, Visit(30), Bitmap.empty(horizon), step=30)
        assert found == list(range(working[0][0], working[0][0] + hours * 60, 30))


def test_refusals() -> None:
    for wrong in (
        {"duration": 0},
        {"duration": 7},
        {"duration": 30, "before": -5},
        {"duration": 30, "after": 3},
    ):
        with pytest.raises(ValueError, match=r"visit|multiple of 5"):
            Visit(**wrong)
    with pytest.raises(ValueError, match="multiple of 5"):
        grid(HORIZON, [(ORIGIN + 1, ORIGIN + 60)], 30)
    with pytest.raises(ValueError, match="step must be positive"):
        grid(HORIZON, [], 30, 0)
    with pytest.raises(ValueError, match="multiple of 5"):
        listed(HORIZON, [], 30, [ORIGIN + 1])
    with pytest.raises(ValueError, match="different horizons"):
        free(Visit(30), Bitmap.empty(HORIZON), Bitmap.empty(Horizon(ORIGIN, 1)))


def test_visits_know_their_spans() -> None:
    visit = Visit(30, before=10, after=15)
    assert visit.span(100) == (100, 130)
    assert visit.claim(100) == (90, 145)


def test_thirty_days_take_well_under_a_millisecond() -> None:
    """A guard against an accidental loop over granules; benchmarks/ has the real figures."""
    day_hours = [["09:00", "12:30"], ["13:00", "17:00"]]
    template = Template.parse(
        {
            "time_zone": "America/New_York",
            "weekly": dict.fromkeys(("mon", "tue", "wed", "thu", "fri"), day_hours),
        }
    )
    start = floor_minute(datetime(2026, 10, 20, tzinfo=UTC))
    horizon = Horizon.covering(start, start + 30 * 1440, align=1440)
    working = template.expand(date(2026, 10, 20), date(2026, 11, 19))
    busy = Bitmap.of(horizon, [(start + 1440 * d + 900, start + 1440 * d + 960) for d in range(30)])
    best = float("inf")
    for _ in range(50):
        began = time.perf_counter()
        found = find(working, Visit(30, 5, 10), busy, step=15, blocks=busy)
        best = min(best, time.perf_counter() - began)
    assert found
    assert best < 0.001
