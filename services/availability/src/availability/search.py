"""Which starts can be offered, and who would serve them. Pure; instants are epoch minutes (see `scheduling`).

Each resource becomes a `Calendar`: bitmaps of the starts that its hours allow and of those that are free. The first
requirement for a practitioner (or else the first of all) *leads*: its calendars make the grid of starts, and its
resource is the slot's provider. The other requirements have only to fit.
"""

from bisect import bisect_right
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from scheduling.bitmaps import Bitmap, Horizon, all_of, any_of
from scheduling.instants import DAY, Minute, Span
from scheduling.search import Visit, free, grid, listed
from scheduling.templates import Starts, Template
from scheduling.zones import day_span, local_date, zone

MAX_CANDIDATES = 4
MARGIN = 2 * DAY
"""Beyond the asked range the horizon reaches at least as far as the longest visit with its buffers (24 hours)."""


@dataclass(frozen=True, slots=True)
class Range:
    """The asked local dates first … last in `tz`, narrowed to starts in [not_before, until)."""

    tz: ZoneInfo
    days: tuple[Minute, ...]
    not_before: Minute
    until: Minute
    horizon: Horizon

    @classmethod
    def of(cls, tz: ZoneInfo, first: date, last: date, not_before: Minute, until: Minute) -> "Range":
        """Of dates that are not far from one another; ValueError before 2000."""
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        opens, closes = day_span(first, tz)[0], day_span(last, tz)[1]
        return cls(
            tz=tz,
            days=tuple(day_span(day, tz)[0] for day in days),
            not_before=max(not_before, opens),
            until=max(opens, min(until, closes)),
            horizon=Horizon.covering(opens - MARGIN, closes + MARGIN, align=DAY),
        )

    @property
    def empty(self) -> bool:
        """Whether no start can lie in it."""
        return self.not_before >= self.until

    def day(self, minute: Minute) -> int:
        """The number of the asked date that shows at `minute`."""
        return bisect_right(self.days, minute)


@dataclass(frozen=True, slots=True)
class Resource:
    """What the search has to know of a resource. `schedule` is the stored document."""

    id: UUID
    type: str
    before: int
    after: int
    approval: bool
    schedule: dict[str, object] | None
    schedule_version: int


class Claim(NamedTuple):
    """What occupies a resource: `claim_start`–`claim_end` with buffers, `start`–`end` without."""

    resource_id: UUID
    slot_id: UUID
    offering_id: UUID
    claim_start: Minute
    claim_end: Minute
    start: Minute
    end: Minute
    capacity: int
    reserved: int
    held: bool

    @property
    def span(self) -> Span:
        """With buffers."""
        return self.claim_start, self.claim_end


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the search has to know of an offering. Each requirement lists its resources in stable order."""

    offering_id: UUID
    duration: int
    step: int
    starts: Starts | None
    before: int
    after: int
    capacity: int
    requirements: tuple[tuple[Resource, ...], ...]
    leading: int


@dataclass(slots=True)
class Calendar:
    """One resource within the horizon."""

    resource: Resource
    visit: Visit
    allowed: Bitmap
    """Starts that its hours and its blocks allow, whatever is claimed."""
    free: Bitmap
    blocks: Bitmap
    claims: list[Claim]
    load: Counter[int]
    """How often it is claimed by date."""
    starts: frozenset[Minute] = frozenset()
    """`free` once more, for looking up single starts."""
    before: int = 0
    after: int = 0

    def __post_init__(self) -> None:
        self.starts = frozenset(self.free.minutes())
        self.before, self.after = self.visit.before, self.visit.duration + self.visit.after

    def claim(self, start: Minute) -> Span:
        """What the visit would claim at this start."""
        return start - self.before, start + self.after


Placed = tuple[Calendar, Span]
"""A resource of an assignment, and what it would claim."""


class Found(NamedTuple):
    """A start that can be offered; without candidates: one that is full."""

    start: Minute
    candidates: tuple[tuple[Placed, ...], ...]
    providers: tuple[UUID, ...]
    remaining: int
    capacity: int


class Grids:
    """The starts that working hours allow, by resource, version of its schedule, horizon and steps: the slow part."""

    def __init__(self, size: int = 4096) -> None:
        self._size = size
        self._kept: OrderedDict[tuple[object, ...], Bitmap] = OrderedDict()

    def allowed(self, resource: Resource, wanted: Wanted, leads: bool, horizon: Horizon) -> Bitmap:
        """Practitioners work by their schedule only; a room or a thing without one is always there."""
        starts, step = (wanted.starts, wanted.step) if leads else (None, 5)
        key = (
            resource.id,
            resource.schedule_version,
            horizon,
            wanted.duration,
            step,
            starts,
            resource.schedule is None,
        )
        if (found := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            return found
        made = self._made(resource, wanted.duration, step, starts, horizon)
        self._kept[key] = made
        if len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return made

    def _made(self, resource: Resource, duration: int, step: int, starts: Starts | None, horizon: Horizon) -> Bitmap:
        if resource.schedule is None:
            always = resource.type != "practitioner"
            return Bitmap.full(horizon) if always else Bitmap.empty(horizon)
        template = Template.parse(resource.schedule)
        tz = zone(template.time_zone)
        first = local_date(horizon.origin, tz) - timedelta(days=1)
        last = local_date(horizon.end, tz)
        ranges = template.expand(first, last)
        if starts is None:
            return grid(horizon, ranges, duration, step)
        return listed(horizon, ranges, duration, starts.expand(tz, first, last))


def calendars(
    wanted: Wanted,
    asked: Range,
    grids: Grids,
    claims: Iterable[Claim],
    blocks: dict[UUID, list[Span]],
) -> list[list[Calendar]]:
    """The calendars of each requirement. `blocks` are padded already."""
    by_resource: dict[UUID, list[Claim]] = {}
    for claim in claims:
        by_resource.setdefault(claim.resource_id, []).append(claim)

    def calendar(resource: Resource, leads: bool) -> Calendar:
        visit = Visit(wanted.duration, max(wanted.before, resource.before), max(wanted.after, resource.after))
        own = by_resource.get(resource.id, [])
        blocked = Bitmap.of(asked.horizon, blocks.get(resource.id, ()))
        hours = grids.allowed(resource, wanted, leads, asked.horizon)
        unblocked = free(visit, Bitmap.empty(asked.horizon), blocked)
        busy = Bitmap.of(asked.horizon, [claim.span for claim in own])
        return Calendar(
            resource=resource,
            visit=visit,
            allowed=(hours & unblocked).between(asked.not_before, asked.until),
            free=(hours & free(visit, busy, blocked)).between(asked.not_before, asked.until),
            blocks=blocked,
            claims=own,
            load=Counter(asked.day(claim.start) for claim in own),
        )

    return [
        [calendar(resource, number == wanted.leading) for resource in requirement]
        for number, requirement in enumerate(wanted.requirements)
    ]


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
