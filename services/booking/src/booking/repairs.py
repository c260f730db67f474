"""How the clinic resolves a conflict: by another time, another resource, the waitlist, or by keeping it as it is."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from booking import conflicts, endings, moves, offers, waitlist
from booking.errors import IllegalTransition
from booking.holds import by_whom
from booking.model import Booking
from booking.repository import audit, bookings
from booking.repository import conflicts as rows
from booking.repository.conflicts import Conflict
from events import Transaction
from servicekit.auth import DESK, Principal
from servicekit.capabilities import CustomerToken
from servicekit.problems import NotFound, ValidationFailed
from servicekit.sealing import Sealer
from servicekit.signing import Signer

WAITS_FOR = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Resolved:
    """A conflict after its resolution, and the appointment as it is then."""

    conflict: Conflict
    booking: Booking


async def page(tx: Transaction, asking: Principal, status: str, after: UUID | None, limit: int) -> list[dict[str, Any]]:
    """Conflicts with their appointments; of open ones also what availability has to know to find repairs."""
    asking.require_role(tx.tenant_id, DESK | {"practitioner"})
    found = []
    for conflict in await rows.page(tx, status, after, limit):
        booking = await rows.booking_of(tx, conflict)
        found.append(_shown(conflict, booking))
    return found


def _shown(conflict: Conflict, booking: Booking) -> dict[str, Any]:
    shown = {
        "id": conflict.id,
        "appointment_id": booking.id,
        "cause": conflict.cause,
        "status": conflict.status,
        "resource_id": conflict.resource_id,
        "start": booking.start_at,
        "end": booking.end_at,
        "resolution": conflict.resolution,
        "created_at": conflict.created_at,
        "resolved_at": conflict.resolved_at,
    }
    if conflict.status == "open":
        shown["repair"] = {
            "offering_id": booking.offering_id,
            "start": booking.start_at,
            "end": booking.end_at,
            "resource_ids": [resource.id for resource in booking.resources],
            "broken_resource_id": conflict.resource_id,
            "provider_id": booking.provider_id,
            "booking_id": booking.id,
        }
    return shown


async def resolve(
    tx: Transaction, signer: Signer, sealer: Sealer, conflict_id: UUID, option: str, asking: Principal
) -> Resolved:
    """Does what the option says, messages included. 409 when it is resolved already or what it offers is taken."""
    asking.require_role(tx.tenant_id, DESK)
    conflict = await rows.find(tx, conflict_id)
    if conflict is None:
        raise NotFound("There is no such conflict in this clinic.")
    if conflict.status != "open":
        raise IllegalTransition(f"This conflict is resolved already ({conflict.resolution}). Nothing was changed.")
    kind, _, slot_id = option.partition(".")
    by = by_whom(asking, tx.tenant_id)
    if kind in ("reschedule", "substitute") and slot_id:
        if kind == "substitute":
            await _require_same_start(tx, signer, conflict, slot_id)
        booking = await moves.reschedule(tx, signer, conflict.booking_id, slot_id, asking, resolution=kind)
    elif option == "waitlist":
        booking = await _to_waitlist(tx, sealer, conflict, by)
    elif option == "keep":
        booking = await _locked(tx, conflict)
        await conflicts.close(tx, conflict, booking, "keep")
        await audit.write(tx, asking.user_id, "conflict_kept", booking.id, conflict.cause)
    else:
        raise ValidationFailed.of("option", "is none of this conflict's options")
    now = await rows.find(tx, conflict_id)
    assert now is not None
    if not await rows.resolved_here(tx, conflict_id):
        raise IllegalTransition(
            f"Somebody was faster: this conflict is resolved ({now.resolution}). Nothing was changed."
        )
    return Resolved(now, booking)


async def _require_same_start(tx: Transaction, signer: Signer, conflict: Conflict, slot_id: str) -> None:
    booking = await rows.booking_of(tx, conflict)
    if offers.instant(offers.read(signer, slot_id, tx.tenant_id).start) != booking.start_at:
        raise ValidationFailed.of("option", "is at another time than the visit: that is no substitute")


async def _to_waitlist(tx: Transaction, sealer: Sealer, conflict: Conflict, by: str) -> Booking:
    """Calls the visit off, everything back, and puts the patient into the line for the days around it."""
    booking = await _locked(tx, conflict)
    assert booking.person_id is not None
    assert booking.contact_id is not None
    await conflicts.close(tx, conflict, booking, "waitlist")
    now = datetime.now(UTC)
    window = waitlist.Window(
        offering_id=booking.offering_id,
        provider_id=None,
        start=now,
        end=max(booking.start_at, now) + WAITS_FOR,
        seats=booking.seats,
    )
    customer = CustomerToken(
        expires=0,
        tenant_id=tx.tenant_id,
        person_id=booking.person_id,
        contact_id=booking.contact_id,
        locale=booking.locale or "en",
        user_id=booking.user_id,
        verified=booking.verified,
    )
    gone = await endings.call_off(tx, booking, by_staff=True, by=by, fee=0, reason=conflict.cause)
    await waitlist.join(tx, window, customer, sealer, staff=True, most_unverified=0)
    return gone


async def _locked(tx: Transaction, conflict: Conflict) -> Booking:
    booking = await bookings.lock(tx, conflict.booking_id)
    assert booking is not None  # a foreign key
    return booking
