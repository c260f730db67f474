"""A booking gives its time back: it is free, everybody sees it, and the first in line gets it."""

from collections.abc import Callable
from typing import Any

from booking import waitlist
from booking.model import Booking, vacated
from booking.repository import bookings, slots
from events import Event, Transaction


async def give_back(
    tx: Transaction, booking: Booking, fact: Callable[[Booking], Event], *, event: str, by: str, **values: Any
) -> Booking:
    """Frees what the locked booking has and sets `values`; says `fact` of the booking as it is then. `event` and `by`
    go into its history."""
    line = await waitlist.line_for(tx, booking)
    handed = waitlist.resources_for(booking) if line else set()
    if line:
        await slots.lock_alone(tx, handed)
    slot = await slots.free(tx, booking)
    gone = await bookings.update(tx, booking, seated=False, **values)
    await bookings.note(tx, gone.id, event, by)
    # Whoever took its seat of a class has said how that is now, perhaps in another room.
    rows = vacated(gone, slot) if booking.seated or slot.capacity == 1 else []
    await tx.emit(fact(gone), *rows, *slot.change(), correlation_id=gone.id)
    await waitlist.pass_on(tx, gone)
    await waitlist.hand_over(tx, gone, line, handed)
    return gone
