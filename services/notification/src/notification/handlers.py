"""Events in: what notification reacts to is the list of these."""

from events import Transaction, on
from events.contracts.availability import OfferingState, ResourceState
from events.contracts.booking import (
    AppointmentRequested,
    ApprovalRequested,
    BookingCancelled,
    BookingConfirmed,
    BookingRejected,
    BookingUnfulfillable,
    HoldExpired,
)
from events.contracts.identity import TenantChanged
from events.contracts.payment import PaymentFailed, PaymentVoided, RefundFailed, RefundIssued
from notification import bookings, money
from servicekit import copies

# Tombstones of offerings and resources are not handled: a message about an old visit still needs their names.


@on(TenantChanged)
async def keep_tenant(event: TenantChanged, tx: Transaction) -> None:
    """Its name and zone are in every message."""
    await copies.keep(tx, event)


@on(OfferingState)
async def keep_offering(event: OfferingState, tx: Transaction) -> None:
    """Its name, reminders and cancellation policy."""
    await copies.keep(tx, event)


@on(ResourceState)
async def keep_resource(event: ResourceState, tx: Transaction) -> None:
    """The practitioner's name and account."""
    await copies.keep(tx, event)


@on(AppointmentRequested)
async def remember_request(event: AppointmentRequested, tx: Transaction) -> None:
    """Nothing is said yet: the patient is still on the page."""
    await bookings.note_request(tx, event)


@on(ApprovalRequested)
async def ask_for_approval(event: ApprovalRequested, tx: Transaction) -> None:
    """The clinic is asked, the patient told that it was."""
    await bookings.ask_for_approval(tx, event)


@on(BookingConfirmed)
async def confirm_to_everyone(event: BookingConfirmed, tx: Transaction) -> None:
    """Patient, clinic and practitioner are told, and reminders set."""
    await bookings.confirm(tx, event)


@on(BookingCancelled)
async def tell_of_cancellation(event: BookingCancelled, tx: Transaction) -> None:
    """Everyone is told, and reminders go."""
    await bookings.cancel(tx, event)


@on(BookingRejected)
async def tell_of_rejection(event: BookingRejected, tx: Transaction) -> None:
    """The patient is told."""
    await bookings.reject(tx, event)


@on(BookingUnfulfillable)
async def tell_that_time_was_gone(event: BookingUnfulfillable, tx: Transaction) -> None:
    """The patient is told that the money comes back."""
    await bookings.give_up(tx, event)


@on(HoldExpired)
async def tell_that_hold_ran_out(event: HoldExpired, tx: Transaction) -> None:
    """Who had begun to pay is told."""
    await bookings.expire(tx, event)


@on(RefundIssued)
async def tell_of_refund(event: RefundIssued, tx: Transaction) -> None:
    """One message a refund."""
    await money.tell_of_refund(tx, event)


@on(PaymentVoided)
async def tell_of_release(event: PaymentVoided, tx: Transaction) -> None:
    """One message an authorization."""
    await money.tell_of_release(tx, event)


@on(PaymentFailed)
async def tell_of_decline(event: PaymentFailed, tx: Transaction) -> None:
    """One message a Checkout, however many cards are tried in it."""
    await money.tell_of_decline(tx, event)


@on(RefundFailed)
async def alert_of_failed_refund(event: RefundFailed, tx: Transaction) -> None:
    """The clinic has to see to it."""
    await money.alert_of_failed_refund(tx, event)
