"""Starts near an instant, by tiers of providers. Pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from uuid import UUID

from availability.calendars import Calendar
from availability.search import Found, Search
from scheduling.instants import GRANULE, Minute

Refused = Callable[[Minute, Calendar], bool]


def nearest(
    search: Search, start: Minute, tiers: Iterable[Sequence[Calendar]], limit: int, *, alone: bool, refused: Refused
) -> list[Found]:
    """Up to `limit` starts, those of the first tier before the next one's, the nearest first within each.

    A start is listed once. `alone`: each with one provider only, the preferred one; `refused` leaves out starts of a
    leader.
    """
    chosen: dict[Minute, Found] = {}
    for leaders in tiers:
        for other in _outwards(search.possible(leaders), search.asked.granule(start)):
            if len(chosen) == limit:
                return list(chosen.values())
            at = search.asked.origin + other * GRANULE
            if at in chosen:
                continue
            free = [leader for leader in leaders if not refused(at, leader)]
            found = _first(search, at, free) if alone else search.at(at, free)
            if found is not None:
                chosen[at] = found
    return list(chosen.values())


def _first(search: Search, start: Minute, leaders: Sequence[Calendar]) -> Found | None:
    """With the leader that is preferred on that day."""
    preferred, _ = search.order(search.asked.day(start))
    among = [leader for leader in preferred if leader in leaders]
    return next((found for leader in among if (found := search.at(start, [leader])) is not None), None)


def tiers_of(leaders: Sequence[Calendar], own: Iterable[UUID], *, chosen: bool) -> list[list[Calendar]]:
    """The same provider first if the patient chose one, then others at the same location, then elsewhere."""
    same = set(own)
    near = {leader.resource.location_id for leader in leaders if leader.resource.id in same}
    tiers: list[list[Calendar]] = [[], [], []]
    for leader in leaders:
        first = chosen and leader.resource.id in same
        tiers[0 if first else 1 if leader.resource.location_id in near or not near else 2].append(leader)
    return tiers


def _outwards(bits: int, center: int) -> Iterator[int]:
    """Numbers of the set bits, the nearest to `center` first; of two as near, the earlier."""
    center = max(0, center)
    later, earlier = bits >> center, bits & ((1 << center) - 1)
    after = (later & -later).bit_length() - 1
    before = earlier.bit_length() - 1
    while later or earlier:
        if earlier and (not later or center - before <= after):
            yield before
            earlier ^= 1 << before
            before = earlier.bit_length() - 1
        else:
            yield center + after
            later &= later - 1
            after = (later & -later).bit_length() - 1
