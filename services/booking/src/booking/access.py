"""Which appointments somebody may see and act on; what is not theirs does not exist for them (404)."""

from uuid import UUID

from booking.model import Booking
from booking.repository import bookings, known
from events import Transaction
from servicekit.auth import DESK, Principal
from servicekit.problems import NotFound


async def visible(tx: Transaction, booking_id: UUID, asking: Principal) -> Booking:
    """The appointment if it is the asker's to see, else 404."""
    return await _mine(tx, await bookings.find(tx, booking_id), asking)


async def locked(tx: Transaction, booking_id: UUID, asking: Principal) -> Booking:
    """The same, locked."""
    return await _mine(tx, await bookings.lock(tx, booking_id), asking)


async def for_desk(tx: Transaction, booking_id: UUID, asking: Principal) -> Booking:
    """Locked, for the front desk, managers and the owner."""
    booking = await locked(tx, booking_id, asking)
    asking.require_role(tx.tenant_id, DESK)
    return booking


async def for_staff(tx: Transaction, booking_id: UUID, asking: Principal) -> Booking:
    """Locked, also for the practitioner whose visit it is."""
    booking = await locked(tx, booking_id, asking)
    asking.require_role(tx.tenant_id, DESK | {"practitioner"})
    return booking


async def own_providers(tx: Transaction, asking: Principal) -> list[UUID] | None:
    """Whose agenda somebody sees: a practitioner only the own one; None: everybody's."""
    if asking.role_in(tx.tenant_id) != "practitioner":
        return None
    return await known.of_user(tx, asking.user_id)


async def _mine(tx: Transaction, booking: Booking | None, asking: Principal) -> Booking:
    if booking is None or not booking.is_appointment or booking.moves is not None:
        raise NotFound("There is no such appointment, or it is not yours to see.")
    asking.require_visible(tx.tenant_id, owner=booking.user_id, token_hash=booking.manage_token, what="appointment")
    providers = await own_providers(tx, asking)
    if providers is not None and booking.provider_id not in providers and booking.user_id != asking.user_id:
        raise NotFound("There is no such appointment, or it is not yours to see.")
    return booking
