"""What a search looks at: the asked range, the offering's needs, and each resource as bitmaps. Pure.

Instants are epoch minutes (see `scheduling`). Each resource becomes a `Calendar`: bitmaps of the starts that its
hours allow and of those that are free.
"""

from bisect import bisect_right
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from scheduling.bitmaps import Bitmap, Horizon
from scheduling.instants import DAY, Minute, Span
from scheduling.search import Visit, free, grid, listed
from scheduling.templates import Starts, Template
from scheduling.zones import day_span, local_date, zone

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
