"""Bookings: reading, locking, changing, listing them, and their history."""

import json
from dataclasses import fields
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.exc import IntegrityError

from booking.domain import State
from booking.model import Booking, ClaimedResource
from events import Transaction
from servicekit.problems import ValidationFailed

# timestamptz 'infinity' is beyond Python's datetime: the end of its last year stands for it.
_COLUMNS = ", ".join(
    "least(claim_until, '9999-12-31 00:00Z') AS claim_until" if name == "claim_until" else name
    for name in (field.name for field in fields(Booking))
    if name != "overdue"
)
SELECTED = f"{_COLUMNS}, claim_until <= now() AS overdue"
_GET = text(f"SELECT {SELECTED} FROM booking WHERE id = :id AND tenant_id = :tenant")
_LOCK_WITH_SLOT = text("SELECT lock_booking(:id)")
_LOCK = text(f"{_GET.text} FOR NO KEY UPDATE")
_OF_SLOT = text(f"SELECT {SELECTED} FROM booking WHERE slot_id = :slot AND tenant_id = :tenant AND seated ORDER BY id")

_NOTE = text("INSERT INTO history (tenant_id, booking_id, event, by) VALUES (:tenant, :booking, :event, :by)")
_HISTORY = text("SELECT at, event, by FROM history WHERE booking_id = :booking AND tenant_id = :tenant ORDER BY id")
_DUE = text("SELECT tenant_id, id FROM due_bookings(:limit)")
_OVER = text("SELECT tenant_id, id FROM over_bookings(:limit, make_interval(mins => :minutes))")
_UNDECIDED = text("SELECT tenant_id, id FROM undecided_bookings(:limit)")
_MOVE_OF = text(f"""
SELECT {SELECTED} FROM booking WHERE moves = :id AND tenant_id = :tenant AND status IN ('held', 'pending_payment')
""")

_PAID_MOVES = text(f"""
SELECT {SELECTED} FROM booking WHERE moves = :id AND tenant_id = :tenant AND status = 'released' AND paid > refunded
  AND payment_id IS NOT NULL ORDER BY id FOR NO KEY UPDATE
""")

_LIVE = "status IN ('pending_payment', 'pending_approval', 'confirmed') AND seated AND claim_until > now()"
_NEWER_OVERLAP = text(f"""
SELECT EXISTS (SELECT FROM booking WHERE tenant_id = :tenant AND person_id = :person AND id <> :id AND {_LIVE}
  AND created_at > :since AND start_at < :end AND end_at > :start)
""")
_LIVE_APPOINTMENTS = text(f"""
SELECT count(*) FROM booking WHERE tenant_id = :tenant AND person_id = :person AND {_LIVE} AND start_at > now()
""")
# An address that nobody proved to own counts with what was booked under it in the same way, and with nothing else: a
# stranger who types it must not learn of its owner's appointments.
_MINE = "tenant_id = :tenant AND person_id = :person AND id <> :id AND (verified = :verified OR :verified)"
_OVERLAPPING = text(f"""
SELECT EXISTS (SELECT FROM booking WHERE {_MINE} AND {_LIVE} AND start_at < :end AND end_at > :start)
""")
_COUNTED = text(f"""
SELECT count(*) FROM booking WHERE {_MINE} AND offering_id = :offering AND seated
  AND status IN ('pending_payment', 'pending_approval', 'confirmed', 'completed') AND claim_until > now()
  AND start_at >= :since AND start_at < :until
""")
_PERSON_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('person:' || CAST(:person AS text), 0))")


async def find(tx: Transaction, booking_id: UUID) -> Booking | None:
    """The booking without a lock, None when the tenant has none with this id."""
    row = (await tx.connection.execute(_GET, {"id": booking_id, "tenant": tx.tenant_id})).one_or_none()
    return read(row) if row is not None else None


async def lock(tx: Transaction, booking_id: UUID) -> Booking | None:
    """The booking with its slot's row and its own locked, in that order."""
    if not (await tx.connection.execute(_LOCK_WITH_SLOT, {"id": booking_id})).scalar_one():
        return None
    return await relock(tx, booking_id)


