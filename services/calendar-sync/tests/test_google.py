"""What Google's answers mean for us, through its own client library."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from calendar_sync.providers import (
    AccessRefused,
    AccessRevoked,
    CalendarFailure,
    CalendarMissing,
    Grant,
    NotOurs,
    SyncTokenGone,
    Unreachable,
)
from calendar_sync.providers.google import Google
from calendar_sync.settings import CalendarSyncSettings
from servicekit.testing import free_port


def refusal(status: int, reason: str, **headers: str) -> web.Response:
    error = {"code": status, "message": reason, "errors": [{"domain": "global", "reason": reason, "message": reason}]}
    return web.json_response({"error": error}, status=status, headers=headers)


class Peer:
    """A server that answers as a test says."""

    def __init__(self) -> None:
        self.answer: Callable[[web.Request], web.Response] = lambda _: web.Response(status=500)
        self.asked: list[str] = []
        self.seconds = 0.0

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.path}")
        await asyncio.sleep(self.seconds)
        return self.answer(request)


@pytest.fixture
async def peer() -> AsyncIterator[tuple[Peer, Google]]:
    """A peer, and a client of it."""
    made = Peer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    settings = CalendarSyncSettings(
        database_url="postgresql://nobody@127.0.0.1:1/none",
        kafka_bootstrap="127.0.0.1:1",
        keys_path="/nowhere",
        google_api_endpoint=f"http://127.0.0.1:{port}/calendar/v3/",
        google_token_url=f"http://127.0.0.1:{port}/token",
        google_client_id="id",
        google_timeout_seconds=0.3,
    )
    async with aiohttp.ClientSession() as session:
        yield made, Google(settings, lambda: session)
    await runner.cleanup()


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library waits a random share of a pause before it tries again: here none of it."""
    monkeypatch.setattr("googleapiclient.http.random.random", lambda: 0.0)


def grant(seconds: float = 3600.0) -> Grant:
    return Grant("access", "refresh", datetime.now(UTC) + timedelta(seconds=seconds))


async def listed(google: Google, sync_token: str | None = None) -> Any:
    return await google.changes(grant(), "anna@example.test", sync_token, datetime.now(UTC))


@pytest.mark.parametrize(
    ("status", "reason", "failure", "said"),
    [
        (403, "rateLimitExceeded", Unreachable, "rate_limited"),
        (429, "rateLimitExceeded", Unreachable, "rate_limited"),
        (503, "backendError", Unreachable, "unavailable"),
        (403, "forbidden", AccessRefused, "forbidden"),
        (404, "notFound", CalendarMissing, "calendar_missing"),
        (400, "badRequest", AccessRefused, "refused"),
    ],
)
async def test_a_refusal_says_whether_trying_again_helps(
    peer: tuple[Peer, Google], status: int, reason: str, failure: type[CalendarFailure], said: str
) -> None:
    server, google = peer
    server.answer = lambda _: refusal(status, reason)
    with pytest.raises(failure) as raised:
        await listed(google)
    assert type(raised.value) is failure
    assert raised.value.reason == said


async def test_the_pause_that_google_asks_for_is_kept(peer: tuple[Peer, Google]) -> None:
    server, google = peer
    server.answer = lambda _: refusal(429, "rateLimitExceeded", **{"Retry-After": "7"})
    with pytest.raises(Unreachable) as raised:
        await listed(google)
    assert raised.value.retry_after == 7


async def test_no_answer_in_time_is_unreachable(peer: tuple[Peer, Google]) -> None:
    server, google = peer
    server.seconds = 1.0
    with pytest.raises(Unreachable):
        await listed(google)
    assert len(server.asked) == 2, "the library tries once more"


async def test_only_a_lost_sync_token_asks_for_everything_again(peer: tuple[Peer, Google]) -> None:
    server, google = peer
    server.answer = lambda _: refusal(410, "fullSyncRequired")
    with pytest.raises(SyncTokenGone):
        await listed(google, "old")


async def test_a_grant_that_cannot_be_renewed_is_revoked(peer: tuple[Peer, Google]) -> None:
    server, google = peer
    server.answer = lambda _: web.json_response({"error": "invalid_grant"}, status=400)
    with pytest.raises(AccessRevoked):
        await google.check(grant(seconds=-1), "anna@example.test")
    assert server.asked == ["POST /token"]


async def test_a_token_that_is_refused_after_its_renewal_is_not_a_revoked_grant(peer: tuple[Peer, Google]) -> None:
    server, google = peer

    def answer(request: web.Request) -> web.Response:
        if request.path == "/token":
            return web.json_response({"access_token": "new", "expires_in": 3600, "token_type": "Bearer"})
        return refusal(401, "authError")

    server.answer = answer
    with pytest.raises(AccessRefused) as raised:
        await listed(google)
    assert raised.value.reason == "unauthorized"


