"""Connections, and the mirror of what they are known to have."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from calendar_sync.domain import BusyTime
from calendar_sync.model import Connection
from calendar_sync.repository.rows import CONNECTION, LEASE, connection_of, run
from events import Transaction

_BEGIN = text(f"""
INSERT INTO connection AS c (id, tenant_id, resource_id, kind, calendar_id)
VALUES (:id, :tenant, :resource, :kind, :calendar)
ON CONFLICT (tenant_id, resource_id, kind, calendar_id) WHERE deleted_at IS NULL DO UPDATE SET updated_at = now()
RETURNING {CONNECTION}
""")
_GET = text(f"SELECT {CONNECTION} FROM connection WHERE id = :id AND deleted_at IS NULL")
_LOCK = text(f"SELECT {CONNECTION} FROM connection WHERE id = :id AND deleted_at IS NULL FOR NO KEY UPDATE")
_ANY = text(f"SELECT {CONNECTION} FROM connection WHERE id = :id")
_LIST = text(f"""
SELECT {CONNECTION} FROM connection
WHERE deleted_at IS NULL AND (CAST(:resource AS uuid) IS NULL OR resource_id = :resource)
  AND (CAST(:after AS uuid) IS NULL OR id > :after)
ORDER BY id LIMIT :limit
""")
_CLAIM_READ = text(f"""
UPDATE connection SET lease = :lease, lease_of = :replica, lease_until = clock_timestamp() + :lasting,
  due_at = clock_timestamp() + make_interval(secs => :poll)
WHERE id = (SELECT id FROM connection WHERE id = :id AND deleted_at IS NULL AND grant_sealed IS NOT NULL
              AND (lease_until IS NULL OR lease_until < clock_timestamp()) FOR UPDATE SKIP LOCKED)
RETURNING {CONNECTION}
""")
_WANT_READ = text(
    "UPDATE connection SET due_at = clock_timestamp()"
    " WHERE id = :id AND grant_sealed IS NOT NULL AND deleted_at IS NULL AND status <> 'revoked'"
)
_GRANT = text(
    "UPDATE connection SET grant_sealed = :sealed, failures = 0, lease = NULL, lease_until = NULL,"
    " due_at = clock_timestamp(), updated_at = now() WHERE id = :id"
)
_REGRANT = text("UPDATE connection SET grant_sealed = :sealed WHERE id = :id AND grant_sealed IS NOT NULL")
_STORE_READ = text(f"""
UPDATE connection SET status = 'active', version = :version, generation = :generation, sync_token = :sync_token,
  listed_at = CASE WHEN :full THEN :now ELSE listed_at END, last_sync_at = :now, failures = 0,
  activated_at = coalesce(activated_at, :now), degraded_since = NULL, degraded_reason = NULL,
  lease = NULL, lease_until = NULL, updated_at = now()
WHERE id = :id RETURNING {CONNECTION}
""")
_STORE_FAILURE = text("""
UPDATE connection SET status = :status, version = :version, failures = failures + 1, degraded_since = :since,
  degraded_reason = :reason, due_at = clock_timestamp() + CAST(:pause AS interval), lease = NULL, lease_until = NULL,
  updated_at = now()
WHERE id = :id
""")
_DELETE = text(
    "UPDATE connection SET deleted_at = now(), updated_at = now(), version = :version, status = 'revoked',"
    " due_at = NULL, watch_due_at = NULL, lease = NULL, lease_until = NULL, sync_token = NULL WHERE id = :id"
)
_FORGET_GRANT = text("""
UPDATE connection SET grant_sealed = NULL WHERE id = :id AND deleted_at IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM channel WHERE connection_id = :id)
""")
_OF_RESOURCE = text("SELECT id FROM connection WHERE resource_id = :resource AND deleted_at IS NULL ORDER BY id")
_OF_TENANT = text("SELECT id FROM connection WHERE deleted_at IS NULL ORDER BY id")


async def begin_connection(
    tx: Transaction, connection_id: UUID, resource_id: UUID, kind: str, calendar_id: str
) -> Connection:
    """The resource's connection to this calendar: a new one with this id, or the one there is."""
    rows = await run(
        tx, _BEGIN, id=connection_id, tenant=tx.tenant_id, resource=resource_id, kind=kind, calendar=calendar_id
    )
    return Connection(**rows[0]._mapping)


async def get_connection(tx: Transaction, connection_id: UUID) -> Connection | None:
    """The connection, unless it was deleted."""
    return connection_of(await run(tx, _GET, id=connection_id))


async def lock_connection(tx: Transaction, connection_id: UUID) -> Connection | None:
    """The same, with its row locked: everything said about a connection is said under this lock."""
    return connection_of(await run(tx, _LOCK, id=connection_id))


async def any_connection(tx: Transaction, connection_id: UUID) -> Connection | None:
    """The connection, also a deleted one."""
    return connection_of(await run(tx, _ANY, id=connection_id))


