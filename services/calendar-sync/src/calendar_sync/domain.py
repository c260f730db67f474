"""Pure rules: which external events make somebody busy, what changed, and how our appointments look in a calendar."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

BACK, AHEAD = timedelta(days=1), timedelta(days=400)
RELISTED_AFTER = timedelta(hours=20)
"""The horizon moves with each full listing; a listing a day keeps its far end more than a year ahead."""

BOOKING_MARK, TENANT_MARK, VERSION_MARK = "booking_id", "tenant", "booking_version"
NEVER_BUSY = {"workingLocation", "birthday"}


class NotUnderstood(Exception):
    """An external event is not in the shape that its provider documents: what it means for its owner is unknown."""

    reason = "not_understood"


@dataclass(frozen=True, slots=True)
class BusyTime:
    """One external event that makes its calendar's owner busy."""

    external_key: str
    start: datetime
    end: datetime
    series_key: str | None = None
    """The key of the recurring event that this is an instance of."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What one read of a calendar brought, in the provider's event shape. `full`: everything within the horizon,
    so what is not in it is no more; otherwise what changed since the last read."""

    events: list[dict[str, Any]]
    full: bool
    sync_token: str
    time_zone: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What a read changes in the mirror."""

    put: list[BusyTime]
    gone: list[str]
    added: int

    def __bool__(self) -> bool:
        return bool(self.put or self.gone)


@dataclass(frozen=True, slots=True)
class EventText:
    """What the calendar's owner is to see of an appointment. Fields of an erased person are None."""

    offering: str
    name: str | None
    email: str | None
    phone: str | None


def event_id(tenant_id: UUID, booking_id: UUID, calendar_id: str) -> str:
    """The id our event has in the calendar: always the same, so that writing twice makes one event.

    Google takes `[a-v0-9]{5,1024}`, which is base32hex in lower case (RFC 4648 §7).
    """
    digest = hashlib.sha256(f"{tenant_id}|{booking_id}|{calendar_id}".encode()).digest()
    return base64.b32hexencode(digest).decode().rstrip("=").lower()


def external_key(provider_event_id: str) -> str:
    """What stands for an external event outside of this service: 128 bits of a hash of its id."""
    return hashlib.sha256(provider_event_id.encode()).hexdigest()[:32]


def is_own(event: Mapping[str, Any], tenant_id: UUID, calendar_id: str) -> bool:
    """Whether we wrote the event for this clinic. The id has to follow from the mark: copies that people make of
    our events keep the mark but get an id of their own, and are theirs."""
    marks = event.get("extendedProperties", {}).get("private", {})
    if marks.get(TENANT_MARK) != str(tenant_id):
        return False
    try:
        booking_id = UUID(marks.get(BOOKING_MARK, ""))
    except ValueError:
        return False
    return bool(event["id"] == event_id(tenant_id, booking_id, calendar_id))


def horizon(now: datetime) -> tuple[datetime, datetime]:
    """The range of time that is mirrored."""
    return now - BACK, now + AHEAD


def busy_time(
    event: Mapping[str, Any], *, tenant_id: UUID, calendar_id: str, time_zone: str, now: datetime
) -> BusyTime | None:
    """The time the event makes its owner busy; None when it does not: cancelled, free, declined, our own, without
    a length, or out of the horizon. All-day events are busy from midnight to midnight in the calendar's zone.

    Raises `NotUnderstood`.
    """
    if event.get("status") == "cancelled" or event.get("transparency") == "transparent":
        return None
    if event.get("eventType") in NEVER_BUSY or is_own(event, tenant_id, calendar_id):
        return None
    if any(a.get("self") and a.get("responseStatus") == "declined" for a in event.get("attendees", ())):
        return None
    try:
        start, end = _instant(event["start"], time_zone), _instant(event["end"], time_zone)
    except (KeyError, ValueError) as error:  # a missing field, a malformed time, an unknown zone
        raise NotUnderstood(repr(error)) from error
    begins, ends = horizon(now)
    if start >= end or end <= begins or start >= ends:
        return None
    series = event.get("recurringEventId")
    return BusyTime(external_key(event["id"]), start, end, external_key(series) if series else None)


def _instant(moment: Mapping[str, str], time_zone: str) -> datetime:
    """An event's start or end in UTC. Local times follow RFC 5545: in a gap the offset before it, in a fold the
    first, which is what `fold=0` means."""
    if "date" in moment:
        local = datetime.combine(date.fromisoformat(moment["date"]), time(), ZoneInfo(time_zone))
        return local.astimezone(UTC)
    found = datetime.fromisoformat(moment["dateTime"])
    if found.tzinfo is None:
        found = found.replace(tzinfo=ZoneInfo(moment.get("timeZone", time_zone)))
    return found.astimezone(UTC)


def changes(
    known: Mapping[str, BusyTime],
    listing: Listing,
    *,
    tenant_id: UUID,
    calendar_id: str,
    now: datetime,
) -> Changes:
    """What the listing changes against what is known (by external key). Nothing that stays busy is touched, so a
    full listing after a lost sync token makes nothing free for a moment."""
    busy: dict[str, BusyTime] = {}
    gone: set[str] = set(known) if listing.full else set()
    for event in listing.events:
        key = external_key(event["id"])
        found = busy_time(event, tenant_id=tenant_id, calendar_id=calendar_id, time_zone=listing.time_zone, now=now)
        if found is None:
            busy.pop(key, None)
            # A cancelled recurring event may be told as itself instead of by its instances.
            gone.update(one.external_key for one in known.values() if key in (one.external_key, one.series_key))
        else:
            busy[key] = found
            gone.discard(key)
    put = [found for key, found in busy.items() if known.get(key) != found]
    added = sum(found.external_key not in known for found in put)
    return Changes(put, sorted(gone), added)


def event_body(
    text: EventText,
    *,
    tenant_id: UUID,
    booking_id: UUID,
    calendar_id: str,
    version: int,
    start: datetime,
    end: datetime,
    time_zone: str,
) -> dict[str, Any]:
    """The event as Google takes it."""
    zone = ZoneInfo(time_zone)
    lines: Iterable[str | None] = (text.name, text.email, text.phone, f"Order: {booking_id}")
    return {
        "id": event_id(tenant_id, booking_id, calendar_id),
        "status": "confirmed",
        "summary": f"{text.offering}: {text.name}" if text.name else text.offering,
        "description": "\n".join(line for line in lines if line),
        "start": {"dateTime": start.astimezone(zone).isoformat(), "timeZone": time_zone},
        "end": {"dateTime": end.astimezone(zone).isoformat(), "timeZone": time_zone},
        "extendedProperties": {
            "private": {
                BOOKING_MARK: str(booking_id),
                TENANT_MARK: str(tenant_id),
                VERSION_MARK: str(version),
            }
        },
    }


def backoff(failures: int, *, most: float) -> timedelta:
    """How long to wait after so many failures in a row: 2 s, doubling, at most `most` seconds."""
    return timedelta(seconds=min(most, float(2 ** min(failures, 16))))
