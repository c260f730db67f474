"""What staff give back by hand, up to what was paid."""

from uuid import UUID

from events import Transaction
from payment import repository
from payment.domain import Status, refundable
from payment.outcomes import NOW
from payment.repository import Payment, Refund
from servicekit.problems import NotFound, ValidationFailed


async def give(tx: Transaction, booking_id: UUID, amount: int, note: str, *, by: UUID) -> Refund:
    """Gives back `amount` (smallest unit) of what the booking paid; it is on its way when this returns. 404 when
    nothing was ever to be paid for the booking, 422 when it is more than was paid less what went back already."""
    payments = await _payments(tx, booking_id, lock=True)
    payment = max(payments, key=_left)
    left = _left(payment)
    if amount > left:
        raise ValidationFailed.of("amount", _too_much(payment, left))
    payment = await repository.update(tx, payment, keep=left - amount, due_at=NOW)
    refund = await repository.begin_refund(tx, payment, amount, "staff", note=note, requested_by=by)
    tx.wake("move_payments")
    return refund


async def of_booking(tx: Transaction, booking_id: UUID, *, after: UUID | None, limit: int) -> list[Refund]:
    """The booking's refunds, oldest first; 404 when nothing was ever to be paid for it."""
    await _payments(tx, booking_id, lock=False)
    return await repository.refunds_of(tx, booking_id, after=after, limit=limit)


def _left(payment: Payment) -> int:
    return refundable(captured=payment.captured, refunded=payment.refunded, keep=payment.keep)


def _too_much(payment: Payment, left: int) -> str:
    currency = payment.currency.upper()
    if payment.status is Status.AUTHORIZED:
        return "cannot go back, since the card is only authorized and nothing was charged; cancel or reject instead"
    if left == 0:
        return "cannot go back, since nothing that was paid is left"
    return f"is more than the {left} (in the smallest unit of {currency}) that were paid and have not gone back"


async def _payments(tx: Transaction, booking_id: UUID, *, lock: bool) -> list[Payment]:
    if lock:
        await repository.lock_account(tx, booking_id)
    payments = list(await repository.of_booking(tx, booking_id))
    if not payments:
        raise NotFound("Nothing was paid here for an appointment with this id, so nothing can go back.")
    return payments
