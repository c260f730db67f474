"""All SQL of booking. Lock order everywhere: slot → booking → resources' advisory locks → claims."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from booking.domain import State
from booking.model import NO_PROVIDER, Booking, ClaimedResource, Slot
from events import Transaction
from events.contracts.calendar import Busy

FOREVER = "infinity"
"""PostgreSQL's end of time, which Python's datetime cannot say."""

_TAKE = text("""
SELECT * FROM take_slot(:tenant, :booking, :offering, :start, :end, :capacity, :seats, :ttl, :pad,
  CAST(:providers AS uuid[]), CAST(:counts AS int[]), CAST(:resources AS uuid[]),
  CAST(:lower AS timestamptz[]), CAST(:upper AS timestamptz[]))
""")

# timestamptz 'infinity' is beyond Python's datetime: the end of its last year stands for it.
_COLUMNS = ", ".join(
    "least(claim_until, '9999-12-31 00:00Z') AS claim_until" if name == "claim_until" else name
    for name in (field.name for field in fields(Booking))
    if name not in ("overdue",)
)
_SELECTED = f"{_COLUMNS}, claim_until <= now() AS overdue"
_GET = text(f"SELECT {_SELECTED} FROM booking WHERE id = :id AND tenant_id = :tenant")
_LOCK_SLOT = text("""
SELECT s.id FROM slot s JOIN booking b ON b.slot_id = s.id
WHERE b.id = :id AND b.tenant_id = :tenant FOR NO KEY UPDATE OF s
""")
_LOCK = text(f"{_GET.text} FOR NO KEY UPDATE")
_SLOT = text("SELECT * FROM slot WHERE id = :id AND tenant_id = :tenant")

_FREE_SLOT = text("""
UPDATE slot SET reserved = reserved - :seats, version = version + 1, updated_at = now(),
  status = CASE WHEN status = 'cancelled' THEN 'cancelled' ELSE 'open' END,
  resources = CASE WHEN reserved > :seats THEN resources END
WHERE id = :id AND tenant_id = :tenant RETURNING *
""")
_FREE_CLAIMS = text("DELETE FROM claim WHERE owner_id = :owner AND tenant_id = :tenant")
_EXTEND_CLAIMS = text(
    "UPDATE claim SET expires_at = CAST(:until AS timestamptz)"
    " WHERE owner_id = :owner AND tenant_id = :tenant RETURNING 1"
)

_HOARDED = text("""
SELECT count(*) FILTER (WHERE status IN ('held', 'pending_payment') AND expires_at > now()) AS live, count(*) AS hourly
FROM booking WHERE tenant_id = :tenant AND origin = :origin AND created_at > now() - interval '1 h'
""")

_BLOCKED = text("""
SELECT EXISTS (SELECT FROM block WHERE tenant_id = :tenant AND resource_id = ANY(:resources)
  AND during && tstzrange(:start, :end))
""")
_BLOCK_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(CAST(:resource AS text), 0))")
_BLOCK = text("""
INSERT INTO block AS b (tenant_id, key, resource_id, during, version)
VALUES (:tenant, :key, :resource, tstzrange(:start, :end), :version)
ON CONFLICT (tenant_id, key) DO UPDATE SET resource_id = :resource, during = tstzrange(:start, :end), version = :version
  WHERE b.version < :version
""")
_UNBLOCK = text("DELETE FROM block WHERE tenant_id = :tenant AND key = :key AND version <= :version")

_NOTE = text("INSERT INTO history (tenant_id, booking_id, event, by) VALUES (:tenant, :booking, :event, :by)")
_HISTORY = text("SELECT at, event, by FROM history WHERE booking_id = :booking AND tenant_id = :tenant ORDER BY id")
_DUE = text("SELECT tenant_id, id FROM due_bookings(:limit)")
_NEWER_OVERLAP = text("""
SELECT EXISTS (SELECT FROM booking WHERE tenant_id = :tenant AND person_id = :person AND id <> :id AND seated
  AND status IN ('pending_payment', 'pending_approval', 'confirmed') AND created_at > :since
  AND start_at < :end AND end_at > :start)