@pytest.mark.parametrize(
    ("calendars", "failure"),
    [
        ({"anna@example.test": {"errors": [{"domain": "global", "reason": "notFound"}]}}, CalendarMissing),
        ({}, CalendarMissing),
        ({"anna@example.test": {"errors": [{"domain": "global", "reason": "backendError"}]}}, Unreachable),
        ({"anna@example.test": {"errors": [{"domain": "global", "reason": "forbidden"}]}}, AccessRefused),
    ],
)
async def test_an_error_inside_a_freebusy_answer_is_a_failure(
    peer: tuple[Peer, Google], calendars: dict[str, Any], failure: type[CalendarFailure]
) -> None:
    server, google = peer
    server.answer = lambda _: web.json_response({"calendars": calendars})
    with pytest.raises(failure):
        await google.check(grant(), "anna@example.test")


async def test_an_event_of_somebody_else_under_our_id_is_never_overwritten(peer: tuple[Peer, Google]) -> None:
    server, google = peer
    marks = {"booking_id": "b", "tenant": "t", "booking_version": "1"}
    body = {"id": "abcde", "extendedProperties": {"private": marks}}

    def answer(request: web.Request) -> web.Response:
        if request.method == "POST":
            return refusal(409, "duplicate")
        return web.json_response({"id": "abcde", "etag": '"1"', "status": "confirmed"})

    server.answer = answer
    with pytest.raises(NotOurs):
        await google.put_event(grant(), "anna@example.test", body, known=False)
    assert not any(asked.startswith(("PUT", "PATCH")) for asked in server.asked)


async def test_an_event_that_changed_between_reading_and_writing_is_tried_again(peer: tuple[Peer, Google]) -> None:
    server, google = peer
    marks = {"booking_id": "b", "tenant": "t", "booking_version": "2"}
    body = {"id": "abcde", "extendedProperties": {"private": marks}}
    older = {"id": "abcde", "etag": '"1"', "extendedProperties": {"private": marks | {"booking_version": "1"}}}

    def answer(request: web.Request) -> web.Response:
        if request.method == "POST":
            return refusal(409, "duplicate")
        if request.method == "GET":
            return web.json_response(older)
        assert request.headers["If-Match"] == '"1"'
        return refusal(412, "conditionNotMet")

    server.answer = answer
    with pytest.raises(Unreachable):
        await google.put_event(grant(), "anna@example.test", body, known=False)


async def test_an_event_that_we_wrote_is_patched_without_trying_to_make_it(peer: tuple[Peer, Google]) -> None:
    server, google = peer
    marks = {"booking_id": "b", "tenant": "t", "booking_version": "2"}
    time = {"dateTime": "2026-12-01T09:00:00+01:00", "timeZone": "Europe/Warsaw"}
    body = {"id": "abcde", "start": time, "end": time, "extendedProperties": {"private": marks}}
    older = {"id": "abcde", "etag": '"1"', "extendedProperties": {"private": marks | {"booking_version": "1"}}}
    server.answer = lambda _: web.json_response(older)
    await google.put_event(grant(), "anna@example.test", body, known=True)
    path = "/calendar/v3/calendars/anna@example.test/events/abcde"
    assert [asked.replace("%40", "@") for asked in server.asked] == [f"GET {path}", f"PATCH {path}"]


async def test_pages_are_read_to_the_last(peer: tuple[Peer, Google]) -> None:
    server, google = peer

    def answer(request: web.Request) -> web.Response:
        if "pageToken" not in request.query:
            return web.json_response({"items": [{"id": "a"}], "nextPageToken": "2", "timeZone": "Europe/Warsaw"})
        return web.json_response({"items": [{"id": "b"}], "nextSyncToken": "s", "timeZone": "Europe/Warsaw"})

    server.answer = answer
    found = await listed(google)
    assert ([event["id"] for event in found.events], found.sync_token) == (["a", "b"], "s")
    assert (found.full, found.time_zone) == (True, "Europe/Warsaw")


async def test_what_an_event_is_about_is_not_asked_for(peer: tuple[Peer, Google]) -> None:
    server, google = peer
    fields: list[str] = []

    def answer(request: web.Request) -> web.Response:
        fields.append(request.query["fields"])
        return web.json_response({"items": [], "nextSyncToken": "s"})

    server.answer = answer
    await listed(google)
    assert not any(word in fields[0] for word in ("summary", "description", "location", "email"))
