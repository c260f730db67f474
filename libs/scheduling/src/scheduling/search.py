"""Free starts of a visit, as bitmaps in which a set granule is a possible start.

Two halves, so that the slow one can be cached:

* `grid`: where the working hours let a visit start. Depends on the schedule, duration and step only.
* `free`: where claims and blocks leave room. A handful of shifts.

`grid & free` are one resource's starts. Several resources: and their bitmaps (`bitmaps.all_of`);
alternatives such as "any room": or them first (`bitmaps.any_of`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from scheduling.bitmaps import Bitmap, Horizon, runs
from scheduling.instants import GRANULE, Minute, Span, whole_granules


@dataclass(frozen=True, slots=True)
class Visit:
    """What is to be placed, in minutes, each a multiple of 5.

    The visit itself is [start, start + duration). Its claim on the resource is
    [start - before, start + duration + after). ValueError on a duration of 0 or less, a negative
    buffer, or minutes that are no multiple of 5.
    """

    duration: int
    before: int = 0
    after: int = 0

    def __post_init__(self) -> None:
        whole_granules("duration", self.duration)
        whole_granules("before", self.before)
        whole_granules("after", self.after)
        if self.duration <= 0 or self.before < 0 or self.after < 0:
            raise ValueError(f"not a visit: {self!r}")

    def span(self, start: Minute) -> Span:
        """The visit itself when it starts at `start`."""
        return start, start + self.duration

    def claim(self, start: Minute) -> Span:
        """The visit with its buffers when it starts at `start`."""
        return start - self.before, start + self.duration + self.after


def grid(horizon: Horizon, ranges: Iterable[Span], duration: int, step: int = GRANULE) -> Bitmap:
    """Starts at which [start, start + duration) lies within one of the working `ranges`.

    In each range they go start, start + step, … in elapsed time from that range's own start, also
    where the range begins before the horizon. Two ranges that touch stay two: a visit never spans
    them (merge them first with `intervals.merge` if it should). Buffers play no part: they need not
    lie within working hours. With the default step of one granule it says only *where* a visit fits,
    which is what a second resource (a room) is asked. ValueError unless duration and step are
    positive multiples of 5 and the ranges multiples of 5.
    """
    size = _positive("duration", duration)
    stride = _positive("step", step)
    bits = 0
    origin, end_of_horizon = horizon.origin, horizon.end
    for start, end in ranges:
        if end <= origin or start >= end_of_horizon:
            continue
        first = whole_granules("a working range's start", start - origin)
        last = whole_granules("a working range's end", min(end, end_of_horizon) - origin) - size
        if first < 0:
            first += -(first // stride) * stride
        if first <= last:
            bits |= _comb(stride, (last - first) // stride + 1) << first
    return Bitmap(horizon, bits)


def listed(horizon: Horizon, ranges: Iterable[Span], duration: int, starts: Iterable[Minute]) -> Bitmap:
    """Those of the explicit `starts` at which the visit lies within one of the working `ranges`.

    For offerings that name their only starts, whatever the ranges' own steps. ValueError as in `grid`,
    and for a start that is no multiple of 5.
    """
    bits = 0
    for start in starts:
        whole_granules("a start", start)
        if horizon.origin <= start < horizon.end:
            bits |= 1 << (start - horizon.origin) // GRANULE
    return Bitmap(horizon, grid(horizon, ranges, duration).bits & bits)


def free(visit: Visit, busy: Bitmap, blocks: Bitmap | None = None) -> Bitmap:
    """Starts at which the claim misses `busy` and the visit without its buffers misses `blocks`.

    `busy`: the resource's claims, their own buffers included. `blocks`: external events, padded by
    the external buffer, and time off, not padded (`Bitmap.of(horizon, external, pad=30) |
    Bitmap.of(horizon, time_off)`). Outside the horizon nothing is known and so nothing is free: let
    the horizon reach `before` minutes before the first start of interest, and as far beyond the last.
    ValueError when the horizons differ.
    """
    horizon = busy.horizon
    before = visit.before // GRANULE
    claim = (visit.before + visit.duration + visit.after) // GRANULE
    bits = runs(horizon.mask ^ busy.bits, claim) << before
    if blocks is not None:
        if blocks.horizon != horizon:
            raise ValueError(f"bitmaps of different horizons: {horizon} and {blocks.horizon}; use moved()")
        bits &= runs(horizon.mask ^ blocks.bits, visit.duration // GRANULE)
    return Bitmap(horizon, bits)


def find(
    ranges: Iterable[Span],
    visit: Visit,
    busy: Bitmap,
    *,
    step: int = GRANULE,
    starts: Iterable[Minute] | None = None,
    blocks: Bitmap | None = None,
    not_before: Minute | None = None,
    until: Minute | None = None,
) -> list[Minute]:
    """One resource's free starts in [not_before, until), sorted epoch minutes; the whole search at once.

    `starts`, when given, are the only ones considered and `step` is ignored. `not_before` is now plus
    the minimum notice, rounded up (`ceil_minute`); `until` is exclusive. ValueError as in the parts.
    """
    horizon = busy.horizon
    if starts is None:
        possible = grid(horizon, ranges, visit.duration, step)
    else:
        possible = listed(horizon, ranges, visit.duration, starts)
    return (possible & free(visit, busy, blocks)).between(not_before, until).minutes()


def _positive(name: str, minutes: int) -> int:
    if minutes <= 0:
        raise ValueError(f"{name} must be positive, not {minutes}")
    return whole_granules(name, minutes)


@lru_cache(maxsize=4096)
def _comb(stride: int, count: int) -> int:
    """`count` set bits, `stride` apart, from bit 0."""
    # A geometric series: 1 + 2^stride + 2^(2·stride) + …
    return ((1 << stride * count) - 1) // ((1 << stride) - 1)
