"""Events in: what payment reacts to is the list of these."""

from events import Transaction, on
from events.contracts.booking import (
    ApprovalRequested,
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingNoShow,
    BookingRejected,
    BookingRescheduled,
    BookingUnfulfillable,
    DifferencePaid,
    HoldExpired,
    HoldReleased,
    HoldRenewed,
    PaymentUnwanted,
)
from payment import answers, desires


@on(BookingConfirmed)
async def capture_payment(event: BookingConfirmed, tx: Transaction) -> None:
    """The appointment stands: an authorization is charged now."""
    await desires.keep(tx, event.booking_id, event.payment_id)


@on(DifferencePaid)
async def keep_difference(event: DifferencePaid, tx: Transaction) -> None:
    """The appointment has moved to the dearer time that this paid for."""
    await desires.keep_difference(tx, event.booking_id, event.payment_id, event.appointment_id)


@on(ApprovalRequested)
async def note_pending_approval(event: ApprovalRequested, tx: Transaction) -> None:
    """The clinic decides; the authorization waits for it."""
    await answers.note(tx, event.booking_id)


@on(BookingUnfulfillable)
async def return_late_payment(event: BookingUnfulfillable, tx: Transaction) -> None:
    """Paid too late and the time is gone."""
    await desires.give_back(tx, event.booking_id, event.payment_id, "late")


@on(PaymentUnwanted)
async def return_surplus_payment(event: PaymentUnwanted, tx: Transaction) -> None:
    """Nothing can stand on this payment."""
    await desires.give_back(tx, event.booking_id, event.payment_id, "surplus")


@on(BookingRejected)
async def return_rejected_payment(event: BookingRejected, tx: Transaction) -> None:
    """The clinic said no."""
    await desires.end(tx, event.booking_id, fee=0, reason="rejected")


@on(BookingCancelled)
async def return_cancelled_payment(event: BookingCancelled, tx: Transaction) -> None:
    """All but the fee goes back."""
    await desires.end(tx, event.booking_id, fee=event.fee.amount, reason="cancelled")


@on(BookingRescheduled)
async def follow_new_price(event: BookingRescheduled, tx: Transaction) -> None:
    """What was paid beyond the new price goes back; a fee for moving late comes with the cancellation's, if ever."""
    await desires.follow_price(tx, event.booking_id, event.price)


@on(BookingCompleted)
async def charge_completed_visit(event: BookingCompleted, tx: Transaction) -> None:
    """An authorization that is still open is charged."""
    await desires.charge(tx, event.booking_id)


@on(BookingNoShow)
async def return_no_show_payment(event: BookingNoShow, tx: Transaction) -> None:
    """All but the fee goes back."""
    await desires.end(tx, event.booking_id, fee=event.fee.amount, reason="cancelled")


@on(HoldExpired)
async def close_checkout_of_expired_hold(event: HoldExpired, tx: Transaction) -> None:
    """Nobody should pay for a time that is free again."""
    await desires.close(tx, event.booking_id)


@on(HoldReleased)
async def close_checkout_of_released_hold(event: HoldReleased, tx: Transaction) -> None:
    """Likewise."""
    await desires.close(tx, event.booking_id)


@on(HoldRenewed)
async def prolong_checkout(event: HoldRenewed, tx: Transaction) -> None:
    """The Checkout may stay open as long as the hold."""
    await desires.renew(tx, event.booking_id, event.expires_at)
