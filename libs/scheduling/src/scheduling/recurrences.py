"""Recurrence rules (RFC 5545, section 3.3.10) that keep their local time across transitions.

The rule runs on the wall clock of a zone and each occurrence is then mapped by the wall-clock rule: a
visit every Sunday at 02:30 is at 03:30 on the day the clock skips that hour. (The RFC would drop such
an occurrence; an appointment must not vanish, and one rule serves templates and series alike.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

from scheduling.zones import to_utc

_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_PARTS = ("FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS", "WKST")
_UNTIL = re.compile(r"([0-9]{8})(?:T([0-9]{6})(Z?))?")
_NUMBERED_DAY = re.compile(r"[+-]?([0-9]+)(?:MO|TU|WE|TH|FR|SA|SU)")
_DAYS_IN_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class InvalidRule(ValueError):
    """A recurrence rule that cannot be read or is not supported; the text says what is wrong."""


def occurrences(
    rule: str, start: datetime, tz: ZoneInfo, *, since: datetime, until: datetime, limit: int = 1000
) -> list[datetime]:
    """UTC instants of `rule` from `start` on that lie in [since, until), at most `limit`, sorted.

    `rule`: the value of an RRULE, with or without the "RRULE:" before it: FREQ of DAILY to YEARLY,
    INTERVAL, COUNT or UNTIL (inclusive; with Z an instant, without it local), BYDAY, BYMONTHDAY,
    BYMONTH, BYSETPOS (monthly and yearly), WKST. COUNT counts from `start`, also before `since`.
    `start`, `since`, `until`: aware; `start` is the first occurrence only where the rule matches it.
    InvalidRule on anything else in the rule; ValueError on naive datetimes.
    """
    for name, value in (("start", start), ("since", since), ("until", until)):
        if value.tzinfo is None:
            raise ValueError(f"{name} has no time zone: {value!r}")
    local_start = start.astimezone(tz).replace(tzinfo=None, fold=0)
    parts, last = _parsed(rule)
    found: list[datetime] = []
    for local in _walk(parts, local_start):
        # A start in the second pass of a repeated hour is itself, not the first pass.
        instant = start.astimezone(UTC) if local == local_start else to_utc(local, tz)
        if instant >= until or (last and instant > last) or len(found) >= limit:
            break
        # A date that the zone skipped maps onto the next one's occurrence: one visit, not two.
        if instant >= since and (not found or instant > found[-1]):
            found.append(instant)
    return found


def validate(rule: str) -> None:
    """InvalidRule unless `occurrences` would take `rule`."""
    _walk(_parsed(rule)[0], datetime(2026, 1, 1))


def _walk(parts: dict[str, str], local_start: datetime) -> Iterator[datetime]:
    text = ";".join(f"{name}={value}" for name, value in parts.items())
    try:
        return iter(rrulestr(text, dtstart=local_start))
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidRule(f"cannot read {text}: {error}") from None


def _parsed(rule: str) -> tuple[dict[str, str], datetime | None]:
    """The parts that run on the wall clock, and the last instant when UNTIL is one."""
    parts: dict[str, str] = {}
    for part in rule.strip().upper().removeprefix("RRULE:").rstrip(";").split(";"):
        name, _, value = part.partition("=")
        if name not in _PARTS or not value:
            raise InvalidRule(f'"{part[:40]}" is not supported; use {", ".join(_PARTS)}')
        if name in parts:
            raise InvalidRule(f"{name} is given twice")
        parts[name] = value
    if parts.get("FREQ") not in _FREQUENCIES:
        raise InvalidRule(f"FREQ must be one of {', '.join(_FREQUENCIES)}")
    for name in ("INTERVAL", "COUNT"):
        if name in parts and not (parts[name].isdecimal() and 1 <= int(parts[name][:9]) <= 10_000):
            raise InvalidRule(f"{name} must be a number from 1 to 10000")
    if "COUNT" in parts and "UNTIL" in parts:
        raise InvalidRule("COUNT and UNTIL exclude each other")
    if parts["FREQ"] in ("DAILY", "WEEKLY") and any(c.isdigit() for c in parts.get("BYDAY", "")):
        raise InvalidRule("a numbered BYDAY goes with FREQ=MONTHLY or FREQ=YEARLY")
    # Beyond these the library fails instead of finding nothing.
    most = 53 if parts["FREQ"] == "YEARLY" and "BYMONTH" not in parts else 5
    if any(int(number[:3]) > most for number in _NUMBERED_DAY.findall(parts.get("BYDAY", ""))):
        raise InvalidRule(f"a numbered BYDAY goes to {most} here")
    _refuse_never(parts)
    last = None
    if "UNTIL" in parts:
        until = _until(parts["UNTIL"])
        # An instant is compared as one: on the wall clock a gap or fold could put it on the wrong side.
        if until.tzinfo:
            last = until
            del parts["UNTIL"]
        else:
            parts["UNTIL"] = f"{until:%Y%m%dT%H%M%S}"
    return parts, last


def _until(value: str) -> datetime:
    """UNTIL: aware when it ends in Z, else naive and local; a date alone includes its whole day."""
    match = _UNTIL.fullmatch(value)
    try:
        if match is None:
            raise ValueError
        until = datetime.strptime(match[1] + (match[2] or "235959"), "%Y%m%d%H%M%S")
    except ValueError:
        raise InvalidRule(f'UNTIL "{value[:40]}" is not a date or time such as 20261224T170000Z') from None
    return until.replace(tzinfo=UTC) if match[3] else until


def _refuse_never(parts: dict[str, str]) -> None:
    """Refuses rules without any date, for which the library would search to the year 9999."""
    if "BYSETPOS" in parts and parts["FREQ"] in ("DAILY", "WEEKLY"):
        raise InvalidRule("BYSETPOS goes with FREQ=MONTHLY or FREQ=YEARLY")
    try:
        months = [int(month) for month in parts.get("BYMONTH", "1").split(",")]
        days = [abs(int(day)) for day in parts.get("BYMONTHDAY", "1").split(",")]
    except ValueError:
        raise InvalidRule("BYMONTH and BYMONTHDAY are lists of numbers") from None
    if not all(1 <= month <= 12 for month in months) or not all(1 <= day <= 31 for day in days):
        raise InvalidRule("BYMONTH goes from 1 to 12, BYMONTHDAY from 1 to 31 or -1 to -31")
    if not any(day <= _DAYS_IN_MONTH[month - 1] for month in months for day in days):
        raise InvalidRule("no date matches BYMONTH and BYMONTHDAY")
