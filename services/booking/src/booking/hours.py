"""Whether a visit lies within a resource's working hours, by booking's own copy of them. Pure."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

import msgspec

from events.contracts.availability import ResourceState
from scheduling import public_holidays
from scheduling.instants import Span, ceil_minute, floor_minute
from scheduling.intervals import merge
from scheduling.templates import Template
from scheduling.zones import zone


def fits(resource: ResourceState, start: datetime, end: datetime) -> bool:
    """Whether the resource is active and works from `start` to `end`. A practitioner without a schedule never does; a
    room, a thing or a virtual place without one always does."""
    if not resource.active:
        return False
    if resource.schedule is None:
        return resource.type != "practitioner"
    first, last = floor_minute(start), ceil_minute(end)
    worked = _worked(msgspec.json.encode(resource.schedule), start.astimezone(UTC).date().toordinal())
    return any(opens <= first and last <= closes for opens, closes in worked)


@lru_cache(maxsize=1024)
def _worked(schedule: bytes, day: int) -> list[Span]:
    """Working hours of the days around a date, touching ranges merged: a visit may not span a break, but ranges that
    touch are no break."""
    template = Template.parse(msgspec.json.decode(schedule))
    tz = zone(template.time_zone)
    around = datetime.fromordinal(day).replace(tzinfo=UTC)
    first = (around - timedelta(days=2)).astimezone(tz).date()
    last = (around + timedelta(days=3)).astimezone(tz).date()
    closed = template.holidays
    holidays = public_holidays.dates(closed.country, closed.region, first, last) if closed else frozenset()
    return merge(template.expand(first, last, holidays))
