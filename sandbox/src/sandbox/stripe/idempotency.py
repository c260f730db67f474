"""Idempotency keys: the first answer is given again for 24 hours, errors of the server included."""

import hashlib

from starlette.requests import Request

from sandbox.state import Document, State
from sandbox.stripe.errors import StripeError
from sandbox.stripe.ids import now

KEPT_SECONDS = 24 * 3600
LONGEST = 255


def key_of(request: Request) -> str | None:
    """The request's key; 400 when it is too long."""
    key = request.headers.get("idempotency-key")
    if key is not None and len(key) > LONGEST:
        raise StripeError(400, f"Idempotency keys can have {LONGEST} characters at most.", kind="idempotency_error")
    return key or None


def _digest(request: Request, body: bytes) -> str:
    return hashlib.sha256(request.url.path.encode() + b"\n" + body).hexdigest()


def recall(state: State, request: Request, body: bytes) -> Document | None:
    """What was answered under the request's key: `{status, body}`. 400 when the parameters were others."""
    key = key_of(request)
    stored = state.get("idempotency", key) if key else None
    if stored is None or stored["at"] < now() - KEPT_SECONDS:
        return None
    if stored["digest"] != _digest(request, body):
        message = (
            "Keys for idempotent requests can only be used with the same parameters they were first used with."
            f" Try using a key other than '{key}' if you meant to execute a different request."
        )
        raise StripeError(400, message, kind="idempotency_error")
    return stored


def remember(state: State, request: Request, body: bytes, answered: Document, status: int) -> None:
    """Keeps the answer under the request's key, if it has one."""
    key = key_of(request)
    if key:
        kept = {"digest": _digest(request, body), "status": status, "body": answered, "at": now()}
        state.put("idempotency", key, kept)
