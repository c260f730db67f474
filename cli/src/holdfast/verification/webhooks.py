"""Webhooks as Stripe signs them (https://docs.stripe.com/webhooks#verify-manually, scheme v1)."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from typing import Any

from ..api import Answer, Api

PATH = "/v1/payments/webhook"


def signature(body: bytes, secret: str, at: int) -> str:
    """The `Stripe-Signature` header: HMAC-SHA256 over `time.body`."""
    mac = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={mac}"


def completed(session_id: str, metadata: dict[str, str]) -> dict[str, Any]:
    """An event that says that a Checkout was paid, with an id of its own."""
    return {
        "id": f"evt_{secrets.token_hex(12)}",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": int(time.time()),
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": "checkout.session.completed",
        "data": {
            "object": {
                "id": session_id,
                "object": "checkout.session",
                "payment_intent": None,
                "payment_status": "paid",
                "status": "complete",
                "metadata": metadata,
            }
        },
    }


async def deliver(api: Api, event: dict[str, Any], secret: str) -> Answer:
    """Posts the event as Stripe would."""
    body = json.dumps(event).encode()
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": signature(body, secret, int(time.time())),
    }
    return await api.call("POST", PATH, content=body, headers=headers)
