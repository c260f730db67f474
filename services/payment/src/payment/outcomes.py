"""What Stripe said, taken into our books: status, ledger and event in one transaction."""

from datetime import timedelta
from typing import Any

from events import Event, Money, Transaction
from events.contracts.payment import (
    CheckoutExpired,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentFailed,
    PaymentSucceeded,
    PaymentVoided,
    RefundFailed,
    RefundIssued,
)
from payment import repository
from payment.domain import Seen, Status, may_follow, refund_pause, status_seen
from payment.repository import Payment, Refund

NOW = timedelta(0)


async def fact(tx: Transaction, payment: Payment) -> dict[str, Any]:
    """The fields that every PaymentFact has, with the next version of the booking's money."""
    return {
        "tenant_id": payment.tenant_id,
        "version": await repository.count_version(tx, payment.booking_id),
        "booking_id": payment.booking_id,
        "payment_id": payment.id,
    }


def money(payment: Payment, amount: int) -> Money:
    """An amount in the payment's currency."""
    return Money(amount=amount, currency=payment.currency)


async def say(tx: Transaction, payment: Payment, event: Event) -> None:
    """Sends an event of the booking's journey."""
    await tx.emit(event, correlation_id=payment.booking_id)


async def take_in(tx: Transaction, payment: Payment, seen: Seen) -> Payment:
    """Moves a locked payment to what Stripe says now, forward only; what follows from it is due at once."""
    status = status_seen(seen)
    if seen.intent_id and payment.intent_id != seen.intent_id:
        payment = await repository.update(tx, payment, intent_id=seen.intent_id)
    if not may_follow(payment.status, status):
        return payment
    before = payment.status
    payment = await repository.update(
        tx, payment, status=status.value, captured=min(seen.received, payment.amount), due_at=NOW, failures=0,
        check_at=timedelta(seconds=30) if status in (Status.OPEN, Status.PROCESSING) else None,
    )  # fmt: skip
    tx.wake("move_payments")
    if payment.captured:
        await repository.enter(
            tx, payment, reference=f"charge:{payment.id}", debit="stripe", credit="patient", amount=payment.captured
        )
    match status:
        case Status.PAID if before is Status.AUTHORIZED:
            captured = PaymentCaptured(**await fact(tx, payment), amount=money(payment, payment.captured))
            await say(tx, payment, captured)
        case Status.PAID | Status.AUTHORIZED:
            await announce(tx, payment, status, amount=payment.amount)
        case Status.VOIDED:
            await say(tx, payment, PaymentVoided(**await fact(tx, payment), amount=money(payment, payment.amount)))
        case Status.CLOSED:
            await say(tx, payment, CheckoutExpired(**await fact(tx, payment)))
    return payment


async def announce(tx: Transaction, payment: Payment, status: Status, *, amount: int) -> None:
    """Tells booking that the money is there, and keeps the event: it goes out again until booking has answered."""
    kind = PaymentSucceeded if status is Status.PAID else PaymentAuthorized
    event = kind(**await fact(tx, payment), amount=money(payment, amount))
    row = tx.row(event, correlation_id=payment.booking_id)
    await repository.update(tx, payment, announcement=row, announced_at=NOW)
    payment = await repository.lock(tx, payment.id)
    await repository.announce_again(tx, payment)


async def fail(tx: Transaction, payment: Payment, reason: str) -> None:
    """A try to pay failed. The Session stays open, so the patient may try another card."""
    if payment.status in (Status.STARTING, Status.OPEN, Status.PROCESSING):
        await say(tx, payment, PaymentFailed(**await fact(tx, payment), reason=reason))


async def refunded(tx: Transaction, payment: Payment, refund: Refund, stripe_id: str) -> Payment:
    """Money went back."""
    await repository.refund_ended(tx, refund.id, status="succeeded", stripe_id=stripe_id)
    await repository.enter(
        tx, payment, reference=f"refund:{refund.id}", debit="patient", credit="stripe", amount=refund.amount
    )
    payment = await repository.update(tx, payment, refunded=payment.refunded + refund.amount, failures=0)
    issued = RefundIssued(
        **await fact(tx, payment),
        refund_id=refund.id,
        amount=money(payment, refund.amount),
        total_refunded=money(payment, payment.refunded),
        reason=refund.reason,
    )
    await say(tx, payment, issued)
    return payment


async def refund_failed(tx: Transaction, payment: Payment, refund: Refund, reason: str) -> None:
    """Money could not go back: people are told, and it is tried again as another refund of the same, since Stripe
    answers the same id the same."""
    await repository.refund_ended(tx, refund.id, status="failed", stripe_id=None)
    await repository.begin_refund(
        tx, payment, refund.amount, refund.reason, note=refund.note, requested_by=refund.requested_by
    )
    await repository.update(tx, payment, failures=payment.failures + 1, due_at=refund_pause(payment.failures))
    failed = RefundFailed(
        **await fact(tx, payment), refund_id=refund.id, amount=money(payment, refund.amount), reason=reason
    )
    await say(tx, payment, failed)


async def refund_bounced(tx: Transaction, payment: Payment, stripe_id: str) -> None:
    """A refund that had gone out came back to us: it is taken out of the books and tried again."""
    refund = await repository.refund_by_stripe(tx, stripe_id)
    if refund is None or refund.status != "succeeded":
        return
    await repository.enter(
        tx, payment, reference=f"refund-bounced:{refund.id}", debit="stripe", credit="patient", amount=refund.amount
    )
    payment = await repository.update(tx, payment, refunded=payment.refunded - refund.amount)
    await refund_failed(tx, payment, refund, "refund_failed_at_bank")
