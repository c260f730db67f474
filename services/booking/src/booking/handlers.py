"""Events in: what booking reacts to is the list of these."""

from booking import blocking, learning, saga, waitlist
from events import Deleted, Transaction, on, on_deleted
from events.contracts.availability import OfferingState, ResourceState, TimeOffState, WaitlistMatched
from events.contracts.calendar import Busy
from events.contracts.identity import TenantChanged
from events.contracts.payment import (
    CheckoutExpired,
    CheckoutStarted,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentFailed,
    PaymentSucceeded,
    PaymentVoided,
    RefundIssued,
)


@on(PaymentSucceeded)
async def confirm_paid_booking(event: PaymentSucceeded, tx: Transaction) -> None:
    """The money is there: the booking stands, or the money goes back."""
    await saga.take_money(tx, event.booking_id, event.payment_id, event.amount, status="paid")


@on(PaymentAuthorized)
async def confirm_authorized_booking(event: PaymentAuthorized, tx: Transaction) -> None:
    """The card is authorized: the booking stands (the charge follows), or the authorization is cancelled."""
    await saga.take_money(tx, event.booking_id, event.payment_id, event.amount, status="authorized")


@on(CheckoutStarted)
async def keep_time_for_checkout(event: CheckoutStarted, tx: Transaction) -> None:
    """The time stays taken for the clinic's grace after the hold's end."""
    await saga.extend_for_checkout(tx, event.booking_id, event.session_id)


@on(CheckoutExpired)
async def release_unpaid_booking(event: CheckoutExpired, tx: Transaction) -> None:
    """Nobody can pay any more: free at once."""
    await saga.close_checkout(tx, event.booking_id)


@on(PaymentFailed)
async def note_failed_payment(event: PaymentFailed, tx: Transaction) -> None:
    """The patient may try again while the hold lives."""
    await saga.note_payment(tx, event.booking_id, event.payment_id, status="failed")


@on(PaymentCaptured)
async def note_captured_payment(event: PaymentCaptured, tx: Transaction) -> None:
    """The authorization became a charge."""
    await saga.note_payment(tx, event.booking_id, event.payment_id, status="paid", captured=event.amount.amount)


@on(PaymentCaptureFailed)
async def note_failed_capture(event: PaymentCaptureFailed, tx: Transaction) -> None:
    """The appointment stays; its payment has failed."""
    await saga.note_payment(tx, event.booking_id, event.payment_id, status="failed")


@on(PaymentVoided)
async def note_voided_payment(event: PaymentVoided, tx: Transaction) -> None:
    """The authorization was cancelled."""
    await saga.note_payment(tx, event.booking_id, event.payment_id, status="voided")


@on(RefundIssued)
async def note_refund(event: RefundIssued, tx: Transaction) -> None:
    """Money went back."""
    await saga.note_payment(
        tx, event.booking_id, event.payment_id, status="refunded", refunded=event.total_refunded.amount
    )


@on(Busy)
async def block_time(event: Busy, tx: Transaction) -> None:
    """An external calendar says that a resource is busy."""
    await blocking.put_external(tx, event)


@on_deleted(Busy)
async def unblock_time(deleted: Deleted, tx: Transaction) -> None:
    """The external event is no more."""
    await blocking.remove_external(tx, deleted)


@on(TimeOffState)
async def block_time_off(event: TimeOffState, tx: Transaction) -> None:
    """A resource is away."""
    await blocking.put_time_off(tx, event)


@on_deleted(TimeOffState)
async def unblock_time_off(deleted: Deleted, tx: Transaction) -> None:
    """It is there after all."""
    await blocking.remove_time_off(tx, deleted)


@on(TenantChanged)
async def remember_tenant(event: TenantChanged, tx: Transaction) -> None:
    """Keeps a copy."""
    await learning.keep_tenant(tx, event)


@on(OfferingState)
async def remember_offering(event: OfferingState, tx: Transaction) -> None:
    """Keeps a copy."""
    await learning.keep_offering(tx, event)


@on(ResourceState)
async def remember_resource(event: ResourceState, tx: Transaction) -> None:
    """Keeps a copy; visits that its hours no longer allow are conflicts."""
    await learning.keep_resource(tx, event)


@on_deleted(OfferingState)
async def forget_offering(deleted: Deleted, tx: Transaction) -> None:
    """Drops the copy."""
    await learning.forget(tx, deleted)


@on_deleted(ResourceState)
async def forget_resource(deleted: Deleted, tx: Transaction) -> None:
    """Drops the copy."""
    await learning.forget(tx, deleted)


@on(WaitlistMatched)
async def hold_for_waiting(event: WaitlistMatched, tx: Transaction) -> None:
    """A time was found for somebody who waits."""
    await waitlist.match(tx, event.entry_id, event.slot_id)
