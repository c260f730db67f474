"""Use cases of locations: where visits happen."""

from typing import Any

from availability import catalogue, repository
from availability.domain import merge_patch, slug_for
from availability.errors import InUse
from availability.repository import Row
from availability.schemas import LocationBody
from events import Transaction, new_id
from events.contracts.identity import TenantChanged


async def create(tx: Transaction, body: LocationBody, clinic: TenantChanged) -> Row:
    """A new location."""
    return await repository.create(tx, "location", {"id": new_id(), **await _values(tx, body, clinic)})


async def patch(
    tx: Transaction, name: str, changes: dict[str, Any], if_match: str | None, clinic: TenantChanged
) -> Row:
    """A merge patch. `NotFound`, `PreconditionFailed`, `ValidationFailed`."""
    row = await catalogue.get(tx, "location", name, lock=True)
    catalogue.require_match(row, if_match)
    body = catalogue.validated(LocationBody, merge_patch(catalogue.stored(LocationBody, row), changes))
    values = await _values(tx, body, clinic, slug=row["slug"])
    if all(row[name] == value for name, value in values.items()):
        return row
    return await repository.change(tx, "location", row["id"], values)


async def delete(tx: Transaction, name: str, if_match: str | None) -> None:
    """It is no more. `InUse` while resources are there."""
    row = await catalogue.lock_to_delete(tx, "location", name)
    if row is None:
        return
    catalogue.require_match(row, if_match)
    there = await repository.resources_at(tx, row["id"])
    if there:
        named = ", ".join(there[:5]) + (", …" if len(there) > 5 else "")
        raise InUse(
            f"{row['name']} is the location of {len(there)} resources ({named}). Nothing was deleted; give them "
            "another location, or null, first."
        )
    await repository.change(tx, "location", row["id"], {"deleted_at": repository.now()})


async def _values(
    tx: Transaction, body: LocationBody, clinic: TenantChanged, slug: str | None = None
) -> dict[str, Any]:
    values = body.model_dump(mode="json")
    values["time_zone"] = body.time_zone or clinic.time_zone
    values["slug"] = body.slug or slug or slug_for(body.name, "location", await repository.slugs(tx, "location"))
    return values
