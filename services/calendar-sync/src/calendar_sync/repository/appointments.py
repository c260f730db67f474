"""Appointments, and the calendar events that show them."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from calendar_sync.model import WantedEvent
from calendar_sync.repository.rows import LEASE, run
from events import Transaction
from events.contracts.booking import AppointmentFact, BookingRescheduled

# Confirming and connecting meet here: whoever comes second sees what the first has done.
_MEET = text("SELECT pg_advisory_xact_lock(hashtextextended('appointments:' || CAST(:resource AS text), 0))")
_KEEP_APPOINTMENT = text("""
INSERT INTO appointment AS a
  (booking_id, tenant_id, version, confirmed, provider_id, offering_id, contact_id, starts_at, ends_at)
VALUES (:booking, :tenant, :version, :confirmed, :provider, :offering, :contact, :start, :end)
ON CONFLICT (booking_id) DO UPDATE SET version = :version, confirmed = :confirmed, provider_id = :provider,
  offering_id = :offering, contact_id = :contact, starts_at = :start, ends_at = :end
  WHERE a.version < :version
RETURNING 1
""")
# A request that nobody has approved yet may be moved too: it is in no calendar, and is not known here.
_MOVE_APPOINTMENT = text("""
UPDATE appointment SET version = :version, provider_id = :provider, offering_id = :offering, contact_id = :contact,
  starts_at = :start, ends_at = :end
WHERE booking_id = :booking AND confirmed AND version < :version
RETURNING 1
""")
# Desired from now on: present in the live calendars of the provider, absent wherever else it is or may be.
_WANT_PRESENT = text("""
INSERT INTO calendar_event AS e (booking_id, connection_id, tenant_id, present, version, due_at)
SELECT a.booking_id, c.id, a.tenant_id, true, a.version, now()
FROM appointment a JOIN connection c ON c.resource_id = a.provider_id AND c.tenant_id = a.tenant_id
WHERE a.confirmed AND c.activated_at IS NOT NULL AND c.deleted_at IS NULL
  AND (a.ends_at > now() OR EXISTS (
    SELECT FROM calendar_event x WHERE x.booking_id = a.booking_id AND x.connection_id = c.id AND x.present))
  AND (a.booking_id = CAST(:booking AS uuid) OR c.id = CAST(:connection AS uuid))
ON CONFLICT (booking_id, connection_id)
  DO UPDATE SET present = true, version = excluded.version, due_at = now(), failures = 0
  WHERE e.version < excluded.version
RETURNING 1
""")
_WANT_ABSENT = text("""
UPDATE calendar_event e SET present = false, version = :version, due_at = now(), failures = 0
WHERE e.booking_id = :booking AND e.version < :version
  AND (NOT CAST(:confirmed AS boolean)
       OR e.connection_id NOT IN (SELECT id FROM connection WHERE resource_id = CAST(:provider AS uuid)))
RETURNING 1
""")
_DUE_WRITES = text("SELECT tenant_id, booking_id, connection_id FROM due_writes(CAST(:limit AS int))")
_CLAIM_WRITE = text("""
UPDATE calendar_event e SET lease = :lease, lease_of = :replica, lease_until = clock_timestamp() + :lasting,
  due_at = clock_timestamp() + :lasting
FROM appointment a
WHERE a.booking_id = e.booking_id AND (e.booking_id, e.connection_id) =
  (SELECT booking_id, connection_id FROM calendar_event WHERE booking_id = :booking AND connection_id = :connection
     AND due_at <= clock_timestamp() AND (lease_until IS NULL OR lease_until < clock_timestamp())
   FOR UPDATE SKIP LOCKED)
RETURNING e.booking_id, e.connection_id, e.lease, e.present, e.version, e.written_version IS NOT NULL AS written,
  e.failures, a.provider_id,
  a.offering_id, a.contact_id, a.starts_at, a.ends_at
""")
_STORE_WRITTEN = text("""
UPDATE calendar_event SET written_version = :version, etag = :etag, failures = 0, last_error = NULL,
  lease = NULL, lease_until = NULL, due_at = CASE WHEN version > :version THEN clock_timestamp() END
