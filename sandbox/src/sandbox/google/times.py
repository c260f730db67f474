"""Event times: instants, whole days, and recurring events expanded."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rrulestr

from sandbox.google.errors import GoogleError
from sandbox.state import Document

CALENDAR_ZONE = "UTC"
FURTHEST = timedelta(days=730)
MOST_OCCURRENCES = 2500
YEARS = range(1900, 2201)
FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")


def zone_of(value: Document) -> ZoneInfo:
    """The zone of an event's `start` or `end`."""
    name = value.get("timeZone", CALENDAR_ZONE)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise GoogleError(400, "invalid", f"Invalid time zone definition: {name}") from error


def moment(value: Document) -> datetime:
    """The instant of an event's `start` or `end`; a whole day begins at midnight of the calendar's zone."""
    zone = zone_of(value)
    try:
        if "dateTime" in value:
            found = datetime.fromisoformat(value["dateTime"])
            if found.tzinfo is None:
                if "timeZone" not in value:
                    raise GoogleError(400, "required", "Missing time zone definition for start or end time.")
                found = found.replace(tzinfo=zone)
        else:
            day = date.fromisoformat(value["date"])
            found = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(CALENDAR_ZONE))
        if found.year not in YEARS:
            raise ValueError(f"The year {found.year} is out of range.")
        return found.astimezone(UTC)
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise GoogleError(400, "invalid", "Invalid start or end time.") from error


def parse(text: Any, name: str) -> datetime:
    """An RFC 3339 instant of a query."""
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            raise GoogleError(400, "badRequest", f"Missing time zone definition for {name}.")
        return found.astimezone(UTC)
    except (ValueError, TypeError, OverflowError) as error:
        raise GoogleError(400, "badRequest", f"Invalid value for {name}.") from error


def rfc3339(instant: datetime) -> str:
    """`2026-12-01T08:00:00Z`."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _wrong_rule(rule: str) -> GoogleError:
    return GoogleError(400, "invalid", f"Invalid recurrence rule: {rule}")


def _rule(event: Document, zone: ZoneInfo, first: datetime) -> rrule | None:
    """The event's RRULE in the zone's local time; None when it does not recur."""
    lines = [line for line in event.get("recurrence", []) if not line.startswith("EXDATE")]
    if not lines:
        return None
    if len(lines) > 1 or not lines[0].startswith("RRULE:"):
        raise _wrong_rule("; ".join(lines))
    parts = dict(part.partition("=")[::2] for part in lines[0].removeprefix("RRULE:").upper().split(";"))
    if parts.get("FREQ") not in FREQUENCIES or not parts.get("INTERVAL", "1").strip("0"):
        raise _wrong_rule(lines[0])
    try:
        if until := parts.get("UNTIL", ""):
            # dateutil wants it in the same (local) time as the start.
            parts["UNTIL"] = f"{_stamp(until, zone):%Y%m%dT%H%M%S}" if "T" in until else f"{until}T235959"
        elif "COUNT" not in parts:
            # An end keeps rules that never come true (30 February) from being searched for ever.
            parts["UNTIL"] = f"{first + FURTHEST:%Y%m%dT%H%M%S}"
        found = rrulestr(";".join(f"{name}={value}" for name, value in parts.items()), dtstart=first)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        raise _wrong_rule(lines[0]) from error
    if not isinstance(found, rrule):
        raise _wrong_rule(lines[0])
    return found


def _stamp(text: str, zone: ZoneInfo) -> datetime:
    """`20261201T080000Z`, `20261201T080000` or `20261201` in the zone's local time."""
    form = "%Y%m%dT%H%M%S" if "T" in text else "%Y%m%d"
    found = datetime.strptime(text.removesuffix("Z"), form)
    return found.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None) if text.endswith("Z") else found


def _left_out(event: Document, zone: ZoneInfo) -> set[datetime]:
    """The EXDATEs in the zone's local time."""
    found = set()
    for line in event.get("recurrence", []):
        if not line.startswith("EXDATE"):
            continue
        head, _, values = line.partition(":")
        named = next((part.removeprefix("TZID=") for part in head.split(";") if part.startswith("TZID=")), None)
        other = zone_of({"timeZone": named}) if named else zone
        try:
            for value in values.split(","):
                local = _stamp(value, other)
                found.add(local.replace(tzinfo=other).astimezone(zone).replace(tzinfo=None) if "T" in value else local)
        except (ValueError, OverflowError) as error:
            raise _wrong_rule(line) from error
    return found


def occurrences(event: Document, until: datetime) -> Iterator[datetime]:
    """Local starts of a recurring event before `until` (two years and 2,500 of them at most); none when it does not
    recur. Raises GoogleError for a rule that is none."""
    zone, start = zone_of(event["start"]), moment(event["start"])
    first = start.astimezone(zone).replace(tzinfo=None)
    rule, without = _rule(event, zone, first), _left_out(event, zone)
    if rule is None:
        return
    last = min(until, start + FURTHEST).astimezone(zone).replace(tzinfo=None)
    for occurrence in islice(rule, MOST_OCCURRENCES):
        if occurrence > last:
            return
        if occurrence not in without:
            yield occurrence


def instances(event: Document, until: datetime) -> Iterator[Document]:
    """A recurring event's single events that start before `until`; the event itself when it does not recur."""
    if not event.get("recurrence") or event["status"] == "cancelled":
        yield event
        return
    zone, whole_days = zone_of(event["start"]), "date" in event["start"]
    length = moment(event["end"]) - moment(event["start"])
    for occurrence in occurrences(event, until):
        start = occurrence.replace(tzinfo=zone)
        end = (start.astimezone(UTC) + length).astimezone(zone)
        if whole_days:
            stamp = f"{occurrence:%Y%m%d}"
            times = {"start": {"date": f"{start:%Y-%m-%d}"}, "end": {"date": f"{end:%Y-%m-%d}"}}
        else:
            stamp = f"{start.astimezone(UTC):%Y%m%dT%H%M%SZ}"
            times = {
                name: {"dateTime": at.isoformat(), "timeZone": str(zone)}
                for name, at in (("start", start), ("end", end))
            }
        yield {name: value for name, value in event.items() if name != "recurrence"} | times | {
            "id": f"{event['id']}_{stamp}",
            "recurringEventId": event["id"],
            "originalStartTime": times["start"],
        }  # fmt: skip
