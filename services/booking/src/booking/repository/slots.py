"""Slots and claims: taking them, keeping them, giving them back."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from booking.domain import State
from booking.model import NO_PROVIDER, Booking, ClaimedResource, Slot
from booking.repository.bookings import read_resources
from events import Transaction
from events.transaction import traceparent
from servicekit.capabilities import Offer

_HEADERS = {"ce_specversion": "1.0", "ce_source": "holdfast/booking", "content-type": "application/json"}

FOREVER = "infinity"
"""PostgreSQL's end of time, which Python's datetime cannot say."""

CANDIDATES = (
    "%(providers)s::uuid[], %(counts)s::int[], %(resources)s::uuid[], %(lower)s::timestamptz[],"
    " %(upper)s::timestamptz[], %(schedules)s::bigint[]"
)

PLACE_HOLD = f"""
SELECT outcome, chosen, expires AS expires_at, slot_id, reserved, capacity, named, rule FROM place_hold(
  %(tenant)s::uuid, %(booking)s::uuid, %(offering)s::uuid, %(offering_version)s::bigint,
  %(start)s::timestamptz, %(end)s::timestamptz, %(capacity)s::int, %(seats)s::int, %(ttl)s::interval,
  %(override)s::boolean, {CANDIDATES}, %(approvals)s::boolean[],
  %(offer)s::text, %(amount)s::bigint, %(currency)s::text, %(time_zone)s::text, %(token)s::bytea, %(user)s::uuid,
  %(by)s::text, %(origin)s::bytea, %(most_live)s::int, %(most_hourly)s::int, %(headers)s::text, %(entry)s::uuid)
"""
"""One statement, also on a connection without a transaction. Its row is a `Placed`."""

_TAKE = f"""
SELECT outcome, chosen, slot_id, slot_version, reserved, capacity, resources, rule FROM retake_slot(
  %(tenant)s::uuid, %(booking)s::uuid, %(offering)s::uuid, %(start)s::timestamptz, %(end)s::timestamptz,
  %(capacity)s::int, %(seats)s::int, %(until)s::timestamptz, %(override)s::boolean, %(moving)s::boolean, {CANDIDATES})
"""

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
_SESSIONS = text("""
SELECT * FROM slot WHERE tenant_id = :tenant AND offering_id = :offering AND provider_id = :provider
  AND start_at = :start ORDER BY id FOR NO KEY UPDATE
""")
# The id as `take_slot` makes it: a row has the same one whoever adds it, so that rows can be locked in its order.
_ADD_SLOTS = text("""
INSERT INTO slot (id, tenant_id, offering_id, provider_id, place_id, start_at, end_at, capacity)
SELECT CAST(md5(CAST(:tenant AS text) || CAST(:offering AS text) || provider || place
                || extract(epoch FROM CAST(:start AS timestamptz))) AS uuid),
  :tenant, :offering, provider, place, :start, :end, :capacity
FROM unnest(CAST(:providers AS uuid[]), CAST(:places AS uuid[])) AS t (provider, place) ORDER BY 1
ON CONFLICT DO NOTHING
""")
_LOCK_SLOTS = text("""
SELECT FROM slot WHERE tenant_id = :tenant AND (id = :own OR offering_id = :offering AND start_at = :start
  AND (provider_id, place_id) IN (SELECT * FROM unnest(CAST(:providers AS uuid[]), CAST(:places AS uuid[]))))
ORDER BY id FOR NO KEY UPDATE
""")
_LOCK_THESE = text("""
SELECT FROM slot WHERE tenant_id = :tenant AND id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR NO KEY UPDATE
""")
_CALL_OFF = text("""
UPDATE slot SET status = 'cancelled', called_off = :called_off, version = version + 1, updated_at = now()
WHERE id = :id RETURNING *
""")
_TOUCH = text("UPDATE slot SET version = version + 1, updated_at = now() WHERE id = :id RETURNING *")
_SHARE = text("""
SELECT pg_advisory_xact_lock_shared(hashtextextended(r, 0)) FROM unnest(CAST(:resources AS text[])) AS r
""")
_LOCK_ALONE = text("""
SELECT pg_advisory_xact_lock(hashtextextended(r, 0)) FROM unnest(CAST(:resources AS text[])) AS r
""")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One assignment of resources; claims sorted by resource. `schedules` are the versions that it was made from."""

    provider_id: UUID | None
    claims: Sequence[ClaimedResource]
    schedules: Sequence[int]
    needs_approval: bool


@dataclass(frozen=True, slots=True)
class Placed:
    """What `place_hold` answers; only `held` has more than an outcome (and `rule` its rule)."""

    outcome: str
    chosen: int
    expires_at: datetime
    slot_id: UUID
    reserved: int
    capacity: int
    named: list[dict[str, str]]
    rule: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Taken:
    """A slot that was taken for a booking: which candidate, and the slot as it is now."""

    candidate: int
    resources: list[ClaimedResource]
    slot: Slot


