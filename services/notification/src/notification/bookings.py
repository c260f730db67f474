"""What booking says, and who is told of it. An event older than what is known changes and says nothing."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from events import Early, Transaction
from events.base import rfc3339
from events.contracts.availability import OfferingState, ResourceState
from events.contracts.booking import (
    AppointmentFact,
    AppointmentRequested,
    ApprovalDue,
    ApprovalRequested,
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingFact,
    BookingNoShow,
    BookingRejected,
    BookingUnfulfillable,
    HoldExpired,
)
from notification import repository, telling
from notification.domain import BookingStatus, Template, money_left, reminders
from notification.repository import Booking
from servicekit import copies


async def note_request(tx: Transaction, event: AppointmentRequested) -> None:
    """Somebody asked for the time and has to pay."""
    await remember(tx, event, BookingStatus.REQUESTED, **_money(event))


async def ask_for_approval(tx: Transaction, event: ApprovalRequested) -> None:
    """The clinic decides until the deadline."""
    terms = {"price": event.price.amount, "currency": event.price.currency}
    booking = await remember(tx, event, BookingStatus.PENDING_APPROVAL, **terms)
    if booking is not None:
        deadline = rfc3339(event.deadline)
        await telling.clinic(tx, booking, Template.CLINIC_APPROVAL, occasion(event), deadline=deadline)
        await telling.patient(tx, booking, Template.REQUEST_RECEIVED, occasion(event), deadline=deadline)


async def remind_of_approval(tx: Transaction, event: ApprovalDue) -> None:
    """Half of the time to decide is over."""
    booking = await remember(tx, event, BookingStatus.PENDING_APPROVAL)
    if booking is not None:
        deadline = rfc3339(event.deadline)
        await telling.clinic(tx, booking, Template.CLINIC_APPROVAL_DUE, occasion(event), deadline=deadline)


async def confirm(tx: Transaction, event: BookingConfirmed) -> None:
    """The appointment stands."""
    terms = _money(event) | {"paid": event.payment_id is not None, "stood": True}
    if event.payment_id is not None:
        terms["payment_id"] = str(event.payment_id)
    booking = await remember(tx, event, BookingStatus.CONFIRMED, **terms)
    if booking is None:
        return
    await telling.patient(tx, booking, Template.BOOKING_CONFIRMED, occasion(event), version=event.version)
    await telling.clinic(tx, booking, Template.CLINIC_CONFIRMED, occasion(event))
    await tell_practitioner(tx, booking, booking.provider_id, Template.CLINIC_CONFIRMED, occasion(event))
    await plan_reminders(tx, booking, event)


async def plan_reminders(tx: Transaction, booking: Booking, event: AppointmentFact) -> None:
    """Reminders of the visit as it is now; those of a former time, or planned before, go."""
    offering = await copies.find(tx, OfferingState, f"offering:{booking.offering_id}")
    if offering is None:
        raise Early(f"the offering {booking.offering_id} is not known yet, and with it when to remind")
    # The version keeps apart what was planned for the same time before the visit went away from it and came back.
    planned = f"{occasion(event)} "
    await repository.drop_queued(tx, booking.id, Template.REMINDER, "visit_moved", not_of=planned)
    start = rfc3339(booking.start_at)
    for due_at in reminders(booking.start_at, offering.reminders_minutes, datetime.now(UTC)):
        await telling.patient(tx, booking, Template.REMINDER, f"{planned}{rfc3339(due_at)}", due_at, start=start)


async def cancel(tx: Transaction, event: BookingCancelled) -> None:
    """Called off: staff hears of it where it had heard of the booking."""
    booking = await remember(tx, event, BookingStatus.CANCELLED)
    if booking is None:
        return
    await _drop_reminders(tx, booking)
    fee: dict[str, Any] = {"fee": event.fee.amount, "currency": event.fee.currency}
    await telling.patient(tx, booking, Template.BOOKING_CANCELLED, occasion(event), version=event.version, **fee)
    await telling.clinic(tx, booking, Template.CLINIC_CANCELLED, occasion(event), **fee)
    if event.was_confirmed:
        await tell_practitioner(tx, booking, booking.provider_id, Template.CLINIC_CANCELLED, occasion(event), **fee)


async def complete(tx: Transaction, event: BookingCompleted) -> None:
    """It took place: nothing is left to be said."""
    booking = await remember(tx, event, BookingStatus.COMPLETED)
    if booking is not None:
        await _drop_reminders(tx, booking)


async def miss(tx: Transaction, event: BookingNoShow) -> None:
    """The patient did not come, and is told what is kept and what goes back."""
    booking = await remember(tx, event, BookingStatus.NO_SHOW)
    if booking is None:
        return
    await _drop_reminders(tx, booking)
    left = money_left(booking.terms)
    kept = min(event.fee.amount, left)
    context: dict[str, Any] = {"fee": kept, "back": left - kept, "currency": event.fee.currency}
    await telling.patient(tx, booking, Template.BOOKING_NO_SHOW, occasion(event), **context)


async def reject(tx: Transaction, event: BookingRejected) -> None:
    """The clinic said no, or nothing: to a request, or to where an appointment wanted to move."""
    booking = await remember(tx, event, BookingStatus.REJECTED)
    if booking is not None:
        await _drop_reminders(tx, booking)
        await telling.patient(tx, booking, Template.BOOKING_REJECTED, occasion(event), version=event.version)


async def give_up(tx: Transaction, event: BookingUnfulfillable) -> None:
    """Paid too late."""
    booking = await remember(tx, event, BookingStatus.UNFULFILLABLE)
    if booking is not None:
        await _drop_reminders(tx, booking)
        await telling.patient(tx, booking, Template.BOOKING_UNFULFILLABLE, occasion(event), version=event.version)


async def expire(tx: Transaction, event: HoldExpired) -> None:
    """The hold ran out; only who had begun to pay is told. Of a hold that the waiting list offered, it is remembered
    that it is gone."""
    if event.requested:
        booking = await remember(tx, event, BookingStatus.EXPIRED)
        if booking is not None:
            await telling.patient(tx, booking, Template.HOLD_EXPIRED, occasion(event))
    elif (known := await repository.find(tx, event.booking_id)) and known.status is BookingStatus.OFFERED:
        await remember(tx, event, BookingStatus.EXPIRED)


def occasion(event: BookingFact) -> str:
    """What makes two messages about a booking two: the booking's version that they tell of."""
    return f"v{event.version}"


