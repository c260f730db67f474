"""Busy times by calendar."""

from datetime import datetime, timedelta
from typing import Any

from sandbox.google.errors import GoogleError
from sandbox.google.times import instances, moment, parse, rfc3339
from sandbox.state import Document

MOST_CALENDARS = 50
LONGEST = timedelta(days=93)


def question(body: Document) -> tuple[list[str], datetime, datetime]:
    """The calendars asked about and the range."""
    items: Any = body.get("items") or []
    if not isinstance(items, list) or not all(
        isinstance(item, dict) and isinstance(item.get("id"), str) and item["id"] for item in items
    ):
        raise GoogleError(400, "badRequest", "Invalid value for items.")
    if len(items) > MOST_CALENDARS:
        raise GoogleError(400, "tooManyCalendarsRequested", "Too many calendars requested.")
    since, until = parse(body.get("timeMin"), "timeMin"), parse(body.get("timeMax"), "timeMax")
    if until <= since:
        raise GoogleError(400, "timeRangeEmpty", "The specified time range is empty.")
    if until - since > LONGEST:
        raise GoogleError(400, "timeRangeTooLong", "The requested time range is too long.")
    return [item["id"] for item in items], since, until


def busy(events: list[Document], since: datetime, until: datetime) -> list[Document]:
    """When the events keep somebody busy, clipped to the range, in order, overlaps joined."""
    spans = sorted(
        (max(moment(single["start"]), since), min(moment(single["end"]), until))
        for event in events
        if event["status"] != "cancelled" and event.get("transparency") != "transparent"
        for single in instances(event, until)
        if moment(single["end"]) > since and moment(single["start"]) < until
    )
    joined: list[tuple[datetime, datetime]] = []
    for start, end in spans:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        elif start < end:
            joined.append((start, end))
    return [{"start": rfc3339(start), "end": rfc3339(end)} for start, end in joined]
