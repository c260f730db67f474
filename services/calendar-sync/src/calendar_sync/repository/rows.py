"""What the repository's modules share."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause, text

from calendar_sync.model import Connection
from events import Transaction

# Longer than a reader or a writer takes with every call at its time-out and tried again. Who lost its lease
# changes nothing any more.
LEASE = timedelta(minutes=2)

CONNECTION = (
    "id, tenant_id, resource_id, kind, calendar_id, status, version, generation, grant_sealed, sync_token, listed_at,"
    " last_sync_at, activated_at, degraded_since, degraded_reason, failures, lease, watch_failures, created_at,"
    " updated_at, deleted_at"
)

_DUE = {
    name: text(f"SELECT tenant_id, id FROM {name}(CAST(:limit AS int))")
    for name in ("due_reads", "due_watches", "due_closings")
}


_RELEASE = text("SELECT release_leases(CAST(:replica AS int))")


async def run(tx: Transaction, statement: TextClause, **parameters: Any) -> Sequence[Row[Any]]:
    """Runs one statement; its rows, if it returns any."""
    result = await tx.connection.execute(statement, parameters)
    return result.all() if result.returns_rows else ()


def connection_of(rows: Sequence[Row[Any]]) -> Connection | None:
    """The first row as a connection."""
    return Connection(**rows[0]._mapping) if rows else None


async def due(tx: Transaction, what: str, limit: int) -> list[tuple[UUID, UUID]]:
    """(tenant, id) of what is due: `due_reads`, `due_watches` or `due_closings`."""
    return [(row.tenant_id, row.id) for row in await run(tx, _DUE[what], limit=limit)]


async def release_leases(tx: Transaction, replica: int) -> None:
    """What a former process of this replica had in hand, in any clinic, is due again."""
    await run(tx, _RELEASE, replica=replica)
