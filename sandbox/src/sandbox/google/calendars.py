"""Calendars and their events, as Google keeps them: versions, etags, sync tokens."""

import re
import secrets

from starlette.datastructures import QueryParams

from sandbox.bodies import whole_number
from sandbox.faults import Fault, Faults
from sandbox.google import freebusy, lists
from sandbox.google.channels import Channels
from sandbox.google.errors import GoogleError
from sandbox.google.fields import checked, merged, written
from sandbox.messages import rfc3339
from sandbox.state import Document, State

EVENT_ID = re.compile(r"[a-v0-9]{5,1024}")
INTERNAL = ("calendar", "changed")


class Calendars:
    """A calendar exists as soon as it is named. Events are kept for ever, deleted ones as cancelled."""

    def __init__(self, state: State, faults: Faults) -> None:
        self._state = state
        self.channels = Channels(state, faults)

    # -- events ------------------------------------------------------------------------------------------------

    def insert(self, calendar: str, body: Document) -> Document:
        """A new event; 409 when its id was ever used, also by a deleted one."""
        fields = checked(written(body))
        event_id = fields.get("id") or secrets.token_hex(13)
        if not EVENT_ID.fullmatch(event_id):
            raise GoogleError(400, "invalid", "Invalid resource id value.")
        if self._find(calendar, event_id) is not None:
            raise GoogleError(409, "duplicate", "The requested identifier already exists.")
        return self._put(calendar, {"status": "confirmed"} | fields | {"id": event_id, "created": rfc3339()})

    def get(self, calendar: str, event_id: str) -> Document:
        """One event, also a cancelled one; 404 when there never was one."""
        found = self._find(calendar, event_id)
        if found is None:
            raise GoogleError(404, "notFound", "Not Found")
        return public(found)

    def update(self, calendar: str, event_id: str, body: Document, *, merge: bool, if_match: str | None) -> Document:
        """PUT or PATCH; PUT brings a deleted event back to life. 412 when its etag is another."""
        before = self.get(calendar, event_id)
        _match(before, if_match)
        if merge:
            changed = checked(merged(before, written(body)))
        else:
            kept = {name: before[name] for name in ("id", "created", "iCalUID")}
            changed = {"status": "confirmed"} | kept | checked(written(body))
        return self._put(calendar, changed | {"id": event_id, "iCalUID": before["iCalUID"]})

    def delete(self, calendar: str, event_id: str, *, if_match: str | None = None) -> None:
        """410 when it was deleted before; 412 when its etag is another."""
        found = self.get(calendar, event_id)
        if found["status"] == "cancelled":
            raise GoogleError(410, "deleted", "Resource has been deleted")
        _match(found, if_match)
        self._put(calendar, found | {"status": "cancelled"})

    def _find(self, calendar: str, event_id: str) -> Document | None:
        return self._state.get("google_event", f"{calendar}/{event_id}")

    def _put(self, calendar: str, event: Document) -> Document:
        self.ensure(calendar)
        changed = self._state.count("google_change")
        event_id = event["id"]
        stored = {
            "kind": "calendar#event",
            "htmlLink": f"https://calendar.google.test/event?eid={event_id}",
            "iCalUID": f"{event_id}@google.test",
            "creator": {"email": calendar, "self": True},
            "organizer": {"email": calendar, "self": True},
            "sequence": 0,
            "reminders": {"useDefault": True},
            "eventType": "default",
        } | event
        stored |= {
            "etag": f'"{changed:016d}"',
            "updated": rfc3339(),
            "calendar": calendar,
            "changed": changed,
        }
        self._state.put("google_event", f"{calendar}/{event_id}", stored)
        self.channels.notify(calendar)
        return public(stored)

    def ensure(self, calendar: str) -> None:
        """A calendar exists as soon as it is named."""
        if self._state.get("google_calendar", calendar) is None:
            self._state.put("google_calendar", calendar, {"id": calendar})

    def exists(self, calendar: str) -> bool:
        """Whether it was named before."""
        return self._state.get("google_calendar", calendar) is not None

    def of(self, calendar: str) -> list[Document]:
        """All events, oldest first, cancelled ones too."""
        return [public(event) for event in self._stored(calendar)]

    def _stored(self, calendar: str) -> list[Document]:
        return list(self._state.where("google_event", lambda event: event["calendar"] == calendar))

    # -- lists -------------------------------------------------------------------------------------------------

    def page(self, calendar: str, query: QueryParams) -> Document:
        """A page of events, in full or since a sync token."""
        self.ensure(calendar)
        lists.check_query(query)
        since, size = self._since(calendar, query.get("syncToken")), lists.size_of(query)
        start, mark = lists.place_of(query, self._state.value("google_change"))
        deleted_too = "syncToken" in query or query.get("showDeleted") == "true"
        events = [
            event
            for event in self._stored(calendar)
            if event["changed"] > since and (deleted_too or event["status"] != "cancelled" or event["changed"] > mark)
        ]
        events = lists.select(events, query)
        page = {
            "kind": "calendar#events",
            "etag": f'"{mark:016d}"',
            "summary": calendar,
            "description": "",
            "updated": rfc3339(),
            "timeZone": "UTC",
            "accessRole": "owner",
            "defaultReminders": [],
            "items": [public(event) for event in events[start : start + size]],
        }
        if start + size < len(events):
            return page | {"nextPageToken": f"{start + size}.{mark}"}
        return page | {"nextSyncToken": f"{self._generation(calendar)}.{mark}"}

    def _generation(self, calendar: str) -> str:
        return f"{self._state.epoch}.{self._state.value(f'google_generation/{calendar}')}"

    def _since(self, calendar: str, token: str | None) -> int:
        if token is None:
            return 0
        generation, _, change = token.rpartition(".")
        found = whole_number(change)
        if found is None or generation != self._generation(calendar):
            raise GoogleError(410, "fullSyncRequired", "Sync token is no longer valid, a full sync is required.")
        return found

    def forget_sync_tokens(self, fault: Fault) -> None:
        """Every sync token given so far is gone, of the calendars whose address contains the fault's `match`."""
        for calendar in self._state.all("google_calendar"):
            if fault.match in f"GET /calendar/v3/calendars/{calendar['id']}/events":
                self._state.count(f"google_generation/{calendar['id']}")

    def freebusy(self, body: Document) -> Document:
        """Busy times by calendar; one that is not there has an error in a 200."""
        calendars, since, until = freebusy.question(body)
        return {
            "kind": "calendar#freeBusy",
            "timeMin": body["timeMin"],
            "timeMax": body["timeMax"],
            "calendars": {
                calendar: {"busy": freebusy.busy(self._stored(calendar), since, until)}
                if self.exists(calendar)
                else {"errors": [{"domain": "global", "reason": "notFound"}], "busy": []}
                for calendar in calendars
            },
        }

    def watch(self, calendar: str, body: Document) -> Document:
        """Opens a channel."""
        self.ensure(calendar)
        return self.channels.watch(calendar, body)


def _match(event: Document, if_match: str | None) -> None:
    if if_match not in (None, "*", event["etag"]):
        raise GoogleError(412, "conditionNotMet", "Precondition Failed")


def public(event: Document) -> Document:
    """An event without what only this stand-in knows."""
    return {name: value for name, value in event.items() if name not in INTERNAL}
