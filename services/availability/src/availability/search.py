"""Which starts can be offered, and who would serve them. Pure; instants are epoch minutes (see `scheduling`).

The first requirement for a practitioner (or else the first of all) *leads*: its calendars make the grid of starts,
and its resource is the slot's provider. The other requirements have only to fit.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from availability.calendars import Calendar, Claim, Range, Wanted
from scheduling.bitmaps import all_of, any_of
from scheduling.instants import Minute, Span

MAX_CANDIDATES = 4

Placed = tuple[Calendar, Span]
"""A resource of an assignment, and what it would claim."""


class Found(NamedTuple):
    """A start that can be offered; without candidates: one that is full."""

    start: Minute
    candidates: tuple[tuple[Placed, ...], ...]
    providers: tuple[UUID, ...]
    remaining: int
    capacity: int


class Search:
    """The starts of one offering with its leading requirement narrowed to the providers that were asked for."""

    def __init__(self, wanted: Wanted, asked: Range, needed: Sequence[Sequence[Calendar]]) -> None:
        self._wanted = wanted
        self._asked = asked
        self._leaders = list(needed[wanted.leading])
        self._others = [list(one) for number, one in enumerate(needed) if number != wanted.leading]
        horizon = asked.horizon
        self._fit = all_of(horizon, (any_of(horizon, (c.free for c in one)) for one in self._others))
        self._open = open_slots(wanted, asked, self._leaders, needed) if wanted.capacity > 1 else {}
        self._orders: dict[int, tuple[list[Calendar], list[list[Calendar]]]] = {}

    def found(self) -> list[Found]:
        """What can be offered, sorted by start."""
        free = any_of(self._asked.horizon, (leader.free for leader in self._leaders)) & self._fit
        fitting = free.minutes()
        if not self._open:
            return [found for start in fitting if (found := self._at(start, True)) is not None]
        fits = frozenset(fitting)
        starts = sorted(fits | {start for start, _ in self._open})
        return [found for start in starts if (found := self._at(start, start in fits)) is not None]

    def full(self, offered: Iterable[Found]) -> list[Found]:
        """Starts within working hours that only claims keep from being offered, sorted."""
        horizon = self._asked.horizon
        allowed = any_of(horizon, (leader.allowed for leader in self._leaders))
        for one in self._others:
            allowed &= any_of(horizon, (calendar.allowed for calendar in one))
        starts = set(allowed.minutes()) - {found.start for found in offered}
        return [self._full_at(start) for start in sorted(starts)]

    def first(self) -> dict[UUID, Minute]:
        """Each provider's first start, without looking for the other resources one by one."""
        firsts: dict[UUID, Minute] = {}
        for leader in self._leaders:
            own = [start for start, provider in self._open if provider == leader.resource.id]
            if (start := (leader.free & self._fit).first()) is not None:
                own.append(start)
            if own:
                firsts[leader.resource.id] = min(own)
        return firsts

    def held(self, start: Minute) -> int:
        """Seats that holds keep at this time, as far as known."""
        end = start + self._wanted.duration
        return sum(
            claim.reserved
            for leader in self._leaders
            for claim in leader.claims
            if claim.held and claim.start < end and start < claim.end
        )

    # -- one start ---------------------------------------------------------------------------------------------

    def _at(self, start: Minute, fits: bool) -> Found | None:
        leaders, others = self._order(self._asked.day(start))
        free = [leader for leader in leaders if start in leader.starts] if fits else []
        assignments: list[list[tuple[Placed, ...]]] = []
        if others and free:
            options = [[calendar for calendar in one if start in calendar.starts] for one in others]
            # More than so many of one leader never make it into an offer.
            most = max(1, MAX_CANDIDATES - len(free) + 1)
            served = [(leader, made) for leader in free if (made := _assign(leader, options, start, most))]
            free = [leader for leader, _ in served]
            assignments = [made for _, made in served]
        else:
            assignments = [[((leader, leader.claim(start)),)] for leader in free]
        if self._open:
            return self._with_open(start, leaders, free, assignments)
        if not free:
            return None
        return Found(
            start,
            tuple(_in_turn(assignments)),
            tuple([leader.resource.id for leader in free]),
            self._wanted.capacity * len(free),
            self._wanted.capacity,
        )

    def _with_open(
        self,
        start: Minute,
        leaders: list[Calendar],
        free: list[Calendar],
        assignments: list[list[tuple[Placed, ...]]],
    ) -> Found | None:
        """A start of a class: those that have begun to fill come first, the fullest before others."""
        slots = ((leader.resource.id, self._open.get((start, leader.resource.id))) for leader in leaders)
        opened = sorted(((slot[0], identity, slot[1]) for identity, slot in slots if slot), key=lambda one: one[0])
        if not opened and not free:
            return None
        candidates = [*(placed for _, _, placed in opened), *_in_turn(assignments)]
        return Found(
            start,
            tuple(candidates[:MAX_CANDIDATES]),
            (*(identity for _, identity, _ in opened), *(leader.resource.id for leader in free)),
            sum(left for left, _, _ in opened) + self._wanted.capacity * len(free),
            self._wanted.capacity,
        )

    def _full_at(self, start: Minute) -> Found:
        providers = tuple(leader.resource.id for leader in self._leaders if start in leader.allowed)
        return Found(start, (), providers, 0, self._wanted.capacity)

    def _order(self, day: int) -> tuple[list[Calendar], list[list[Calendar]]]:
        """Leaders and others in order of preference on a day: those with the fewest claims first, and rooms or
        things that nobody has to approve before those that somebody has to."""
        if (order := self._orders.get(day)) is None:
            leaders = sorted(self._leaders, key=lambda leader: leader.load[day])
            others = [sorted(one, key=lambda c: (c.resource.approval, c.load[day])) for one in self._others]
            order = self._orders[day] = (leaders, others)
        return order


