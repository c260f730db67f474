"""Which appointments somebody may see and act on; what is not theirs does not exist for them (404)."""

from uuid import UUID

from booking import catalogue
from booking.model import Booking
from booking.repository import bookings
from events import Transaction
from servicekit.auth import DESK, Principal
from servicekit.problems import Forbidden, NotFound


async def visible(tx: Transaction, booking_id: UUID, asking: Principal) -> Booking:
    """The appointment if it is the asker's to see, else 404."""
    return _mine(tx, await bookings.find(tx, booking_id), asking)


async def locked(tx: Transaction, booking_id: UUID, asking: Principal) -> Booking:
    """The same, locked."""
    return _mine(tx, await bookings.lock(tx, booking_id), asking)


async def for_desk(tx: Transaction, booking_id: UUID, asking: Principal) -> Booking:
    """Locked, for the front desk, managers and the owner."""
    booking = await locked(tx, booking_id, asking)
    asking.require_role(tx.tenant_id, DESK)
    return booking


async def for_staff(tx: Transaction, booking_id: UUID, asking: Principal) -> Booking:
    """Locked, also for the practitioner whose visit it is."""
    booking = await locked(tx, booking_id, asking)
    asking.require_role(tx.tenant_id, DESK | {"practitioner"})
    if asking.role_in(tx.tenant_id) == "practitioner":
        own = (await catalogue.resources(tx, [booking.provider_id] if booking.provider_id else [])).values()
        if asking.user_id not in (resource.user_id for resource in own):
            raise Forbidden("This is another practitioner's visit. It was not changed.")
    return booking


def _mine(tx: Transaction, booking: Booking | None, asking: Principal) -> Booking:
    if booking is None or not booking.is_appointment or booking.moves is not None:
        raise NotFound("There is no such appointment, or it is not yours to see.")
    asking.require_visible(tx.tenant_id, owner=booking.user_id, token_hash=booking.manage_token, what="appointment")
    return booking
