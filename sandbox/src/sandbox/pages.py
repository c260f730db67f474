"""Pages for people: the Checkout, an inbox, a calendar to add to."""

import base64
from datetime import datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, select_autoescape

from sandbox.google.errors import GoogleError
from sandbox.google.times import zone_of
from sandbox.problems import Refusal

router = APIRouter(include_in_schema=False)

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=select_autoescape(default=True)
)
_templates.filters["money"] = lambda amount, currency: f"{amount / 100:,.2f} {currency.upper()}"
CARDS = (
    ("4242 4242 4242 4242", "is paid"),
    ("4000 0000 0000 0002", "is declined"),
    ("4000 0000 0000 0077", "is paid later"),
)


def _page(name: str, status: int = 200, **values: object) -> HTMLResponse:
    return HTMLResponse(_templates.get_template(name).render(**values), status)


@router.get("/")
async def index(request: Request) -> HTMLResponse:
    """What there is to look at."""
    store = request.app.state.store
    return _page(
        "index.html",
        sessions=store.all("checkout.session")[::-1][:20],
        calendars=[calendar["id"] for calendar in store.all("google_calendar")],
        messages=len(store.all("message")),
    )


@router.get("/checkout/{session_id}")
async def checkout(request: Request, session_id: str, declined: bool = False) -> HTMLResponse:
    """The page that a `url` of a Checkout Session leads to."""
    store = request.app.state.store
    if store.get("checkout.session", session_id) is None:
        return _page("gone.html", 404, title="No such Checkout", text="This address belongs to no Checkout Session.")
    session = request.app.state.payments.session(session_id)
    if session["status"] == "expired":
        text = "The time to pay is over. Nothing was charged."
        return _page("gone.html", title="This Checkout is closed", text=text, back=session["cancel_url"])
    if session["status"] == "complete":
        text = "This Checkout is complete."
        return _page("gone.html", title="Thank you", text=text, back=_success(session))
    return _page("checkout.html", session=session, items=session["_line_items"], cards=CARDS, declined=declined)


@router.post("/checkout/{session_id}")
async def pay(request: Request, session_id: str, card: Annotated[str, Form()]) -> Response:
    """The pay button."""
    if request.app.state.store.get("checkout.session", session_id) is None:
        raise Refusal(404, "not-found", f"There is no Checkout Session {session_id}.")
    try:
        session = request.app.state.payments.pay(session_id, card.replace(" ", ""), None)
    except Refusal as refusal:
        suffix = "?declined=true" if refusal.status == 402 else ""
        return RedirectResponse(f"/checkout/{session_id}{suffix}", 303)
    return RedirectResponse(_success(session), 303)


def _success(session: dict[str, str]) -> str:
    return session["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"])


@router.get("/inbox")
async def inbox(request: Request) -> HTMLResponse:
    """Newest first."""
    return _page("inbox.html", messages=request.app.state.store.all("message")[::-1])


@router.get("/inbox/{message_id}")
async def message(request: Request, message_id: str) -> HTMLResponse:
    """One message."""
    found = request.app.state.store.get("message", message_id)
    if found is None:
        return _page("gone.html", 404, title="No such message", text="It may have been emptied.", back="/inbox")
    return _page("message.html", message=found)


@router.get("/inbox/{message_id}/attachments/{number}")
async def attachment(request: Request, message_id: str, number: int) -> Response:
    """An attachment to keep."""
    found = request.app.state.store.get("message", message_id)
    if found is None or not 0 <= number < len(found["attachments"]):
        raise Refusal(404, "not-found", "There is no such attachment.")
    part = found["attachments"][number]
    disposition = f"attachment; filename*=UTF-8''{quote(part['filename'])}"
    headers = {"Content-Disposition": disposition, "Content-Type": quote(part["content_type"], safe="/+.-_")}
    return Response(base64.b64decode(part["content"]), headers=headers)


@router.get("/calendar/{calendar}")
async def calendar(request: Request, calendar: str) -> HTMLResponse:
    """What is in a calendar, and a form to add to it."""
    events = [event for event in request.app.state.calendars.of(calendar) if event["status"] != "cancelled"]
    events.sort(key=lambda event: event["start"].get("dateTime") or event["start"]["date"])
    return _page("calendar.html", calendar=calendar, events=events)


@router.post("/calendar/{calendar}")
async def add_event(
    request: Request,
    calendar: str,
    summary: Annotated[str, Form()],
    start: Annotated[str, Form()],
    end: Annotated[str, Form()],
    zone: Annotated[str, Form()],
) -> Response:
    """Staff put something into their own calendar."""
    try:
        begin, finish = (
            datetime.fromisoformat(text).replace(tzinfo=zone_of({"timeZone": zone})) for text in (start, end)
        )
        body = {"summary": summary, "start": {"dateTime": begin.isoformat()}, "end": {"dateTime": finish.isoformat()}}
        request.app.state.calendars.insert(calendar, body)
    except (ValueError, GoogleError) as error:
        return _page("gone.html", 422, title="Not added", text=str(error), back=f"/calendar/{calendar}")
    return RedirectResponse(f"/calendar/{calendar}", 303)
