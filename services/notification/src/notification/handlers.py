"""Events in: what notification reacts to is the list of these."""

from events import Transaction, on
from events.contracts.availability import OfferingState, ResourceState
from events.contracts.booking import (
    AppointmentRequested,
    ApprovalDue,
    ApprovalRequested,
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingNoShow,
    BookingRejected,
    BookingRescheduled,
    BookingUnfulfillable,
    ConflictDetected,
    ConflictResolved,
    DifferencePaid,
    HoldExpired,
    PaymentUnwanted,
    WaitlistJoined,
    WaitlistOffered,
)
from events.contracts.identity import TenantChanged
from events.contracts.payment import PaymentFailed, PaymentVoided, RefundFailed, RefundIssued
from notification import bookings, money, moves, waitlist
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


@on(ApprovalDue)
async def remind_of_approval(event: ApprovalDue, tx: Transaction) -> None:
    """The clinic is reminded that somebody waits for its answer."""
    await bookings.remind_of_approval(tx, event)


@on(BookingConfirmed)
async def confirm_to_everyone(event: BookingConfirmed, tx: Transaction) -> None:
    """Patient, clinic and practitioner are told, and reminders set."""
    await bookings.confirm(tx, event)


@on(BookingRescheduled)
async def tell_of_move(event: BookingRescheduled, tx: Transaction) -> None:
    """Everyone is told, and reminders are planned anew."""
    await moves.move(tx, event)


@on(BookingCancelled)
async def tell_of_cancellation(event: BookingCancelled, tx: Transaction) -> None:
    """Everyone is told, and reminders go."""
    await bookings.cancel(tx, event)


@on(BookingCompleted)
async def drop_reminders_of_completed_visit(event: BookingCompleted, tx: Transaction) -> None:
    """It took place."""
    await bookings.complete(tx, event)


@on(BookingNoShow)
async def tell_of_missed_visit(event: BookingNoShow, tx: Transaction) -> None:
    """The patient is told what is kept and what goes back."""
    await bookings.miss(tx, event)


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


@on(ConflictDetected)
async def alert_of_conflict(event: ConflictDetected, tx: Transaction) -> None:
    """The clinic has to decide."""
    await moves.alert_of_conflict(tx, event)


@on(ConflictResolved)
async def forget_conflict(event: ConflictResolved, tx: Transaction) -> None:
    """It has decided, or there is nothing to decide any more."""
    await moves.forget_conflict(tx, event)


@on(WaitlistJoined)
async def tell_of_waiting(event: WaitlistJoined, tx: Transaction) -> None:
    """Whoever waits is told that they do."""
    await waitlist.join(tx, event)


@on(WaitlistOffered)
async def offer_time(event: WaitlistOffered, tx: Transaction) -> None:
    """The first in line gets the link to the time that is kept for them."""
    await waitlist.offer(tx, event)


@on(DifferencePaid)
async def note_difference(event: DifferencePaid, tx: Transaction) -> None:
    """What was paid for a dearer time is the appointment's."""
    await money.note_difference(tx, event.booking_id, event.appointment_id)


@on(PaymentUnwanted)
async def note_unwanted_difference(event: PaymentUnwanted, tx: Transaction) -> None:
    """It goes back, and the refund is the appointment's patient's to hear of."""
    if event.appointment_id is not None:
        await money.note_difference(tx, event.booking_id, event.appointment_id)


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