@dataclass(frozen=True, slots=True)
class Refused:
    """Why no candidate can be had: taken, blocked, rule (and which), stale, unknown or changed."""

    why: str
    rule: dict[str, Any] | None = None


def spread(candidates: Sequence[Candidate]) -> dict[str, Any]:
    """Candidates as the parallel arrays of the functions: as PostgreSQL's own texts, since lists of Python's cost the
    driver more than the rest of the statement together."""
    claims = [claim for candidate in candidates for claim in candidate.claims]
    return {
        "providers": _array([candidate.provider_id or NO_PROVIDER for candidate in candidates]),
        "counts": _array([len(candidate.claims) for candidate in candidates]),
        "resources": _array([claim.id for claim in claims]),
        "lower": _array([claim.claim_start.isoformat() for claim in claims]),
        "upper": _array([claim.claim_end.isoformat() for claim in claims]),
        "schedules": _array([version for candidate in candidates for version in candidate.schedules]),
    }


def _array(values: Sequence[UUID | int | str]) -> str:
    return f"{{{','.join(map(str, values))}}}"


def hold_parameters(
    offer: Offer,
    candidates: Sequence[Candidate],
    *,
    tenant_id: UUID,
    booking_id: UUID,
    slot_id: str,
    seats: int,
    token_hash: bytes,
    user_id: UUID | None,
    by: str,
) -> dict[str, Any]:
    """The arguments of `place_hold` for a verified offer; `slot_id` is its text. Nobody's origin is counted and nothing
    overridden unless said."""
    trace = traceparent.get()
    return spread(candidates) | {
        "tenant": tenant_id,
        "booking": booking_id,
        "offering": offer.offering_id,
        "offering_version": offer.offering_version,
        "start": datetime.fromtimestamp(offer.start, UTC),
        "end": datetime.fromtimestamp(offer.end, UTC),
        "capacity": offer.capacity,
        "seats": seats,
        "ttl": timedelta(seconds=offer.hold_seconds),
        "override": offer.override,
        "approvals": _array(["t" if candidate.needs_approval else "f" for candidate in candidates]),
        "offer": slot_id,
        "amount": offer.amount,
        "currency": offer.currency,
        "time_zone": offer.time_zone,
        "token": token_hash,
        "user": user_id,
        "by": by,
        "origin": None,
        "most_live": 0,
        "most_hourly": 0,
        "entry": None,
        "headers": json.dumps(_HEADERS | ({"traceparent": trace} if trace else {})),
    }


async def hold(tx: Transaction, parameters: dict[str, Any]) -> Placed:
    """Runs `place_hold` in this transaction."""
    row = (await tx.connection.exec_driver_sql(PLACE_HOLD, parameters)).one()
    placed = Placed(**row._mapping)
    tx.wake("relay")
    return placed


async def take(
    tx: Transaction,
    booking_id: UUID,
    *,
    offering_id: UUID,
    start: datetime,
    end: datetime,
    capacity: int,
    seats: int,
    until: datetime | str,
    candidates: Sequence[Candidate],
    override: bool = False,
    moving: bool = False,
) -> Taken | Refused:
    """Takes the first candidate that is free. `moving`: in exchange for what the booking has; refused, it keeps that.
    `until`: how long its claims last."""
    parameters = spread(candidates) | {
        "tenant": tx.tenant_id,
        "booking": booking_id,
        "offering": offering_id,
        "start": start,
        "end": end,
        "capacity": capacity,
        "seats": seats,
        "until": until,
        "override": override,
        "moving": moving,
    }
    row = (await tx.connection.exec_driver_sql(_TAKE, parameters)).one()
    if row.outcome != "held":
        return Refused(row.outcome, row.rule)
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
    return Taken(row.chosen, read_resources(row.resources), slot)


async def free(tx: Transaction, booking: Booking) -> Slot:
    """Gives the booking's seats and claims back; returns the slot as it is then. The caller marks it unseated."""
    if booking.seated:
        parameters = {"id": booking.slot_id, "tenant": tx.tenant_id, "seats": booking.seats}
        row = (await tx.connection.execute(_FREE_SLOT, parameters)).one()
        slot = _slot(row, was_full=row.reserved + booking.seats == row.capacity)
    else:
        slot = await of(tx, booking)
    if slot.capacity == 1:
        await tx.connection.execute(_FREE_CLAIMS, {"owner": booking.id, "tenant": tx.tenant_id})
    elif slot.reserved == 0 and booking.seated:
        await tx.connection.execute(_FREE_CLAIMS, {"owner": slot.id, "tenant": tx.tenant_id})
    return slot


