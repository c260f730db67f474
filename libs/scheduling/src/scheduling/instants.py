"""Epoch minutes: the integer that stands for an instant everywhere in this package."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TypeAlias

Minute: TypeAlias = int
"""Whole minutes since 1970-01-01T00:00Z (leap seconds not counted, as in POSIX)."""

Span: TypeAlias = tuple[Minute, Minute]
"""Half-open [start, end) in epoch minutes."""

GRANULE = 5
"""Minutes in a granule: every offset of every zone since 2000, and every setting, is a multiple of it."""

DAY = 1440
"""Minutes in a UTC day."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ONE = timedelta(minutes=1)


def floor_minute(instant: datetime) -> Minute:
    """The epoch minute that contains `instant`. ValueError if `instant` is naive."""
    return (_aware(instant) - EPOCH) // _ONE


def ceil_minute(instant: datetime) -> Minute:
    """The first epoch minute at or after `instant`. ValueError if `instant` is naive."""
    return -((EPOCH - _aware(instant)) // _ONE)


def utc(minute: Minute) -> datetime:
    """The aware UTC datetime of an epoch minute."""
    return EPOCH + timedelta(minutes=minute)


def span(start: datetime, end: datetime) -> Span:
    """Two instants as epoch minutes, rounded outwards, so that nothing busy is lost by rounding."""
    return floor_minute(start), ceil_minute(end)


def whole_granules(name: str, minutes: int) -> int:
    """`minutes` as a number of granules. ValueError naming `name` unless it is a multiple of 5."""
    count, rest = divmod(minutes, GRANULE)
    if rest:
        raise ValueError(f"{name} must be a multiple of {GRANULE} minutes, not {minutes}")
    return count


def _aware(instant: datetime) -> datetime:
    # Subtracting a naive datetime would raise TypeError with a text that does not name the culprit.
    if instant.tzinfo is None:
        raise ValueError(f"{instant!r} has no time zone")
    return instant
