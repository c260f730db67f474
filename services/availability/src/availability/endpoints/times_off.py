"""HTTP in: time off."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter

from availability import schemas, times_off
from availability.edge import CLINIC, Cursor, Limit
from availability.repository import Row
from servicekit.edge import Asking, TenantTx
from servicekit.idempotency import IdempotentRoute

router = APIRouter(route_class=IdempotentRoute)


def _time_off(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "resource_id": row["resource_id"],
        "start": row["start_at"],
        "end": row["end_at"],
        "reason": row["reason"],
        "rrule": row["rrule"],
        "created_at": row["created_at"],
    }


@router.post(f"{CLINIC}/resources/{{id}}/time-off", status_code=201, response_model=schemas.TimeOffOut)
async def add_time_off(id: str, body: schemas.TimeOffBody, asking: Asking, tx: TenantTx) -> Any:
    """The resource is away for that time, and with `rrule` again at the same local time."""
    return _time_off(await times_off.add(tx, id, body, asking))


@router.get(f"{CLINIC}/resources/{{id}}/time-off", response_model=schemas.TimesOff)
async def list_time_off(id: str, asking: Asking, tx: TenantTx, limit: Limit = 50, cursor: Cursor = None) -> Any:
    """A resource's time off, in the order it was entered."""
    rows, following = await times_off.page(tx, id, asking, cursor, limit)
    return {"data": [_time_off(row) for row in rows], "next_cursor": following}


@router.delete(f"{CLINIC}/resources/{{id}}/time-off/{{time_off_id}}", status_code=204)
async def delete_time_off(id: str, time_off_id: UUID, asking: Asking, tx: TenantTx) -> None:
    """The resource is there after all."""
    await times_off.delete(tx, id, time_off_id, asking)
