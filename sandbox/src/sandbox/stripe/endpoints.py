"""Stripe's API under /v1: form-encoded in, JSON out, idempotent by key."""

import base64
import binascii
from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from stripe.params import ChargeListParams, EventListParams, PaymentIntentListParams, RefundListParams
from stripe.params.checkout import SessionListParams

from sandbox.state import Document, State
from sandbox.stripe.errors import StripeError, answer, missing
from sandbox.stripe.expansion import expanded, find, line_items
from sandbox.stripe.forms import parse
from sandbox.stripe.idempotency import key_of, recall, remember
from sandbox.stripe.lists import listing
from sandbox.stripe.payments import Payments

router = APIRouter(prefix="/v1")


def _parts(request: Request) -> tuple[State, Payments]:
    """The books, for whoever has a secret key (as Bearer, or as the user of Basic authorization)."""
    kind, _, credential = request.headers.get("authorization", "").partition(" ")
    if kind == "Basic":
        try:
            credential = base64.b64decode(credential, validate=True).decode().partition(":")[0]
        except (binascii.Error, ValueError):
            credential = ""
    if kind not in ("Bearer", "Basic") or not credential:
        message = "You did not provide an API key. Provide it as a Bearer token in the Authorization header."
        raise StripeError(401, message)
    if not credential.startswith(("sk_", "rk_")):
        raise StripeError(401, f"Invalid API Key provided: {credential[:7]}***")
    return request.app.state.store, request.app.state.payments


def _names(raw: Document) -> list[str]:
    """The `expand` of a query or form."""
    expand = raw.pop("expand", {})
    if not isinstance(expand, dict) or not all(isinstance(name, str) for name in expand.values()):
        raise StripeError(400, "Invalid array", code="parameter_invalid", param="expand")
    return list(expand.values())


async def _post(request: Request, act: Callable[[Document], Document]) -> JSONResponse:
    """Carries a POST out once per Idempotency-Key."""
    state, _ = _parts(request)
    text, key = await request.body(), key_of(request)
    if stored := recall(state, request, text):
        return answer(stored["body"], stored["status"], key=key, replayed=True)
    try:
        params = parse(text.decode(errors="replace"))
        names = _names(params)
        body, status = expanded(state, act(params), names), 200
    except StripeError as error:
        body, status = error.body, error.status
        if not error.began:
            return answer(body, status, key=key)
    remember(state, request, text, body, status)
    return answer(body, status, key=key)


def _get(request: Request, document: Document) -> JSONResponse:
    """One object, expanded as asked."""
    state, _ = _parts(request)
    query = parse(request.url.query)
    names = _names(query)
    for name in query:
        raise StripeError(400, f"Received unknown parameter: {name}", code="parameter_unknown", param=name)
    return answer(expanded(state, document, names), 200)


def _list(request: Request, objects: list[Document], params: type) -> JSONResponse:
    """A page of objects."""
    state, _ = _parts(request)
    return answer(listing(state, objects, request.url.path, parse(request.url.query), params), 200)


@router.post("/checkout/sessions")
async def create_session(request: Request) -> JSONResponse:
    """Opens a Checkout."""
    return await _post(request, request.app.state.payments.create_session)


@router.get("/checkout/sessions/{session_id}")
async def retrieve_session(request: Request, session_id: str) -> JSONResponse:
    """As it is now."""
    _, payments = _parts(request)
    return _get(request, payments.session(session_id))


@router.get("/checkout/sessions")
async def list_sessions(request: Request) -> JSONResponse:
    """Newest first."""
    state, payments = _parts(request)
    payments.expire_due()
    return _list(request, state.all("checkout.session"), SessionListParams)


@router.get("/checkout/sessions/{session_id}/line_items")
async def session_items(request: Request, session_id: str) -> JSONResponse:
    """What is paid for."""
    _, payments = _parts(request)
    return _get(request, line_items(payments.session(session_id)))


@router.post("/checkout/sessions/{session_id}/expire")
async def expire_session(request: Request, session_id: str) -> JSONResponse:
    """Closes it."""
    return await _post(request, lambda _: request.app.state.payments.expire_session(session_id))


@router.get("/payment_intents/{intent_id}")
async def retrieve_intent(request: Request, intent_id: str) -> JSONResponse:
    """As it is now."""
    state, _ = _parts(request)
    return _get(request, find(state, "payment_intent", intent_id))


@router.get("/payment_intents")
async def list_intents(request: Request) -> JSONResponse:
    """Newest first."""
    state, _ = _parts(request)
    return _list(request, state.all("payment_intent"), PaymentIntentListParams)


@router.post("/payment_intents/{intent_id}/capture")
async def capture_intent(request: Request, intent_id: str) -> JSONResponse:
    """Charges an authorization."""
    return await _post(request, lambda params: request.app.state.payments.capture(intent_id, params))


@router.post("/payment_intents/{intent_id}/cancel")
async def cancel_intent(request: Request, intent_id: str) -> JSONResponse:
    """Gives an authorization free."""
    return await _post(request, lambda params: request.app.state.payments.cancel(intent_id, params))


@router.post("/refunds")
async def create_refund(request: Request) -> JSONResponse:
    """Gives money back."""
    return await _post(request, request.app.state.payments.refund)


@router.get("/refunds/{refund_id}")
async def retrieve_refund(request: Request, refund_id: str) -> JSONResponse:
    """As it is now."""
    state, _ = _parts(request)
    return _get(request, find(state, "refund", refund_id))


@router.get("/refunds")
async def list_refunds(request: Request) -> JSONResponse:
    """Newest first."""
    state, _ = _parts(request)
    return _list(request, state.all("refund"), RefundListParams)


@router.get("/charges/{charge_id}")
async def retrieve_charge(request: Request, charge_id: str) -> JSONResponse:
    """As it is now."""
    state, _ = _parts(request)
    return _get(request, find(state, "charge", charge_id))


@router.get("/charges")
async def list_charges(request: Request) -> JSONResponse:
    """Newest first."""
    state, _ = _parts(request)
    return _list(request, state.all("charge"), ChargeListParams)


@router.get("/events")
async def list_events(request: Request) -> JSONResponse:
    """Newest first."""
    state, _ = _parts(request)
    return _list(request, [stored["event"] for stored in state.all("event")], EventListParams)


@router.get("/events/{event_id}")
async def retrieve_event(request: Request, event_id: str) -> JSONResponse:
    """One event."""
    state, _ = _parts(request)
    stored = state.get("event", event_id)
    if stored is None:
        raise missing("event", event_id)
    return _get(request, stored["event"])


@router.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False)
async def unknown(request: Request, path: str) -> JSONResponse:
    """What this stand-in does not know says so as Stripe does."""
    message = f"Unrecognized request URL ({request.method}: /v1/{path})."
    return answer(StripeError(404, message).body, 404)
