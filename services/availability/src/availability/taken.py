"""The read model of what is taken: keeps the rows that booking and calendar-sync say, and tells strangers."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from availability import repository
from availability.changes import announce, rescheduled
from availability.repository import Row
from events import Deleted, Invalid, Transaction
from events.contracts.availability import Change
from events.contracts.booking import Occupancy
from events.contracts.calendar import Busy
from events.contracts.identity import TenantChanged, TenantSettings
from servicekit import copies


async def occupy(tx: Transaction, row: Occupancy) -> None:
    """Keeps the row; strangers hear of it when it came into force, moved, ended, or has other seats left."""
    before = await repository.occupy(tx, row)
    if before is None:
        return
    was = (before["old_claim_start"], before["old_claim_end"], before["old_start"]) if before["was_drawn"] else None
    now_drawn = (row.claim_start, row.claim_end, row.start) if before["is_drawn"] else None
    if was != now_drawn:
        await repository.redraw(tx, row.resource_id, [drawn[:2] for drawn in (was, now_drawn) if drawn])
    kind = (await repository.types_of(tx, [row.resource_id])).get(row.resource_id)
    if kind is None:
        return  # nobody can be looking at a resource that is not in the catalogue
    seats = row.capacity > 1 and kind == "practitioner"
    offering = row.offering_id if seats else None
    moved = (before["old_start"], before["old_end"]) != (row.start, row.end)
    changes = []
    if row.cancelled and before["was_live"]:
        # Free for others, but not for this class: whoever looks at it has to ask again.
        changes.append(rescheduled(before["old_start"], before["old_end"]))
    elif before["was_live"] and (moved or not before["is_live"]):
        changes.append(
            Change(
                type="slot_freed",
                start=before["old_start"],
                end=before["old_end"],
                offering_id=offering,
                remaining=row.capacity if seats else None,
            )
        )
    returned = before["was_live"] and not moved and row.reserved < before["old_reserved"]
    changed_seats = seats and row.reserved != before["old_reserved"]
    if before["is_live"] and (not before["was_live"] or moved or changed_seats):
        changes.append(
            Change(
                type="slot_freed" if returned else "slot_taken",
                start=row.start,
                end=row.end,
                offering_id=offering,
                remaining=row.capacity - row.reserved if seats else None,
            )
        )
    await announce(tx, row.resource_id, kind, *changes)


async def vacate(tx: Transaction, gone: Deleted) -> None:
    """Frees the row of the tombstone `owner:resource`."""
    owner, resource_id = _ids(gone.key)
    before = await repository.vacate(tx, owner, resource_id, gone.version)
    if before is None or not before["was_there"]:
        return
    if before["was_drawn"]:
        await repository.redraw(tx, resource_id, [(before["old_claim_start"], before["old_claim_end"])])
    kind = (await repository.types_of(tx, [resource_id])).get(resource_id)
    if kind is None:
        return
    if before["was_cancelled"]:
        await announce(tx, resource_id, kind, rescheduled(before["old_start"], before["old_end"]))
        return
    seats = before["old_capacity"] > 1 and kind == "practitioner"
    freed = Change(
        type="slot_freed",
        start=before["old_start"],
        end=before["old_end"],
        offering_id=before["old_offering"] if seats else None,
        remaining=before["old_capacity"] if seats else None,
    )
    await announce(tx, resource_id, kind, freed)


async def make_busy(tx: Transaction, row: Busy) -> None:
    """Keeps an external event."""
    before = await repository.make_busy(tx, row)
    if before is None:
        return
    await _tell_busy(tx, before, (row.resource_id, row.start, row.end))


async def unmake_busy(tx: Transaction, gone: Deleted) -> None:
    """Takes away the external event of the tombstone `connection:key`."""
    connection, _, key = gone.key.partition(":")
    try:
        connection_id = UUID(connection)
    except ValueError as error:
        raise Invalid(f"{gone.key!r} is no key of an external event") from error
    before = await repository.unmake_busy(tx, connection_id, key, gone.version)
    if before is not None:
        await _tell_busy(tx, before, None)


async def keep_clinic(tx: Transaction, event: TenantChanged) -> None:
    """Keeps the clinic; with another external buffer, times around external events are other ones."""
    before = await copies.find(tx, TenantChanged, event.key())
    if not await copies.keep(tx, event) or before is None:
        return
    widest = max(before.settings.external_buffer_minutes, event.settings.external_buffer_minutes)
    if before.settings.external_buffer_minutes == event.settings.external_buffer_minutes:
        return
    stretches = await repository.coming_busy(tx)
    types = await repository.types_of(tx, [stretch["resource_id"] for stretch in stretches])
    pad = timedelta(minutes=widest)
    for stretch in stretches:
        if kind := types.get(stretch["resource_id"]):
            start, end = _padded(stretch["first"], stretch["last"], pad)
            await announce(tx, stretch["resource_id"], kind, rescheduled(start, end))


async def external_buffer(tx: Transaction) -> timedelta:
    """How far around an external event the clinic keeps free."""
    clinic = await copies.find(tx, TenantChanged, str(tx.tenant_id))
    settings = clinic.settings if clinic else TenantSettings()
    return timedelta(minutes=settings.external_buffer_minutes)


async def _tell_busy(tx: Transaction, before: Row, after: tuple[UUID, datetime, datetime] | None) -> None:
    old = (before["old_resource"], before["old_start"], before["old_end"]) if before["old_resource"] else None
    if old == after:
        return
    drawn: dict[UUID, list[tuple[datetime, datetime]]] = {}
    for stretch in (old, after):
        if stretch and stretch[2] - stretch[1] <= repository.LONGEST_DRAWN:
            drawn.setdefault(stretch[0], []).append(stretch[1:])
    for resource_id in _in_order(drawn):
        await repository.redraw(tx, resource_id, drawn[resource_id])
    pad = await external_buffer(tx)
    types = await repository.types_of(tx, {stretch[0] for stretch in (old, after) if stretch})
    changes: dict[UUID, list[Change]] = {}
    for kind, stretch in (("slot_freed", old), ("slot_taken", after)):
        if stretch is None or stretch[0] not in types:
            continue
        start, end = _padded(stretch[1], stretch[2], pad)
        if end > datetime.now(UTC):
            change = Change.model_validate({"type": kind, "start": start, "end": end})
            changes.setdefault(stretch[0], []).append(change)
    for resource_id in _in_order(changes):
        await announce(tx, resource_id, types[resource_id], *changes[resource_id])


def _padded(start: datetime, end: datetime, pad: timedelta) -> tuple[datetime, datetime]:
    """The stretch widened on both sides, within the calendar: some events end in the year 9999."""
    earliest, latest = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    return max(start, earliest + pad) - pad, min(end, latest - pad) + pad


def _in_order(resource_ids: Iterable[UUID]) -> list[UUID]:
    """Row locks of several resources are always taken in the same order."""
    return sorted(resource_ids)


def _ids(key: str) -> tuple[UUID, UUID]:
    owner, _, resource_id = key.partition(":")
    try:
        return UUID(owner), UUID(resource_id)
    except ValueError as error:
        raise Invalid(f"{key!r} is no key of an occupancy row") from error
