"""Use cases of time off: when a resource is away."""

from collections.abc import Sequence
from uuid import UUID

from availability import catalogue, repository
from availability.changes import announce, next_schedule, rescheduled
from availability.errors import not_found
from availability.repository import Row
from availability.schemas import TimeOffBody
from availability.states import time_off_state
from events import Deleted, Transaction, new_id
from events.contracts.availability import TimeOffState
from scheduling.recurrences import InvalidRule
from scheduling.times_off import stretches
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
    """The resource is away from `start` to `end`, and again whenever the rule says."""
    row = await _own_calendar(tx, name, asking)
    time_zone: str = row["time_zone"]
    try:
        last = max(end for _, end in stretches(body.start, body.end, body.rrule, time_zone))
    except InvalidRule as error:
        raise ValidationFailed.of("rrule", str(error)) from error
    made = await repository.add_time_off(
        tx,
        {
            "id": new_id(),
            "resource_id": row["id"],
            "start_at": body.start,
            "end_at": body.end,
            "reason": body.reason,
            "rrule": body.rrule,
            "time_zone": time_zone,
            "last_end_at": last,
        },
    )
    await tx.emit(time_off_state(made))
    await _changed(tx, row, made)
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
        await _emit_deleted(tx, await repository.delete_times_off(tx, row["id"], identity))
        await _changed(tx, row, found)


async def forget(tx: Transaction, resource_id: UUID) -> None:
    """Deletes all time off of a resource that is no more."""
    await _emit_deleted(tx, await repository.delete_times_off(tx, resource_id))


async def _emit_deleted(tx: Transaction, rows: Sequence[Row]) -> None:
    for row in rows:
        kept = time_off_state(row)
        await tx.emit(Deleted(TimeOffState.TYPE, kept.key(), tx.tenant_id, kept.version))


async def _changed(tx: Transaction, row: Row, time_off: Row) -> None:
    await next_schedule(tx, row, {})
    await announce(tx, row["id"], row["type"], rescheduled(time_off["start_at"], time_off["last_end_at"]))
