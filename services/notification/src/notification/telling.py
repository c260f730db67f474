"""Writing messages down: who is told, once."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from events import Early, Transaction
from notification import repository
from notification.domain import HISTORY, TEXTED, Template
from notification.repository import Booking, Message
from servicekit.problems import NotFound

CLINIC = "clinic"


async def known(tx: Transaction, booking_id: UUID) -> Booking:
    """The booking that money belongs to: of what was paid for a dearer time, the appointment that moves there. `Early`
    while only the money is known."""
    booking = await find(tx, booking_id)
    if booking is None:
        raise Early(f"the booking {booking_id} that this money belongs to is not known yet")
    return booking


async def find(tx: Transaction, booking_id: UUID) -> Booking | None:
    """Likewise; None while only the money is known."""
    appointment_id = await repository.appointment_of(tx, booking_id)
    return await repository.find(tx, appointment_id or booking_id)


async def patient(
    tx: Transaction, booking: Booking, template: Template, occasion: str, due_at: datetime | None = None, **context: Any
) -> None:
    """Tells the patient by e-mail, and by SMS what also goes by SMS."""
    if booking.contact_id is None:
        raise Early(f"whom the booking {booking.id} belongs to is not known yet")
    recipient = f"contact:{booking.contact_id}"
    for kind in ("email", "sms"):
        if kind == "email" or template in TEXTED:
            await _tell(tx, booking, template, kind, recipient, occasion, due_at, context)


async def clinic(tx: Transaction, booking: Booking, template: Template, occasion: str, **context: Any) -> None:
    """Tells whoever gets the clinic's alerts."""
    await _tell(tx, booking, template, "email", CLINIC, occasion, None, context)


async def user(
    tx: Transaction, booking: Booking, user_id: UUID, template: Template, occasion: str, **context: Any
) -> None:
    """Tells somebody who works there."""
    await _tell(tx, booking, template, "email", f"user:{user_id}", occasion, None, context)


async def told(tx: Transaction, booking_id: UUID, *, after: UUID | None, limit: int) -> list[Message]:
    """What was written down about the booking, oldest first, behind the message `after`; 404 when nothing was ever
    heard of it."""
    if await repository.find(tx, booking_id) is None:
        raise NotFound("There is no such appointment, or it is not yours to see.")
    return await repository.page_of(tx, booking_id, after=after, limit=limit)


async def _tell(
    tx: Transaction,
    booking: Booking,
    template: Template,
    kind: str,
    recipient: str,
    occasion: str,
    due_at: datetime | None,
    context: dict[str, Any],
) -> None:
    if tx.cause is not None and tx.cause.time < datetime.now(UTC) - HISTORY:
        return
    if await repository.queue(tx, booking.id, template, kind, recipient, occasion, context, due_at):
        tx.wake("send_messages")
