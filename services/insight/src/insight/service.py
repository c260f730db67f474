"""Use cases: what each kind of event does to the daily counts. Days are UTC."""

from datetime import UTC, date, datetime
from typing import Literal
from uuid import UUID

from events import Event, Money, Transaction
from events.contracts.booking import BookingFact, Visit
from insight import repository
from insight.repository import Booked

Step = Literal[
    "held", "requested", "confirmed", "rescheduled", "completed", "no_show", "cancelled", "expired", "rejected",
    "unfulfillable",
]  # fmt: skip
ENDS: frozenset[Step] = frozenset(("cancelled", "expired", "rejected", "unfulfillable"))
"""Steps after which a booking's resources are free again. Who did not come kept them busy."""


async def count_fact(tx: Transaction, event: Event) -> None:
    """One more of this type on the day it was said."""
    await repository.add_fact(tx, _day(tx), event.TYPE)


async def count_visit(tx: Transaction, event: BookingFact, visit: Visit, step: Step) -> None:
    """One more booking of the offering at this step on the day it was said; from `confirmed` on its resources are
    busy on the day of the visit, wherever it moves, until it is called off."""
    await count_fact(tx, event)
    await repository.add_step(tx, _day(tx), visit.offering_id, step)
    await repository.lock_booking(tx, event.booking_id)
    before = await repository.booked(tx, event.booking_id)
    was_busy = before is not None and before.confirmed
    is_busy = step not in ENDS and (was_busy or step == "confirmed")
    after = Booked(visit.resource_ids, visit.start, visit.end, is_busy)
    if before is not None and was_busy and before != after:
        await _count_busy(tx, before, -1)
    if is_busy and before != after:
        await _count_busy(tx, after, 1)
    await repository.keep_booking(tx, event.booking_id, visit, confirmed=is_busy)
    await repository.count_waiting_money(tx, event.booking_id, visit.offering_id)


async def _count_busy(tx: Transaction, booked: Booked, sign: int) -> None:
    seconds = round((booked.end - booked.start).total_seconds())
    for resource_id in sorted(booked.resource_ids):
        await repository.add_busy(tx, _utc_day(booked.start), resource_id, sign, sign * seconds)


async def count_money(
    tx: Transaction, event: Event, booking_id: UUID, *, charged: Money | None = None, refunded: Money | None = None
) -> None:
    """Money of a booking on the day it moved; counted under its offering as soon as the booking is known."""
    await count_fact(tx, event)
    money = charged or refunded
    if money is None:
        raise ValueError("either `charged` or `refunded` is needed")
    await repository.lock_booking(tx, booking_id)
    await repository.add_movement(
        tx,
        _day(tx),
        booking_id,
        charged=charged.amount if charged else 0,
        refunded=refunded.amount if refunded else 0,
        currency=money.currency,
    )
    offering_id = await repository.offering_of(tx, booking_id)
    if offering_id is not None:
        await repository.count_waiting_money(tx, booking_id, offering_id)


def _day(tx: Transaction) -> date:
    """The day of the event that is being handled."""
    if tx.cause is None:
        raise RuntimeError("counts are only changed by events")
    return _utc_day(tx.cause.time)


def _utc_day(instant: datetime) -> date:
    return instant.astimezone(UTC).date()