async def relock(tx: Transaction, booking_id: UUID) -> Booking:
    """The booking again, whose lock this transaction has already: after a function has changed it."""
    return read((await tx.connection.execute(_LOCK, {"id": booking_id, "tenant": tx.tenant_id})).one())


async def of_slot(tx: Transaction, slot_id: UUID) -> list[Booking]:
    """Whoever has a seat of the slot, by id."""
    rows = await tx.connection.execute(_OF_SLOT, {"slot": slot_id, "tenant": tx.tenant_id})
    return [read(row) for row in rows]


async def move_of(tx: Transaction, booking_id: UUID) -> Booking | None:
    """The live hold that keeps the time to which the appointment moves once that is paid."""
    row = (await tx.connection.execute(_MOVE_OF, {"id": booking_id, "tenant": tx.tenant_id})).first()
    return read(row) if row is not None else None


async def paid_moves_of(tx: Transaction, booking_id: UUID) -> list[Booking]:
    """Former holds of dearer times to which the appointment moved, locked, with their payments."""
    rows = await tx.connection.execute(_PAID_MOVES, {"id": booking_id, "tenant": tx.tenant_id})
    return [read(row) for row in rows]


async def update(tx: Transaction, booking: Booking, **values: Any) -> Booking:
    """Changes columns of a locked booking, and counts its version up; 422 for an `external_ref` of another one."""
    stored = _stored(values)
    changes = ", ".join(f"{name} = {_parameter(name)}" for name in stored)
    statement = text(
        f"UPDATE booking SET {changes}{', ' if changes else ''}version = version + 1, updated_at = now()"
        f" WHERE id = :row_id AND tenant_id = :row_tenant RETURNING {SELECTED}"
    )
    parameters = stored | {"row_id": booking.id, "row_tenant": tx.tenant_id}
    try:
        return read((await tx.connection.execute(statement, parameters)).one())
    except IntegrityError as error:
        if getattr(getattr(error.orig, "diag", None), "constraint_name", None) != "booking_external_ref":
            raise
        raise ValidationFailed.of("external_ref", "is another appointment's in this clinic") from error


async def note(tx: Transaction, booking_id: UUID, event: str, by: str) -> None:
    """A line in the booking's history. That it was held is in its own row."""
    await tx.connection.execute(_NOTE, {"tenant": tx.tenant_id, "booking": booking_id, "event": event, "by": by})


async def history(tx: Transaction, booking: Booking) -> list[dict[str, Any]]:
    """What happened to the booking, oldest first."""
    rows = await tx.connection.execute(_HISTORY, {"booking": booking.id, "tenant": tx.tenant_id})
    held = {"at": booking.created_at, "event": "held", "by": booking.held_by}
    return [held, *({"at": row.at, "event": row.event, "by": row.by} for row in rows)]


# -- the clock's work, over all tenants: (tenant, booking) ----------------------------------------------------------


async def due(tx: Transaction, limit: int = 200) -> list[tuple[UUID, UUID]]:
    """What has run out."""
    return [(row.tenant_id, row.id) for row in await tx.connection.execute(_DUE, {"limit": limit})]


async def over(tx: Transaction, minutes: int, limit: int = 200) -> list[tuple[UUID, UUID]]:
    """Confirmed visits that ended so many minutes ago."""
    rows = await tx.connection.execute(_OVER, {"limit": limit, "minutes": minutes})
    return [(row.tenant_id, row.id) for row in rows]


async def undecided(tx: Transaction, limit: int = 200) -> list[tuple[UUID, UUID]]:
    """Appointments whose approver is to be reminded now."""
    return [(row.tenant_id, row.id) for row in await tx.connection.execute(_UNDECIDED, {"limit": limit})]


# -- of one person --------------------------------------------------------------------------------------------------


async def lock_person(tx: Transaction, person_id: UUID) -> None:
    """Two requests of one person wait for each other, so that both count the same appointments."""
    await tx.connection.execute(_PERSON_LOCK, {"person": str(person_id)})


