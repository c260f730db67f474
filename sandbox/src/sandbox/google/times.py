"""Event times: instants, whole days, and recurring events expanded."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

from sandbox.google.errors import GoogleError
from sandbox.state import Document

CALENDAR_ZONE = "UTC"
FURTHEST = timedelta(days=730)


def moment(value: Document, zone: str = CALENDAR_ZONE) -> datetime:
    """The instant of an event's `start` or `end`; a whole day begins at midnight of the calendar's zone."""
    try:
        if "dateTime" in value:
            found = datetime.fromisoformat(value["dateTime"])
            if found.tzinfo is None:
                found = found.replace(tzinfo=ZoneInfo(value.get("timeZone", zone)))
            return found.astimezone(UTC)
        day = date.fromisoformat(value["date"])
        return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    except (KeyError, ValueError, TypeError) as error:
        raise GoogleError(400, "invalid", "Invalid start or end time.") from error


def parse(text: str, name: str) -> datetime:
    """An RFC 3339 instant of a query."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise GoogleError(400, "badRequest", f"Invalid value for {name}.") from error
    if found.tzinfo is None:
        raise GoogleError(400, "badRequest", f"Missing time zone definition for {name}.")
    return found.astimezone(UTC)


def instances(event: Document, until: datetime) -> Iterator[Document]:
    """A recurring event's single events that start before `until`; the event itself when it does not recur."""
    rules = [rule for rule in event.get("recurrence", []) if rule.startswith("RRULE")]
    if not rules or event["status"] == "cancelled":
        yield event
        return
    zone = ZoneInfo(event["start"].get("timeZone", CALENDAR_ZONE))
    first, length = moment(event["start"]), moment(event["end"]) - moment(event["start"])
    local = first.astimezone(zone).replace(tzinfo=None)
    last = min(until, first + FURTHEST).astimezone(zone).replace(tzinfo=None)
    rule = rrulestr(rules[0].split(":", 1)[1].replace("Z", ""), dtstart=local)
    for occurrence in rule.between(local, last, inc=True):
        start = occurrence.replace(tzinfo=zone)
        stamp = start.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        yield {name: value for name, value in event.items() if name != "recurrence"} | {
            "id": f"{event['id']}_{stamp}",
            "recurringEventId": event["id"],
            "start": {"dateTime": start.isoformat(), "timeZone": str(zone)},
            "end": {"dateTime": (start + length).isoformat(), "timeZone": str(zone)},
        }
