"""An appointment as a calendar file."""

from booking import catalogue
from booking.domain import State
from booking.model import Booking
from events import Transaction
from servicekit import ics

_OVER = (State.CANCELLED, State.REJECTED, State.UNFULFILLABLE, State.EXPIRED)


async def file_of(tx: Transaction, booking: Booking, public_url: str, host: str) -> bytes:
    """The file (RFC 5545); of an appointment that was called off, one that takes it out of the calendar."""
    tenant, offering = await catalogue.tenant(tx), await catalogue.offering(tx, booking.offering_id)
    url = f"{public_url}/manage/{booking.id}?clinic={booking.tenant_id}"
    entry = ics.CalendarEntry(
        booking_id=booking.id,
        sequence=booking.version,
        stamp=booking.updated_at,
        start=booking.start_at,
        end=booking.end_at,
        summary=f"{offering.name}, {tenant.name}",
        description=url,
        url=url,
        organizer=f"noreply@{host}",
        organizer_name=tenant.name,
    )
    return ics.calendar_file(entry, "CANCEL" if booking.state in _OVER else "PUBLISH")
