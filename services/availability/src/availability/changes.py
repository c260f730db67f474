"""What strangers are told of a resource's calendar, in the transaction that changed it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from availability import repository
from availability.repository import Row, waiting
from availability.states import resource_state
from events import Transaction
from events.contracts.availability import AvailabilityChanged, Change, ResourceType

SEARCHABLE = timedelta(days=730)


async def announce(tx: Transaction, resource_id: UUID, resource_type: ResourceType, *changes: Change) -> None:
    """Emits the changes under the next version of the resource's availability."""
    if changes:
        version = await repository.next_version(tx, resource_id)
        await tx.emit(
            AvailabilityChanged(
                tenant_id=tx.tenant_id,
                version=version,
                resource_id=resource_id,
                resource_type=resource_type,
                changes=list(changes),
            )
        )
    for change in changes:
        if change.type != "slot_taken" and await waiting.note_opening(tx, resource_id, change.start, change.end):
            tx.wake("match_waiting")


def rescheduled(start: datetime | None = None, end: datetime | None = None) -> Change:
    """The working hours in this stretch are other ones; everything to come unless given."""
    now = datetime.now(UTC)
    return Change(type="schedule_changed", start=start or now, end=end or now + SEARCHABLE)


async def next_schedule(tx: Transaction, row: Row, values: dict[str, Any]) -> Row:
    """Raises the version of the locked resource's working hours: offers made under the former ones end."""
    values = values | {"schedule_version": row["schedule_version"] + 1}
    changed = await repository.change(tx, "resource", row["id"], values)
    await tx.emit(resource_state(changed))
    return changed
