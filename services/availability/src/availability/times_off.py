"""Use cases of time off: when a resource is away."""

from datetime import datetime
from uuid import UUID

from availability import catalogue, repository, resources
from availability.changes import announce, rescheduled
from availability.errors import not_found
from availability.repository import Row
from availability.schemas import TimeOffBody
from events import Transaction, new_id
from servicekit.auth import MANAGERS, STAFF, Principal
from servicekit.problems import ValidationFailed


async def _own_calendar(tx: Transaction, name: str, asking: Principal) -> Row:
    """The locked resource, for managers and for the practitioner whose calendar it is; 401 or 403 for others."""
    asking.require_user()
    row = await catalogue.get(tx, "resource", name, lock=True)
    own = asking.role_in(tx.tenant_id) == "practitioner" and row["user_id"] == asking.user_id
    if not own:
        asking.require_role(tx.tenant_id, MANAGERS)
    return row


async def add(tx: Transaction, name: str, body: TimeOffBody, asking: Principal) -> Row:
    """The resource is away from `start` to `end`."""
    if body.end <= body.start:
        raise ValidationFailed.of("end", "has to be after start")
    row = await _own_calendar(tx, name, asking)
    made = await repository.add_time_off(
        tx,
        {
            "id": new_id(),
            "resource_id": row["id"],
            "start_at": body.start,
            "end_at": body.end,
            "reason": body.reason,
            "time_zone": row["time_zone"],
            "last_end_at": body.end,
        },
    )
    await _time_off_changed(tx, row, body.start, body.end)
    return made


async def page(
    tx: Transaction, name: str, asking: Principal, cursor: str | None, limit: int
) -> tuple[list[Row], str | None]:
    """A page of a resource's time off, for everyone who works there."""
    asking.require_role(tx.tenant_id, STAFF)
    row = await catalogue.get(tx, "resource", name)
    try:
        after = UUID(cursor) if cursor else None
    except ValueError as error:
        raise ValidationFailed.of("cursor", "is not a next_cursor of this list") from error
    found = list(await repository.times_off(tx, row["id"], after, limit + 1))
    return found[:limit], str(found[limit - 1]["id"]) if len(found) > limit else None


async def delete(tx: Transaction, name: str, identity: UUID, asking: Principal) -> None:
    """The resource is there after all."""
    row = await _own_calendar(tx, name, asking)
    found = await repository.find_time_off(tx, row["id"], identity)
    if found is None:
        raise not_found("time off", identity)
    if found["deleted_at"] is None:
        await repository.delete_time_off(tx, identity)
        await _time_off_changed(tx, row, found["start_at"], found["end_at"])


async def _time_off_changed(tx: Transaction, row: Row, start: datetime, end: datetime) -> None:
    await resources.next_schedule(tx, row, {})
    await announce(tx, row["id"], row["type"], rescheduled(start, end))
