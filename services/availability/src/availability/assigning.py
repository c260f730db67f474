"""Who serves a start: assignments of one seat a need, none of them twice. Pure."""

from collections.abc import Sequence
from uuid import UUID

from availability.calendars import Seat

MAX_CANDIDATES = 4

Assignment = tuple[Seat, ...]
"""The leading resource first, then the others in the order of the offering's needs; optional ones may be missing."""


def spread(leaders: Sequence[Seat], options: Sequence[Sequence[Seat]], optional: Sequence[bool]) -> list[Assignment]:
    """Up to four assignments where no resource is in two of the lists, the best first.

    Each takes the next of every list, so that when one resource is gone meanwhile another assignment is likely to do.
    The last resort, if there is room, does without what is optional. Every list that is not optional has somebody.
    """
    lists = [leaders[:MAX_CANDIDATES], *(one[:MAX_CANDIDATES] for one in options if one)]
    longest = max([len(one) for one in lists])
    # As many as the longest list has, each shorter one from its beginning again: all of them are different.
    made: list[Assignment] = list(zip(*[(*one, *one, *one, *one)[:longest] for one in lists], strict=True))
    if longest < MAX_CANDIDATES and len(lists) > 1:
        made = _more(made, lists, longest)
    if len(made) < MAX_CANDIDATES and any(optional) and len(lists) > 1:
        needed = [one for may, one in zip(optional, options, strict=True) if not may]
        bare = spread(leaders, needed, [False] * len(needed))[0]
        made += [bare] * (bare not in made)
    return made


def _more(made: list[Assignment], lists: Sequence[Sequence[Seat]], longest: int) -> list[Assignment]:
    """Those that remain when the lists are turned against each other."""
    found: dict[Assignment, None] = dict.fromkeys(made)
    for turn in range(1, longest):
        for number in range(longest):
            found[tuple([one[(number + turn * place) % len(one)] for place, one in enumerate(lists)])] = None
    return list(found)[:MAX_CANDIDATES]


def matched(leader: Seat, options: Sequence[Sequence[Seat]], optional: Sequence[bool]) -> Assignment | None:
    """One assignment with this leader where resources may be in several lists; None when there is none."""
    chosen = _match(options, optional, leader.resource.id)
    return None if chosen is None else (leader, *chosen)


def _match(options: Sequence[Sequence[Seat]], optional: Sequence[bool], but: UUID | None) -> Assignment | None:
    """A seat for each need but the leading one, none of them the resource `but`; None when it cannot be.

    Bipartite matching by augmenting paths: the needs that are not optional first, those with the fewest candidates
    before others; an optional one never takes a resource away from them for good.
    """
    holder: dict[UUID, int] = {}
    chosen: dict[int, Seat] = {}

    def seat(need: int, seen: set[UUID]) -> bool:
        for candidate in options[need]:
            resource = candidate.resource.id
            if resource in seen or resource == but:
                continue
            seen.add(resource)
            if resource not in holder or seat(holder[resource], seen):
                holder[resource] = need
                chosen[need] = candidate
                return True
        return False

    order = sorted(range(len(options)), key=lambda need: (optional[need], len(options[need])))
    for need in order:
        if not seat(need, set()) and not optional[need]:
            return None
    return tuple([chosen[need] for need in sorted(chosen)])


def matchings(
    leaders: Sequence[Seat], options: Sequence[Sequence[Seat]], optional: Sequence[bool]
) -> tuple[list[Seat], list[Assignment]]:
    """Which of the leaders can serve at all, and up to four assignments, the best first, as differing as they can."""
    anyway = _match(options, optional, None)
    if anyway is None:
        return [], []
    # Whoever the others can do without can lead; only for those in use it has to be found out.
    used = {seat.resource.id for seat in anyway}
    served = [
        leader
        for leader in leaders
        if leader.resource.id not in used or _match(options, optional, leader.resource.id) is not None
    ]
    made: dict[Assignment, None] = {}
    longest = max((len(one) for one in options), default=1)
    for turn in range(min(max(longest, 1), MAX_CANDIDATES)):
        for number, leader in enumerate(served[:MAX_CANDIDATES]):
            turned = [_turned(one, number + turn) for one in options]
            if (found := matched(leader, turned, optional)) is not None:
                made[found] = None
            if len(made) == MAX_CANDIDATES:
                return served, list(made)
    return served, list(made)


def _turned(seats: Sequence[Seat], by: int) -> Sequence[Seat]:
    """From the by-th on, then those before it."""
    by %= len(seats) or 1
    return [*seats[by:], *seats[:by]]
