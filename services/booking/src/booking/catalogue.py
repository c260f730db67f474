"""What booking knows of the clinic and of what it offers: its own copies, fed by events."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from msgspec.structs import replace

from booking import hours, offers
from booking.model import Booking
from booking.repository import known
from events import Transaction
from events.contracts.availability import OfferingState, ResourceState
from events.contracts.identity import TenantChanged
from servicekit import copies
from servicekit.capabilities import Offer, OfferedResource


async def tenant(tx: Transaction) -> TenantChanged:
    """The clinic."""
    return await copies.expect(tx, TenantChanged, str(tx.tenant_id))


async def external_buffer(tx: Transaction) -> timedelta:
    """How far visits keep from external events. Nothing is booked in a clinic of which nothing has come yet."""
    clinic = await copies.find(tx, TenantChanged, str(tx.tenant_id))
    return timedelta(minutes=clinic.settings.external_buffer_minutes if clinic else 0)


async def offering(tx: Transaction, offering_id: UUID) -> OfferingState:
    """The offering as it is now."""
    return await copies.expect(tx, OfferingState, f"offering:{offering_id}")


async def learn(tx: Transaction, offer: Offer) -> None:
    """Waits for what the offer names and has not arrived yet, and keeps it where the hot functions look."""
    await known.keep_clinic(tx, await tenant(tx))
    key = f"offering:{offer.offering_id}"
    await known.keep_offering(tx, await copies.expect(tx, OfferingState, key, version=offer.offering_version))
    for identity in {resource.resource_id for group in offer.candidates for resource in group}:
        await known.keep_resource(tx, await copies.expect(tx, ResourceState, f"resource:{identity}"))


async def resources(tx: Transaction, ids: list[UUID]) -> dict[UUID, ResourceState]:
    """The resources by id, as far as they are known here."""
    found = [await copies.find(tx, ResourceState, f"resource:{resource_id}") for resource_id in ids]
    return {resource.resource_id: resource for resource in found if resource is not None}


async def still_works(tx: Transaction, booking: Booking) -> bool:
    """Whether the booking's resources are active and work at its time. A schedule that is no newer than the offer says
    nothing: it is older news than what availability knew."""
    offer = offers.read_again(booking.offer)
    offered = {one.resource_id: one.schedule_version for group in offer.candidates for one in group}
    known_now = await resources(tx, [resource.id for resource in booking.resources])
    return len(known_now) == len(booking.resources) and all(
        hours.fits(state, booking.start_at, booking.end_at)
        for state in known_now.values()
        if not state.active or state.schedule_version > offered.get(state.resource_id, 0)
    )


async def as_of_now(
    tx: Transaction, groups: Sequence[list[OfferedResource]], start: datetime, end: datetime
) -> list[list[OfferedResource]]:
    """Assignments of an older offer that today's schedules still allow, as today's offer would say them."""
    known_now = await resources(tx, list({resource.resource_id for group in groups for resource in group}))
    working = {identity: state for identity, state in known_now.items() if hours.fits(state, start, end)}
    return [
        [replace(entry, schedule_version=working[entry.resource_id].schedule_version) for entry in group]
        for group in groups
        if all(entry.resource_id in working for entry in group)
    ]