WHERE booking_id = :booking AND connection_id = :connection AND lease = :lease
RETURNING 1
""")
_STORE_NOT_WRITTEN = text("""
UPDATE calendar_event SET failures = failures + 1, last_error = :reason, lease = NULL, lease_until = NULL,
  due_at = clock_timestamp() + CASE WHEN version > :version THEN interval '0' ELSE CAST(:pause AS interval) END
WHERE booking_id = :booking AND connection_id = :connection AND lease = :lease
""")
_SWEEP = text("SELECT sweep()")


async def meet(tx: Transaction, resource_id: UUID) -> None:
    """Until the end of the transaction nobody else connects a calendar of the resource or confirms with it."""
    await run(tx, _MEET, resource=str(resource_id))


async def keep_appointment(tx: Transaction, fact: AppointmentFact, *, confirmed: bool) -> bool:
    """Stores the appointment unless a newer version is here; returns whether it was newer."""
    return bool(await run(tx, _KEEP_APPOINTMENT, tenant=fact.tenant_id, confirmed=confirmed, **_columns(fact)))


async def move_appointment(tx: Transaction, fact: BookingRescheduled) -> bool:
    """Stores where the appointment has moved; False when it does not stand, or a newer version is here."""
    return bool(await run(tx, _MOVE_APPOINTMENT, **_columns(fact)))


def _columns(fact: AppointmentFact) -> dict[str, Any]:
    visit = fact.visit
    return {
        "booking": fact.booking_id,
        "version": fact.version,
        "provider": visit.provider_id,
        "offering": visit.offering_id,
        "contact": fact.contact_id,
        "start": visit.start,
        "end": visit.end,
    }


async def want_events(tx: Transaction, fact: AppointmentFact, *, confirmed: bool) -> int:
    """Writes the desired state of the appointment in every calendar; returns how many have something to do."""
    absent = await run(
        tx,
        _WANT_ABSENT,
        booking=fact.booking_id,
        version=fact.version,
        confirmed=confirmed,
        provider=fact.visit.provider_id,
    )
    present = await run(tx, _WANT_PRESENT, booking=fact.booking_id, connection=None) if confirmed else ()
    return len(absent) + len(present)


async def want_all_events(tx: Transaction, connection_id: UUID) -> int:
    """A calendar was connected: it is to show every coming appointment of its provider."""
    return len(await run(tx, _WANT_PRESENT, booking=None, connection=connection_id))


async def due_writes(tx: Transaction, limit: int) -> list[tuple[UUID, tuple[UUID, UUID]]]:
    """(tenant, (booking, connection)) of calendars that do not show what is desired."""
    rows = await run(tx, _DUE_WRITES, limit=limit)
    return [(row.tenant_id, (row.booking_id, row.connection_id)) for row in rows]


async def claim_write(tx: Transaction, booking_id: UUID, connection_id: UUID, *, replica: int) -> WantedEvent | None:
    """Leases the event to one writer, with the desired state as it is now; None when somebody else has it."""
    parameters = {
        "booking": booking_id,
        "connection": connection_id,
        "lease": uuid4(),
        "replica": replica,
        "lasting": LEASE,
    }
    rows = await run(tx, _CLAIM_WRITE, **parameters)
    return WantedEvent(**rows[0]._mapping) if rows else None


async def store_written(tx: Transaction, wanted: WantedEvent, etag: str | None) -> bool:
    """The calendar shows this version; a newer one that came meanwhile is due at once. False when the lease ran
    out and somebody else has the event now."""
    return bool(
        await run(
            tx,
            _STORE_WRITTEN,
            booking=wanted.booking_id,
            connection=wanted.connection_id,
            lease=wanted.lease,
            version=wanted.version,
            etag=etag,
        )
    )


async def store_not_written(tx: Transaction, wanted: WantedEvent, *, reason: str, pause: timedelta) -> None:
    """The write has failed or its fate is unknown: it is done again after `pause`."""
    await run(
        tx,
        _STORE_NOT_WRITTEN,
        booking=wanted.booking_id,
        connection=wanted.connection_id,
        lease=wanted.lease,
        version=wanted.version,
        reason=reason,
        pause=pause,
    )


async def sweep(tx: Transaction) -> None:
    """Deletes what is long over, of all clinics."""
    await run(tx, _SWEEP)
