"""What booking says, and who is told of it. An event older than what is known changes and says nothing."""

from datetime import UTC, datetime
from typing import Any

from events import Early, Transaction
from events.base import rfc3339
from events.contracts.availability import OfferingState, ResourceState
from events.contracts.booking import (
    AppointmentFact,
    AppointmentRequested,
    ApprovalRequested,
    BookingCancelled,
    BookingConfirmed,
    BookingRejected,
    BookingUnfulfillable,
    HoldExpired,
)
from notification import repository, telling
from notification.domain import BookingStatus, Template, reminders
from notification.repository import Booking
from servicekit import copies


async def note_request(tx: Transaction, event: AppointmentRequested) -> None:
    """Somebody asked for the time and has to pay."""
    await _remember(tx, event, BookingStatus.REQUESTED, **_money(event))


async def ask_for_approval(tx: Transaction, event: ApprovalRequested) -> None:
    """The clinic decides until the deadline."""
    terms = {"price": event.price.amount, "currency": event.price.currency}
    booking = await _remember(tx, event, BookingStatus.PENDING_APPROVAL, **terms)
    if booking is not None:
        deadline = rfc3339(event.deadline)
        await telling.clinic(tx, booking, Template.CLINIC_APPROVAL, _occasion(event), deadline=deadline)
        await telling.patient(tx, booking, Template.REQUEST_RECEIVED, _occasion(event), deadline=deadline)


async def confirm(tx: Transaction, event: BookingConfirmed) -> None:
    """The appointment stands."""
    terms = _money(event) | {"paid": event.payment_id is not None}
    booking = await _remember(tx, event, BookingStatus.CONFIRMED, **terms)
    if booking is None:
        return
    await telling.patient(tx, booking, Template.BOOKING_CONFIRMED, _occasion(event), version=event.version)
    await telling.clinic(tx, booking, Template.CLINIC_CONFIRMED, _occasion(event))
    await _tell_practitioner(tx, booking, Template.CLINIC_CONFIRMED, _occasion(event))
    offering = await copies.find(tx, OfferingState, f"offering:{booking.offering_id}")
    if offering is None:
        raise Early(f"the offering {booking.offering_id} is not known yet, and with it when to remind")
    start = rfc3339(booking.start_at)
    for due_at in reminders(booking.start_at, offering.reminders_minutes, datetime.now(UTC)):
        occasion = f"{start} {rfc3339(due_at)}"
        await telling.patient(tx, booking, Template.REMINDER, occasion, due_at, start=start)


async def cancel(tx: Transaction, event: BookingCancelled) -> None:
    """Called off: staff hears of it where it had heard of the booking."""
    booking = await _remember(tx, event, BookingStatus.CANCELLED)
    if booking is None:
        return
    await repository.drop_queued(tx, booking.id, Template.REMINDER, "booking_cancelled")
    fee: dict[str, Any] = {"fee": event.fee.amount, "currency": event.fee.currency}
    await telling.patient(tx, booking, Template.BOOKING_CANCELLED, _occasion(event), version=event.version, **fee)
    await telling.clinic(tx, booking, Template.CLINIC_CANCELLED, _occasion(event), **fee)
    if event.was_confirmed:
        await _tell_practitioner(tx, booking, Template.CLINIC_CANCELLED, _occasion(event), **fee)


async def reject(tx: Transaction, event: BookingRejected) -> None:
    """The clinic said no, or nothing."""
    booking = await _remember(tx, event, BookingStatus.REJECTED)
    if booking is not None:
        await telling.patient(tx, booking, Template.BOOKING_REJECTED, _occasion(event))


async def give_up(tx: Transaction, event: BookingUnfulfillable) -> None:
    """Paid too late."""
    booking = await _remember(tx, event, BookingStatus.UNFULFILLABLE)
    if booking is not None:
        await telling.patient(tx, booking, Template.BOOKING_UNFULFILLABLE, _occasion(event))


async def expire(tx: Transaction, event: HoldExpired) -> None:
    """The hold ran out; only who had begun to pay is told."""
    if not event.requested:
        return
    booking = await _remember(tx, event, BookingStatus.EXPIRED)
    if booking is not None:
        await telling.patient(tx, booking, Template.HOLD_EXPIRED, _occasion(event))


def _occasion(event: AppointmentFact | HoldExpired) -> str:
    return f"v{event.version}"


def _money(event: AppointmentRequested | BookingConfirmed) -> dict[str, Any]:
    return {
        "price": event.price.amount,
        "amount_due": event.amount_due.amount,
        "currency": event.price.currency,
        "mode": event.mode,
    }


async def _remember(
    tx: Transaction, event: AppointmentFact | HoldExpired, status: BookingStatus, **terms: Any
) -> Booking | None:
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


async def _tell_practitioner(
    tx: Transaction, booking: Booking, template: Template, occasion: str, **context: Any
) -> None:
    """A practitioner without an account hears of it from the clinic."""
    if booking.provider_id is None:
        return
    provider = await copies.find(tx, ResourceState, f"resource:{booking.provider_id}")
    if provider is None:
        raise Early(f"the practitioner {booking.provider_id} is not known yet")
    if provider.user_id is not None:
        await telling.user(tx, booking, provider.user_id, template, occasion, **context)
