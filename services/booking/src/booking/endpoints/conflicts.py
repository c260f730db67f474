"""Conflicts and their repairs."""

from typing import Any, Literal
from uuid import UUID

from booking import cursors, repairs
from booking.edge import Composed, Cursor, Limit, present, public
from booking.list_schemas import ConflictPage, Resolution, ResolvedView
from servicekit.edge import Asking, TenantTx

router = public()


@router.get("/conflicts", response_model=ConflictPage, response_model_exclude_unset=True)
async def list_conflicts(
    asking: Asking,
    tx: TenantTx,
    status: Literal["open", "resolved"] = "open",
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Any:
    """Appointments that something has landed on."""
    after = cursors.read(cursor)
    found = await repairs.page(tx, asking, status, after[1] if after else None, limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    return {
        "data": found[:limit],
        "next_cursor": cursors.write(last["created_at"], last["id"]) if last else None,
    }


@router.post("/conflicts/{conflict_id}/resolve", response_model=ResolvedView, response_model_exclude_unset=True)
async def resolve_conflict(clinic: UUID, conflict_id: UUID, body: Resolution, asking: Asking, service: Composed) -> Any:
    """Do what the option says, messages included."""
    async with service.database.transaction(clinic) as tx:
        resolved = await repairs.resolve(
            tx, service.signer("offers"), service.sealer("links"), conflict_id, body.option, asking
        )
    return {
        "id": conflict_id,
        "status": resolved.conflict.status,
        "resolution": resolved.conflict.resolution,
        "appointment": await present(service, clinic, resolved.booking, staff=True),
    }
