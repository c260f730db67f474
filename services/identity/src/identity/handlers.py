"""Events in: which appointments lie ahead, so that no clinic with any is deleted."""

from events import Transaction, on
from events.contracts.booking import (
    AppointmentFact,
    AppointmentRequested,
    ApprovalRequested,
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingNoShow,
    BookingRejected,
    BookingRescheduled,
    BookingUnfulfillable,
    HoldExpired,
)
from identity.repository import clinics


@on(AppointmentRequested)
async def note_request(event: AppointmentRequested, tx: Transaction) -> None:
    """Somebody is paying for it now."""
    await _note(event, tx, ahead=True)


@on(ApprovalRequested)
async def note_approval(event: ApprovalRequested, tx: Transaction) -> None:
    """The clinic has to decide on it."""
    await _note(event, tx, ahead=True)


@on(BookingConfirmed)
async def note_confirmation(event: BookingConfirmed, tx: Transaction) -> None:
    """It stands."""
    await _note(event, tx, ahead=True)


@on(BookingRescheduled)
async def note_new_time(event: BookingRescheduled, tx: Transaction) -> None:
    """It has another time, maybe."""
    await _note(event, tx, ahead=True)


@on(BookingCompleted)
async def forget_completed(event: BookingCompleted, tx: Transaction) -> None:
    """It took place."""
    await _note(event, tx, ahead=False)


@on(BookingNoShow)
async def forget_no_show(event: BookingNoShow, tx: Transaction) -> None:
    """Nobody came."""
    await _note(event, tx, ahead=False)


@on(BookingRejected)
async def forget_rejected(event: BookingRejected, tx: Transaction) -> None:
    """The clinic said no."""
    await _note(event, tx, ahead=False)


@on(BookingUnfulfillable)
async def forget_unfulfillable(event: BookingUnfulfillable, tx: Transaction) -> None:
    """The time was gone."""
    await _note(event, tx, ahead=False)


@on(BookingCancelled)
async def forget_cancelled(event: BookingCancelled, tx: Transaction) -> None:
    """It was called off."""
    await _note(event, tx, ahead=False)


@on(HoldExpired)
async def forget_expired(event: HoldExpired, tx: Transaction) -> None:
    """The hold ran out; an appointment that waited for its payment went with it."""
    await clinics.keep_visit(tx, event.booking_id, event.visit.start, ahead=False, version=event.version)


async def _note(event: AppointmentFact, tx: Transaction, *, ahead: bool) -> None:
    await clinics.keep_visit(tx, event.booking_id, event.visit.start, ahead=ahead, version=event.version)
