"""Blocks: external events and time off. Each is written under its resource's exclusive lock, which waits for holds in
flight; then whoever is booked there is found."""

from booking import conflicts
from booking.repository import blocks
from events import Deleted, Transaction
from events.contracts.availability import TimeOffState
from events.contracts.calendar import Busy
from scheduling.times_off import stretches


async def put_external(tx: Transaction, event: Busy) -> None:
    """An external event came, moved, or went to another resource."""
    await blocks.lock(tx, event.resource_id)
    touched = await blocks.put(
        tx, event.key(), event.resource_id, event.start, event.end, event.version, "external_event"
    )
    if touched:
        await conflicts.lifted(tx, touched)
        await conflicts.landed(tx, event.resource_id, "external_event", event.start, event.end)


async def remove_external(tx: Transaction, gone: Deleted) -> None:
    """The external event is no more."""
    resource_id = await blocks.remove(tx, gone.key, gone.version)
    if resource_id is not None:
        await conflicts.lifted(tx, [resource_id])


async def pad_otherwise(tx: Transaction) -> None:
    """The clinic's buffer around external events is another one: what they land on is, too."""
    ahead = await blocks.external_ahead(tx)
    for resource_id in sorted({resource_id for resource_id, _, _ in ahead}):
        await blocks.lock(tx, resource_id)
    for resource_id, start, end in ahead:
        await conflicts.landed(tx, resource_id, "external_event", start, end)
    await conflicts.lifted(tx, {resource_id for resource_id, _, _ in ahead})


async def put_time_off(tx: Transaction, event: TimeOffState) -> None:
    """Time off, a block for each time that it comes back."""
    await blocks.lock(tx, event.resource_id)
    prefix = _prefix(event.key())
    if await blocks.newest(tx, prefix) >= event.version:
        return
    before = await blocks.remove_all(tx, prefix, event.version)
    for number, (start, end) in enumerate(stretches(event.start, event.end, event.rrule, event.time_zone)):
        await blocks.put(tx, f"{prefix}{number}", event.resource_id, start, end, event.version, "time_off")
        await conflicts.landed(tx, event.resource_id, "time_off", start, end)
    await conflicts.lifted(tx, before)


async def remove_time_off(tx: Transaction, gone: Deleted) -> None:
    """The resource is there after all."""
    resource_ids = await blocks.remove_all(tx, _prefix(gone.key), gone.version)
    await conflicts.lifted(tx, resource_ids)


def _prefix(key: str) -> str:
    return f"{key}/"
