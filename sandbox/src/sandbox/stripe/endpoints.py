"""Stripe's API under /v1: form-encoded in, JSON out, idempotent by key."""

import hashlib
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from sandbox.state import Document, State
from sandbox.stripe.errors import StripeError, missing
from sandbox.stripe.forms import parse
from sandbox.stripe.objects import expanded, find, line_items, listing, new_id
from sandbox.stripe.payments import Payments

router = APIRouter(prefix="/v1")


def _parts(request: Request) -> tuple[State, Payments]:
    if not request.headers.get("authorization", "").startswith(("Bearer sk_", "Bearer rk_", "Basic ")):
        raise StripeError(401, "You did not provide an API key.", kind="invalid_request_error")
    return request.app.state.store, request.app.state.payments


async def _post(request: Request, act: Callable[[Document], Document]) -> JSONResponse:
    """Carries a POST out once per Idempotency-Key: the first answer is given again, errors of the server included;
    other parameters under the same key are an error."""
    state, _ = _parts(request)
    text = (await request.body()).decode()
    params = parse(text)
    expand = params.pop("expand", {})
    names = list(expand.values()) if isinstance(expand, dict) else []
    key = request.headers.get("idempotency-key")
    digest = hashlib.sha256(f"{request.url.path}\n{text}".encode()).hexdigest()
    if key and (stored := state.get("idempotency", key)):
        if stored["digest"] != digest:
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were first used with."
            )
            raise StripeError(400, message, kind="idempotency_error")
        return _answer(stored["body"], stored["status"], replayed=True)
    try:
        document, status = act(params), 200
        body = expanded(state, document, names)
    except StripeError as error:
        body, status = error.body, error.status
    # Refused parameters begin no request at Stripe, so they are not kept under the key.
    if key and status == 200:
        state.put("idempotency", key, {"digest": digest, "status": status, "body": body})
    return _answer(body, status)


def _answer(body: Document, status: int, *, replayed: bool = False) -> JSONResponse:
    headers = {"Request-Id": new_id("req"), "Stripe-Version": "2026-10-28.endive"}
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    return JSONResponse(body, status, headers=headers)


def _query(request: Request) -> tuple[dict[str, str], list[str]]:
    nested = parse(request.url.query)
    expand = nested.pop("expand", {})
    return nested, list(expand.values()) if isinstance(expand, dict) else []


@router.post("/checkout/sessions")
async def create_session(request: Request) -> JSONResponse:
    """Opens a Checkout."""
    return await _post(request, request.app.state.payments.create_session)


@router.get("/checkout/sessions/{session_id}")
async def retrieve_session(request: Request, session_id: str) -> JSONResponse:
    """As it is now."""
    state, payments = _parts(request)
    _, expand = _query(request)
    return _answer(expanded(state, payments.session(session_id), expand), 200)


@router.get("/checkout/sessions")
async def list_sessions(request: Request) -> JSONResponse:
    """Newest first."""
    state, _ = _parts(request)
    query, _ = _query(request)
    found = [
        expanded(state, session, ())
        for session in state.all("checkout.session")
        if query.get("status") in (None, session["status"])
        and query.get("payment_intent") in (None, session["payment_intent"])
    ]
    return _answer(listing(found, "/v1/checkout/sessions", query), 200)


@router.get("/checkout/sessions/{session_id}/line_items")
async def session_items(request: Request, session_id: str) -> JSONResponse:
    """What is paid for."""
    _, payments = _parts(request)
    return _answer(line_items(payments.session(session_id)), 200)


@router.post("/checkout/sessions/{session_id}/expire")
async def expire_session(request: Request, session_id: str) -> JSONResponse:
    """Closes it."""
    return await _post(request, lambda _: request.app.state.payments.expire_session(session_id))


@router.get("/payment_intents/{intent_id}")
async def retrieve_intent(request: Request, intent_id: str) -> JSONResponse:
    """As it is now."""
    state, _ = _parts(request)
    _, expand = _query(request)
    return _answer(expanded(state, find(state, "payment_intent", intent_id), expand), 200)


@router.get("/payment_intents")
async def list_intents(request: Request) -> JSONResponse:
    """Newest first."""
    state, _ = _parts(request)
    query, _ = _query(request)
    return _answer(listing(state.all("payment_intent"), "/v1/payment_intents", query), 200)


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
    return _answer(find(state, "refund", refund_id), 200)


@router.get("/refunds")
async def list_refunds(request: Request) -> JSONResponse:
    """Newest first."""
    state, _ = _parts(request)
    query, _ = _query(request)
    found = [
        refund for refund in state.all("refund") if query.get("payment_intent") in (None, refund["payment_intent"])
    ]
    return _answer(listing(found, "/v1/refunds", query), 200)


@router.get("/charges/{charge_id}")
async def retrieve_charge(request: Request, charge_id: str) -> JSONResponse:
    """As it is now."""
    state, _ = _parts(request)
    return _answer(find(state, "charge", charge_id), 200)


@router.get("/events")
async def list_events(request: Request) -> JSONResponse:
    """Newest first."""
    state, _ = _parts(request)
    query, _ = _query(request)
    found = [stored["event"] for stored in state.all("event") if query.get("type") in (None, stored["event"]["type"])]
    return _answer(listing(found, "/v1/events", query), 200)


@router.get("/events/{event_id}")
async def retrieve_event(request: Request, event_id: str) -> JSONResponse:
    """One event."""
    state, _ = _parts(request)
    stored: dict[str, Any] | None = state.get("event", event_id)
    if stored is None:
        raise missing("event", event_id)
    return _answer(stored["event"], 200)


@router.api_route("/{path:path}", methods=["GET", "POST", "DELETE"])
async def unknown(request: Request, path: str) -> JSONResponse:
    """What this stand-in does not know says so as Stripe does."""
    message = f"Unrecognized request URL ({request.method}: /v1/{path})."
    return JSONResponse(StripeError(404, message).body, 404)