async def has_newer_overlap(tx: Transaction, booking: Booking) -> bool:
    """Whether the person has a newer live booking at that time."""
    parameters = _whose(tx, booking, booking.person_id) | {"since": booking.created_at}
    parameters |= {"start": booking.start_at, "end": booking.end_at}
    parameters.pop("verified")
    return bool((await tx.connection.execute(_NEWER_OVERLAP, parameters)).scalar_one())


async def has_overlap(
    tx: Transaction, booking: Booking, person_id: UUID, *, verified: bool, start: datetime, end: datetime
) -> bool:
    """Whether the person has another live appointment in the clinic that overlaps [start, end)."""
    parameters = _whose(tx, booking, person_id) | {"verified": verified, "start": start, "end": end}
    return bool((await tx.connection.execute(_OVERLAPPING, parameters)).scalar_one())


async def count_visits(
    tx: Transaction, booking: Booking, person_id: UUID, *, verified: bool, since: datetime, until: datetime
) -> int:
    """The person's other appointments of the booking's offering that begin in [since, until)."""
    parameters = _whose(tx, booking, person_id) | {"verified": verified, "since": since, "until": until}
    parameters["offering"] = booking.offering_id
    count: int = (await tx.connection.execute(_COUNTED, parameters)).scalar_one()
    return count


async def live_appointments(tx: Transaction, person_id: UUID) -> int:
    """How many appointments of the person lie ahead."""
    parameters = {"tenant": tx.tenant_id, "person": person_id}
    count: int = (await tx.connection.execute(_LIVE_APPOINTMENTS, parameters)).scalar_one()
    return count


def _whose(tx: Transaction, booking: Booking, person_id: UUID | None) -> dict[str, Any]:
    return {"tenant": tx.tenant_id, "person": person_id, "id": booking.id, "verified": False}


# -- lists ----------------------------------------------------------------------------------------------------------


async def agenda(
    tx: Transaction,
    *,
    conditions: dict[str, Any],
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Booking]:
    """Appointments by start, for staff. Conditions: since, until, provider, providers, people (lists of ids), status,
    offering, series, external_ref, updated_since; None says nothing."""
    clauses = ["tenant_id = :tenant", "contact_id IS NOT NULL"]
    parameters: dict[str, Any] = {"tenant": tx.tenant_id, "limit": limit}
    for name, clause in _CONDITIONS.items():
        if (value := conditions.get(name)) is not None:
            clauses.append(clause)
            parameters[name] = value
    if after is not None:
        clauses.append("(start_at, id) > (:after_start, :after_id)")
        parameters |= {"after_start": after[0], "after_id": after[1]}
    statement = text(f"SELECT {SELECTED} FROM booking WHERE {' AND '.join(clauses)} ORDER BY start_at, id LIMIT :limit")
    return [read(row) for row in await tx.connection.execute(statement, parameters)]


_CONDITIONS = {
    "since": "start_at >= :since",
    "until": "start_at < :until",
    "provider": "provider_id = :provider",
    "providers": "provider_id = ANY(:providers)",
    "offering": "offering_id = :offering",
    "status": "status = :status",
    "people": "person_id = ANY(:people)",
    "series": "series_id = :series",
    "external_ref": "external_ref = :external_ref",
    "updated_since": "updated_at >= :updated_since",
}

# -- rows -----------------------------------------------------------------------------------------------------------

_JSON_COLUMNS = frozenset(("resources", "terms", "details"))
_INSTANTS = frozenset(("claim_until", "remind_at"))


def _parameter(name: str) -> str:
    if name in _JSON_COLUMNS:
        return f"CAST(:{name} AS jsonb)"
    return f"CAST(:{name} AS timestamptz)" if name in _INSTANTS else f":{name}"


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
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not stored as JSON")


def read_resources(stored: list[dict[str, str]]) -> list[ClaimedResource]:
    """Claimed resources as the functions and the column write them."""
    return [
        ClaimedResource(
            UUID(entry["id"]), datetime.fromisoformat(entry["claim_start"]), datetime.fromisoformat(entry["claim_end"])
        )
        for entry in stored
    ]


def read(row: Row[Any]) -> Booking:
    """A row with the columns of `SELECTED`."""
    values = dict(row._mapping)
    values["status"] = State(values["status"])
    values["resources"] = read_resources(values["resources"])
    return Booking(**values)
