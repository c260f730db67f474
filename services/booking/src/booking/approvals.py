"""Waiting for the clinic to decide."""

from datetime import UTC, datetime

from booking import catalogue
from booking.domain import State, approval_deadline, reminder_at
from booking.model import Booking, Slot, occupied
from booking.repository import bookings
from events import Transaction
from events.contracts.booking import ApprovalRequested


async def deadline_for(tx: Transaction, booking: Booking, start: datetime) -> datetime:
    """Until when the clinic may decide about a visit at `start`."""
    tenant = await catalogue.tenant(tx)
    return approval_deadline(
        datetime.now(UTC),
        start,
        approval_minutes=tenant.settings.approval_minutes,
        notice_minutes=booking.terms["notice_minutes"],
    )


async def wait_for_approval(tx: Transaction, booking: Booking, slot: Slot, deadline: datetime) -> Booking:
    """The locked booking, whose claims last until the deadline, is for the clinic to decide."""
    booking = await bookings.update(
        tx,
        booking,
        status=State.PENDING_APPROVAL.value,
        claim_until=deadline,
        remind_at=reminder_at(datetime.now(UTC), deadline),
    )
    await bookings.note(tx, booking.id, "approval_requested", "system")
    await tx.emit(
        ApprovalRequested(**booking.appointment_fact(), price=booking.money(booking.price), deadline=deadline),
        *occupied(booking, slot),
        correlation_id=booking.id,
    )
    return booking
