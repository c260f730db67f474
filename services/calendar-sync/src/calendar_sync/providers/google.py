"""Google Calendar through its own client library. Every call runs in a thread: the library blocks, and its
transport (httplib2) is not thread-safe, so each thread has its own."""

import asyncio
import http.client
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlencode

import aiohttp
import httplib2
from google.auth.exceptions import RefreshError, TransportError
from google.oauth2.credentials import Credentials
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

from calendar_sync.domain import BOOKING_MARK, TENANT_MARK, VERSION_MARK, Listing, horizon
from calendar_sync.providers import (
    AccessRefused,
    AccessRevoked,
    CalendarFailure,
    CalendarMissing,
    Grant,
    NotOurs,
    OpenChannel,
    SyncTokenGone,
    Unreachable,
)
from calendar_sync.settings import CalendarSyncSettings

T = TypeVar("T")

# Reading and writing events, and whether somebody is busy; nothing else of the account.
SCOPES = (
    "https://www.googleapis.com/auth/calendar.events",
    "https://www.googleapis.com/auth/calendar.freebusy",
)
THREADS = 32
RETRIES = 1  # within a call, by the library, after up to 2 s; behind them the job comes back
PAGE = 2500
# What an event is about is never asked for: only what decides whether it makes busy.
FIELDS = (
    "timeZone,nextPageToken,nextSyncToken,items(id,recurringEventId,status,transparency,eventType,start,end,"
    "attendees(self,responseStatus),extendedProperties/private)"
)
LIMITS = {"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "calendarUsageLimits"}


class Google:
    """See `CalendarProvider`."""

    def __init__(self, settings: CalendarSyncSettings, session: Callable[[], aiohttp.ClientSession]) -> None:
        self._settings = settings
        self._session = session
        self._redirect_uri = f"{settings.public_url}/v1/calendar/oauth/google/callback"
        self._notices = f"{settings.public_url}/v1/calendar/notices/google"
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="google")
        self._local = threading.local()

    # -- consent -----------------------------------------------------------------------------------------------

    def authorize_url(self, *, state: str, challenge: str) -> str:
        """See `CalendarProvider`. `prompt=consent` makes Google give a refresh token every time."""
        query = {
            "client_id": self._settings.google_client_id,
            "redirect_uri": self._redirect_uri,
            "response_type": "code",
            "scope": " ".join(SCOPES),
            "access_type": "offline",
            "prompt": "consent",
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._settings.google_auth_url}?{urlencode(query)}"

    async def exchange(self, *, code: str, verifier: str) -> Grant:
        """See `CalendarProvider` (RFC 6749 §4.1.3)."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            "client_id": self._settings.google_client_id,
            "client_secret": self._settings.google_client_secret.get_secret_value(),
            "redirect_uri": self._redirect_uri,
        }
        timeout = aiohttp.ClientTimeout(total=self._settings.google_timeout_seconds)
        try:
            async with self._session().post(self._settings.google_token_url, data=form, timeout=timeout) as answer:
                if answer.status >= 500 or answer.status == 429:
                    raise Unreachable("unavailable")
                if answer.status != 200:
                    raise AccessRefused("consent_refused")
                token = await answer.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unreachable("unreachable") from error
        return Grant(
            access_token=token["access_token"],
            refresh_token=token.get("refresh_token"),
            expires_at=datetime.now(UTC) + timedelta(seconds=float(token.get("expires_in", 0))),
        )

    # -- reading -----------------------------------------------------------------------------------------------

    async def check(self, grant: Grant, calendar_id: str) -> None:
        """See `CalendarProvider`. A freebusy answer is 200 even when a calendar in it could not be read."""
        now = datetime.now(UTC)
        query = {
            "timeMin": now.isoformat(),
            "timeMax": (now + timedelta(days=1)).isoformat(),
            "items": [{"id": calendar_id}],
        }

        def ask(client: Any) -> None:
            answer = client.freebusy().query(body=query).execute(num_retries=RETRIES)
            found = answer.get("calendars", {}).get(calendar_id)
            reasons = {error.get("reason", "") for error in (found or {}).get("errors", ())}
            if found is None or "notFound" in reasons:
                raise CalendarMissing("calendar_missing")
            if reasons & LIMITS or "backendError" in reasons or "internalError" in reasons:
                raise Unreachable("unavailable")
            if reasons:
                raise AccessRefused("forbidden")

        await self._call(grant, ask)

    async def changes(self, grant: Grant, calendar_id: str, sync_token: str | None, now: datetime) -> Listing:
        """See `CalendarProvider`. Recurring events come as single ones."""
        begins, ends = horizon(now)
        question: dict[str, Any] = {
            "calendarId": calendar_id,
            "singleEvents": True,
            "maxResults": PAGE,
            "maxAttendees": 1,
            "fields": FIELDS,
        }
        # A sync token stands for the range it was begun with and does not go together with one.
        range_or_token = (
            {"syncToken": sync_token}
            if sync_token
            else {"timeMin": begins.isoformat(), "timeMax": ends.isoformat(), "showDeleted": False}
        )

        def ask(client: Any) -> Listing:
            events: list[dict[str, Any]] = []
            page: dict[str, Any] = {}
            while True:
                following = {"pageToken": page["nextPageToken"]} if page else {}
                request = client.events().list(**question, **range_or_token, **following)
                page = self._listed(request)
                events.extend(page.get("items", ()))
                if "nextPageToken" not in page:
                    return Listing(events, sync_token is None, page["nextSyncToken"], page.get("timeZone", "UTC"))

        return await self._call(grant, ask)

    def _listed(self, request: Any) -> dict[str, Any]:
        try:
            page: dict[str, Any] = request.execute(num_retries=RETRIES)
        except HttpError as error:
            if error.resp.status == 410:
                raise SyncTokenGone("sync_token_gone") from error
            if error.resp.status == 404:
                raise CalendarMissing("calendar_missing") from error
            raise
        return page

    # -- writing -----------------------------------------------------------------------------------------------

    async def put_event(self, grant: Grant, calendar_id: str, body: dict[str, Any], *, known: bool) -> str:
        """See `CalendarProvider`. Where nothing of ours is known to be, insert first; 409 says that the id is taken:
        by the same write whose answer was lost, by an older version, or by our event that was deleted, whose id stays
        taken. One that is there is patched, so that what its owner added to it stays; one that was deleted, or made an
        all-day one, is written as a whole."""

        def put(client: Any) -> str:
            events = client.events()
            found = self._found(events, calendar_id, body["id"]) if known else None
            if found is None:
                try:
                    made = events.insert(calendarId=calendar_id, body=body, sendUpdates="none")
                    return str(made.execute(num_retries=RETRIES)["etag"])
                except HttpError as error:
                    if error.resp.status != 409:
                        raise
                found = self._found(events, calendar_id, body["id"])
            if found is not None and not _same_mark(found, body):
                raise NotOurs("event_id_taken")
            lives = found is not None and found.get("status") != "cancelled"
            if found is not None and lives and _same_version(found, body):
                return str(found["etag"])
            # A patch merges objects: an all-day event's `date` would stay beside our `dateTime`.
            timed = found is not None and "date" not in found.get("start", {}) and "date" not in found.get("end", {})
            write = events.patch if lives and timed else events.update
            request = write(calendarId=calendar_id, eventId=body["id"], body=body, sendUpdates="none")
            if found is not None:
                request.headers["If-Match"] = found["etag"]
            return str(request.execute(num_retries=RETRIES)["etag"])

        return await self._call(grant, put)

    def _found(self, events: Any, calendar_id: str, event_id: str) -> dict[str, Any] | None:
        """The event, None when the provider tells nothing of it because it was deleted."""
        try:
            found: dict[str, Any] = events.get(calendarId=calendar_id, eventId=event_id).execute(num_retries=RETRIES)
        except HttpError as error:
            if error.resp.status in (404, 410):
                return None
            raise
        return found

    async def remove_event(self, grant: Grant, calendar_id: str, event_id: str) -> None:
        """See `CalendarProvider`."""

        def remove(client: Any) -> None:
            request = client.events().delete(calendarId=calendar_id, eventId=event_id, sendUpdates="none")
            try:
                request.execute(num_retries=RETRIES)
            except HttpError as error:
                if error.resp.status not in (404, 410):
                    raise

        await self._call(grant, remove)

    # -- notices -----------------------------------------------------------------------------------------------

    async def open_channel(self, grant: Grant, calendar_id: str, *, channel_id: str, token: str) -> OpenChannel:
        """See `CalendarProvider`. Not repeated within the call: a second try with the same id is refused."""
        body = {"id": channel_id, "type": "web_hook", "address": self._notices, "token": token}

        def watch(client: Any) -> OpenChannel:
            channel = client.events().watch(calendarId=calendar_id, body=body).execute()
            expires_at = datetime.fromtimestamp(int(channel["expiration"]) / 1000, UTC)
            return OpenChannel(channel["resourceId"], expires_at)

        return await self._call(grant, watch)

    async def close_channel(self, grant: Grant, *, channel_id: str, provider_resource: str) -> None:
        """See `CalendarProvider`."""
        body = {"id": channel_id, "resourceId": provider_resource}

        def stop(client: Any) -> None:
            try:
                client.channels().stop(body=body).execute(num_retries=RETRIES)
            except HttpError as error:
                if error.resp.status not in (404, 410):
                    raise

        await self._call(grant, stop)

    # -- the call ----------------------------------------------------------------------------------------------

    async def _call(self, grant: Grant, work: Callable[[Any], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._in_thread, grant, work)

    def _in_thread(self, grant: Grant, work: Callable[[Any], T]) -> T:
        credentials = Credentials(  # type: ignore[no-untyped-call]
            token=grant.access_token,
            refresh_token=grant.refresh_token,
            expiry=grant.expires_at.replace(tzinfo=None),  # the library wants UTC without saying so
            token_uri=self._settings.google_token_url,
            client_id=self._settings.google_client_id,
            client_secret=self._settings.google_client_secret.get_secret_value(),
        )
        transport = AuthorizedHttp(credentials, http=self._transport())
        client = build(
            "calendar",
            "v3",
            http=transport,
            client_options={"api_endpoint": self._settings.google_api_endpoint},
            static_discovery=True,
            cache_discovery=False,
        )
        try:
            return work(client)
        except RefreshError as error:
            raise (Unreachable("unavailable") if error.retryable else AccessRevoked("revoked")) from error
        except HttpError as error:
            raise _failure(error) from error
        except (TransportError, httplib2.HttpLib2Error, http.client.HTTPException, OSError) as error:
            raise Unreachable("unreachable") from error
        finally:
            if credentials.token and credentials.token != grant.access_token:
                grant.access_token = credentials.token
                grant.refresh_token = credentials.refresh_token
                grant.expires_at = (credentials.expiry or datetime.now(UTC)).replace(tzinfo=UTC)
                grant.renewed = True

    def _transport(self) -> httplib2.Http:
        if not hasattr(self._local, "transport"):
            self._local.transport = httplib2.Http(timeout=self._settings.google_timeout_seconds)
        transport: httplib2.Http = self._local.transport
        return transport


def _failure(error: HttpError) -> CalendarFailure:
    """What the provider's refusal means for us."""
    status = error.resp.status
    if status >= 500 or status in (408, 409, 412, 429) or (status == 403 and _reason(error) in LIMITS):
        return Unreachable("rate_limited" if status in (403, 429) else "unavailable", _retry_after(error))
    if status == 401:
        return AccessRefused("unauthorized")
    if status == 404:
        return CalendarMissing("calendar_missing")
    return AccessRefused("forbidden" if status == 403 else "refused")


def _reason(error: HttpError) -> str:
    try:
        return str(json.loads(error.content)["error"]["errors"][0]["reason"])
    except (ValueError, KeyError, IndexError, TypeError):
        return ""


def _retry_after(error: HttpError) -> float:
    text = error.resp.get("retry-after", "")
    return float(text) if text.isdigit() else 0.0


def _marks(event: dict[str, Any]) -> dict[str, str]:
    marks: dict[str, str] = event.get("extendedProperties", {}).get("private", {})
    return marks


def _same_mark(found: dict[str, Any], body: dict[str, Any]) -> bool:
    ours, theirs = _marks(body), _marks(found)
    return all(theirs.get(mark) == ours[mark] for mark in (BOOKING_MARK, TENANT_MARK))


def _same_version(found: dict[str, Any], body: dict[str, Any]) -> bool:
    return _marks(found).get(VERSION_MARK) == _marks(body)[VERSION_MARK]
