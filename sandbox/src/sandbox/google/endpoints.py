"""Google Calendar's API, and what staff do in their own calendar."""

import time
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from sandbox.bodies import json_object
from sandbox.google.calendars import Calendars
from sandbox.google.errors import GoogleError
from sandbox.problems import Refusal
from sandbox.state import State

router = APIRouter()
staff = APIRouter(prefix="/_sandbox/google")


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
        return await json_object(request)
    except ValueError as error:
        raise GoogleError(400, "parseError", "Parse Error") from error


@router.post("/calendar/v3/calendars/{calendar}/events")
async def insert_event(request: Request, calendar: str) -> JSONResponse:
    """A new event."""
    return JSONResponse(_calendars(request).insert(calendar, await _body(request)))


@router.get("/calendar/v3/calendars/{calendar}/events")
async def list_events(request: Request, calendar: str) -> JSONResponse:
    """In full, or since a sync token."""
    return JSONResponse(_calendars(request).page(calendar, request.query_params))


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
    _calendars(request).delete(calendar, event_id, if_match=request.headers.get("if-match"))
    return Response(status_code=204)


@router.post("/calendar/v3/freeBusy")
async def query_freebusy(request: Request) -> JSONResponse:
    """Busy times."""
    return JSONResponse(_calendars(request).freebusy(await _body(request)))


@router.post("/calendar/v3/channels/stop", status_code=204)
async def stop_channel(request: Request) -> Response:
    """Closes a channel."""
    _calendars(request).channels.stop(await _body(request))
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


@router.api_route(
    "/calendar/v3/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False
)
async def unknown() -> Response:
    """What this stand-in does not know says so as Google does."""
    raise GoogleError(404, "notFound", "Not Found")


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
