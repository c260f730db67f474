"""Conflicts: what lands on appointments that stand. Found at once, listed, resolved by the clinic.

A booking that is only held or waits for its payment is not listed: it is checked again when it would be confirmed, and
the money goes back.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from booking import catalogue, hours
from booking.domain import State
from booking.model import Booking
from booking.repository import blocks
from booking.repository import conflicts as rows
from events import Transaction, new_id
from events.contracts.availability import ResourceState
from events.contracts.booking import ConflictCause, ConflictDetected, ConflictResolved

STANDING = (State.PENDING_APPROVAL, State.CONFIRMED)
FAR = timedelta(days=800)  # beyond what can be booked ahead


async def landed(tx: Transaction, resource_id: UUID, cause: ConflictCause, start: datetime, end: datetime) -> None:
    """A block came to lie on the resource (its lock is held): whoever is booked there has a conflict."""
    now = datetime.now(UTC)
    if end <= now:
        return
    pad = await catalogue.external_buffer(tx) if cause == "external_event" else timedelta()
    since, until = max(start - pad, now - FAR), min(end, now + FAR) + pad
    found = await blocks.bookings_on(tx, resource_id, since, until)
    await _open(tx, found, resource_id, cause)


async def lifted(tx: Transaction, resource_ids: Iterable[UUID]) -> None:
    """A block of these resources is gone or has moved: conflicts that it alone had made are over."""
    for resource_id in resource_ids:
        for conflict in await rows.open_on(tx, resource_id, ("external_event", "time_off")):
            booking = await rows.booking_of(tx, conflict)
            if not await blocks.are_on(tx, booking, [resource_id], kind=conflict.cause):
                await close(tx, conflict, booking, "gone")


async def schedule_changed(tx: Transaction, resource: ResourceState) -> None:
    """The resource has other hours or is no longer active (its lock is held): visits that no longer fit are conflicts,
    and those that fit again are none."""
    now = datetime.now(UTC)
    found = await blocks.bookings_on(tx, resource.resource_id, now, now + FAR)
    cause: ConflictCause = "schedule" if resource.active else "deactivated"
    unfit = [booking for booking in found if not hours.fits(resource, booking.start_at, booking.end_at)]
    await _open(tx, unfit, resource.resource_id, cause)
    unfit_ids = {booking.id for booking in unfit}
    for conflict in await rows.open_on(tx, resource.resource_id, ("schedule", "deactivated")):
        if conflict.booking_id not in unfit_ids or conflict.cause != cause:
            await close(tx, conflict, await rows.booking_of(tx, conflict), "gone")


async def close_of(tx: Transaction, booking: Booking, resolution: str = "gone") -> None:
    """The locked booking ended or moved: its conflicts are over."""
    for conflict in await rows.open_of(tx, booking.id):
        await close(tx, conflict, booking, resolution)


async def _open(tx: Transaction, found: Iterable[Booking], resource_id: UUID, cause: ConflictCause) -> None:
    for booking in found:
        if booking.status not in STANDING:
            continue
        conflict_id = new_id()
        if await rows.add(tx, conflict_id, booking, resource_id, cause):
            event = ConflictDetected(
                **booking.appointment_fact(), conflict_id=conflict_id, cause=cause, resource_id=resource_id
            )
            await tx.emit(event, correlation_id=booking.id)


async def close(tx: Transaction, conflict: rows.Conflict, booking: Booking, resolution: str) -> None:
    """Ends an open conflict of the booking, and says how; nothing when it ended before."""
    if await rows.close(tx, conflict.id, resolution):
        event = ConflictResolved(**booking.fact(), conflict_id=conflict.id, resolution=resolution)
        await tx.emit(event, correlation_id=booking.id)
