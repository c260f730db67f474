"""Calendars and their events, as Google keeps them: versions, etags, sync tokens, channels."""

import asyncio
import re
import secrets
import time
from typing import Any

import aiohttp
import structlog

from sandbox.google.errors import GoogleError
from sandbox.google.times import instances, moment, parse
from sandbox.state import Document, State
from sandbox.stripe.events import rfc3339

log = structlog.get_logger(__name__)

EVENT_ID = re.compile(r"^[a-v0-9]{5,1024}$")
INTERNAL = ("calendar", "changed")
MOST_CALENDARS = 50
NOT_WITH_A_SYNC_TOKEN = (
    "iCalUID", "orderBy", "privateExtendedProperty", "q", "sharedExtendedProperty", "timeMin", "timeMax", "updatedMin",
)  # fmt: skip


class Calendars:
    """A calendar exists as soon as it is named. Events are kept for ever, deleted ones as cancelled."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # -- events ------------------------------------------------------------------------------------------------

    def insert(self, calendar: str, body: Document) -> Document:
        """A new event; 409 when its id was ever used, also by a deleted one."""
        event_id = body.get("id") or secrets.token_hex(13)
        if not EVENT_ID.match(event_id):
            raise GoogleError(400, "invalid", "Invalid resource id value.")
        if self._find(calendar, event_id) is not None:
            raise GoogleError(409, "duplicate", "The requested identifier already exists.")
        return self._put(calendar, self._checked(body) | {"id": event_id, "created": rfc3339(), "status": "confirmed"})

    def get(self, calendar: str, event_id: str) -> Document:
        """One event, also a cancelled one; 404 when there never was one."""
        found = self._find(calendar, event_id)
        if found is None:
            raise GoogleError(404, "notFound", "Not Found")
        return public(found)

    def update(self, calendar: str, event_id: str, body: Document, *, merge: bool, if_match: str | None) -> Document:
        """PUT or PATCH; a deleted event comes back to life. 412 when its etag is another."""
        before = self.get(calendar, event_id)
        if if_match not in (None, "*", before["etag"]):
            raise GoogleError(412, "conditionNotMet", "Precondition Failed")
        kept = before if merge else {name: before[name] for name in ("id", "created", "iCalUID")}
        changed = kept | self._checked(kept | body) | {"id": event_id}
        if not merge:
            changed["status"] = body.get("status", "confirmed")
        return self._put(calendar, changed)

    def delete(self, calendar: str, event_id: str) -> None:
        """410 when it was deleted before."""
        found = self.get(calendar, event_id)
        if found["status"] == "cancelled":
            raise GoogleError(410, "deleted", "Resource has been deleted")
        self._put(calendar, found | {"status": "cancelled"})

    @staticmethod
    def _checked(body: Document) -> Document:
        if "start" not in body or "end" not in body:
            raise GoogleError(400, "required", "Missing end time." if "start" in body else "Missing start time.")
        if moment(body["end"]) < moment(body["start"]):
            raise GoogleError(400, "timeRangeEmpty", "The specified time range is empty.")
        return body

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
        self.notify(calendar)
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

    def page(self, calendar: str, query: dict[str, str]) -> Document:
        """A page of events, in full or since a sync token."""
        self.ensure(calendar)
        token = query.get("syncToken")
        if token is not None:
            for name in NOT_WITH_A_SYNC_TOKEN:
                if name in query:
                    raise GoogleError(400, "badRequest", f"Sync token cannot be used with {name}.")
        since = self._since(token)
        events = [event for event in self._stored(calendar) if event["changed"] > since]
        if token is None and query.get("showDeleted") != "true":
            events = [event for event in events if event["status"] != "cancelled"]
        if query.get("singleEvents") == "true":
            until = parse(query["timeMax"], "timeMax") if "timeMax" in query else moment({"date": "2035-01-01"})
            events = [single for event in events for single in instances(event, until)]
        events = self._within(events, query)
        if mark := query.get("privateExtendedProperty"):
            name, _, value = mark.partition("=")
            events = [
                event for event in events if event.get("extendedProperties", {}).get("private", {}).get(name) == value
            ]
        return self._page(calendar, events, query)

    @staticmethod
    def _within(events: list[Document], query: dict[str, str]) -> list[Document]:
        if "timeMin" in query:
            after = parse(query["timeMin"], "timeMin")
            events = [event for event in events if moment(event["end"]) > after]
        if "timeMax" in query:
            before = parse(query["timeMax"], "timeMax")
            events = [event for event in events if moment(event["start"]) < before]
        if query.get("orderBy") == "startTime":
            events = sorted(events, key=lambda event: moment(event["start"]))
        return events

    def _page(self, calendar: str, events: list[Document], query: dict[str, str]) -> Document:
        size = min(int(query.get("maxResults", "250")), 2500)
        start = int(query.get("pageToken") or 0)
        page = {
            "kind": "calendar#events",
            "etag": '"0"',
            "summary": calendar,
            "description": "",
            "updated": rfc3339(),
            "timeZone": "UTC",
            "accessRole": "owner",
            "defaultReminders": [],
            "items": [public(event) for event in events[start : start + size]],
        }
        if start + size < len(events):
            return page | {"nextPageToken": str(start + size)}
        generation = (self._state.get("counter", "google_generation") or {"value": 0})["value"]
        change = (self._state.get("counter", "google_change") or {"value": 0})["value"]
        return page | {"nextSyncToken": f"{generation}.{change}"}

    def _since(self, token: str | None) -> int:
        if token is None:
            return 0
        generation, _, change = token.partition(".")
        now = (self._state.get("counter", "google_generation") or {"value": 0})["value"]
        if not change.isdigit() or generation != str(now):
            raise GoogleError(410, "fullSyncRequired", "Sync token is no longer valid, a full sync is required.")
        return int(change)

    def forget_sync_tokens(self) -> None:
        """Every sync token given so far is gone."""
        self._state.count("google_generation")

    def freebusy(self, body: Document) -> Document:
        """Busy times by calendar; one that is not there has an error in a 200."""
        items = body.get("items") or []
        if len(items) > MOST_CALENDARS:
            raise GoogleError(400, "tooManyCalendarsRequested", "Too many calendars requested.")
        since, until = parse(body.get("timeMin", ""), "timeMin"), parse(body.get("timeMax", ""), "timeMax")
        return {
            "kind": "calendar#freeBusy",
            "timeMin": body["timeMin"],
            "timeMax": body["timeMax"],
            "calendars": {item["id"]: self._busy(item["id"], since, until) for item in items},
        }

    def _busy(self, calendar: str, since: Any, until: Any) -> Document:
        if not self.exists(calendar):
            return {"errors": [{"domain": "global", "reason": "notFound"}], "busy": []}
        spans = sorted(
            (max(moment(single["start"]), since), min(moment(single["end"]), until))
            for event in self._stored(calendar)
            if event["status"] != "cancelled" and event.get("transparency") != "transparent"
            for single in instances(event, until)
            if moment(single["end"]) > since and moment(single["start"]) < until
        )
        return {
            "busy": [
                {"start": start.isoformat().replace("+00:00", "Z"), "end": end.isoformat().replace("+00:00", "Z")}
                for start, end in spans
            ]
        }

    # -- channels ----------------------------------------------------------------------------------------------

    def watch(self, calendar: str, body: Document) -> Document:
        """Opens a channel; the first notice says `sync`."""
        if body.get("type") not in ("web_hook", "webhook") or not body.get("address"):
            raise GoogleError(400, "badRequest", "A web_hook with an address is required.")
        channel_id = body.get("id", "")
        if not channel_id or len(channel_id) > 64:
            raise GoogleError(400, "required", "Channel id has to have 1 to 64 characters.")
        if self._state.get("google_channel", channel_id) is not None:
            raise GoogleError(400, "channelIdNotUnique", "Channel id not unique")
        self.ensure(calendar)
        expiration = int(body.get("expiration") or (time.time() + 7 * 86400) * 1000)
        channel = {
            "kind": "api#channel",
            "id": channel_id,
            "resourceId": secrets.token_urlsafe(16),
            "resourceUri": f"https://www.googleapis.com/calendar/v3/calendars/{calendar}/events?alt=json",
            "token": body.get("token"),
            "expiration": str(expiration),
        }
        stored = channel | {"calendar": calendar, "address": body["address"], "number": 1}
        self._state.put("google_channel", channel_id, stored)
        self._start(stored, "sync")
        return {name: value for name, value in channel.items() if value is not None}

    def stop(self, body: Document) -> None:
        """Closes a channel."""
        channel = self._state.get("google_channel", body.get("id", ""))
        if channel is None or channel["resourceId"] != body.get("resourceId"):
            raise GoogleError(404, "notFound", "Channel not found.")
        self._state.delete("google_channel", channel["id"])

    def notify(self, calendar: str) -> None:
        """Tells every channel of the calendar that something is new."""
        for channel in self._state.all("google_channel"):
            if channel["calendar"] == calendar and int(channel["expiration"]) > time.time() * 1000:
                channel["number"] += 1
                self._state.put("google_channel", channel["id"], channel)
                self._start(channel, "exists")

    def _start(self, channel: Document, resource_state: str) -> None:
        task = asyncio.create_task(self._post(dict(channel), resource_state))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _post(self, channel: Document, resource_state: str) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        headers = {
            "X-Goog-Channel-ID": channel["id"],
            "X-Goog-Channel-Expiration": channel["expiration"],
            "X-Goog-Message-Number": str(channel["number"]),
            "X-Goog-Resource-ID": channel["resourceId"],
            "X-Goog-Resource-State": resource_state,
            "X-Goog-Resource-URI": channel["resourceUri"],
        }
        if channel["token"]:
            headers["X-Goog-Channel-Token"] = channel["token"]
        try:
            async with self._session.post(channel["address"], headers=headers) as response:
                await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            # Google does not promise its notices either: who watches has to poll too.
            log.info("a notice was not taken", calendar=channel["calendar"], error=str(error))

    async def close(self) -> None:
        """Ends what is on its way."""
        for task in self._tasks:
            task.cancel()
        if self._session is not None:
            await self._session.close()


def public(event: Document) -> Document:
    """An event without what only this stand-in knows."""
    return {name: value for name, value in event.items() if name not in INTERNAL}
