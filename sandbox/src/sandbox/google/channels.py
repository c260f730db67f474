"""Push channels: who is told that something is new in a calendar."""

import asyncio
import hashlib
import re
import time
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import structlog

from sandbox.bodies import whole_number
from sandbox.faults import CHANNEL_DEAD, Faults
from sandbox.google.errors import GoogleError
from sandbox.state import Document, State

log = structlog.get_logger(__name__)

CHANNEL_ID = re.compile(r"[A-Za-z0-9\-_+/=]{1,64}")
LIFE_SECONDS = 7 * 86400
LONGEST_TOKEN = 256


class Channels:
    """Open channels, and notices on their way. Google does not promise its notices: who watches polls too."""

    def __init__(self, state: State, faults: Faults) -> None:
        self._state = state
        self._faults = faults
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def watch(self, calendar: str, body: Document) -> Document:
        """Opens a channel; the first notice says `sync`."""
        address, token, channel_id = body.get("address"), body.get("token"), body.get("id")
        if body.get("type") not in ("web_hook", "webhook"):
            raise GoogleError(400, "channelUnknownType", "Unknown channel type.")
        if not isinstance(address, str) or not _is_address(address):
            raise GoogleError(400, "badRequest", "A web_hook with an address is required.")
        if not isinstance(channel_id, str) or not CHANNEL_ID.fullmatch(channel_id):
            raise GoogleError(400, "channelIdInvalid", "Channel id has to match [A-Za-z0-9\\-_\\+/=]+ (64 at most).")
        if token is not None and not (isinstance(token, str) and len(token) <= LONGEST_TOKEN and token.isprintable()):
            raise GoogleError(400, "badRequest", f"Channel token: {LONGEST_TOKEN} characters at most.")
        if self._state.get("google_channel", channel_id) is not None:
            raise GoogleError(400, "channelIdNotUnique", f"Channel id {channel_id} not unique")
        default = str(int((time.time() + LIFE_SECONDS) * 1000))
        expiration = whole_number(str(body.get("expiration") or default))
        if expiration is None or expiration <= time.time() * 1000:
            raise GoogleError(400, "badRequest", "Invalid value for expiration.")
        channel = {
            "kind": "api#channel",
            "id": channel_id,
            "resourceId": hashlib.sha256(calendar.encode()).hexdigest()[:27],
            "resourceUri": f"https://www.googleapis.com/calendar/v3/calendars/{quote(calendar)}/events?alt=json",
            "token": token,
            "expiration": str(expiration),
        }
        stored = channel | {"calendar": calendar, "address": address, "number": 1}
        self._state.put("google_channel", channel_id, stored)
        self._start(stored, "sync")
        return {name: value for name, value in channel.items() if value is not None}

    def stop(self, body: Document) -> None:
        """Closes a channel."""
        channel = self._state.get("google_channel", str(body.get("id")))
        if channel is None or channel["resourceId"] != body.get("resourceId"):
            raise GoogleError(404, "notFound", f"Channel '{body.get('id')}' not found.")
        self._state.delete("google_channel", channel["id"])

    def notify(self, calendar: str) -> None:
        """Tells every channel of the calendar that something is new."""
        for channel in self._state.all("google_channel"):
            if channel["calendar"] == calendar and int(channel["expiration"]) > time.time() * 1000:
                told = self._state.put("google_channel", channel["id"], channel | {"number": channel["number"] + 1})
                if self._faults.take("google", (CHANNEL_DEAD,), f"POST {channel['address']} {calendar}") is None:
                    self._start(told, "exists")

    def _start(self, channel: Document, resource_state: str) -> None:
        task = asyncio.create_task(self._post(channel, resource_state))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _post(self, channel: Document, resource_state: str) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        headers: dict[str, Any] = {
            "X-Goog-Channel-ID": channel["id"],
            "X-Goog-Channel-Expiration": time.strftime(
                "%a, %d %b %Y %H:%M:%S GMT", time.gmtime(min(int(channel["expiration"]) // 1000, 253402300799))
            ),
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
            log.info("a notice was not taken", calendar=channel["calendar"], error=str(error))

    def forget(self) -> None:
        """Notices that are on their way stay away."""
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Ends what is on its way."""
        self.forget()
        if self._session is not None:
            await self._session.close()


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and text.isprintable()
    except ValueError:
        return False
