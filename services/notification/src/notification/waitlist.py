"""The waiting list: somebody is on it, or the first in line is offered a time."""

from events import Transaction
from events.base import rfc3339
from events.contracts.booking import WaitlistJoined, WaitlistOffered
from notification import repository, telling
from notification.domain import BookingStatus, Template
from notification.repository import Booking


async def join(tx: Transaction, event: WaitlistJoined) -> None:
    """Whoever waits is told that they do, and for what. The entry is kept under its own id; its window stands where a
    visit's time would."""
    entry = await repository.remember(
        tx,
        Booking(
            id=event.entry_id,
            tenant_id=event.tenant_id,
            version=event.version,
            status=BookingStatus.WAITING,
            contact_id=event.contact_id,
            locale=event.locale,
            offering_id=event.offering_id,
            provider_id=event.provider_id,
            start_at=event.start,
            end_at=event.end,
            terms={"manage": event.manage} if event.manage else {},
        ),
    )
    if entry is not None:
        await telling.patient(tx, entry, Template.WAITLIST_JOINED, f"v{event.version}")


async def offer(tx: Transaction, event: WaitlistOffered) -> None:
    """A time is kept for them until `offer_until`: the link takes it."""
    hold = await repository.remember(
        tx,
        Booking(
            id=event.booking_id,
            tenant_id=event.tenant_id,
            version=event.version,
            status=BookingStatus.OFFERED,
            contact_id=event.contact_id,
            locale=event.locale,
            offering_id=event.visit.offering_id,
            provider_id=event.visit.provider_id,
            start_at=event.visit.start,
            end_at=event.visit.end,
            terms={"hold": event.manage},
        ),
    )
    if hold is not None:
        deadline = rfc3339(event.offer_until)
        await telling.patient(tx, hold, Template.WAITLIST_OFFERED, f"v{event.version}", deadline=deadline)
