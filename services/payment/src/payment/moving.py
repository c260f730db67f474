"""Moves payments to where booking wants them: closed, captured or returned. Stripe is called between transactions."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from events.contracts.payment import PaymentCaptureFailed
from payment import outcomes, repository
from payment.domain import Do, Status, Step, check_pause, next_step, retry_pause
from payment.providers.stripe import Refunded, StripeAway, StripePayments, StripeRefused
from payment.repository import Payment, Refund
from servicekit.database import Database

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=60)


def step_of(payment: Payment) -> Step:
    """The next call for this payment."""
    return next_step(
        payment.status,
        payment.desired,
        amount=payment.amount,
        captured=payment.captured,
        refunded=payment.refunded,
        keep=payment.keep,
        hold_is_over=payment.hold_is_over,
    )


async def move(database: Database, stripe: StripePayments, tenant_id: UUID, payment_id: UUID) -> None:
    """One step. The row is leased while Stripe is asked: a crash costs the lease, and the step is made again under
    the same idempotency key."""
    async with database.transaction(tenant_id) as tx:
        payment = await repository.lock(tx, payment_id)
        if payment.due_at is None or payment.due_at > datetime.now(UTC) + timedelta(seconds=1):
            return
        step = step_of(payment)
        if step.do is Do.NOTHING:
            waits = payment.status in (Status.STARTING, Status.OPEN)
            await repository.update(tx, payment, due_at=payment.hold_ends if waits else None)
            return
        payment = await repository.update(tx, payment, due_at=LEASE)
        refund = await repository.refund_in_hand(tx, payment, step.amount) if step.do is Do.REFUND else None
    try:
        await _carry_out(database, stripe, payment, step, refund)
    except StripeAway as away:
        log.warning("Stripe is away; the payment waits", payment=str(payment_id), step=step.do, error=str(away))
        await _later(database, payment)
    except StripeRefused as refused:
        await _refused(database, stripe, payment, step, refund, refused)


async def _carry_out(
    database: Database, stripe: StripePayments, payment: Payment, step: Step, refund: Refund | None
) -> None:
    gone: Refunded | None = None
    match step.do:
        case Do.CLOSE:
            if payment.session_id is None:
                await _forget_unstarted(database, payment)
                return
            await stripe.expire(payment.session_id)
        case Do.CAPTURE:
            assert payment.intent_id is not None
            await stripe.capture(payment.intent_id, step.amount, f"payment:{payment.id}:capture")
        case Do.VOID:
            assert payment.intent_id is not None
            await stripe.void(payment.intent_id, f"payment:{payment.id}:void")
        case Do.REFUND:
            assert payment.intent_id is not None
            assert refund is not None
            metadata = {"booking_id": str(payment.booking_id), "payment_id": str(payment.id)}
            gone = await stripe.refund(payment.intent_id, refund.amount, refund.id, metadata)
    assert payment.session_id is not None
    seen = await stripe.look(payment.session_id)
    async with database.transaction(payment.tenant_id) as tx:
        payment = await repository.lock(tx, payment.id)
        payment = await outcomes.take_in(tx, payment, seen)
        if gone is not None and refund is not None:
            if gone.status in ("failed", "canceled"):
                await outcomes.refund_failed(tx, payment, refund, gone.status)
                return
            payment = await outcomes.refunded(tx, payment, refund, gone.id)
        await repository.update(tx, payment, due_at=outcomes.NOW, failures=0)
        tx.wake("move_payments")


async def _forget_unstarted(database: Database, payment: Payment) -> None:
    """The hold is over and Stripe never answered: nobody was given an address to pay at."""
    async with database.transaction(payment.tenant_id) as tx:
        payment = await repository.lock(tx, payment.id)
        if payment.session_id is None:
            await repository.update(tx, payment, status="closed", due_at=None)


async def _refused(
    database: Database,
    stripe: StripePayments,
    payment: Payment,
    step: Step,
    refund: Refund | None,
    refused: StripeRefused,
) -> None:
    """Stripe will not: mostly because it is so already, or was paid in that instant. What it says now decides."""
    assert payment.session_id is not None
    try:
        seen = await stripe.look(payment.session_id)
    except (StripeAway, StripeRefused):
        await _later(database, payment)
        return
    async with database.transaction(payment.tenant_id) as tx:
        payment = await repository.lock(tx, payment.id)
        before = payment.status
        payment = await outcomes.take_in(tx, payment, seen)
        if payment.status is not before:
            tx.wake("move_payments")
            return
        if step.do is Do.CAPTURE:
            failed = PaymentCaptureFailed(**await outcomes.fact(tx, payment), reason=refused.code)
            await outcomes.say(tx, payment, failed)
            await repository.update(tx, payment, desired="open", due_at=None)
            return
        if refund is not None:
            log.error("Stripe refused a refund", payment=str(payment.id), refund=str(refund.id), code=refused.code)
            await outcomes.refund_failed(tx, payment, refund, refused.code)
            return
    log.error("Stripe refused a step", payment=str(payment.id), step=step.do, code=refused.code)
    await _later(database, payment)


async def _later(database: Database, payment: Payment) -> None:
    async with database.transaction(payment.tenant_id) as tx:
        payment = await repository.lock(tx, payment.id)
        pause = timedelta(seconds=retry_pause(payment.failures))
        await repository.update(tx, payment, failures=payment.failures + 1, due_at=pause)


async def check(database: Database, stripe: StripePayments, tenant_id: UUID, payment_id: UUID, first: float) -> None:
    """Asks Stripe about a payment that no webhook came for."""
    async with database.transaction(tenant_id) as tx:
        payment = await repository.lock(tx, payment_id)
        pause = check_pause(payment.created_at, datetime.now(UTC), first)
        waits = payment.status in (Status.OPEN, Status.PROCESSING)
        await repository.update(tx, payment, check_at=timedelta(seconds=pause) if waits else None)
    if not waits or payment.session_id is None:
        return
    try:
        seen = await stripe.look(payment.session_id)
    except (StripeAway, StripeRefused) as error:
        log.warning("Stripe could not be asked; it is asked again", payment=str(payment_id), error=str(error))
        return
    async with database.transaction(tenant_id) as tx:
        await outcomes.take_in(tx, await repository.lock(tx, payment_id), seen)
