"""Google Calendar's API, its consent, and what staff do in their own calendar."""

import base64
import hashlib
import secrets
import time
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from sandbox.google.calendars import Calendars
from sandbox.google.errors import GoogleError
from sandbox.problems import Refusal
from sandbox.state import State

router = APIRouter()
staff = APIRouter(prefix="/_sandbox/google")

TOKEN_SECONDS = 3599


def _calendars(request: Request) -> Calendars:
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    state: State = request.app.state.store
    known = state.get("google_token", token)
    if known is None or known["expires"] < time.time():
        raise GoogleError(401, "authError", "Invalid Credentials")
    calendars: Calendars = request.app.state.calendars
    return calendars


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError as error:
        raise GoogleError(400, "parseError", "Parse Error") from error
    if not isinstance(body, dict):
        raise GoogleError(400, "parseError", "Parse Error")
    return body


@router.post("/calendar/v3/calendars/{calendar}/events")
async def insert_event(request: Request, calendar: str) -> JSONResponse:
    """A new event."""
    return JSONResponse(_calendars(request).insert(calendar, await _body(request)))


@router.get("/calendar/v3/calendars/{calendar}/events")
async def list_events(request: Request, calendar: str) -> JSONResponse:
    """In full, or since a sync token."""
    return JSONResponse(_calendars(request).page(calendar, dict(request.query_params)))


@router.post("/calendar/v3/calendars/{calendar}/events/watch")
async def watch_events(request: Request, calendar: str) -> JSONResponse:
    """Opens a channel."""
    return JSONResponse(_calendars(request).watch(calendar, await _body(request)))


@router.get("/calendar/v3/calendars/{calendar}/events/{event_id}")
async def get_event(request: Request, calendar: str, event_id: str) -> JSONResponse:
    """One event."""
    return JSONResponse(_calendars(request).get(calendar, event_id))


@router.put("/calendar/v3/calendars/{calendar}/events/{event_id}")
async def update_event(request: Request, calendar: str, event_id: str) -> JSONResponse:
    """Replaces it."""
    body, if_match = await _body(request), request.headers.get("if-match")
    return JSONResponse(_calendars(request).update(calendar, event_id, body, merge=False, if_match=if_match))


@router.patch("/calendar/v3/calendars/{calendar}/events/{event_id}")
async def patch_event(request: Request, calendar: str, event_id: str) -> JSONResponse:
    """Changes parts of it."""
    body, if_match = await _body(request), request.headers.get("if-match")
    return JSONResponse(_calendars(request).update(calendar, event_id, body, merge=True, if_match=if_match))


@router.delete("/calendar/v3/calendars/{calendar}/events/{event_id}", status_code=204)
async def delete_event(request: Request, calendar: str, event_id: str) -> Response:
    """Takes it out."""
    _calendars(request).delete(calendar, event_id)
    return Response(status_code=204)


@router.post("/calendar/v3/freeBusy")
async def query_freebusy(request: Request) -> JSONResponse:
    """Busy times."""
    return JSONResponse(_calendars(request).freebusy(await _body(request)))


@router.post("/calendar/v3/channels/stop", status_code=204)
async def stop_channel(request: Request) -> Response:
    """Closes a channel."""
    _calendars(request).stop(await _body(request))
    return Response(status_code=204)


@router.get("/calendar/v3/calendars/{calendar}")
async def get_calendar(request: Request, calendar: str) -> JSONResponse:
    """A calendar exists as soon as it is named."""
    _calendars(request).ensure(calendar)
    return JSONResponse(
        {"kind": "calendar#calendar", "etag": '"0"', "id": calendar, "summary": calendar, "timeZone": "UTC"}
    )


@router.get("/calendar/v3/users/me/calendarList/{calendar}")
async def get_calendar_entry(request: Request, calendar: str) -> JSONResponse:
    """The same, as an entry of the person's list."""
    _calendars(request).ensure(calendar)
    entry = {"kind": "calendar#calendarListEntry", "etag": '"0"', "id": calendar, "summary": calendar}
    return JSONResponse(entry | {"timeZone": "UTC", "accessRole": "owner", "defaultReminders": []})


