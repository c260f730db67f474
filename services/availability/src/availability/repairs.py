"""Use case: what can be done for a visit when one of its resources cannot serve it any more."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from availability.asking import utc_now, within
from availability.assigning import Assignment, matched
from availability.board import Sought
from availability.calendars import Calendar, Seat
from availability.directory import Directory
from availability.hot import raw
from availability.looking import Looker, Seen
from availability.nearest import nearest, tiers_of
from availability.offers import Desk
from availability.search import Found, Search, Served
from availability.slots import Slots
from scheduling.instants import GRANULE, Minute, floor_minute
from scheduling.zones import zone
from servicekit.problems import NotFound

WITHIN = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Broken:
    """A visit and what it lost. `resource_ids` are all it has; `booking_id` owns its claims, which count as free."""

    offering_id: UUID
    start: datetime
    end: datetime
    resource_ids: Sequence[UUID]
    broken_resource_id: UUID
    provider_id: UUID | None
    booking_id: UUID
    limit: int


class Repairs:
    """Looks for repairs: other resources at the same time, then other times."""

    def __init__(self, looker: Looker, slots: Slots) -> None:
        self._looker = looker
        self._slots = slots

    async def of(self, clinic_id: UUID, broken: Broken) -> dict[str, Any]:
        """`{substitutes: [{slot, resource}], alternatives: [slot]}`, the least disruption first. Empty when nothing
        can be done, or when the offering is not offered any more."""
        now = utc_now()

        def seek(directory: Directory) -> Sought:
            offering = directory.offering(str(broken.offering_id))
            tz = zone(directory.require_clinic().time_zone)
            # The visit keeps its length although new ones may have another; the clinic is not bound by its notice.
            length = (broken.end - broken.start) // timedelta(minutes=1)
            kept = replace(offering, duration=length, min_notice=0) if length != offering.duration else offering
            kept = replace(kept, min_notice=0)
            first, last = (
                instant.astimezone(tz).date()
                for instant in (max(broken.start - WITHIN, now), max(broken.start, now) + WITHIN)
            )
            return Sought(directory, kept, within(directory, kept, tz, first, last, now))

        try:
            seen = await self._looker.look(clinic_id, seek, ignored=broken.booking_id)
        except NotFound:
            return {"substitutes": [], "alternatives": []}
        return self._repairs(seen, broken)

    def _repairs(self, seen: Seen, broken: Broken) -> dict[str, Any]:
        tz: ZoneInfo = seen.sought.asked.tz
        desk = self._slots.desk(seen.sought, tz, provider_chosen=broken.provider_id is not None)
        search = seen.search()
        start = floor_minute(broken.start)
        return {
            "substitutes": _substitutes(search, start, broken, desk),
            "alternatives": raw([desk.slot(one) for one in _other_times(search, start, broken)]),
        }


def _substitutes(search: Search, start: Minute, broken: Broken, desk: Desk) -> list[dict[str, Any]]:
    """One for each resource that could take the broken one's place; the others stay where they can."""
    granule, rest = divmod(start - search.asked.origin, GRANULE)
    if rest or not search.asked.not_before <= start < search.asked.until:
        return []
    leaders, others = search.order(search.asked.day(start))
    needs = [leaders, *others]
    free = [[one.seat for one in need if _is_free(one, granule, broken)] for need in needs]
    kept = set(broken.resource_ids) - {broken.broken_resource_id}
    lost = _lost(needs, broken)
    optional = [False, *(one.optional for one in search.others)]
    found: list[dict[str, Any]] = []
    for substitute in free[lost] if lost is not None else []:
        if substitute.resource.id in kept or len(found) == broken.limit:
            continue
        # Whoever is there already comes first in each of the other needs.
        options = [
            [substitute] if number == lost else sorted(seats, key=lambda seat: seat.resource.id not in kept)
            for number, seats in enumerate(free)
        ]
        assignment = _assigned(options, optional)
        if assignment is not None:
            number = search.capacity
            one = Found(start, Served((assignment,), assignment[0].resource.quoted, 1), number)
            resource = substitute.resource
            named = {"id": str(resource.id), "type": resource.type, "name": resource.name}
            found.append({"slot": msgspec.Raw(desk.slot(one)), "resource": named})
    return found


def _is_free(calendar: Calendar, granule: int, broken: Broken) -> bool:
    return calendar.resource.id != broken.broken_resource_id and bool(calendar.free >> granule & 1)


def _lost(needs: Sequence[Sequence[Calendar]], broken: Broken) -> int | None:
    """The need that the broken resource served: of those it could serve, the one that nobody else of the visit can."""
    able = [{calendar.resource.id for calendar in need} & set(broken.resource_ids) for need in needs]
    fitting = [number for number, one in enumerate(able) if broken.broken_resource_id in one]
    if fitting:
        return min(fitting, key=lambda number: len(able[number]))
    # It is not in the catalogue any more: it served the need that no other resource of the visit can.
    return next((number for number, one in enumerate(able) if not one), None)


def _assigned(options: Sequence[Sequence[Seat]], optional: Sequence[bool]) -> Assignment | None:
    for leader in options[0]:
        if (found := matched(leader, options[1:], optional[1:])) is not None:
            return found
    return None


def _other_times(search: Search, start: Minute, broken: Broken) -> list[Found]:
    """With the same provider first, also when it is the one who cannot come at the visit's own time."""
    own = [broken.provider_id] if broken.provider_id else []
    tiers = tiers_of(search.leaders, own, chosen=True)
    return nearest(search, start, tiers, broken.limit, alone=bool(own), refused=lambda at, _: at == start)
