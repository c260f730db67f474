"""What booking decided, as where each payment of the booking has to get to."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from events import Early, Money, Transaction
from payment import repository
from payment.domain import Desired, Status, kept_at_most
from payment.outcomes import NOW
from payment.repository import Payment

Reason = Literal["late", "surplus", "rejected", "cancelled", "staff"]


async def keep(tx: Transaction, booking_id: UUID, payment_id: UUID | None) -> None:
    """The appointment stands: what was authorized is charged."""
    if payment_id is None:
        return
    payment = await _locked(tx, booking_id, payment_id)
    if payment.desired is not Desired.RETURNED:
        await _want(tx, payment, Desired.CAPTURED, answered=True)


async def give_back(tx: Transaction, booking_id: UUID, payment_id: UUID, reason: Reason) -> None:
    """One payment goes back in full."""
    payment = await _locked(tx, booking_id, payment_id)
    await _want(tx, payment, Desired.RETURNED, keep=0, reason=reason, answered=True)


async def end(tx: Transaction, booking_id: UUID, *, fee: int, reason: Reason) -> None:
    """The booking is over: no new Checkout, and everything but the fee goes back."""
    if await repository.lock_account(tx, booking_id, create=True) is None:
        return
    await repository.end_account(tx, booking_id)
    for payment in await repository.of_booking(tx, booking_id):
        keep = kept_at_most(payment.keep, fee)
        await _want(tx, payment, Desired.RETURNED, keep=keep, reason=reason, answered=True)


async def keep_difference(tx: Transaction, booking_id: UUID, payment_id: UUID, appointment_id: UUID) -> None:
    """The appointment has moved to the dearer time that was held under the booking's id: its payment stands, and is the
    appointment's from now on."""
    await keep(tx, booking_id, payment_id)
    await repository.belongs_to(tx, booking_id, appointment_id)


async def follow_price(tx: Transaction, appointment_id: UUID, price: Money) -> None:
    """The visit costs another price now: of payments of more, the difference goes back (or is never charged), the
    latest first. What a dearer visit lacks is booking's to ask for, as another payment."""
    await repository.lock_accounts(tx, appointment_id)
    standing = [
        payment
        for payment in await repository.of_appointment(tx, appointment_id)
        if payment.status in (Status.AUTHORIZED, Status.PAID) and payment.desired is not Desired.RETURNED
    ]
    excess = sum(payment.keep for payment in standing) - price.amount
    for payment in reversed(standing):
        less = min(excess, payment.keep)
        if less > 0:
            excess -= less
            await _want(tx, payment, payment.desired, keep=payment.keep - less, reason="surplus")


async def charge(tx: Transaction, booking_id: UUID) -> None:
    """The visit took place: an authorization that booking knows of and nobody has charged yet is charged."""
    if await repository.lock_account(tx, booking_id) is None:
        return
    for payment in await repository.of_booking(tx, booking_id):
        if payment.status is Status.AUTHORIZED and payment.desired is Desired.OPEN and payment.answered:
            await _want(tx, payment, Desired.CAPTURED)


async def close(tx: Transaction, booking_id: UUID) -> None:
    """The hold is over: what is open is closed. Money that comes all the same is booking's to decide on."""
    if await repository.lock_account(tx, booking_id, create=True) is None:
        return
    await repository.end_account(tx, booking_id)
    for payment in await repository.of_booking(tx, booking_id):
        if payment.desired is Desired.OPEN and payment.status in (Status.STARTING, Status.OPEN):
            await _want(tx, payment, Desired.CLOSED)


async def renew(tx: Transaction, booking_id: UUID, until: datetime) -> None:
    """The hold lasts longer, and so may its Checkout."""
    if await repository.lock_account(tx, booking_id) is None:
        return
    for payment in await repository.of_booking(tx, booking_id):
        if payment.status in (Status.STARTING, Status.OPEN):
            await repository.update(tx, payment, hold_ends=until, due_at=until)


async def _locked(tx: Transaction, booking_id: UUID, payment_id: UUID) -> Payment:
    if await repository.lock_account(tx, booking_id) is None:
        raise Early(f"the payment {payment_id} is not known yet")
    payment = await repository.find(tx, payment_id)
    if payment is None:
        raise Early(f"the payment {payment_id} is not known yet")
    return payment


async def _want(
    tx: Transaction, payment: Payment, desired: Desired, *, keep: int | None = None, reason: str | None = None,
    answered: bool | None = None,
) -> None:  # fmt: skip
    changes: dict[str, object] = {"desired": desired.value, "due_at": NOW}
    for name, value in (("keep", keep), ("reason", reason), ("answered", answered)):
        if value is not None:
            changes[name] = value
    await repository.update(tx, payment, **changes)
    tx.wake("move_payments")
