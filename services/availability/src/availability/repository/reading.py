"""What is taken, as a search reads it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from availability.repository.catalogue import Row
from events import Transaction

# A claim lasts 24 hours at most (booking's CHECK): that bounds the index range on both sides. A hold past its end
# counts as free although the word of it has not come.
_CLAIMS = text("""
SELECT resource_id, slot_id, offering_id,
       CAST(floor(extract(epoch FROM claim_start) / 60) AS bigint),
       CAST(ceil(extract(epoch FROM claim_end) / 60) AS bigint),
       CAST(floor(extract(epoch FROM start_at) / 60) AS bigint),
       CAST(ceil(extract(epoch FROM end_at) / 60) AS bigint),
       capacity, reserved, expires_at IS NOT NULL AS held
FROM occupancy
WHERE tenant_id = :tenant AND resource_id = ANY(CAST(:resources AS uuid[])) AND NOT freed
  AND claim_end > :start AND claim_end < CAST(:end AS timestamptz) + interval '24 h' AND claim_start < :end
  AND (expires_at IS NULL OR expires_at > now())
""")
_BLOCKS = text("""
SELECT resource_id, start_at, end_at, true AS external FROM busy
WHERE tenant_id = :tenant AND resource_id = ANY(CAST(:resources AS uuid[])) AND NOT freed
  AND end_at > :start AND start_at < :end
UNION ALL
SELECT resource_id, start_at, end_at, false FROM time_off
WHERE tenant_id = :tenant AND resource_id = ANY(CAST(:resources AS uuid[])) AND deleted_at IS NULL
  AND end_at > :start AND start_at < :end
""")
_DEGRADED = text("""
SELECT resource_id, min(since) AS since FROM calendar_connection
WHERE tenant_id = :tenant AND degraded GROUP BY resource_id
""")
_COMING_BUSY = text("""
SELECT resource_id, min(start_at) AS first, max(end_at) AS last FROM busy
WHERE tenant_id = :tenant AND NOT freed AND end_at > now() GROUP BY resource_id ORDER BY resource_id
""")
_FORGET = text("SELECT forget_freed(now() - make_interval(days => :days))")


async def claims(
    tx: Transaction, resource_ids: list[UUID], start: datetime, end: datetime
) -> Sequence[tuple[Any, ...]]:
    """What occupies the resources between `start` and `end`, as the fields of `search.Claim`: instants in epoch
    minutes, rounded outwards."""
    parameters = {"tenant": tx.tenant_id, "resources": resource_ids, "start": start, "end": end}
    rows: Sequence[Any] = (await tx.connection.execute(_CLAIMS, parameters)).all()
    return rows


async def blocks(tx: Transaction, resource_ids: list[UUID], start: datetime, end: datetime) -> Sequence[Row]:
    """External events (not padded yet) and time off of the resources between `start` and `end`."""
    parameters = {"tenant": tx.tenant_id, "resources": resource_ids, "start": start, "end": end}
    return (await tx.connection.execute(_BLOCKS, parameters)).mappings().all()


async def degraded(tx: Transaction) -> dict[UUID, datetime]:
    """Resources whose external calendar is not known now, and since when."""
    return {row.resource_id: row.since for row in await tx.connection.execute(_DEGRADED, {"tenant": tx.tenant_id})}


async def coming_busy(tx: Transaction) -> Sequence[Row]:
    """The stretch that external events to come span, by resource."""
    return (await tx.connection.execute(_COMING_BUSY, {"tenant": tx.tenant_id})).mappings().all()


async def forget_freed(tx: Transaction, days: int) -> None:
    """Drops what was freed that long ago, in every tenant."""
    await tx.connection.execute(_FORGET, {"days": days})
