"""What payment says: checkouts, payments and refunds, keyed by the booking they belong to."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from events.base import Event, Instant, Money, declare
from events.topics import PAYMENT


class PaymentFact(Event):
    """A fact about the money of one booking. `payment_id` names one attempt to pay."""

    booking_id: UUID
    payment_id: UUID


@declare("payment.checkout_started.v1", topic=PAYMENT, key="booking_id")
class CheckoutStarted(PaymentFact):
    """A Checkout Session is open at Stripe."""

    session_id: str = Field(examples=["cs_test_a1b2"])
    amount: Money
    expires_at: Instant


@declare("payment.checkout_expired.v1", topic=PAYMENT, key="booking_id")
class CheckoutExpired(PaymentFact):
    """The Checkout Session was closed unpaid and cannot be paid any more."""


@declare("payment.payment_authorized.v1", topic=PAYMENT, key="booking_id")
class PaymentAuthorized(PaymentFact):
    """The card is authorized; nothing is charged until the booking is confirmed."""

    amount: Money


@declare("payment.payment_succeeded.v1", topic=PAYMENT, key="booking_id")
class PaymentSucceeded(PaymentFact):
    """The money is there (an amount of 0: nothing was due)."""

    amount: Money


@declare("payment.payment_failed.v1", topic=PAYMENT, key="booking_id")
class PaymentFailed(PaymentFact):
    """An attempt failed; the patient may try again while the hold lives."""

    reason: str = Field(examples=["card_declined"])


@declare("payment.payment_captured.v1", topic=PAYMENT, key="booking_id")
class PaymentCaptured(PaymentFact):
    """An authorization became a charge."""

    amount: Money


@declare("payment.payment_capture_failed.v1", topic=PAYMENT, key="booking_id")
class PaymentCaptureFailed(PaymentFact):
    """The authorization could not be charged; the appointment stands and its payment has failed."""

    reason: str = Field(examples=["authorization_lapsed"])


@declare("payment.payment_voided.v1", topic=PAYMENT, key="booking_id")
class PaymentVoided(PaymentFact):
    """The authorization was cancelled: nothing was charged."""

    amount: Money


@declare("payment.refund_issued.v1", topic=PAYMENT, key="booking_id")
class RefundIssued(PaymentFact):
    """Money went back. `total_refunded` is the sum of this payment's refunds."""

    refund_id: UUID
    amount: Money
    total_refunded: Money
    reason: Literal["late", "surplus", "rejected", "cancelled", "staff"]


@declare("payment.refund_failed.v1", topic=PAYMENT, key="booking_id")
class RefundFailed(PaymentFact):
    """Money could not be given back; it is tried again, and people are told."""

    refund_id: UUID
    amount: Money
    reason: str = Field(examples=["card_closed"])
