"""What payment says, and who is told of it. It has a topic of its own, so it may be here before the booking is."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from events import Transaction
from events.contracts.payment import PaymentFailed, PaymentVoided, RefundFailed, RefundIssued
from notification import repository, telling
from notification.domain import Template

FRESH = timedelta(minutes=5)
"""How long a declined card is news."""


async def tell_of_refund(tx: Transaction, event: RefundIssued) -> None:
    """Money went back to the patient."""
    if event.amount.amount == 0:
        return
    booking = await telling.known(tx, event.booking_id)
    await repository.note_refunded(tx, booking.id, event.payment_id, event.total_refunded.amount)
    await telling.patient(
        tx, booking, Template.MONEY_REFUNDED, f"refund {event.refund_id}", **event.amount.model_dump()
    )


async def tell_of_release(tx: Transaction, event: PaymentVoided) -> None:
    """What was reserved on the card is free again."""
    if event.amount.amount == 0:
        return
    booking = await telling.known(tx, event.booking_id)
    occasion = f"payment {event.payment_id}"
    await telling.patient(tx, booking, Template.AUTHORIZATION_RELEASED, occasion, **event.amount.model_dump())


async def tell_of_decline(tx: Transaction, event: PaymentFailed) -> None:
    """The card was declined; only true while the booking waits for its payment. A booking that stays unknown is a hold
    that keeps a dearer time for an appointment, whose patient sits at the Checkout: nobody is told."""
    assert tx.cause is not None, "only events are told of"
    booking = await telling.find(tx, event.booking_id)
    if booking is None and tx.cause.time < datetime.now(UTC) - FRESH:
        return
    booking = booking or await telling.known(tx, event.booking_id)
    await telling.patient(tx, booking, Template.PAYMENT_FAILED, f"payment {event.payment_id}")


async def note_difference(tx: Transaction, booking_id: UUID, appointment_id: UUID) -> None:
    """What is said of the booking's money is the appointment's."""
    await repository.keep_difference(tx, booking_id, appointment_id)


async def alert_of_failed_refund(tx: Transaction, event: RefundFailed) -> None:
    """Told once a day, however often it fails: each try is another refund."""
    booking = await telling.known(tx, event.booking_id)
    assert tx.cause is not None, "only events are told of"
    occasion = f"payment {event.payment_id} {tx.cause.time.date()}"
    await telling.clinic(tx, booking, Template.CLINIC_REFUND_FAILED, occasion, **event.amount.model_dump())
