"""Stripe through its official SDK: the calls that payments need, with typed failures."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import stripe

from payment.domain import Seen

T = TypeVar("T")

TIMEOUT_SECONDS = 10
CALLS_AT_ONCE = 8
SIGNATURE_TOLERANCE_SECONDS = 300


class StripeAway(Exception):
    """No answer, too many requests, or a fault at Stripe: the same call may be made again."""


class StripeRefused(Exception):
    """Stripe will not do it. `code` is Stripe's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Forged(Exception):
    """Not signed with our secret, or signed at another time."""


@dataclass(frozen=True, slots=True)
class Session:
    """A Checkout Session as created."""

    id: str
    url: str | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Refunded:
    """A refund as Stripe has taken it."""

    id: str
    status: str  # succeeded | pending | failed | …


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """What a verified webhook is about: enough to look its object up again."""

    id: str
    type: str
    object_id: str
    intent_id: str | None
    payment_id: UUID | None  # ours, from the object's metadata


class StripePayments:
    """The SDK is blocking: calls run in threads, a few at once."""

    def __init__(self, api_key: str, api_base: str, webhook_secrets: list[str]) -> None:
        self._client = stripe.StripeClient(
            api_key,
            base_addresses={"api": api_base},
            http_client=stripe.RequestsClient(timeout=TIMEOUT_SECONDS),
            max_network_retries=2,
        )
        self._secrets = webhook_secrets
        self._slots = asyncio.Semaphore(CALLS_AT_ONCE)

    async def create_session(
        self,
        *,
        payment_id: UUID,
        key: str,
        amount: int,
        currency: str,
        capture: bool,
        name: str,
        metadata: dict[str, str],
        locale: str,
        success_url: str,
        cancel_url: str,
        expires_at: int,
    ) -> Session:
        """Opens a Checkout. The same key with the same arguments gives the same Session again."""
        session = await self._call(
            lambda: self._client.v1.checkout.sessions.create(
                {
                    "mode": "payment",
                    "client_reference_id": str(payment_id),
                    "line_items": [
                        {
                            "quantity": 1,
                            "price_data": {
                                "currency": currency,
                                "unit_amount": amount,
                                "product_data": {"name": name},
                            },
                        }
                    ],
                    "metadata": metadata,
                    "payment_intent_data": {
                        "capture_method": "automatic" if capture else "manual",
                        "metadata": metadata,
                    },
                    "locale": locale,
                    "success_url": success_url,
                    "cancel_url": cancel_url,
                    "expires_at": expires_at,
                },
                {"idempotency_key": key},
            )
        )
        return Session(session.id, session.url, datetime.fromtimestamp(session.expires_at, UTC))

    async def look(self, session_id: str) -> Seen:
        """The Session and its PaymentIntent as they are now."""
        session = await self._call(
            lambda: self._client.v1.checkout.sessions.retrieve(session_id, {"expand": ["payment_intent"]})
        )
        intent = session.payment_intent
        assert not isinstance(intent, str), "asked for the whole PaymentIntent"
        return Seen(
            session_status=session.status or "",
            payment_status=session.payment_status,
            intent_id=intent.id if intent else None,
            intent_status=intent.status if intent else None,
            received=intent.amount_received if intent else 0,
            authorized=intent.amount_capturable if intent else 0,
        )

    async def expire(self, session_id: str) -> None:
        """Closes an open Session. `StripeRefused` when it is not open: it may have been paid."""
        await self._call(lambda: self._client.v1.checkout.sessions.expire(session_id))

    async def capture(self, intent_id: str, amount: int, key: str) -> None:
        """Charges an authorization; what is left of it is given free."""
        await self._call(
            lambda: self._client.v1.payment_intents.capture(
                intent_id, {"amount_to_capture": amount}, {"idempotency_key": key}
            )
        )

    async def void(self, intent_id: str, key: str) -> None:
        """Cancels an authorization: nothing is charged."""
        await self._call(lambda: self._client.v1.payment_intents.cancel(intent_id, {}, {"idempotency_key": key}))

    async def refund(self, intent_id: str, amount: int, refund_id: UUID, metadata: dict[str, str]) -> Refunded:
        """Gives money back; our refund's id is the idempotency key."""
        refund = await self._call(
            lambda: self._client.v1.refunds.create(
                {"payment_intent": intent_id, "amount": amount, "metadata": metadata},
                {"idempotency_key": f"refund:{refund_id}"},
            )
        )
        return Refunded(refund.id, refund.status or "pending")

    def read_webhook(self, raw: bytes, signature: str) -> WebhookEvent:
        """The event in a webhook's raw body; `Forged` when its signature or time is wrong."""
        for secret in self._secrets:
            try:
                event = stripe.Webhook.construct_event(raw, signature, secret, SIGNATURE_TOLERANCE_SECONDS)
            except (stripe.SignatureVerificationError, ValueError) as error:
                failure: Exception = error
                continue
            self._refuse_future(signature)
            document: dict[str, Any] = event.data.object.to_dict()
            intent = document.get("payment_intent")
            if not isinstance(intent, str):
                intent = intent["id"] if intent else None
            if document["object"] == "payment_intent":
                intent = document["id"]
            return WebhookEvent(event.id, event.type, document["id"], intent, _payment_id(document))
        raise Forged(str(failure)) from failure

    @staticmethod
    def _refuse_future(signature: str) -> None:
        # The SDK bounds the age only; a time that has not come is just as wrong.
        stamp = next((part[2:] for part in signature.split(",") if part.startswith("t=")), "")
        if not stamp.isdigit() or int(stamp) > time.time() + SIGNATURE_TOLERANCE_SECONDS:
            raise Forged("the signature's time has not come yet")

    async def _call(self, call: Callable[[], T]) -> T:
        async with self._slots:
            try:
                return await asyncio.to_thread(call)
            except (stripe.APIConnectionError, stripe.RateLimitError) as error:
                raise StripeAway(str(error)) from error
            except (stripe.InvalidRequestError, stripe.CardError, stripe.IdempotencyError) as error:
                raise StripeRefused(error.code or "refused", str(error.user_message or error)) from error
            except stripe.StripeError as error:
                raise StripeAway(str(error)) from error


def _payment_id(document: dict[str, Any]) -> UUID | None:
    try:
        return UUID((document.get("metadata") or {}).get("payment_id", ""))
    except ValueError:
        return None  # an object of somebody else's in the same account
