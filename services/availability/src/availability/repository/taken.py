"""What is taken: the rows that booking and calendar-sync say. Writing."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text

from availability.calendars import CHUNK
from availability.repository.catalogue import Row
from events import Transaction
from events.contracts.booking import Occupancy
from events.contracts.calendar import Busy, CalendarConnectionDegraded
from scheduling.instants import floor_minute
from scheduling.intervals import merge

LONGEST_DRAWN = timedelta(days=64)
"""External events that are longer come as rows (migration 0003)."""

# RETURNING old/new (PostgreSQL 18): the row as it was decides what strangers are told.
_OCCUPY = text("""
INSERT INTO occupancy AS o (tenant_id, owner_id, resource_id, version, slot_id, offering_id, claim_start, claim_end,
                            start_at, end_at, expires_at, capacity, reserved, cancelled, provider_id)
VALUES (:tenant, :owner, :resource, :version, :slot, :offering, :claim_start, :claim_end,
        :start, :end, :expires, :capacity, :reserved, :cancelled, :provider)
ON CONFLICT (tenant_id, owner_id, resource_id) DO UPDATE SET
  version = :version, slot_id = :slot, offering_id = :offering, claim_start = :claim_start, claim_end = :claim_end,
  start_at = :start, end_at = :end, expires_at = :expires, capacity = :capacity, reserved = :reserved,
  cancelled = :cancelled, provider_id = :provider, freed = false, changed_at = now()
  WHERE o.version < :version
RETURNING old.start_at AS old_start, old.end_at AS old_end, coalesce(old.reserved, 0) AS old_reserved,
  old.claim_start AS old_claim_start, old.claim_end AS old_claim_end,
  (old.owner_id IS NOT NULL AND NOT old.freed AND NOT old.cancelled
   AND (old.expires_at IS NULL OR old.expires_at > now())) AS was_live,
  (NOT new.cancelled AND (new.expires_at IS NULL OR new.expires_at > now())) AS is_live,
  (old.owner_id IS NOT NULL AND NOT old.freed AND NOT old.cancelled AND old.expires_at IS NULL) AS was_drawn,
  (NOT new.cancelled AND new.expires_at IS NULL) AS is_drawn
""")
_VACATE = text("""
INSERT INTO occupancy AS o (tenant_id, owner_id, resource_id, version, freed)
VALUES (:tenant, :owner, :resource, :version, true)
ON CONFLICT (tenant_id, owner_id, resource_id) DO UPDATE SET version = :version, freed = true, changed_at = now()
  WHERE o.version <= :version
RETURNING coalesce(NOT old.freed, false) AS was_there, old.start_at AS old_start, old.end_at AS old_end,
  old.claim_start AS old_claim_start, old.claim_end AS old_claim_end, coalesce(old.cancelled, false) AS was_cancelled,
  (old.owner_id IS NOT NULL AND NOT old.freed AND NOT old.cancelled AND old.expires_at IS NULL) AS was_drawn,
  old.capacity AS old_capacity, old.offering_id AS old_offering
""")
_MAKE_BUSY = text("""
INSERT INTO busy AS b (tenant_id, connection_id, external_key, version, resource_id, start_at, end_at)
VALUES (:tenant, :connection, :key, :version, :resource, :start, :end)
ON CONFLICT (tenant_id, connection_id, external_key) DO UPDATE SET
  version = :version, resource_id = :resource, start_at = :start, end_at = :end, freed = false, changed_at = now()
  WHERE b.version < :version
RETURNING CASE WHEN NOT old.freed THEN old.resource_id END AS old_resource, old.start_at AS old_start,
  old.end_at AS old_end
""")
_UNMAKE_BUSY = text("""
INSERT INTO busy AS b (tenant_id, connection_id, external_key, version, freed)
VALUES (:tenant, :connection, :key, :version, true)
ON CONFLICT (tenant_id, connection_id, external_key) DO UPDATE SET version = :version, freed = true, changed_at = now()
  WHERE b.version <= :version
RETURNING CASE WHEN NOT old.freed THEN old.resource_id END AS old_resource, old.start_at AS old_start,
  old.end_at AS old_end
""")
_DEGRADE = text("""
INSERT INTO calendar_connection AS c (tenant_id, connection_id, resource_id, version, since, degraded)
VALUES (:tenant, :connection, :resource, :version, :since, :degraded)
ON CONFLICT (tenant_id, connection_id) DO UPDATE SET
  resource_id = :resource, version = :version, since = :since, degraded = :degraded WHERE c.version < :version
