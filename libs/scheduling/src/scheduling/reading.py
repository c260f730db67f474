"""Reading untyped JSON into schedules: each reader takes a value and the field's name for its error."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date

from scheduling.instants import DAY, GRANULE
from scheduling.zones import is_zone

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class InvalidSchedule(ValueError):
    """A schedule that cannot be read.

    `field` is a path such as `weekly.mon[0][1]`, or "" for the whole body; `message` says what is wrong
    with it.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message


def mapping(value: object, field: str) -> Mapping[str, object]:
    """A JSON object."""
    if not isinstance(value, Mapping):
        raise InvalidSchedule(field, f"must be an object, not {_kind(value)}")
    return value


def sequence(value: object, field: str) -> Sequence[object]:
    """A JSON array (a string is none, though Python would iterate it)."""
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise InvalidSchedule(field, f"must be a list, not {_kind(value)}")
    return value


def text(value: object, field: str) -> str:
    """A string with something in it."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidSchedule(field, f"must be a text, not {_kind(value)}")
    return value


def required(entry: Mapping[str, object], name: str, field: str = "") -> object:
    """The value of a field that must be there and not be null."""
    value = entry.get(name)
    if value is None:
        raise InvalidSchedule(f"{field}.{name}" if field else name, "is required")
    return value


def known_keys(entry: Mapping[str, object], allowed: Collection[str], field: str) -> None:
    """Refuses the first key that is not allowed."""
    for key in entry:
        if key not in allowed:
            raise InvalidSchedule(
                f"{field}.{key}" if field else str(key), f"is not known here; use {', '.join(allowed)}"
            )


def time_zone(value: object, field: str) -> str:
    """The name of an IANA zone."""
    name = text(value, field)
    if not is_zone(name):
        raise InvalidSchedule(field, f'"{name}" is not an IANA time zone such as "Europe/Warsaw"')
    return name


def time_of_day(value: object, field: str, *, ends_a_range: bool = False) -> int:
    """ "HH:MM" as minutes of the day, a multiple of 5; "24:00" only where a range ends."""
    if value == "24:00":
        if ends_a_range:
            return DAY
        raise InvalidSchedule(field, "24:00 can only end a range")
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise InvalidSchedule(field, f'{_kind(value)} is not a time of day such as "09:00"')
    minutes = int(match[1]) * 60 + int(match[2])
    if minutes % GRANULE:
        raise InvalidSchedule(field, f"{value} is not a multiple of {GRANULE} minutes")
    return minutes


def date_of(value: object, field: str) -> date:
    """ "YYYY-MM-DD", and no other spelling that ISO 8601 allows. A `date` passes as it is."""
    if type(value) is date:
        return value
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise InvalidSchedule(field, f"{value} is not in the calendar") from None
    raise InvalidSchedule(field, f'{_kind(value)} is not a date such as "2026-12-24"')


def optional_date(value: object, field: str) -> date | None:
    """A date, or None when absent or null."""
    return None if value is None else date_of(value, field)


def clock(minute_of_day: int) -> str:
    """Minutes of the day as "HH:MM"; 1440 is "24:00"."""
    return f"{minute_of_day // 60:02}:{minute_of_day % 60:02}"


def _kind(value: object) -> str:
    """A value as an error may quote it: short, whatever was sent."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= 40 else "a long text"
    return {bool: "a boolean", int: "a number", float: "a number", dict: "an object", list: "a list"}.get(
        type(value), type(value).__name__
    )
