"""A session of a class falls out: everybody is told, everything goes back, and its start is not offered again."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from booking import catalogue, endings, giving_back, holds
from booking.domain import Action, State, Trigger, decide
from booking.errors import IllegalTransition
from booking.model import ClaimedResource, Slot
from booking.repository import bookings, slots
from events import Transaction
from events.contracts.booking import HoldReleased, Occupancy
from servicekit.auth import DESK, Principal
from servicekit.problems import ValidationFailed


async def cancel(
    tx: Transaction, asking: Principal, offering_id: UUID, provider_id: UUID | None, start: datetime, reason: str | None
) -> list[UUID]:
    """Calls off the session at that time, also one that nobody has booked yet; the appointments that it had. Again: as
    the first time."""
    asking.require_role(tx.tenant_id, DESK)
    offering = await catalogue.offering(tx, offering_id)
    if provider_id is not None and provider_id not in await catalogue.resources(tx, [provider_id]):
        raise ValidationFailed.of("provider_id", "is no provider of this clinic")
    if start <= datetime.now(UTC):
        raise IllegalTransition("The session has begun. It was not cancelled.")
    end = start + timedelta(minutes=offering.duration_minutes)
    slot = await slots.session(tx, offering_id, provider_id, start, end, offering.capacity)
    by = holds.by_whom(asking, tx.tenant_id)
    # Their slot's row is locked: nobody can come or go meanwhile.
    present = await bookings.of_slot(tx, slot.id)
    if slot.status != "cancelled":
        had: Sequence[ClaimedResource] = slot.resources or (
            [ClaimedResource(provider_id, start, end)] if provider_id else []
        )
        slot = await slots.call_off(tx, slot)
    else:
        had = ()
    called_off = []
    for booking in present:
        locked = await bookings.relock(tx, booking.id)
        action = decide(locked.state, Trigger.CANCEL)
        if action is Action.CALL_OFF:
            await endings.call_off(tx, locked, by_staff=True, by=by, fee=0, reason=reason)
            called_off.append(locked.id)
        elif locked.state is State.HELD:
            await giving_back.give_back(
                tx,
                locked,
                lambda gone: HoldReleased(**gone.fact(), visit=gone.visit()),
                event="released",
                by=by,
                status=State.RELEASED.value,
            )
    await _hide(tx, slot, had)
    return called_off


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
