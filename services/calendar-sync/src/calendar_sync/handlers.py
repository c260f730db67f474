"""What the service reacts to. A visit that took place, or whose patient did not come, stays in the calendars."""

from uuid import UUID

from calendar_sync import connecting, writing
from events import Deleted, Transaction, on, on_deleted
from events.contracts.availability import OfferingState, ResourceState
from events.contracts.booking import (
    BookingCancelled,
    BookingConfirmed,
    BookingRejected,
    BookingRescheduled,
    BookingUnfulfillable,
)
from events.contracts.identity import TenantChanged
from servicekit import copies


@on(TenantChanged)
async def keep_clinic(event: TenantChanged, tx: Transaction) -> None:
    """The clinic as it is now; a deleted one lets go of its calendars."""
    if await copies.keep(tx, event) and not event.active:
        await connecting.disconnect_all(tx)


@on(ResourceState)
async def keep_resource(event: ResourceState, tx: Transaction) -> None:
    """The resource as it is now."""
    await copies.keep(tx, event)


@on_deleted(ResourceState)
async def let_go_of_calendars(event: Deleted, tx: Transaction) -> None:
    """A resource that is no more has no calendars."""
    await copies.drop(tx, event)
    await connecting.disconnect_all(tx, UUID(event.key.removeprefix("resource:")))


@on(OfferingState)
async def keep_offering(event: OfferingState, tx: Transaction) -> None:
    """The offering as it is now. A deleted one is kept: its appointments still carry its name."""
    await copies.keep(tx, event)


@on(BookingConfirmed)
async def write_event(event: BookingConfirmed, tx: Transaction) -> None:
    """The appointment stands: it appears in its practitioner's calendars."""
    await writing.want(tx, event, confirmed=True)


@on(BookingRescheduled)
async def move_event(event: BookingRescheduled, tx: Transaction) -> None:
    """The appointment has another time or practitioner, and so has its event."""
    await writing.move(tx, event)


@on(BookingCancelled)
async def remove_event(event: BookingCancelled, tx: Transaction) -> None:
    """The appointment was called off: it goes from the calendars."""
    await writing.want(tx, event, confirmed=False)


@on(BookingRejected)
async def remove_rejected_event(event: BookingRejected, tx: Transaction) -> None:
    """An appointment that moved to where the clinic has to approve, and was refused there: it goes."""
    await writing.want(tx, event, confirmed=False)


@on(BookingUnfulfillable)
async def remove_lost_event(event: BookingUnfulfillable, tx: Transaction) -> None:
    """Likewise when the time was lost meanwhile."""
    await writing.want(tx, event, confirmed=False)
