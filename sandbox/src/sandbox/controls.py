"""`/_sandbox`: what tests do and see. Not part of any provider's API."""

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict

from sandbox import messages
from sandbox.bodies import json_object
from sandbox.faults import SYNC_TOKEN_GONE
from sandbox.problems import Refusal

router = APIRouter(prefix="/_sandbox")


class Pay(BaseModel):
    """What the patient's button does."""

    model_config = ConfigDict(extra="forbid")

    card: str = "4242424242424242"
    outcome: Literal["succeed", "decline", "async"] | None = None


class Settle(BaseModel):
    """How an asynchronous payment ends."""

    model_config = ConfigDict(extra="forbid")

    outcome: Literal["succeed", "fail"]


def _session(request: Request, session_id: str) -> dict[str, Any]:
    if request.app.state.store.get("checkout.session", session_id) is None:
        raise Refusal(404, "not-found", f"There is no Checkout Session {session_id}.")
    session = request.app.state.payments.session(session_id)
    return {name: session[name] for name in ("id", "status", "payment_status", "url", "expires_at", "metadata")}


@router.post("/stripe/checkout/{session_id}/pay")
async def pay(request: Request, session_id: str, body: Pay | None = None) -> dict[str, Any]:
    """Pays: 402 on decline, 409 when the Session is not open."""
    _session(request, session_id)
    paid = body or Pay()
    request.app.state.payments.pay(session_id, paid.card.replace(" ", ""), paid.outcome)
    return _session(request, session_id)


@router.post("/stripe/checkout/{session_id}/settle")
async def settle(request: Request, session_id: str, body: Settle) -> dict[str, Any]:
    """Ends an asynchronous payment."""
    _session(request, session_id)
    request.app.state.payments.settle(session_id, body.outcome)
    return _session(request, session_id)


@router.get("/stripe/checkout/{session_id}")
async def show_session(request: Request, session_id: str) -> dict[str, Any]:
    """The Session as it is."""
    return _session(request, session_id)


@router.get("/stripe/ledger")
async def ledger(request: Request) -> dict[str, Any]:
    """A row an intent."""
    return {"data": request.app.state.payments.ledger()}


@router.get("/stripe/events")
async def events(request: Request) -> dict[str, Any]:
    """Oldest first, with their deliveries."""
    return {"data": request.app.state.events.all()}


@router.post("/stripe/events/{event_id}/resend")
async def resend(request: Request, event_id: str) -> dict[str, Any]:
    """The same again, freshly signed."""
    found: dict[str, Any] = request.app.state.events.resend(event_id)
    return found


@router.get("/messages")
async def list_messages(
    request: Request, kind: Literal["email", "sms", "push"] | None = None, to: str | None = None
) -> dict[str, Any]:
    """What was sent."""
    return {"data": messages.matching(request.app.state.store, kind, to)}


@router.get("/faults")
async def active_faults(request: Request) -> dict[str, Any]:
    """What is on."""
    return {"data": request.app.state.faults.active()}


@router.post("/faults", status_code=201)
async def add_fault(request: Request) -> dict[str, Any]:
    """Turns a fault on."""
    try:
        body = await json_object(request)
    except ValueError as error:
        raise Refusal(400, "malformed", f"The body is not valid: {error}") from error
    added = request.app.state.faults.add(body)
    if added.fault == SYNC_TOKEN_GONE:
        request.app.state.calendars.forget_sync_tokens(added)
    return {"data": request.app.state.faults.active()}


@router.delete("/faults", status_code=204)
async def clear_faults(request: Request) -> None:
    """Turns all off."""
    request.app.state.faults.clear()


@router.post("/reset", status_code=204)
async def reset(request: Request) -> None:
    """Empty again."""
    request.app.state.faults.clear()
    request.app.state.events.forget()
    request.app.state.calendars.channels.forget()
    request.app.state.store.clear()