async def _drop_reminders(tx: Transaction, booking: Booking) -> None:
    await repository.drop_queued(tx, booking.id, Template.REMINDER, f"booking_{booking.status}")


def _money(event: AppointmentRequested | BookingConfirmed) -> dict[str, Any]:
    return {
        "price": event.price.amount,
        "amount_due": event.amount_due.amount,
        "currency": event.price.currency,
        "mode": event.mode,
    }


async def remember(
    tx: Transaction, event: AppointmentFact | HoldExpired, status: BookingStatus, **terms: Any
) -> Booking | None:
    """Stores what the event says of the booking; None when a newer version is here."""
    if isinstance(event, AppointmentFact) and event.manage:
        terms["manage"] = event.manage
    return await repository.remember(
        tx,
        Booking(
            id=event.booking_id,
            tenant_id=event.tenant_id,
            version=event.version,
            status=status,
            contact_id=event.contact_id,
            locale=event.locale or "",
            offering_id=event.visit.offering_id,
            provider_id=event.visit.provider_id,
            start_at=event.visit.start,
            end_at=event.visit.end,
            terms=terms,
        ),
    )


async def tell_practitioner(
    tx: Transaction, booking: Booking, provider_id: UUID | None, template: Template, occasion: str, **context: Any
) -> None:
    """A practitioner without an account hears of it from the clinic."""
    if provider_id is None:
        return
    provider = await copies.find(tx, ResourceState, f"resource:{provider_id}")
    if provider is None:
        raise Early(f"the practitioner {provider_id} is not known yet")
    if provider.user_id is not None:
        await telling.user(tx, booking, provider.user_id, template, occasion, **context)
