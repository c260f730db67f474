"""Time off that comes back: which stretches a range and its recurrence rule stand for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from scheduling.recurrences import InvalidRule, occurrences
from scheduling.zones import to_utc, zone

MOST_OCCURRENCES = 1000
AHEAD = timedelta(days=50 * 366)

Stretch = tuple[datetime, datetime]


@lru_cache(maxsize=512)
def stretches(start: datetime, end: datetime, rrule: str | None, time_zone: str) -> tuple[Stretch, ...]:
    """Every [start, end) in UTC, sorted by start; those of a long one may overlap.

    The first is [start, end) itself, whether the rule names that day or not. The others begin where the rule says
    (`scheduling.recurrences`, on the clocks of `time_zone`) and end at the local time at which the first one ends;
    one that a transition leaves nothing of is left out. ValueError on naive datetimes or an empty range;
    InvalidRule when the rule cannot be read, never ends, names no date in 50 years or more than 1000.
    """
    if start.tzinfo is None or end.tzinfo is None or not start < end:
        raise ValueError(f"{start!r} to {end!r} is not a range of aware datetimes")
    first = (start.astimezone(UTC), end.astimezone(UTC))
    if rrule is None:
        return (first,)
    named = {part.partition("=")[0].strip() for part in rrule.upper().split(";")}
    if not named & {"COUNT", "UNTIL"}:
        raise InvalidRule("needs COUNT or UNTIL: time off has to end")
    tz = zone(time_zone)
    starts = occurrences(rrule, start, tz, since=start, until=start + AHEAD, limit=MOST_OCCURRENCES + 1)
    if not starts:
        raise InvalidRule("names no date from the start on")
    if len(starts) > MOST_OCCURRENCES:
        raise InvalidRule(f"comes back more than {MOST_OCCURRENCES} times; end it sooner")
    opens, closes = _wall(start, time_zone), _wall(end, time_zone)
    found = {first}
    for instant in starts:
        shown = _wall(instant, time_zone)
        # Where the clock skips the start, `shown` is later than what the rule says.
        local = datetime.combine(shown.date(), opens.time())
        local -= timedelta(days=local > shown)
        ends = to_utc(local + (closes - opens), tz)
        if instant != first[0] and instant < ends:
            found.add((instant, ends))
    return tuple(sorted(found))


def within(
    start: datetime, end: datetime, rrule: str | None, time_zone: str, since: datetime, until: datetime
) -> list[Stretch]:
    """Those of `stretches` that have a moment in common with [since, until)."""
    return [one for one in stretches(start, end, rrule, time_zone) if one[0] < until and one[1] > since]


def _wall(instant: datetime, time_zone: str) -> datetime:
    return instant.astimezone(zone(time_zone)).replace(tzinfo=None, fold=0)