""")

_LIVE_APPOINTMENTS = text("""
SELECT count(*) FROM booking WHERE tenant_id = :tenant AND person_id = :person AND seated AND start_at > now()
  AND status IN ('pending_payment', 'pending_approval', 'confirmed')
""")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One assignment of resources; claims sorted by resource."""

    provider_id: UUID | None
    claims: Sequence[ClaimedResource]
    needs_approval: bool


@dataclass(frozen=True, slots=True)
class Taken:
    """A slot that was taken for a booking: which candidate, until when, and the slot as it is now."""

    candidate: int
    expires_at: datetime
    resources: list[ClaimedResource]
    slot: Slot


async def take_slot(
    tx: Transaction,
    booking_id: UUID,
    *,
    offering_id: UUID,
    start: datetime,
    end: datetime,
    capacity: int,
    seats: int,
    ttl: timedelta,
    external_buffer: timedelta,
    candidates: Sequence[Candidate],
) -> Taken | str:
    """Takes the first candidate that is free, or says why not: `taken`, or `blocked` by an external calendar."""
    row = (
        await tx.connection.execute(
            _TAKE,
            {
                "tenant": tx.tenant_id,
                "booking": booking_id,
                "offering": offering_id,
                "start": start,
                "end": end,
                "capacity": capacity,
                "seats": seats,
                "ttl": ttl,
                "pad": external_buffer,
                "providers": [candidate.provider_id or NO_PROVIDER for candidate in candidates],
                "counts": [len(candidate.claims) for candidate in candidates],
                "resources": [claim.id for candidate in candidates for claim in candidate.claims],
                "lower": [claim.claim_start for candidate in candidates for claim in candidate.claims],
                "upper": [claim.claim_end for candidate in candidates for claim in candidate.claims],
            },
        )
    ).one()
    if row.outcome != "held":
        return str(row.outcome)
    slot = Slot(
        id=row.slot_id,
        tenant_id=tx.tenant_id,
        offering_id=offering_id,
        provider_id=candidates[row.chosen].provider_id,
        start=start,
        end=end,
        capacity=row.capacity,
        reserved=row.reserved,
        version=row.slot_version,
        was_full=False,
    )
    return Taken(row.chosen, row.expires, _resources(row.resources), slot)


async def insert(tx: Transaction, booking_id: UUID, values: dict[str, Any]) -> Booking:
    """A new booking. `values` are columns; the rest has defaults."""
    columns = {"id": booking_id, "tenant_id": tx.tenant_id} | _stored(values)
    names = ", ".join(columns)
    parameters = ", ".join(_parameter(name) for name in columns)
    statement = text(f"INSERT INTO booking ({names}) VALUES ({parameters}) RETURNING {_SELECTED}")
    return _booking((await tx.connection.execute(statement, columns)).one())


async def find(tx: Transaction, booking_id: UUID) -> Booking | None:
    """The booking without a lock, None when the tenant has none with this id."""
    row = (await tx.connection.execute(_GET, {"id": booking_id, "tenant": tx.tenant_id})).one_or_none()
    return _booking(row) if row is not None else None


async def lock(tx: Transaction, booking_id: UUID) -> Booking | None:
    """The booking with its slot's row and its own locked, in that order."""
    parameters = {"id": booking_id, "tenant": tx.tenant_id}
    if (await tx.connection.execute(_LOCK_SLOT, parameters)).one_or_none() is None:
        return None
    return await _one(tx, _LOCK, booking_id)


async def update(tx: Transaction, booking: Booking, **values: Any) -> Booking:
    """Changes columns of a locked booking, and counts its version up."""
    stored = _stored(values)
    changes = ", ".join(f"{name} = {_parameter(name)}" for name in stored)
    statement = text(
        f"UPDATE booking SET {changes}{', ' if changes else ''}version = version + 1, updated_at = now()"
        f" WHERE id = :row_id AND tenant_id = :row_tenant RETURNING {_SELECTED}"
    )
    parameters = stored | {"row_id": booking.id, "row_tenant": tx.tenant_id}
    return _booking((await tx.connection.execute(statement, parameters)).one())


