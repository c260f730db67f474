"""What staff give back by hand, up to what was paid."""

from collections.abc import Sequence
from uuid import UUID

from events import Transaction
from payment import repository
from payment.domain import Status, refundable
from payment.outcomes import NOW
from payment.repository import Payment, Refund
from servicekit.problems import NotFound, ValidationFailed


async def give(tx: Transaction, appointment_id: UUID, amount: int, note: str, *, by: UUID) -> Refund:
    """Gives back `amount` (smallest unit) of what was paid for the appointment; it is on its way when this returns. 404
    when nothing was ever to be paid for it, 422 when it is more than was paid less what went back already."""
    await repository.lock_accounts(tx, appointment_id)
    payments = await _payments(tx, appointment_id)
    enough = [payment for payment in payments if _left(payment) >= amount]
    if not enough:
        raise ValidationFailed.of("amount", _too_much(payments))
    payment = await repository.update(tx, enough[0], keep=_left(enough[0]) - amount, due_at=NOW)
    refund = await repository.begin_refund(tx, payment, amount, "staff", note=note, requested_by=by)
    tx.wake("move_payments")
    return refund


async def of_appointment(tx: Transaction, appointment_id: UUID, *, after: UUID | None, limit: int) -> list[Refund]:
    """The appointment's refunds, oldest first; 404 when nothing was ever to be paid for it."""
    await _payments(tx, appointment_id)
    return await repository.refunds_of(tx, appointment_id, after=after, limit=limit)


def _left(payment: Payment) -> int:
    return refundable(captured=payment.captured, refunded=payment.refunded, keep=payment.keep)


def _too_much(payments: Sequence[Payment]) -> str:
    parts = [left for payment in payments if (left := _left(payment))]
    if not parts and any(payment.status is Status.AUTHORIZED for payment in payments):
        return "cannot go back, since the card is only authorized and nothing was charged; cancel or reject instead"
    if not parts:
        return "cannot go back, since nothing that was paid is left"
    currency = payments[0].currency.upper()
    if len(parts) == 1:
        return f"is more than the {parts[0]} (in the smallest unit of {currency}) that were paid and have not gone back"
    several = " and ".join(str(part) for part in parts)
    return f"is more than one payment has left ({several}, in the smallest unit of {currency}); give back part by part"


async def _payments(tx: Transaction, appointment_id: UUID) -> Sequence[Payment]:
    payments = await repository.of_appointment(tx, appointment_id)
    if not payments:
        raise NotFound("Nothing was paid here for an appointment with this id, so nothing can go back.")
    return payments