async def share_locks(tx: Transaction, booking: Booking) -> None:
    """The advisory locks of what the locked booking has, before it is confirmed: a block that lands is seen here, or
    sees the appointment."""
    await tx.connection.execute(_SHARE, {"resources": _in_order(resource.id for resource in booking.resources)})


async def lock_alone(tx: Transaction, resources: Iterable[UUID]) -> None:
    """The advisory locks of these resources, exclusively: before claims are freed for somebody else to take in the same
    transaction. Whoever waits for one of those claims would else hold what the next in line has to be given, and two
    who share a lock that both need alone wait for each other."""
    await tx.connection.execute(_LOCK_ALONE, {"resources": _in_order(resources)})


def _in_order(resources: Iterable[UUID]) -> list[str]:
    return [str(resource) for resource in sorted(resources)]


async def lock_all(tx: Transaction, booking: Booking, capacity: int, candidates: Sequence[Candidate]) -> None:
    """The booking's slot and those that these candidates would take at its time, in the order of their ids: for
    whoever has its own already when it asks for another."""
    parameters = {
        "tenant": tx.tenant_id,
        "own": booking.slot_id,
        "offering": booking.offering_id,
        "providers": [candidate.provider_id or NO_PROVIDER for candidate in candidates],
        "places": [NO_PROVIDER if candidate.provider_id else candidate.claims[0].id for candidate in candidates],
        "start": booking.start_at,
    }
    await tx.connection.execute(_ADD_SLOTS, parameters | {"end": booking.end_at, "capacity": capacity})
    await tx.connection.execute(_LOCK_SLOTS, parameters)


async def lock_these(tx: Transaction, slot_ids: Iterable[UUID]) -> None:
    """Several slots in the order of their ids."""
    await tx.connection.execute(_LOCK_THESE, {"ids": list(slot_ids), "tenant": tx.tenant_id})


async def of(tx: Transaction, booking: Booking) -> Slot:
    """The booking's slot as it is now."""
    row = (await tx.connection.execute(_SLOT, {"id": booking.slot_id, "tenant": tx.tenant_id})).one()
    return _slot(row, was_full=row.reserved == row.capacity)


async def keep_claims(tx: Transaction, booking: Booking, slot: Slot, until: datetime | str) -> bool:
    """Lets the booking's claims last until then; False when one of them is gone (a class's are its slot's)."""
    if slot.capacity > 1:
        return booking.seated
    if booking.entry_id is not None and booking.status in (State.HELD, State.PENDING_PAYMENT):
        until = FOREVER  # what was offered to somebody in the line is passed on by the job, not grabbed
    parameters = {"owner": booking.id, "tenant": tx.tenant_id, "until": until}
    found = (await tx.connection.execute(_EXTEND_CLAIMS, parameters)).all()
    return len(found) == len(booking.resources)


async def session(
    tx: Transaction, offering_id: UUID, provider_id: UUID, start: datetime, end: datetime, capacity: int
) -> Slot:
    """The provider's slot at that time under its lock, made if nobody ever held a seat of it."""
    parameters = {"tenant": tx.tenant_id, "offering": offering_id, "provider": provider_id, "start": start}
    added = {"providers": [provider_id], "places": [NO_PROVIDER], "end": end, "capacity": capacity}
    await tx.connection.execute(_ADD_SLOTS, parameters | added)
    (found,) = await _sessions(tx, parameters)
    return found


async def sessions_of_nobody(tx: Transaction, offering_id: UUID, start: datetime) -> list[Slot]:
    """The slots at that time that have no practitioner, one a place, under their locks."""
    parameters = {"tenant": tx.tenant_id, "offering": offering_id, "provider": NO_PROVIDER, "start": start}
    return await _sessions(tx, parameters)


async def _sessions(tx: Transaction, parameters: dict[str, Any]) -> list[Slot]:
    rows = (await tx.connection.execute(_SESSIONS, parameters)).all()
    return [_slot(row, was_full=row.reserved == row.capacity) for row in rows]


async def call_off(tx: Transaction, slot: Slot, appointments: Sequence[UUID]) -> Slot:
    """No seat of the locked slot is given any more; these appointments had some."""
    row = (await tx.connection.execute(_CALL_OFF, {"id": slot.id, "called_off": list(appointments)})).one()
    return _slot(row, was_full=slot.full)


async def touch(tx: Transaction, slot: Slot) -> Slot:
    """The locked slot in its next version."""
    return _slot((await tx.connection.execute(_TOUCH, {"id": slot.id})).one(), was_full=slot.full)


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
        status=row.status,
        resources=read_resources(row.resources or []),
        called_off=row.called_off,
    )