async def free(tx: Transaction, booking: Booking) -> Slot:
    """Gives the booking's seats and claims back; returns the slot as it is then. The caller marks it unseated."""
    if booking.seated:
        parameters = {"id": booking.slot_id, "tenant": tx.tenant_id, "seats": booking.seats}
        row = (await tx.connection.execute(_FREE_SLOT, parameters)).one()
        slot = _slot(row, was_full=row.reserved + booking.seats == row.capacity)
    else:
        slot = await slot_of(tx, booking)
    if slot.capacity == 1:
        await tx.connection.execute(_FREE_CLAIMS, {"owner": booking.id, "tenant": tx.tenant_id})
    elif slot.reserved == 0 and booking.seated:
        await tx.connection.execute(_FREE_CLAIMS, {"owner": slot.id, "tenant": tx.tenant_id})
    return slot


async def slot_of(tx: Transaction, booking: Booking) -> Slot:
    """The booking's slot as it is now."""
    row = (await tx.connection.execute(_SLOT, {"id": booking.slot_id, "tenant": tx.tenant_id})).one()
    return _slot(row, was_full=row.reserved == row.capacity)


async def keep_claims(tx: Transaction, booking: Booking, slot: Slot, until: datetime | str) -> bool:
    """Lets the booking's claims last until then; False when one of them is gone (a class's are its slot's)."""
    if slot.capacity > 1:
        return booking.seated
    parameters = {"owner": booking.id, "tenant": tx.tenant_id, "until": until}
    found = (await tx.connection.execute(_EXTEND_CLAIMS, parameters)).all()
    return len(found) == len(booking.resources)


async def is_blocked(tx: Transaction, booking: Booking, external_buffer: timedelta) -> bool:
    """Whether an external event lies on the visit, or nearer to it than the clinic's buffer."""
    return bool(
        (
            await tx.connection.execute(
                _BLOCKED,
                {
                    "tenant": tx.tenant_id,
                    "resources": [resource.id for resource in booking.resources],
                    "start": booking.start_at - external_buffer,
                    "end": booking.end_at + external_buffer,
                },
            )
        ).scalar_one()
    )


async def block(tx: Transaction, busy: Busy) -> None:
    """Stores an external event. The exclusive lock makes it wait for holds in flight, and them see it."""
    await tx.connection.execute(_BLOCK_LOCK, {"resource": str(busy.resource_id)})
    await tx.connection.execute(
        _BLOCK,
        {
            "tenant": tx.tenant_id,
            "key": busy.key(),
            "resource": busy.resource_id,
            "start": busy.start,
            "end": busy.end,
            "version": busy.version,
        },
    )


async def unblock(tx: Transaction, key: str, version: int) -> None:
    """Forgets an external event."""
    await tx.connection.execute(_UNBLOCK, {"tenant": tx.tenant_id, "key": key, "version": version})


async def hoarded(tx: Transaction, origin: bytes) -> tuple[int, int]:
    """Live unpaid holds of the origin in the clinic, and its holds within the hour."""
    row = (await tx.connection.execute(_HOARDED, {"tenant": tx.tenant_id, "origin": origin})).one()
    return row.live, row.hourly


async def has_newer_overlap(tx: Transaction, booking: Booking) -> bool:
    """Whether the person has a newer live booking at that time."""
    return bool(
        (
            await tx.connection.execute(
                _NEWER_OVERLAP,
                {
                    "tenant": tx.tenant_id,
                    "person": booking.person_id,
                    "id": booking.id,
                    "since": booking.created_at,
                    "start": booking.start_at,
                    "end": booking.end_at,
                },
            )
        ).scalar_one()
    )


