"""A session of a class falls out: everybody is told, everything goes back, and its start is not offered again."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from booking import catalogue, endings, holds
from booking.domain import Action, State, Trigger, decide
from booking.errors import IllegalTransition
from booking.model import Booking, ClaimedResource, Slot
from booking.repository import bookings, slots
from events import Transaction
from events.contracts.availability import OfferingState
from events.contracts.booking import Occupancy
from servicekit import copies
from servicekit.auth import DESK, Principal
from servicekit.problems import ValidationFailed


async def cancel(
    tx: Transaction, asking: Principal, offering_id: UUID, provider_id: UUID | None, start: datetime, reason: str | None
) -> Sequence[UUID]:
    """Calls off the session at that time, also one that nobody has booked yet; the appointments that it had. Again: as
    the first time. Without a provider: those of every place."""
    asking.require_role(tx.tenant_id, DESK)
    offering = await copies.find(tx, OfferingState, f"offering:{offering_id}")
    if offering is None:
        raise ValidationFailed.of("offering_id", "is no offering of this clinic")
    if provider_id is not None and provider_id not in await catalogue.resources(tx, [provider_id]):
        raise ValidationFailed.of("provider_id", "is no provider of this clinic")
    if start <= datetime.now(UTC):
        raise IllegalTransition("The session has begun. It was not cancelled.")
    end = start + timedelta(minutes=offering.duration_minutes)
    if provider_id is not None:
        found = [await slots.session(tx, offering_id, provider_id, start, end, offering.capacity)]
    else:
        found = await slots.sessions_of_nobody(tx, offering_id, start)
        if not found:
            raise IllegalTransition("Nobody has a seat at that time, in any place. Nothing was cancelled.")
    by = holds.by_whom(asking, tx.tenant_id)
    # Their slots' rows are locked: nobody can come or go meanwhile.
    return [booking_id for slot in found for booking_id in await _call_off(tx, slot, by, reason)]


async def _call_off(tx: Transaction, slot: Slot, by: str, reason: str | None) -> Sequence[UUID]:
    if slot.status == "cancelled":
        return slot.called_off
    present = [await bookings.relock(tx, booking.id) for booking in await bookings.of_slot(tx, slot.id)]
    ids = [booking.id for booking in present if _is_called_off(booking)]
    slot = await slots.call_off(tx, slot, ids)
    for booking in present:
        if _is_called_off(booking):
            await endings.call_off(tx, booking, by_staff=True, by=by, fee=0, reason=reason)
        elif booking.state is State.EXPIRED:
            await holds.expire(tx, booking)
        elif booking.state in (State.HELD, State.PENDING_PAYMENT):
            await holds.drop(tx, booking, by)
    own = [ClaimedResource(slot.provider_id, slot.start, slot.end)] if slot.provider_id else []
    await _hide(tx, slot, slot.resources or own)
    return ids


def _is_called_off(booking: Booking) -> bool:
    """An appointment, and not a time that another one would have moved to once it was paid."""
    return booking.moves is None and decide(booking.state, Trigger.CANCEL) is Action.CALL_OFF


async def _hide(tx: Transaction, slot: Slot, had: Sequence[ClaimedResource]) -> None:
    """Says that the start is not offered again, after the words of those who left."""
    now = await slots.touch(tx, slot)
    rows = [
        Occupancy(
            tenant_id=tx.tenant_id,
            version=now.version,
            owner_id=slot.id,
            resource_id=resource.id,
            slot_id=slot.id,
            offering_id=slot.offering_id,
            provider_id=slot.provider_id,
            claim_start=resource.claim_start,
            claim_end=resource.claim_end,
            start=slot.start,
            end=slot.end,
            expires_at=None,
            capacity=slot.capacity,
            reserved=0,
            cancelled=True,
        )
        for resource in had
    ]
    await tx.emit(*rows, correlation_id=slot.id)
