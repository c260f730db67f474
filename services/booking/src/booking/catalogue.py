"""What booking knows of the clinic and of what it offers: its own copies, fed by events."""

from uuid import UUID

from booking.errors import OfferExpired
from events import Transaction
from events.contracts.availability import OfferingState, ResourceState
from events.contracts.identity import TenantChanged
from servicekit import copies
from servicekit.capabilities import OfferedResource


async def tenant(tx: Transaction) -> TenantChanged:
    """The clinic."""
    return await copies.expect(tx, TenantChanged, str(tx.tenant_id))


async def offering(tx: Transaction, offering_id: UUID, version: int) -> OfferingState:
    """The offering in at least the version that an offer was made from; 410 when it is not offered any more."""
    found = await copies.expect(tx, OfferingState, f"offering:{offering_id}", version=version)
    if not found.active:
        raise OfferExpired("This is no longer offered. Nothing was held; look for another offering.")
    return found


async def check_resource(tx: Transaction, offered: OfferedResource) -> bool:
    """Whether the resource is active and its schedule is still the one that the offer was made from."""
    found = await copies.find(tx, ResourceState, f"resource:{offered.resource_id}")
    if found is None:
        found = await copies.expect(tx, ResourceState, f"resource:{offered.resource_id}")
    return found.active and found.schedule_version <= offered.schedule_version


async def resources(tx: Transaction, ids: list[UUID]) -> dict[UUID, ResourceState]:
    """The resources by id, as far as they are known here."""
    found = [await copies.find(tx, ResourceState, f"resource:{resource_id}") for resource_id in ids]
    return {resource.resource_id: resource for resource in found if resource is not None}
