"""Faults on demand: what providers do on bad days."""

import asyncio
from dataclasses import asdict, dataclass
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.connections import cut
from sandbox.problems import Refusal

PROVIDERS = ("stripe", "google", "sendgrid", "twilio")
HTTP_FAULTS = ("response_lost", "rate_limited", "server_error", "unavailable", "hang")
WEBHOOK_FAULTS = (
    "webhook_delayed",
    "webhook_duplicated",
    "webhook_reordered",
    "webhook_dropped",
    "webhook_bad_signature",
    "webhook_old",
)
FAULTS = (*HTTP_FAULTS, *WEBHOOK_FAULTS, "sync_token_gone")
DEFAULT_SECONDS = {"hang": 30.0, "webhook_delayed": 5.0}

Kind = Literal["http", "webhook", "sync_token_gone"]


@dataclass
class Fault:
    """One fault that is on: for calls (or events) that contain `match`, so many `times` more (None: until cleared)."""

    provider: str
    fault: str
    match: str = ""
    times: int | None = None
    seconds: float | None = None

    @property
    def lasts(self) -> float:
        """Seconds of a delay or hang."""
        return self.seconds if self.seconds is not None else DEFAULT_SECONDS.get(self.fault, 0.0)


class Faults:
    """The faults that are on now. They do not outlive the process."""

    def __init__(self) -> None:
        self._active: list[Fault] = []

    def add(self, body: dict[str, Any]) -> Fault:
        """Turns one on; 422 names what exists."""
        provider, fault = body.get("provider"), body.get("fault")
        if provider not in PROVIDERS:
            raise Refusal(422, "validation-failed", f"provider: has to be one of {', '.join(PROVIDERS)}")
        if fault not in FAULTS:
            raise Refusal(422, "validation-failed", f"fault: has to be one of {', '.join(FAULTS)}")
        times, seconds = body.get("times"), body.get("seconds")
        if times is not None and (not isinstance(times, int) or times < 1):
            raise Refusal(422, "validation-failed", "times: has to be a whole number from 1")
        if seconds is not None and (not isinstance(seconds, int | float) or not 0 <= seconds <= 3600):
            raise Refusal(422, "validation-failed", "seconds: has to be a number from 0 to 3600")
        added = Fault(str(provider), str(fault), str(body.get("match") or ""), times, seconds)
        self._active.append(added)
        return added

    def active(self) -> list[dict[str, Any]]:
        """All that are on."""
        return [asdict(fault) for fault in self._active]

    def clear(self) -> None:
        """Turns all off."""
        self._active.clear()

    def take(self, provider: str, among: tuple[str, ...], subject: str) -> Fault | None:
        """The first that applies to the subject, counted down."""
        for fault in self._active:
            if fault.provider == provider and fault.fault in among and fault.match in subject:
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self._active.remove(fault)
                return fault
        return None


def provider_of(path: str) -> str | None:
    """Whose API a path belongs to."""
    if path.startswith("/calendar/v3/") or path in ("/token", "/o/oauth2/v2/auth"):
        return "google"
    if path == "/v3/mail/send":
        return "sendgrid"
    if path.startswith("/2010-04-01/"):
        return "twilio"
    return "stripe" if path.startswith("/v1/") else None


_ANSWERS = {
    "rate_limited": (429, "Too many requests", {"Retry-After": "1"}),
    "server_error": (500, "Internal error", {}),
    "unavailable": (503, "Service unavailable", {"Retry-After": "1"}),
}


class FaultyResponses:
    """ASGI middleware that answers wrongly, late, or not at all where a fault is on."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (provider := provider_of(scope["path"])) is None:
            await self._app(scope, receive, send)
            return
        fault = self._faults.take(provider, HTTP_FAULTS, f"{scope['method']} {scope['path']}")
        if fault is None:
            await self._app(scope, receive, send)
        elif fault.fault == "response_lost":
            await self._lose(scope, receive)
        elif fault.fault == "hang":
            await asyncio.sleep(fault.lasts)
            await self._app(scope, receive, send)
        else:
            await Request(scope, receive).body()
            status, text, headers = _ANSWERS[fault.fault]
            error = {"error": {"type": "api_error", "message": text, "code": status, "errors": []}}
            await JSONResponse(error, status, headers=headers)(scope, receive, send)

    async def _lose(self, scope: Scope, receive: Receive) -> None:
        """The request takes effect, the connection ends without an answer."""

        async def swallow(_: Message) -> None:
            return None

        await self._app(scope, receive, swallow)
        cut(scope)