@router.get("/o/oauth2/v2/auth")
async def consent(request: Request) -> Response:
    """Consents by itself and goes back with a code."""
    query = request.query_params
    for name in ("client_id", "redirect_uri", "response_type", "scope"):
        if not query.get(name):
            raise GoogleError(400, "invalid_request", f"Missing required parameter: {name}")
    code = f"4/{secrets.token_urlsafe(24)}"
    state: State = request.app.state.store
    state.put(
        "google_code",
        code,
        {
            "redirect_uri": query["redirect_uri"],
            "client_id": query["client_id"],
            "challenge": query.get("code_challenge"),
            "method": query.get("code_challenge_method", "plain"),
            "scope": query["scope"],
        },
    )
    back = {"code": code, "scope": query["scope"]} | ({"state": query["state"]} if "state" in query else {})
    joiner = "&" if "?" in query["redirect_uri"] else "?"
    return RedirectResponse(f"{query['redirect_uri']}{joiner}{urlencode(back)}", 302)


@router.post("/token")
async def token(request: Request) -> JSONResponse:
    """A code or a refresh token for an access token."""
    form = dict(await request.form())
    state: State = request.app.state.store
    if form.get("grant_type") == "refresh_token":
        known = state.get("google_refresh", str(form.get("refresh_token")))
        if known is None:
            return _oauth_error("invalid_grant", "Token has been expired or revoked.")
        return JSONResponse(_access(state, known["scope"]))
    code = str(form.get("code"))
    granted = state.get("google_code", code)
    if form.get("grant_type") != "authorization_code" or granted is None:
        return _oauth_error("invalid_grant", "Bad Request")
    if granted["redirect_uri"] != form.get("redirect_uri"):
        return _oauth_error("redirect_uri_mismatch", "Bad Request")
    if granted["challenge"] and not _proves(str(form.get("code_verifier", "")), granted):
        return _oauth_error("invalid_grant", "Invalid code verifier.")
    state.delete("google_code", code)
    refresh = f"1//{secrets.token_urlsafe(24)}"
    state.put("google_refresh", refresh, {"scope": granted["scope"]})
    return JSONResponse(_access(state, granted["scope"]) | {"refresh_token": refresh})


def _proves(verifier: str, granted: dict[str, Any]) -> bool:
    if granted["method"] == "plain":
        return bool(verifier == granted["challenge"])
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return bool(digest == granted["challenge"])


def _access(state: State, scope: str) -> dict[str, Any]:
    access = f"ya29.{secrets.token_urlsafe(32)}"
    state.put("google_token", access, {"expires": time.time() + TOKEN_SECONDS})
    return {"access_token": access, "expires_in": TOKEN_SECONDS, "scope": scope, "token_type": "Bearer"}


def _oauth_error(code: str, description: str) -> JSONResponse:
    return JSONResponse({"error": code, "error_description": description}, 400)


@staff.get("/{calendar}/events")
async def staff_events(request: Request, calendar: str) -> dict[str, Any]:
    """What is in the calendar now."""
    calendars: Calendars = request.app.state.calendars
    return {"data": [event for event in calendars.of(calendar) if event["status"] != "cancelled"]}


@staff.post("/{calendar}/events", status_code=201)
async def staff_adds_event(request: Request, calendar: str) -> dict[str, Any]:
    """Staff put an event in; the notices go out."""
    calendars: Calendars = request.app.state.calendars
    return calendars.insert(calendar, await _body(request))


@staff.delete("/{calendar}/events/{event_id}", status_code=204)
async def staff_deletes_event(request: Request, calendar: str, event_id: str) -> Response:
    """Staff take one out."""
    calendars: Calendars = request.app.state.calendars
    try:
        calendars.delete(calendar, event_id)
    except GoogleError as error:
        if error.status == 404:
            raise Refusal(404, "not-found", f"There is no event {event_id} in {calendar}.") from error
        if error.status != 410:
            raise
    return Response(status_code=204)