def open_slots(
    wanted: Wanted, asked: Range, leading: Iterable[Calendar], needed: Sequence[Sequence[Calendar]]
) -> dict[tuple[Minute, UUID], tuple[int, tuple[Placed, ...]]]:
    """Slots of this class that have seats left, by (start, provider): how many, and the resources that they have.

    A slot's own claim hides its start from the bitmaps, so it is offered from its rows, as it claims them.
    """
    by_slot: dict[UUID, dict[UUID, tuple[Calendar, Claim]]] = {}
    for one in needed:
        for calendar in one:
            for claim in calendar.claims:
                if claim.offering_id == wanted.offering_id and claim.capacity > 1:
                    by_slot.setdefault(claim.slot_id, {})[claim.resource_id] = (calendar, claim)
    leaders = {leader.resource.id for leader in leading}
    slots: dict[tuple[Minute, UUID], tuple[int, tuple[Placed, ...]]] = {}
    for by_resource in by_slot.values():
        rows = sorted(by_resource.values(), key=lambda row: row[0].resource.id not in leaders)  # the leader first
        leader, claim = rows[0]
        left = claim.capacity - claim.reserved
        start, end = claim.start, claim.end
        inside = asked.not_before <= start < asked.until
        complete = len(rows) == len(needed) and leader.resource.id in leaders
        blocked = any(calendar.blocks.touches(start, end) for calendar, _ in rows)
        if left > 0 and inside and complete and not blocked:
            slots[start, leader.resource.id] = (left, tuple((calendar, row.span) for calendar, row in rows))
    return slots


def _assign(leader: Calendar, options: list[list[Calendar]], start: Minute, most: int) -> list[tuple[Placed, ...]]:
    """Up to `most` ways to serve the start with this leader, the best first; no resource is used twice."""
    if len(options) == 1:  # the usual case, without the search
        own = (leader, leader.claim(start))
        fitting = [calendar for calendar in options[0] if calendar.resource.id != leader.resource.id]
        return [(own, (calendar, calendar.claim(start))) for calendar in fitting[:most]]
    # The requirement with the fewest candidates is served first.
    order = sorted(range(len(options)), key=lambda number: len(options[number]))
    chosen: list[Calendar] = [leader] * len(options)
    made: list[tuple[Placed, ...]] = []

    def serve(depth: int, used: frozenset[UUID]) -> None:
        if depth == len(order):
            made.append(tuple((calendar, calendar.claim(start)) for calendar in (leader, *chosen)))
            return
        for calendar in options[order[depth]]:
            if calendar.resource.id not in used:
                chosen[order[depth]] = calendar
                serve(depth + 1, used | {calendar.resource.id})
                if len(made) == most:
                    return

    serve(0, frozenset((leader.resource.id,)))
    return made


def _in_turn(sources: list[list[tuple[Placed, ...]]]) -> list[tuple[Placed, ...]]:
    """The first of each, then the second of each, and so on; at most `MAX_CANDIDATES`."""
    taken = [source[0] for source in sources[:MAX_CANDIDATES]]
    if len(taken) == MAX_CANDIDATES:
        return taken
    depth = 1
    while len(taken) < MAX_CANDIDATES and any(len(source) > depth for source in sources):
        taken.extend(source[depth] for source in sources if len(source) > depth)
        depth += 1
    return taken[:MAX_CANDIDATES]
