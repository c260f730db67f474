"""What a request for availability asks: texts of the query become dates, zones and a range. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from availability.calendars import Range
from availability.directory import Directory, Offering
from scheduling.instants import ceil_minute
from scheduling.zones import UnknownZone, day_span, zone
from servicekit.problems import ValidationFailed

MAX_DAYS = 62
DEFAULT_DAYS = 31
FARTHEST_DAYS = 730
"""The longest window an offering may have."""
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class Query:
    """A request for availability as it came; texts are checked when they are read."""

    provider: str
    offering: str
    first: str | None = None
    last: str | None = None
    tz: str | None = None
    limit: int | None = None
    after: datetime | None = None
    full: bool = False
    override: bool = False


def zone_of(field: str, name: str) -> ZoneInfo:
    """The zone; `ValidationFailed` names the field."""
    try:
        return zone(name)
    except UnknownZone as error:
        raise ValidationFailed.of(field, 'is not an IANA time zone such as "Europe/Warsaw"') from error


def date_of(field: str, value: str) -> date:
    """The date; `ValidationFailed` names the field."""
    try:
        if _DATE.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise ValidationFailed.of(field, 'is not a date such as "2026-12-01"')


def dates(query: Query, tz: ZoneInfo, now: datetime) -> tuple[date, date]:
    """The asked dates in `tz`, both inclusive; a month from today on unless given. `ValidationFailed`."""
    first = date_of("from", query.first) if query.first is not None else now.astimezone(tz).date()
    if query.last is not None:
        last = date_of("to", query.last)
    else:
        last = date.fromordinal(min(first.toordinal() + DEFAULT_DAYS - 1, date.max.toordinal()))
    if last < first:
        raise ValidationFailed.of("to", "is before from")
    if (last - first).days >= MAX_DAYS:
        raise ValidationFailed.of("to", f"is more than {MAX_DAYS} days after from; ask for less at a time")
    return first, last


def within(
    directory: Directory,
    offering: Offering,
    tz: ZoneInfo,
    first: date,
    last: date,
    now: datetime,
    *,
    override: bool = False,
) -> Range:
    """The dates, narrowed to what the offering's notice and window allow; to what is to come with `override`.

    The window ends with the clinic's day.
    """
    clinic = directory.clinic
    assert clinic is not None  # searches begin with it
    notice, days = (0, FARTHEST_DAYS) if override else (offering.min_notice, offering.window_days)
    not_before = ceil_minute(now + timedelta(minutes=notice))
    home = zone(clinic.time_zone)
    until = day_span(now.astimezone(home).date() + timedelta(days=days), home)[1]
    pad = clinic.settings.external_buffer_minutes
    # Far dates have no starts, and arithmetic on the calendar's ends would overflow.
    nearest = now.astimezone(tz).date() - timedelta(days=1)
    farthest = nearest + timedelta(days=days + 3)
    if last < nearest or first > farthest:
        return Range.of(tz, nearest, nearest, not_before, not_before, pad)
    return Range.of(tz, max(first, nearest), min(last, farthest), not_before, until, pad)


def around(
    directory: Directory, offering: Offering, tz: ZoneInfo, start: datetime, span: timedelta, now: datetime
) -> Range:
    """The dates up to `span` before and after an instant, from today on, narrowed likewise."""
    first = max(start - span, now).astimezone(tz).date()
    last = max(first, (start + span).astimezone(tz).date())
    return within(directory, offering, tz, first, last, now)


def utc_now() -> datetime:
    """The clock of notice and windows; holds go by the database's."""
    return datetime.now(UTC)
