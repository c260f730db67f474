"""What the service needs of a calendar provider, and how a provider fails."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from calendar_sync.domain import Listing


@dataclass(slots=True)
class Grant:
    """What somebody allowed us: OAuth tokens. A provider renews it in place and says so in `renewed`."""

    access_token: str
    refresh_token: str | None
    expires_at: datetime
    renewed: bool = False


@dataclass(frozen=True, slots=True)
class OpenChannel:
    """A channel that the provider sends notices on until `expires_at`."""

    provider_resource: str
    expires_at: datetime


class CalendarFailure(Exception):
    """A calendar could not be read or written. `reason` is a word for people and for events, never a secret."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unreachable(CalendarFailure):
    """Over its limits, broken, or no answer in time: it is tried again, and may have been done all the same."""

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class AccessRevoked(CalendarFailure):
    """The grant is no more; only a new consent helps."""


class AccessRefused(CalendarFailure):
    """The grant stands, but this calendar or this request is refused."""


class CalendarMissing(AccessRefused):
    """There is no such calendar: its owner's time is unknown, never free."""


class SyncTokenGone(CalendarFailure):
    """The provider has forgotten where we were: everything has to be listed again."""


class NotOurs(AccessRefused):
    """The id that we write at belongs to an event without our mark."""


class CalendarProvider(Protocol):
    """A provider of calendars. Every call but the first has its own timeout and raises a `CalendarFailure`."""

    def authorize_url(self, *, state: str, challenge: str) -> str:
        """Where a person consents; `challenge` is PKCE's, S256 (RFC 7636)."""

    async def exchange(self, *, code: str, verifier: str) -> Grant:
        """The grant for the code that a consent brought."""

    async def check(self, grant: Grant, calendar_id: str) -> None:
        """Whether the calendar is there and may be read: raises when it is not."""

    async def changes(self, grant: Grant, calendar_id: str, sync_token: str | None, now: datetime) -> Listing:
        """What changed since the sync token, everything within the horizon without one."""

    async def put_event(self, grant: Grant, calendar_id: str, body: dict[str, Any], *, known: bool) -> str:
        """Makes the calendar show the event, whatever was there under its id; returns its etag. `known`: we wrote it
        before, so it is changed and not made."""

    async def remove_event(self, grant: Grant, calendar_id: str, event_id: str) -> None:
        """Takes the event out; nothing happens when it is not there."""

    async def open_channel(self, grant: Grant, calendar_id: str, *, channel_id: str, token: str) -> OpenChannel:
        """Asks for notices of changes."""

    async def close_channel(self, grant: Grant, *, channel_id: str, provider_resource: str) -> None:
        """Wants no more of them; nothing happens when it is closed already."""
