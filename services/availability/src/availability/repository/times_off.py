"""Time off."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from availability.repository.catalogue import Row
from availability.tables import time_off
from events import Transaction


async def add_time_off(tx: Transaction, values: dict[str, Any]) -> Row:
    """A new stretch of time off."""
    statement = insert(time_off).values(tenant_id=tx.tenant_id, **values).returning(time_off)
    row: Row = (await tx.connection.execute(statement)).mappings().one()
    return row


async def times_off(tx: Transaction, resource_id: UUID, after: UUID | None, limit: int) -> Sequence[Row]:
    """A resource's time off in the order it was entered."""
    query = select(time_off).where(
        time_off.c.tenant_id == tx.tenant_id, time_off.c.resource_id == resource_id, time_off.c.deleted_at.is_(None)
    )
    if after:
        query = query.where(time_off.c.id > after)
    return (await tx.connection.execute(query.order_by(time_off.c.id).limit(limit))).mappings().all()


async def find_time_off(tx: Transaction, resource_id: UUID, identity: UUID) -> Row | None:
    """One, also when it was deleted."""
    query = select(time_off).where(
        time_off.c.tenant_id == tx.tenant_id, time_off.c.resource_id == resource_id, time_off.c.id == identity
    )
    return (await tx.connection.execute(query.with_for_update())).mappings().one_or_none()


async def delete_times_off(tx: Transaction, resource_id: UUID, identity: UUID | None = None) -> Sequence[Row]:
    """Deletes one, or all of the resource; the rows as they are now. They stay, so that deleting again answers the
    same."""
    statement = update(time_off).where(
        time_off.c.tenant_id == tx.tenant_id, time_off.c.resource_id == resource_id, time_off.c.deleted_at.is_(None)
    )
    if identity is not None:
        statement = statement.where(time_off.c.id == identity)
    statement = statement.values(deleted_at=func.now(), version=time_off.c.version + 1)
    rows: Sequence[Row] = (await tx.connection.execute(statement.returning(time_off))).mappings().all()
    return rows
