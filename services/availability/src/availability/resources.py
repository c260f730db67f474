"""Use cases of resources: who and what can be booked, and when they work."""

from typing import Any
from uuid import UUID

from availability import catalogue, repository, times_off
from availability.changes import announce, next_schedule, rescheduled
from availability.domain import merge_patch, slug_for
from availability.errors import not_found
from availability.repository import Row
from availability.schemas import ResourceBody, Schedule, SeededResource
from availability.states import resource_state
from events import Deleted, Transaction, new_id
from events.contracts.availability import ResourceState
from events.contracts.identity import TenantChanged
from scheduling import public_holidays
from scheduling.reading import InvalidSchedule
from scheduling.templates import Template
from servicekit.problems import ValidationFailed

# A change of one of these changes what can be booked.
_SHOWN = ("buffer_before_minutes", "buffer_after_minutes", "active")


async def create(tx: Transaction, body: ResourceBody, clinic: TenantChanged, identity: UUID | None = None) -> Row:
    """A new resource, without a schedule."""
    values = await _values(tx, body, clinic)
    row = await repository.create(tx, "resource", {"id": identity or new_id(), **values})
    await tx.emit(resource_state(row))
    return row


async def patch(
    tx: Transaction, name: str, changes: dict[str, Any], if_match: str | None, clinic: TenantChanged
) -> Row:
    """A merge patch. `NotFound`, `PreconditionFailed`, `ValidationFailed`."""
    row = await catalogue.get(tx, "resource", name, lock=True)
    catalogue.require_match(row, if_match)
    body = catalogue.validated(ResourceBody, merge_patch(catalogue.stored(ResourceBody, row), changes))
    return await _update(tx, row, body, clinic)


async def _update(tx: Transaction, row: Row, body: ResourceBody, clinic: TenantChanged) -> Row:
    if body.type != row["type"]:
        raise ValidationFailed.of("type", "cannot be changed; make another resource")
    values = await _values(tx, body, clinic, slug=row["slug"])
    if all(row[name] == value for name, value in values.items()):
        return row
    changed = await repository.change(tx, "resource", row["id"], values)
    await tx.emit(resource_state(changed))
    if any(row[name] != changed[name] for name in _SHOWN):
        await announce(tx, row["id"], row["type"], rescheduled())
    return changed


async def _values(
    tx: Transaction, body: ResourceBody, clinic: TenantChanged, slug: str | None = None
) -> dict[str, Any]:
    if body.bio is not None and body.type != "practitioner":
        raise ValidationFailed.of("bio", "belongs to practitioners only")
    values = body.model_dump(mode="json", exclude={"schedule"})
    values |= {"user_id": body.user_id, "location_id": body.location_id}
    place = await _place(tx, body.location_id)
    values["time_zone"] = body.time_zone or (place["time_zone"] if place else clinic.time_zone)
    values["slug"] = body.slug or slug or slug_for(body.name, body.type, await repository.slugs(tx, "resource"))
    return values


async def _place(tx: Transaction, location_id: UUID | None) -> Row | None:
    """The location, which cannot be deleted until the commit."""
    if location_id is None:
        return None
    found = await repository.keep_location(tx, location_id)
    if found is None:
        raise ValidationFailed.of("location_id", f"{location_id} is no location of this clinic")
    return found


async def delete(tx: Transaction, name: str, if_match: str | None) -> None:
    """Nobody can find or book it any more. Where bookings name it, others keep its state as inactive."""
    row = await catalogue.lock_to_delete(tx, "resource", name)
    if row is None:
        return
    catalogue.require_match(row, if_match)
    gone = await repository.change(tx, "resource", row["id"], {"active": False, "deleted_at": repository.now()})
    await times_off.forget(tx, row["id"])
    kept = resource_state(gone)
    if await repository.is_referenced(tx, "resource", row["id"]):
        await tx.emit(kept)
    else:
        await tx.emit(Deleted(ResourceState.TYPE, kept.key(), tx.tenant_id, kept.version))
    await announce(tx, row["id"], row["type"], rescheduled())


async def seed(tx: Transaction, identity: UUID, body: SeededResource, clinic: TenantChanged) -> Row:
    """Makes or changes the resource with this id; the same body again changes nothing."""
    row = await repository.find(tx, "resource", identity, lock=True, deleted=True)
    if row is None:
        row = await create(tx, body, clinic, identity)
    else:
        if row["deleted_at"] is not None:
            row = await repository.change(tx, "resource", identity, {"deleted_at": None})
        row = await _update(tx, row, body, clinic)
    if body.schedule is not None:
        row = await _reschedule(tx, row, body.schedule)
    return row


async def put_schedule(tx: Transaction, name: str, body: Schedule, if_match: str | None) -> Row:
    """Other working hours: offers made under the former ones end."""
    row = await catalogue.get(tx, "resource", name, lock=True)
    catalogue.require_match(row, if_match)
    return await _reschedule(tx, row, body)


async def schedule_of(tx: Transaction, name: str, *, staff: bool) -> Row:
    """The resource with its working hours; `NotFound` while it has none."""
    row = await catalogue.get(tx, "resource", name, staff=staff)
    if row["schedule"] is None:
        raise not_found("schedule of", name)
    return row


async def _reschedule(tx: Transaction, row: Row, body: Schedule) -> Row:
    document = body.model_dump(mode="json", exclude_none=True)
    try:
        template = Template.parse({"time_zone": row["time_zone"]} | document)
        if template.holidays:
            public_holidays.check(template.holidays)
    except InvalidSchedule as error:
        raise ValidationFailed.of(error.field or "body", error.message) from error
    schedule = template.to_json()
    if schedule == row["schedule"]:
        return row
    changed = await next_schedule(tx, row, {"schedule": schedule})
    await announce(tx, row["id"], row["type"], rescheduled())
    return changed
