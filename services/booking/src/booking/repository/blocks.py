"""What keeps a resource from being booked besides claims, and which bookings it lands on."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from booking.model import Booking
from booking.repository.bookings import SELECTED, read
from events import Transaction

_BLOCKED = text("SELECT is_blocked(:tenant, CAST(:resources AS uuid[]), :start, :end, CAST(:kind AS text))")
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(CAST(:resource AS text), 0))")
_BLOCK = text("""
INSERT INTO block AS b (tenant_id, key, resource_id, during, version, kind)
VALUES (:tenant, :key, :resource, tstzrange(:start, :end), :version, :kind)
ON CONFLICT (tenant_id, key) DO UPDATE SET resource_id = :resource, during = tstzrange(:start, :end), version = :version
  WHERE b.version < :version
RETURNING old.resource_id
""")
_UNBLOCK = text("""
DELETE FROM block WHERE tenant_id = :tenant AND key = :key AND version <= :version RETURNING resource_id
""")
_UNBLOCK_ALL = text("""
DELETE FROM block WHERE tenant_id = :tenant AND starts_with(key, :prefix) AND version <= :version RETURNING resource_id
""")
_NEWEST = text("""
SELECT coalesce(max(version), 0) FROM block WHERE tenant_id = :tenant AND starts_with(key, :prefix)
""")
# By the claims of the resource: what is live and reaches beyond now.
_ON_RESOURCE = text(f"""
SELECT {SELECTED} FROM booking WHERE tenant_id = :tenant AND seated
  AND status IN ('pending_payment', 'pending_approval', 'confirmed') AND contact_id IS NOT NULL
  AND end_at > now() AND start_at < :until AND end_at > :since
  AND (id = ANY(:owners) OR slot_id = ANY(:owners))
ORDER BY start_at, id
""")
_CLAIMANTS = text("SELECT * FROM claimants(:tenant, :resource, tstzrange(:since, :until))")
_EXTERNAL_AHEAD = text("""
SELECT resource_id, lower(during) AS start, upper(during) AS "end" FROM block
WHERE tenant_id = :tenant AND kind = 'external_event' AND upper(during) > now() ORDER BY resource_id
""")


async def are_on(
    tx: Transaction, booking: Booking, resources: Iterable[UUID] | None = None, *, kind: str | None = None
) -> bool:
    """Whether time off lies on the visit, or an external event on it or nearer to it than the clinic's buffer; of one
    `kind` alone if that is named."""
    parameters = {
        "tenant": tx.tenant_id,
        "resources": list(resources) if resources is not None else [resource.id for resource in booking.resources],
        "start": booking.start_at,
        "end": booking.end_at,
        "kind": kind,
    }
    return bool((await tx.connection.execute(_BLOCKED, parameters)).scalar_one())


async def lock(tx: Transaction, resource_id: UUID) -> None:
    """The resource's exclusive lock: holds in flight are waited for, and later ones see what is written under it."""
    await tx.connection.execute(_LOCK, {"resource": str(resource_id)})


async def put(
    tx: Transaction, key: str, resource_id: UUID, start: datetime, end: datetime, version: int, kind: str
) -> set[UUID]:
    """Stores a block under the resource's lock; the resources that it lies on and lay on before, none when it is known
    in this version or a newer one."""
    parameters = {
        "tenant": tx.tenant_id,
        "key": key,
        "resource": resource_id,
        "start": start,
        "end": end,
        "version": version,
        "kind": kind,
    }
    stored = (await tx.connection.execute(_BLOCK, parameters)).one_or_none()
    return {resource_id, stored.resource_id or resource_id} if stored else set()


async def newest(tx: Transaction, prefix: str) -> int:
    """The newest version of the blocks whose keys begin so; 0 when there are none."""
    parameters = {"tenant": tx.tenant_id, "prefix": prefix}
    version: int = (await tx.connection.execute(_NEWEST, parameters)).scalar_one()
    return version


async def remove(tx: Transaction, key: str, version: int) -> UUID | None:
    """Forgets a block; the resource that it was on."""
    parameters = {"tenant": tx.tenant_id, "key": key, "version": version}
    found: UUID | None = (await tx.connection.execute(_UNBLOCK, parameters)).scalar_one_or_none()
    return found


async def remove_all(tx: Transaction, prefix: str, version: int) -> set[UUID]:
    """Forgets every block whose key begins so, up to this version; the resources that they were on."""
    parameters = {"tenant": tx.tenant_id, "prefix": prefix, "version": version}
    return set((await tx.connection.execute(_UNBLOCK_ALL, parameters)).scalars())


async def bookings_on(tx: Transaction, resource_id: UUID, since: datetime, until: datetime) -> Sequence[Booking]:
    """Live appointments to come that have the resource within the stretch."""
    parameters = {"tenant": tx.tenant_id, "resource": resource_id, "since": since, "until": until}
    owners = list((await tx.connection.execute(_CLAIMANTS, parameters)).scalars())
    del parameters["resource"]
    return [read(row) for row in await tx.connection.execute(_ON_RESOURCE, parameters | {"owners": owners})]


async def external_ahead(tx: Transaction) -> list[tuple[UUID, datetime, datetime]]:
    """External events to come, (resource, start, end) in the order of the resources."""
    rows = await tx.connection.execute(_EXTERNAL_AHEAD, {"tenant": tx.tenant_id})
    return [(row.resource_id, row.start, row.end) for row in rows]
