"""Events and their webhooks: signed, delivered at once, and again until somebody takes them."""

import asyncio
import hashlib
import hmac
import json
import time
from typing import Any

import aiohttp
import structlog

from sandbox.faults import WEBHOOK_FAULTS, Faults
from sandbox.messages import rfc3339
from sandbox.problems import Refusal
from sandbox.state import Document, State
from sandbox.stripe.errors import API_VERSION
from sandbox.stripe.ids import new_id, now

log = structlog.get_logger(__name__)

# Seconds between two attempts, then each minute for an hour.
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0, *(60.0,) * 60)
KEPT_TRYING_SECONDS = 3600
OLD_SECONDS = 3600


class Events:
    """Every event that happened, and how each delivery went."""

    def __init__(self, state: State, faults: Faults, url: str, secret: str) -> None:
        self._state = state
        self._faults = faults
        self._url = url
        self._secret = secret
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._held_back: list[Document] = []

    def emit(self, kind: str, document: Document) -> None:
        """Something happened to an object: stored, and on its way."""
        event_id = new_id("evt")
        event = {
            "id": event_id,
            "object": "event",
            "account": None,
            "api_version": API_VERSION,
            "context": None,
            "created": now(),
            "data": {"object": {name: value for name, value in document.items() if not name.startswith("_")}},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": new_id("req"), "idempotency_key": None},
            "type": kind,
        }
        self._state.put("event", event_id, {"event": event, "attempts": [], "over": False})
        self._dispatch(event)

    def _dispatch(self, event: Document) -> None:
        fault = self._faults.take("stripe", WEBHOOK_FAULTS, event["type"])
        if fault is None:
            self._start(event)
            self._let_go()
        elif fault.fault == "webhook_dropped":
            self._give_up(event)
        elif fault.fault == "webhook_reordered":
            # Held back until a later event has gone out (or for a second, when none comes).
            self._held_back.append(event)
            asyncio.get_running_loop().call_later(1.0, self._let_go)
        elif fault.fault == "webhook_duplicated":
            self._start(event)
            self._start(event)
        elif fault.fault == "webhook_delayed":
            self._start(event, after=fault.lasts)
        elif fault.fault == "webhook_bad_signature":
            self._start(event, secret="whsec_wrong", tries=1)
        elif fault.fault == "webhook_old":
            self._start(event, age=OLD_SECONDS, tries=1)

    def _let_go(self) -> None:
        held, self._held_back = self._held_back[::-1], []
        for place, event in enumerate(held, 1):
            self._start(event, after=0.05 * place)

    def _give_up(self, event: Document) -> None:
        """No attempt will follow, also not after a restart."""
        stored = self._state.get("event", event["id"])
        if stored is not None:
            self._state.put("event", event["id"], stored | {"over": True})

    def _start(self, event: Document, **options: Any) -> None:
        task = asyncio.create_task(self._deliver(event, **options))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(
        self, event: Document, *, after: float = 0, secret: str | None = None, age: int = 0, tries: int | None = None
    ) -> None:
        await asyncio.sleep(after)
        for pause in PAUSES[:tries]:
            status = await self._post(event, secret or self._secret, age)
            stored = self._state.get("event", event["id"])
            if stored is None:
                return
            attempts = [*stored["attempts"], {"at": rfc3339(), "status": status}]
            self._state.put("event", event["id"], stored | {"attempts": attempts})
            if (status is not None and 200 <= status < 300) or tries == 1:
                break
            await asyncio.sleep(pause)
        self._give_up(event)

    async def _post(self, event: Document, secret: str, age: int) -> int | None:
        """The status of one attempt, None when nobody answered."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        body = json.dumps(event).encode()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": sign(body, secret, int(time.time()) - age),
        }
        try:
            async with self._session.post(self._url, data=body, headers=headers) as response:
                await response.read()
                return response.status
        except (aiohttp.ClientError, TimeoutError) as error:
            log.info("a webhook was not taken and will be sent again", event_id=event["id"], error=str(error))
            return None

    def resend(self, event_id: str) -> Document:
        """The same event again, freshly signed."""
        stored = self._state.get("event", event_id)
        if stored is None:
            raise Refusal(404, "not-found", f"There is no event {event_id}.")
        self._start(stored["event"])
        return self.summary(stored)

    def all(self) -> list[Document]:
        """Oldest first, as `/_sandbox/stripe/events` shows them."""
        return [self.summary(stored) for stored in self._state.all("event")]

    @staticmethod
    def summary(stored: Document) -> Document:
        """One event with its attempts."""
        event = stored["event"]
        return {
            "id": event["id"],
            "type": event["type"],
            "created": event["created"],
            "event": event,
            "attempts": stored["attempts"],
        }

    async def resume(self) -> None:
        """After a restart: what nobody took yet goes on."""
        for stored in self._state.all("event"):
            if not stored["over"] and stored["event"]["created"] > now() - KEPT_TRYING_SECONDS:
                self._start(stored["event"])

    def forget(self) -> None:
        """What is on its way stays away."""
        self._held_back.clear()
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Ends all deliveries."""
        self.forget()
        if self._session is not None:
            await self._session.close()


def sign(body: bytes, secret: str, at: int) -> str:
    """The `Stripe-Signature` header (scheme v1: HMAC-SHA256 over `time.body`)."""
    mac = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={mac}"
