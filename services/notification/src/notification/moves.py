"""What else becomes of an appointment that stands: it moves, or something lands on it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from events import Transaction
from events.base import rfc3339
from events.contracts.booking import AppointmentFact, BookingRescheduled, ConflictDetected, ConflictResolved
from notification import bookings, repository, telling
from notification.bookings import occasion
from notification.domain import BookingStatus, Template
from notification.repository import Booking


async def move(tx: Transaction, event: BookingRescheduled) -> None:
    """Another time or another practitioner is told, another room is only remembered. Reminders follow the time."""
    known = await repository.find(tx, event.booking_id)
    terms: dict[str, Any] = {"price": event.price.amount, "currency": event.price.currency}
    if known is not None and known.terms.get("paid"):
        # A price only rises when the difference was paid: until then the old time is kept (api.md).
        terms["amount_due"] = known.terms["amount_due"] + max(0, event.price.amount - known.terms["price"])
    if event.by == "staff":
        terms["moved_by_clinic"] = True  # for good: cancelling is free from now on (api.md)
    booking = await _remember_as_it_was(tx, event, known, **terms)
    if booking is None:
        return
    before, after = event.previous, event.visit
    context = _moved(event)
    if (before.start, before.end) != (after.start, after.end):
        await telling.patient(tx, booking, Template.BOOKING_RESCHEDULED, occasion(event), **context)
    elif before.provider_id != after.provider_id:
        await telling.patient(tx, booking, Template.BOOKING_CHANGED, occasion(event), **context)
    else:
        return
    await telling.clinic(tx, booking, Template.CLINIC_RESCHEDULED, occasion(event), **context)
    if booking.status is BookingStatus.CONFIRMED:
        for provider_id in _each(after.provider_id, before.provider_id):
            await bookings.tell_practitioner(
                tx, booking, provider_id, Template.CLINIC_RESCHEDULED, occasion(event), **context
            )
        if before.start != after.start:
            await bookings.plan_reminders(tx, booking, event)


async def alert_of_conflict(tx: Transaction, event: ConflictDetected) -> None:
    """The clinic has to decide what becomes of the appointment."""
    known = await repository.find(tx, event.booking_id)
    booking = await _remember_as_it_was(tx, event, known)
    if booking is not None:
        context = {"cause": event.cause, "resource": str(event.resource_id)}
        await telling.clinic(tx, booking, Template.CLINIC_CONFLICT, _conflict(event.conflict_id), **context)


async def forget_conflict(tx: Transaction, event: ConflictResolved) -> None:
    """Nothing is left to be decided: an alert that has not gone out does not."""
    await repository.drop_queued(
        tx, event.booking_id, Template.CLINIC_CONFLICT, "conflict_resolved", only=_conflict(event.conflict_id)
    )


async def _remember_as_it_was(
    tx: Transaction, event: AppointmentFact, known: Booking | None, **terms: Any
) -> Booking | None:
    """Stores what the event says. It does not say whether the appointment stands or waits for approval: that stays.
    Of one that nothing was heard of (what was said lies behind the topic's retention) the former is likelier."""
    return await bookings.remember(tx, event, known.status if known else BookingStatus.CONFIRMED, **terms)


def _moved(event: BookingRescheduled) -> dict[str, Any]:
    """What a message about the move is made of; `start` and `provider` say which move it tells of."""
    before, after = event.previous, event.visit
    return {
        "version": event.version,
        "by": event.by,
        "start": rfc3339(after.start),
        "provider": _text(after.provider_id),
        "previous_start": rfc3339(before.start),
        "previous_provider": _text(before.provider_id) if before.provider_id != after.provider_id else None,
        "move_fee": event.fee.amount,
        "currency": event.price.currency,
    }


def is_newest(booking: Booking, context: dict[str, Any]) -> bool:
    """Whether the visit is still where a message about a move says."""
    there = datetime.fromisoformat(context["start"]) == booking.start_at
    return there and context["provider"] == _text(booking.provider_id)


def _text(provider_id: UUID | None) -> str | None:
    return str(provider_id) if provider_id is not None else None


def _each(*providers: UUID | None) -> list[UUID]:
    return list(dict.fromkeys(provider for provider in providers if provider is not None))


def _conflict(conflict_id: UUID) -> str:
    return f"conflict {conflict_id}"
