"""Who waits for a time, and what came free."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from availability.repository.catalogue import Row
from events import Transaction
from events.contracts.booking import WaitlistEntry

_KEEP = text("""
INSERT INTO waiting AS w (tenant_id, entry_id, version, offering_id, provider_id, start_at, end_at, seats)
VALUES (:tenant, :entry, :version, :offering, :provider, :start, :end, :seats)
ON CONFLICT (tenant_id, entry_id) DO UPDATE SET
  version = :version, offering_id = :offering, provider_id = :provider, start_at = :start, end_at = :end,
  seats = :seats, ended = false, changed_at = now()
  WHERE w.version < :version
""")
_END = text("""
INSERT INTO waiting AS w (tenant_id, entry_id, version, ended) VALUES (:tenant, :entry, :version, true)
ON CONFLICT (tenant_id, entry_id) DO UPDATE SET version = :version, ended = true, changed_at = now()
  WHERE w.version <= :version
""")
_NOTE = text("""
INSERT INTO opening (tenant_id, resource_id, start_at, end_at)
SELECT :tenant, :resource, :start, :end WHERE EXISTS (
  SELECT FROM waiting WHERE tenant_id = :tenant AND NOT ended
    AND end_at > greatest(now(), CAST(:start AS timestamptz)) AND start_at < :end)
RETURNING id
""")
_TENANTS = text("SELECT tenants_with_openings()")
_OPENINGS = text(
    "SELECT id, resource_id, start_at, end_at FROM opening WHERE tenant_id = :tenant ORDER BY id LIMIT 500"
)
_IN_LINE = text("""
SELECT entry_id, offering_id, provider_id, start_at, end_at, seats,
       CASE WHEN tried_at > now() - make_interval(secs => :seconds) THEN found_resources END AS found_resources,
       found_start, found_end
FROM waiting WHERE tenant_id = :tenant AND NOT ended AND end_at > now() ORDER BY since, entry_id LIMIT 1000
""")
_CLOSE = text("DELETE FROM opening WHERE tenant_id = :tenant AND id = ANY(CAST(:ids AS bigint[])) RETURNING id")
_FOUND = text("""
UPDATE waiting SET tried = tried + 1, tried_at = now(), found_resources = CAST(:resources AS uuid[]),
  found_start = :start, found_end = :end
WHERE tenant_id = :tenant AND entry_id = :entry AND NOT ended RETURNING tried
""")


async def keep_waiting(tx: Transaction, entry: WaitlistEntry) -> None:
    """Stores the row unless a newer one is here."""
    parameters = {
        "tenant": tx.tenant_id,
        "entry": entry.entry_id,
        "version": entry.version,
        "offering": entry.offering_id,
        "provider": entry.provider_id,
        "start": entry.start,
        "end": entry.end,
        "seats": entry.seats,
    }
    await tx.connection.execute(_KEEP, parameters)


async def end_waiting(tx: Transaction, entry_id: UUID, version: int) -> None:
    """Ends the row unless a newer one is here; it stays for a while, so that an older state does not bring it back."""
    await tx.connection.execute(_END, {"tenant": tx.tenant_id, "entry": entry_id, "version": version})


async def note_opening(tx: Transaction, resource_id: UUID, start: datetime, end: datetime) -> bool:
    """Notes that time of the resource came free, if somebody waits for a time then; tells whether."""
    parameters = {"tenant": tx.tenant_id, "resource": resource_id, "start": start, "end": end}
    return (await tx.connection.execute(_NOTE, parameters)).first() is not None


async def tenants_with_openings(tx: Transaction) -> list[UUID]:
    """Clinics in which something came free that nobody has looked at."""
    return list((await tx.connection.execute(_TENANTS)).scalars())


async def openings(tx: Transaction) -> Sequence[Row]:
    """What came free, in order."""
    return (await tx.connection.execute(_OPENINGS, {"tenant": tx.tenant_id})).mappings().all()


async def in_line(tx: Transaction, seconds: float) -> Sequence[Row]:
    """Who waits, the oldest first, with the time that was found for them in the last `seconds`."""
    return (await tx.connection.execute(_IN_LINE, {"tenant": tx.tenant_id, "seconds": seconds})).mappings().all()


async def close_openings(tx: Transaction, ids: list[int]) -> bool:
    """They were looked at; False when somebody else was faster."""
    return (await tx.connection.execute(_CLOSE, {"tenant": tx.tenant_id, "ids": ids})).first() is not None


async def found(tx: Transaction, entry_id: UUID, resources: list[UUID], start: datetime, end: datetime) -> int | None:
    """A time was found for the entry; the number of this finding, None when it waits no more."""
    parameters = {"tenant": tx.tenant_id, "entry": entry_id, "resources": resources, "start": start, "end": end}
    number: int | None = (await tx.connection.execute(_FOUND, parameters)).scalar_one_or_none()
    return number
