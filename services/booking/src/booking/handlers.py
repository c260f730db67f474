"""Events in: what booking reacts to is the list of these."""

from booking import repository, saga
from events import Deleted, Transaction, on, on_deleted
from events.contracts.availability import OfferingState, ResourceState
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
from servicekit import copies


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
    await repository.block(tx, event)


@on_deleted(Busy)
async def unblock_time(deleted: Deleted, tx: Transaction) -> None:
    """The external event is no more."""
    await repository.unblock(tx, deleted.key, deleted.version)


@on(TenantChanged)
async def remember_tenant(event: TenantChanged, tx: Transaction) -> None:
    """Keeps a copy."""
    await copies.keep(tx, event)


@on(OfferingState)
async def remember_offering(event: OfferingState, tx: Transaction) -> None:
    """Keeps a copy."""
    await copies.keep(tx, event)


@on(ResourceState)
async def remember_resource(event: ResourceState, tx: Transaction) -> None:
    """Keeps a copy."""
    await copies.keep(tx, event)


@on_deleted(OfferingState)
async def forget_offering(deleted: Deleted, tx: Transaction) -> None:
    """Drops the copy."""
    await copies.drop(tx, deleted)


@on_deleted(ResourceState)
async def forget_resource(deleted: Deleted, tx: Transaction) -> None:
    """Drops the copy."""
    await copies.drop(tx, deleted)
