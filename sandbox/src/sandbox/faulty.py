"""Answers on bad days: wrong in each provider's own words, late, or not at all."""

import asyncio

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox import sendgrid, twilio
from sandbox.bodies import object_of
from sandbox.connections import cut
from sandbox.faults import HTTP_FAULTS, STORED_ERROR, Fault, Faults
from sandbox.google.errors import GoogleError
from sandbox.google.errors import answer as google_answer
from sandbox.state import State
from sandbox.stripe.errors import StripeError
from sandbox.stripe.errors import answer as stripe_answer
from sandbox.stripe.idempotency import remember

RETRY_AFTER = {"rate_limited": {"Retry-After": "1"}, "unavailable": {"Retry-After": "1"}}


def provider_of(path: str) -> str | None:
    """Whose API a path belongs to."""
    if path.startswith("/calendar/v3/") or path in ("/token", "/o/oauth2/v2/auth"):
        return "google"
    if path.startswith("/v3/"):
        return "sendgrid"
    if path.startswith("/2010-04-01/"):
        return "twilio"
    return "stripe" if path.startswith("/v1/") else None


def _stripe(fault: str) -> JSONResponse:
    if fault == "rate_limited":
        limited = StripeError(429, "Request rate limit exceeded.", code="rate_limit")
        return stripe_answer(limited.body, 429)
    status = 503 if fault == "unavailable" else 500
    message = "An unexpected error occurred while processing your request. Please retry it."
    return stripe_answer(StripeError(status, message, kind="api_error").body, status)


def _google(fault: str) -> JSONResponse:
    if fault == "rate_limited":
        return google_answer(GoogleError(429, "rateLimitExceeded", "Rate Limit Exceeded", domain="usageLimits"))
    if fault == "unavailable":
        return google_answer(GoogleError(503, "backendError", "Service Unavailable"))
    return google_answer(GoogleError(500, "backendError", "Backend Error"))


def _sendgrid(fault: str) -> JSONResponse:
    status, message = {
        "rate_limited": (429, "too many requests"),
        "unavailable": (503, "Service Unavailable"),
    }.get(fault, (500, "Internal Server Error"))
    return sendgrid.error(status, message)


def _twilio(fault: str) -> JSONResponse:
    status, code, message = {
        "rate_limited": (429, 20429, "Too Many Requests"),
        "unavailable": (503, 20503, "Service Unavailable"),
    }.get(fault, (500, 20500, "Internal Server Error"))
    return twilio.error(status, code, message)


_ANSWERS = {"stripe": _stripe, "google": _google, "sendgrid": _sendgrid, "twilio": _twilio}


def answer(provider: str, fault: str) -> JSONResponse:
    """What the provider answers: `rate_limited`, `unavailable`, or an error of the server for any other name."""
    response = _ANSWERS[provider](fault)
    response.headers.update(RETRY_AFTER.get(fault, {}))
    return response


class FaultyResponses:
    """ASGI middleware for where a fault is on."""

    def __init__(self, app: ASGIApp, faults: Faults, state: State) -> None:
        self._app = app
        self._faults = faults
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (provider := provider_of(scope["path"])) is None:
            await self._app(scope, receive, send)
            return
        fault = self._faults.take(provider, (*HTTP_FAULTS, STORED_ERROR), f"{scope['method']} {scope['path']}")
        try:
            if fault is None:
                await self._app(scope, receive, send)
            else:
                await self._fail(fault, scope, receive, send)
        except ClientDisconnect:
            # Who went away before the request was read whole has asked for nothing.
            return

    async def _fail(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.fault == "response_lost":
            await self._app(scope, receive, _swallow)
            cut(scope)
            return
        if fault.fault == "hang":
            await asyncio.sleep(fault.lasts)
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        body = await request.body()
        response = answer(fault.provider, fault.fault)
        if fault.fault == STORED_ERROR and scope["method"] == "POST":
            remember(self._state, request, body, object_of(bytes(response.body)), response.status_code)
        await response(scope, receive, send)


async def _swallow(_: Message) -> None:
    return None