async def list_connections(
    tx: Transaction, *, resource_id: UUID | None = None, after: UUID | None = None, limit: int = 200
) -> list[Connection]:
    """Connections in order of their ids, of one resource or of all."""
    rows = await run(tx, _LIST, resource=resource_id, after=after, limit=limit)
    return [Connection(**row._mapping) for row in rows]


async def claim_read(tx: Transaction, connection_id: UUID, *, replica: int, poll_seconds: float) -> Connection | None:
    """Leases the connection to one reader and sets the next poll; None when somebody else has it. A notice that
    comes while it is read makes it due again."""
    parameters = {"id": connection_id, "lease": uuid4(), "replica": replica, "lasting": LEASE, "poll": poll_seconds}
    return connection_of(await run(tx, _CLAIM_READ, **parameters))


async def want_read(tx: Transaction, connection_id: UUID) -> None:
    """Makes the connection due now."""
    await run(tx, _WANT_READ, id=connection_id)


async def store_grant(tx: Transaction, connection_id: UUID, sealed: bytes) -> None:
    """A new consent: whatever failed before is forgiven, and it is read at once."""
    await run(tx, _GRANT, id=connection_id, sealed=sealed)


async def store_renewed_grant(tx: Transaction, connection_id: UUID, sealed: bytes) -> None:
    """The tokens were renewed on the way."""
    await run(tx, _REGRANT, id=connection_id, sealed=sealed)


async def store_read(
    tx: Transaction,
    connection_id: UUID,
    *,
    version: int,
    generation: int,
    sync_token: str,
    full: bool,
    now: datetime,
) -> None:
    """A read has succeeded."""
    await run(
        tx,
        _STORE_READ,
        id=connection_id,
        version=version,
        generation=generation,
        sync_token=sync_token,
        full=full,
        now=now,
    )


async def store_failure(
    tx: Transaction,
    connection_id: UUID,
    *,
    status: str,
    version: int,
    since: datetime | None,
    reason: str | None,
    pause: timedelta | None,
) -> None:
    """A read has failed; it is tried again after `pause` (None: not at all)."""
    await run(
        tx,
        _STORE_FAILURE,
        id=connection_id,
        status=status,
        version=version,
        since=since,
        reason=reason,
        pause=pause,
    )


async def delete_connection(tx: Transaction, connection_id: UUID, version: int) -> None:
    """Ends the connection; its channels are closed and its tokens forgotten by a job."""
    await run(tx, _DELETE, id=connection_id, version=version)


async def forget_grant(tx: Transaction, connection_id: UUID) -> None:
    """Erases the tokens of a deleted connection once no channel needs them to be closed."""
    await run(tx, _FORGET_GRANT, id=connection_id)


async def connections_of(tx: Transaction, resource_id: UUID | None = None) -> list[UUID]:
    """Ids of the resource's connections, of all of the clinic without one."""
    if resource_id is None:
        return [row.id for row in await run(tx, _OF_TENANT)]
    return [row.id for row in await run(tx, _OF_RESOURCE, resource=resource_id)]


# -- the mirror ------------------------------------------------------------------------------------------------

_MIRRORED = text("SELECT external_key, starts_at, ends_at, series_key FROM mirrored WHERE connection_id = :connection")
_PUT_BUSY = text("""
INSERT INTO mirrored (connection_id, external_key, tenant_id, series_key, starts_at, ends_at, generation)
VALUES (:connection, :key, :tenant, :series, :start, :end, :generation)
ON CONFLICT (connection_id, external_key)
  DO UPDATE SET series_key = :series, starts_at = :start, ends_at = :end, generation = :generation
""")
_DROP_BUSY = text("DELETE FROM mirrored WHERE connection_id = :connection AND external_key = ANY(:keys)")


async def mirrored(tx: Transaction, connection_id: UUID) -> dict[str, BusyTime]:
    """What the calendar is known to have, by external key."""
    rows = await run(tx, _MIRRORED, connection=connection_id)
    return {row.external_key: BusyTime(row.external_key, row.starts_at, row.ends_at, row.series_key) for row in rows}


async def put_busy(tx: Transaction, connection_id: UUID, generation: int, found: Iterable[BusyTime]) -> None:
    """New or moved busy times."""
    rows: list[Mapping[str, Any]] = [
        {
            "connection": connection_id,
            "key": busy.external_key,
            "tenant": tx.tenant_id,
            "series": busy.series_key,
            "start": busy.start,
            "end": busy.end,
            "generation": generation,
        }
        for busy in found
    ]
    if rows:
        await tx.connection.execute(_PUT_BUSY, rows)


async def drop_busy(tx: Transaction, connection_id: UUID, keys: Sequence[str]) -> None:
    """Busy times that are no more."""
    if keys:
        await run(tx, _DROP_BUSY, connection=connection_id, keys=list(keys))
