"""What booking learns of clinics, offerings and resources: a copy, and a row for the hot functions."""

from booking import blocking, conflicts
from booking.repository import blocks, known
from events import Deleted, Transaction
from events.contracts.availability import OfferingState, ResourceState
from events.contracts.identity import TenantChanged
from servicekit import copies


async def keep_tenant(tx: Transaction, event: TenantChanged) -> None:
    """The clinic as it is now."""
    before = await copies.find(tx, TenantChanged, event.key())
    if await copies.keep(tx, event):
        await known.keep_clinic(tx, event)
        buffer = event.settings.external_buffer_minutes
        if before is not None and before.settings.external_buffer_minutes != buffer:
            await blocking.pad_otherwise(tx)


async def keep_offering(tx: Transaction, event: OfferingState) -> None:
    """The offering as it is now, with its rules."""
    if await copies.keep(tx, event):
        await known.keep_offering(tx, event)


async def keep_resource(tx: Transaction, event: ResourceState) -> None:
    """The resource as it is now. Under its exclusive lock: a hold in flight is waited for and then judged by the new
    hours, a later one sees them."""
    await blocks.lock(tx, event.resource_id)
    if await copies.keep(tx, event):
        await known.keep_resource(tx, event)
        await conflicts.schedule_changed(tx, event)


async def forget(tx: Transaction, gone: Deleted) -> None:
    """An offering or resource that nothing was booked with is no more."""
    await copies.drop(tx, gone)
    await known.forget(tx, gone)
