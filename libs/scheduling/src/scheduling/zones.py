"""IANA zones and the one wall-clock rule.

The rule is RFC 5545's for a local time with TZID (section 3.3.5): a local time that a transition
skips is read with the offset in force before the gap (02:30 becomes 03:30); one that occurs twice is
the first. PEP 495 gives exactly that to a datetime with `fold=0`, which is what this module uses.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from scheduling.instants import DAY, Minute, Span, utc

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


class UnknownZone(ValueError):
    """Not the name of an IANA zone. `name` is what was given."""

    def __init__(self, name: str) -> None:
        super().__init__(f'"{name}" is not an IANA time zone')
        self.name = name


@lru_cache(maxsize=1)
def names() -> frozenset[str]:
    """Every accepted zone name.

    Read from the tzdata package, not from the machine: a machine's own directory also offers
    `localtime`, `posix/…` and `right/…`, which depend on the server or count leap seconds.
    """
    listed = (files("tzdata") / "zones").read_text(encoding="ascii").split()
    # "Factory" is the placeholder for a clock that was never set.
    return frozenset(listed) - {"Factory"}


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The zone called `name`, exactly as IANA spells it. UnknownZone otherwise."""
    if name not in names():
        raise UnknownZone(name)
    return ZoneInfo(name)


def is_zone(name: str) -> bool:
    """Whether `zone(name)` would succeed."""
    return name in names()


def to_utc(local: datetime, tz: ZoneInfo) -> datetime:
    """The UTC instant of a naive wall time in `tz`, by the wall-clock rule.

    `fold` is ignored: a wall time that occurs twice is the first. ValueError if `local` is aware.
    """
    if local.tzinfo is not None:
        raise ValueError(f"{local!r} is not a wall time: it has a time zone already")
    return local.replace(tzinfo=tz, fold=0).astimezone(UTC)


def wall_minute(day: date, minute_of_day: int, tz: ZoneInfo) -> Minute:
    """Epoch minute of `minute_of_day` (0–1440; 1440 is the next day's 00:00) on the local date `day`.

    By the wall-clock rule. Exact for every zone since 2000; an offset with seconds, as some zones had
    before 1973, is rounded to the minute below.
    """
    local = datetime(day.year, day.month, day.day, tzinfo=tz) + timedelta(minutes=minute_of_day)
    offset = local.utcoffset()
    assert offset is not None  # a ZoneInfo always knows
    return (day.toordinal() - _EPOCH_ORDINAL) * DAY + minute_of_day - offset.days * DAY - offset.seconds // 60


def to_local(minute: Minute, tz: ZoneInfo) -> datetime:
    """The aware local datetime (with `fold` set in a repeated hour) of an epoch minute."""
    return utc(minute).astimezone(tz)


def local_date(minute: Minute, tz: ZoneInfo) -> date:
    """The date that a wall calendar in `tz` shows at an epoch minute."""
    return to_local(minute, tz).date()


def day_span(day: date, tz: ZoneInfo) -> Span:
    """A local date as [its 00:00, the next date's 00:00) in epoch minutes; 23 to 25 hours as a rule.

    Empty when the zone skipped that date (Pacific/Apia, 2011-12-30). Where a clock goes back across
    midnight (America/St_Johns until 2011) the repeated hour counts to the later date.
    """
    start, end = wall_minute(day, 0, tz), wall_minute(day, DAY, tz)
    # A skipped date's 00:00 maps to the same instant as the next one's own 00:00.
    return start, max(start, end)


def abbreviation(instant: datetime, tz: ZoneInfo) -> str:
    """What clocks in `tz` call themselves at `instant`: "CET", "CEST", or tzdata's "-03" without a name.

    ValueError if `instant` is naive.
    """
    if instant.tzinfo is None:
        raise ValueError(f"{instant!r} has no time zone")
    return instant.astimezone(tz).tzname() or tz.key
