"""All SQL of insight."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import text

from events import Transaction
from events.contracts.booking import Visit

STEPS = (
    "held", "requested", "confirmed", "rescheduled", "completed", "no_show", "cancelled", "expired", "rejected",
    "unfulfillable",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Booked:
    """What a booking occupies; `confirmed` while that is in the counts of its resources."""

    resource_ids: list[UUID]
    start: datetime
    end: datetime
    confirmed: bool


_ADVANCE = text("""
INSERT INTO progress (topic, partition, next_offset) VALUES (:topic, :partition, :next)
ON CONFLICT (topic, partition) DO UPDATE SET next_offset = greatest(progress.next_offset, :next)
""")
_ADD_FACT = text("""
INSERT INTO daily_fact AS d (tenant_id, day, type, count) VALUES (:tenant, :day, :type, 1)
ON CONFLICT (tenant_id, day, type) DO UPDATE SET count = d.count + 1
""")
# One statement a step, since a column cannot be a parameter.
_ADD_STEP = {
    step: text(f"""
INSERT INTO daily_offering AS d (tenant_id, day, offering_id, {step}) VALUES (:tenant, :day, :offering, 1)
ON CONFLICT (tenant_id, day, offering_id) DO UPDATE SET {step} = d.{step} + 1
""")
    for step in STEPS
}
_ADD_BUSY = text("""
INSERT INTO daily_resource AS d (tenant_id, day, resource_id, bookings, busy_seconds)
VALUES (:tenant, :day, :resource, :bookings, :seconds)
ON CONFLICT (tenant_id, day, resource_id)
DO UPDATE SET bookings = d.bookings + :bookings, busy_seconds = d.busy_seconds + :seconds
""")
# Bookings and payments come from two topics: without the lock, each could miss the other's uncommitted row.
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:booking, 1))")
_KEEP = text("""
INSERT INTO booking AS b (tenant_id, booking_id, offering_id, resource_ids, starts_at, ends_at, confirmed)
VALUES (:tenant, :booking, :offering, :resources, :start, :end, :confirmed)
ON CONFLICT (tenant_id, booking_id)
DO UPDATE SET offering_id = :offering, resource_ids = :resources, starts_at = :start, ends_at = :end,
  confirmed = :confirmed
""")
_BOOKED = text("""
SELECT resource_ids, starts_at AS start, ends_at AS "end", confirmed FROM booking
WHERE tenant_id = :tenant AND booking_id = :booking
""")
_OFFERING = text("SELECT offering_id FROM booking WHERE tenant_id = :tenant AND booking_id = :booking")
_ADD_MOVEMENT = text("""
INSERT INTO movement (tenant_id, booking_id, day, charged, refunded, currency)
VALUES (:tenant, :booking, :day, :charged, :refunded, :currency)
""")
_COUNT_WAITING = text("""
WITH waiting AS (
  UPDATE movement SET offering_id = :offering
  WHERE tenant_id = :tenant AND booking_id = :booking AND offering_id IS NULL
  RETURNING day, currency, charged, refunded)
INSERT INTO daily_money AS d (tenant_id, day, offering_id, currency, charged, refunded)
SELECT :tenant, day, :offering, currency, sum(charged), sum(refunded) FROM waiting GROUP BY day, currency
ON CONFLICT (tenant_id, day, offering_id, currency)
DO UPDATE SET charged = d.charged + excluded.charged, refunded = d.refunded + excluded.refunded
""")


async def advance(tx: Transaction, topic: str, partition: int, next_offset: int) -> None:
    """Notes how far the partition was read."""
    await tx.connection.execute(_ADVANCE, {"topic": topic, "partition": partition, "next": next_offset})


async def positions(tx: Transaction) -> dict[tuple[str, int], int]:
    """The next offset to read of each (topic, partition) that was read from."""
    rows = await tx.connection.execute(text("SELECT topic, partition, next_offset FROM progress"))
    return {(row.topic, row.partition): row.next_offset for row in rows}


async def add_fact(tx: Transaction, day: date, event_type: str) -> None:
    """One more event of the type."""
    await tx.connection.execute(_ADD_FACT, {"tenant": tx.tenant_id, "day": day, "type": event_type})


async def add_step(tx: Transaction, day: date, offering_id: UUID, step: str) -> None:
    """One more booking of the offering at this step."""
    await tx.connection.execute(_ADD_STEP[step], {"tenant": tx.tenant_id, "day": day, "offering": offering_id})


async def add_busy(tx: Transaction, day: date, resource_id: UUID, bookings: int, seconds: int) -> None:
    """More (or, negative, fewer) bookings and busy seconds of a resource."""
    await tx.connection.execute(
        _ADD_BUSY,
        {"tenant": tx.tenant_id, "day": day, "resource": resource_id, "bookings": bookings, "seconds": seconds},
    )


async def lock_booking(tx: Transaction, booking_id: UUID) -> None:
    """Makes events of one booking wait for each other until the transaction ends."""
    await tx.connection.execute(_LOCK, {"booking": str(booking_id)})


async def booked(tx: Transaction, booking_id: UUID) -> Booked | None:
    """What the booking occupied so far, None while nothing was heard of it."""
    parameters = {"tenant": tx.tenant_id, "booking": booking_id}
    row = (await tx.connection.execute(_BOOKED, parameters)).one_or_none()
    return Booked(**row._mapping) if row is not None else None


async def keep_booking(tx: Transaction, booking_id: UUID, visit: Visit, *, confirmed: bool) -> None:
    """Stores what was booked, and whether it is in its resources' counts."""
    await tx.connection.execute(
        _KEEP,
        {
            "tenant": tx.tenant_id,
            "booking": booking_id,
            "offering": visit.offering_id,
            "resources": visit.resource_ids,
            "start": visit.start,
            "end": visit.end,
            "confirmed": confirmed,
        },
    )


async def offering_of(tx: Transaction, booking_id: UUID) -> UUID | None:
    """What the booking is of, None while nothing was heard of it."""
    found: UUID | None = (
        await tx.connection.execute(_OFFERING, {"tenant": tx.tenant_id, "booking": booking_id})
    ).scalar_one_or_none()
    return found


async def add_movement(
    tx: Transaction, day: date, booking_id: UUID, *, charged: int, refunded: int, currency: str
) -> None:
    """Stores that money moved, not yet counted."""
    await tx.connection.execute(
        _ADD_MOVEMENT,
        {
            "tenant": tx.tenant_id,
            "booking": booking_id,
            "day": day,
            "charged": charged,
            "refunded": refunded,
            "currency": currency,
        },
    )


async def count_waiting_money(tx: Transaction, booking_id: UUID, offering_id: UUID) -> None:
    """Counts what moved for the booking and was not counted yet under the offering."""
    await tx.connection.execute(
        _COUNT_WAITING, {"tenant": tx.tenant_id, "booking": booking_id, "offering": offering_id}
    )