""")
_COMING_BUSY = text("""
SELECT resource_id, min(start_at) AS first, max(end_at) AS last FROM busy
WHERE tenant_id = :tenant AND NOT freed AND end_at > now() GROUP BY resource_id ORDER BY resource_id
""")
_REDRAW = text("SELECT redraw(:tenant, :resource, :first, :last)")
_NEXT = text("""
INSERT INTO feed AS f (tenant_id, resource_id, version) VALUES (:tenant, :resource, 1)
ON CONFLICT (tenant_id, resource_id) DO UPDATE SET version = f.version + 1 RETURNING version
""")


async def occupy(tx: Transaction, row: Occupancy) -> Row | None:
    """Stores the row unless a newer one is here (then None); tells what it was and whether it was in force."""
    parameters = {
        "tenant": tx.tenant_id,
        "owner": row.owner_id,
        "resource": row.resource_id,
        "version": row.version,
        "slot": row.slot_id,
        "offering": row.offering_id,
        "claim_start": row.claim_start,
        "claim_end": row.claim_end,
        "start": row.start,
        "end": row.end,
        "expires": row.expires_at,
        "capacity": row.capacity,
        "reserved": row.reserved,
        "cancelled": row.cancelled,
        "provider": row.provider_id,
    }
    return (await tx.connection.execute(_OCCUPY, parameters)).mappings().one_or_none()


async def vacate(tx: Transaction, owner: UUID, resource_id: UUID, version: int) -> Row | None:
    """Frees the row unless a newer one is here (then None); tells what it was."""
    parameters = {"tenant": tx.tenant_id, "owner": owner, "resource": resource_id, "version": version}
    return (await tx.connection.execute(_VACATE, parameters)).mappings().one_or_none()


async def make_busy(tx: Transaction, row: Busy) -> Row | None:
    """Stores an external event unless a newer state of it is here (then None)."""
    parameters = {
        "tenant": tx.tenant_id,
        "connection": row.connection_id,
        "key": row.external_key,
        "version": row.version,
        "resource": row.resource_id,
        "start": row.start,
        "end": row.end,
    }
    return (await tx.connection.execute(_MAKE_BUSY, parameters)).mappings().one_or_none()


async def unmake_busy(tx: Transaction, connection_id: UUID, key: str, version: int) -> Row | None:
    """Takes an external event away unless a newer state of it is here (then None)."""
    parameters = {"tenant": tx.tenant_id, "connection": connection_id, "key": key, "version": version}
    return (await tx.connection.execute(_UNMAKE_BUSY, parameters)).mappings().one_or_none()


async def set_degraded(tx: Transaction, event: CalendarConnectionDegraded) -> None:
    """Stores whether a calendar's truth is known, unless something newer is here."""
    parameters = {
        "tenant": tx.tenant_id,
        "connection": event.connection_id,
        "resource": event.resource_id,
        "version": event.version,
        "since": event.since,
        "degraded": not event.recovered,
    }
    await tx.connection.execute(_DEGRADE, parameters)


async def next_version(tx: Transaction, resource_id: UUID) -> int:
    """The next version of the resource's availability, under its row lock until the commit."""
    parameters = {"tenant": tx.tenant_id, "resource": resource_id}
    return int((await tx.connection.execute(_NEXT, parameters)).scalar_one())


async def coming_busy(tx: Transaction) -> Sequence[Row]:
    """The stretch that external events to come span, by resource."""
    return (await tx.connection.execute(_COMING_BUSY, {"tenant": tx.tenant_id})).mappings().all()


async def redraw(tx: Transaction, resource_id: UUID, stretches: Iterable[tuple[datetime, datetime]]) -> None:
    """Draws the resource's calendar again from its rows where one of the stretches touches it, and keeps the lock of
    its row in `feed` until the commit: whoever draws last has seen everybody's rows."""
    # Half-open, so that neighbouring ones become one.
    for first, last in merge((_chunk(start), _chunk(end) + 1) for start, end in stretches):
        parameters = {"tenant": tx.tenant_id, "resource": resource_id, "first": first, "last": last - 1}
        await tx.connection.execute(_REDRAW, parameters)


def _chunk(instant: datetime) -> int:
    return floor_minute(instant) // CHUNK