async def live_appointments(tx: Transaction, person_id: UUID) -> int:
    """How many appointments of the person lie ahead."""
    parameters = {"tenant": tx.tenant_id, "person": person_id}
    count: int = (await tx.connection.execute(_LIVE_APPOINTMENTS, parameters)).scalar_one()
    return count


async def note(tx: Transaction, booking_id: UUID, event: str, by: str) -> None:
    """A line in the booking's history."""
    await tx.connection.execute(_NOTE, {"tenant": tx.tenant_id, "booking": booking_id, "event": event, "by": by})


async def history(tx: Transaction, booking_id: UUID) -> list[dict[str, Any]]:
    """What happened to the booking, oldest first."""
    rows = await tx.connection.execute(_HISTORY, {"booking": booking_id, "tenant": tx.tenant_id})
    return [{"at": row.at, "event": row.event, "by": row.by} for row in rows]


async def due(tx: Transaction, limit: int = 200) -> list[tuple[UUID, UUID]]:
    """(tenant, booking) of what has run out, over all tenants."""
    return [(row.tenant_id, row.id) for row in await tx.connection.execute(_DUE, {"limit": limit})]


async def agenda(
    tx: Transaction,
    *,
    since: datetime | None,
    until: datetime | None,
    provider_id: UUID | None,
    status: str | None,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Booking]:
    """Appointments by start, for staff."""
    conditions = ["tenant_id = :tenant", "contact_id IS NOT NULL"]
    parameters: dict[str, Any] = {"tenant": tx.tenant_id, "limit": limit}
    for condition, name, value in (
        ("start_at >= :since", "since", since),
        ("start_at < :until", "until", until),
        ("provider_id = :provider", "provider", provider_id),
        ("status = :status", "status", status),
    ):
        if value is not None:
            conditions.append(condition)
            parameters[name] = value
    if after is not None:
        conditions.append("(start_at, id) > (:after_start, :after_id)")
        parameters |= {"after_start": after[0], "after_id": after[1]}
    statement = text(
        f"SELECT {_SELECTED} FROM booking WHERE {' AND '.join(conditions)} ORDER BY start_at, id LIMIT :limit"
    )
    return [_booking(row) for row in await tx.connection.execute(statement, parameters)]


async def _one(tx: Transaction, statement: Any, booking_id: UUID) -> Booking:
    return _booking((await tx.connection.execute(statement, {"id": booking_id, "tenant": tx.tenant_id})).one())


_JSON_COLUMNS = frozenset(("resources", "terms", "details"))


def _parameter(name: str) -> str:
    if name in _JSON_COLUMNS:
        return f"CAST(:{name} AS jsonb)"
    return f"CAST(:{name} AS timestamptz)" if name == "claim_until" else f":{name}"


def _stored(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: json.dumps(value, default=_jsonable) if name in _JSON_COLUMNS else value for name, value in values.items()
    }


def _jsonable(value: Any) -> Any:
    if isinstance(value, ClaimedResource):
        return {
            "id": str(value.id),
            "claim_start": value.claim_start.isoformat(),
            "claim_end": value.claim_end.isoformat(),
        }
    raise TypeError(f"{type(value).__name__} is not stored as JSON")


def _resources(stored: list[dict[str, str]]) -> list[ClaimedResource]:
    return [
        ClaimedResource(
            UUID(entry["id"]), datetime.fromisoformat(entry["claim_start"]), datetime.fromisoformat(entry["claim_end"])
        )
        for entry in stored
    ]


def _booking(row: Row[Any]) -> Booking:
    values = dict(row._mapping)
    values["status"] = State(values["status"])
    values["resources"] = _resources(values["resources"])
    return Booking(**values)


def _slot(row: Row[Any], *, was_full: bool) -> Slot:
    return Slot(
        id=row.id,
        tenant_id=row.tenant_id,
        offering_id=row.offering_id,
        provider_id=row.provider_id if row.provider_id != NO_PROVIDER else None,
        start=row.start_at,
        end=row.end_at,
        capacity=row.capacity,
        reserved=row.reserved,
        version=row.version,
        was_full=was_full,
    )
