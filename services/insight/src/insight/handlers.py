"""Events in: every fact is counted; those of bookings and money change the daily rows too."""

from events import Event, Transaction, on
from events.contracts.availability import AvailabilityChanged
from events.contracts.booking import (
    AppointmentRequested,
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingNoShow,
    BookingRejected,
    BookingRescheduled,
    BookingUnfulfillable,
    HoldCreated,
    HoldExpired,
)
from events.contracts.payment import PaymentCaptured, PaymentSucceeded, RefundIssued
from events.schemas import contracts
from events.topics import BY_NAME
from insight import service


@on(HoldCreated)
async def count_hold(event: HoldCreated, tx: Transaction) -> None:
    """Somebody kept a time."""
    await service.count_visit(tx, event, event.visit, "held")


@on(AppointmentRequested)
async def count_request(event: AppointmentRequested, tx: Transaction) -> None:
    """The patient said who they are."""
    await service.count_visit(tx, event, event.visit, "requested")


@on(BookingConfirmed)
async def count_confirmed(event: BookingConfirmed, tx: Transaction) -> None:
    """The appointment stands: its resources are busy."""
    await service.count_visit(tx, event, event.visit, "confirmed")


@on(BookingRescheduled)
async def count_rescheduled(event: BookingRescheduled, tx: Transaction) -> None:
    """Another time, or other resources: those are busy now."""
    await service.count_visit(tx, event, event.visit, "rescheduled")


@on(BookingCompleted)
async def count_completed(event: BookingCompleted, tx: Transaction) -> None:
    """The visit took place."""
    await service.count_visit(tx, event, event.visit, "completed")


@on(BookingNoShow)
async def count_no_show(event: BookingNoShow, tx: Transaction) -> None:
    """The patient did not come; the time was kept all the same."""
    await service.count_visit(tx, event, event.visit, "no_show")


@on(BookingCancelled)
async def count_cancelled(event: BookingCancelled, tx: Transaction) -> None:
    """Called off: its resources are free again."""
    await service.count_visit(tx, event, event.visit, "cancelled")


@on(HoldExpired)
async def count_expired(event: HoldExpired, tx: Transaction) -> None:
    """The hold ran out."""
    await service.count_visit(tx, event, event.visit, "expired")


@on(BookingRejected)
async def count_rejected(event: BookingRejected, tx: Transaction) -> None:
    """The clinic said no."""
    await service.count_visit(tx, event, event.visit, "rejected")


@on(BookingUnfulfillable)
async def count_unfulfillable(event: BookingUnfulfillable, tx: Transaction) -> None:
    """Paid for too late."""
    await service.count_visit(tx, event, event.visit, "unfulfillable")


@on(PaymentSucceeded)
async def count_payment(event: PaymentSucceeded, tx: Transaction) -> None:
    """Money came."""
    await service.count_money(tx, event, event.booking_id, charged=event.amount)


@on(PaymentCaptured)
async def count_capture(event: PaymentCaptured, tx: Transaction) -> None:
    """An authorization became money."""
    await service.count_money(tx, event, event.booking_id, charged=event.amount)


@on(RefundIssued)
async def count_refund(event: RefundIssued, tx: Transaction) -> None:
    """Money went back."""
    await service.count_money(tx, event, event.booking_id, refunded=event.amount)


async def count_fact(event: Event, tx: Transaction) -> None:
    """Any other fact: only its number."""
    await service.count_fact(tx, event)


SPECIAL = (
    HoldCreated, AppointmentRequested, BookingConfirmed, BookingRescheduled, BookingCompleted, BookingNoShow,
    BookingCancelled, HoldExpired, BookingRejected, BookingUnfulfillable, PaymentSucceeded, PaymentCaptured,
    RefundIssued,
)  # fmt: skip
# An availability change repeats what bookings and calendars said, many times an hour: not a fact to count.
REPEATED = (AvailabilityChanged,)

for kind in contracts().values():
    if BY_NAME[kind.TOPIC].kind == "facts" and kind not in (*SPECIAL, *REPEATED):
        on(kind)(count_fact)
