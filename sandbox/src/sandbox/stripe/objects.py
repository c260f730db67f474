"""Stripe's objects as this stand-in keeps and answers them."""

import secrets
import time
from collections.abc import Iterable
from typing import Any

import stripe

from sandbox.state import Document, State
from sandbox.stripe.errors import missing
from sandbox.stripe.shapes import blank

API_VERSION = "2026-10-28.endive"


def new_id(prefix: str) -> str:
    """`pi_3f…`."""
    return f"{prefix}_{secrets.token_hex(12)}"


def now() -> int:
    """Seconds since 1970."""
    return int(time.time())


def find(state: State, kind: str, object_id: str) -> Document:
    """The stored object; Stripe's 404 otherwise."""
    found = state.get(kind, object_id)
    if found is None:
        raise missing(kind, object_id)
    return found


def listing(objects: list[Document], url: str, query: dict[str, str]) -> Document:
    """A page, newest first, as Stripe's lists are."""
    limit = int(query.get("limit", "10"))
    newest_first = objects[::-1]
    if after := query.get("starting_after"):
        ids = [entry["id"] for entry in newest_first]
        newest_first = newest_first[ids.index(after) + 1 :] if after in ids else []
    return {
        "object": "list",
        "url": url,
        "has_more": len(newest_first) > limit,
        "data": newest_first[:limit],
    }


def new_intent(session: Document, options: Document) -> Document:
    """The PaymentIntent of a Session, once somebody tries to pay."""
    return blank(stripe.PaymentIntent) | {
        "id": new_id("pi"),
        "object": "payment_intent",
        "amount": session["amount_total"],
        "amount_capturable": 0,
        "amount_received": 0,
        "capture_method": options.get("capture_method", "automatic"),
        "client_secret": f"pi_{secrets.token_hex(8)}_secret_{secrets.token_hex(8)}",
        "confirmation_method": "automatic",
        "created": now(),
        "currency": session["currency"],
        "latest_charge": None,
        "livemode": False,
        "metadata": options.get("metadata", {}),
        "payment_method_types": ["card"],
        "setup_future_usage": options.get("setup_future_usage"),
        "status": "requires_payment_method",
    }


def new_charge(intent: Document, *, captured: bool) -> Document:
    """The charge of an intent that a card has paid or authorized."""
    return blank(stripe.Charge) | {
        "id": new_id("ch"),
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": intent["amount"] if captured else 0,
        "amount_refunded": 0,
        "billing_details": {"address": None, "email": None, "name": None, "phone": None, "tax_id": None},
        "captured": captured,
        "created": now(),
        "currency": intent["currency"],
        "disputed": False,
        "livemode": False,
        "metadata": intent["metadata"],
        "paid": True,
        "payment_intent": intent["id"],
        "refunded": False,
        "status": "succeeded",
    }


def new_refund(intent: Document, amount: int, params: Document) -> Document:
    """Money that goes back."""
    return blank(stripe.Refund) | {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "charge": intent["latest_charge"],
        "created": now(),
        "currency": intent["currency"],
        "metadata": params.get("metadata", {}),
        "payment_intent": intent["id"],
        "reason": params.get("reason"),
        "status": "succeeded",
    }


def expanded(state: State, document: Document, expand: Iterable[str]) -> Document:
    """The document with the named references replaced by their objects (first level)."""
    result = dict(document)
    for name in expand:
        kinds = {"payment_intent": "payment_intent", "latest_charge": "charge", "charge": "charge"}
        value = result.get(name)
        if name in kinds and isinstance(value, str):
            result[name] = find(state, kinds[name], value)
        if name == "line_items" and "_line_items" in document:
            result[name] = line_items(document)
    return {name: value for name, value in result.items() if not name.startswith("_")}


def line_items(session: Document) -> Document:
    """The Session's line items as a list object."""
    data: list[dict[str, Any]] = session["_line_items"]
    url = f"/v1/checkout/sessions/{session['id']}/line_items"
    return {"object": "list", "url": url, "has_more": False, "data": data}
