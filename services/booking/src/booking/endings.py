"""How appointments end: called off, approved or turned down, over, or nobody came."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from booking import access, conflicts, differences, giving_back, holds, saga
from booking.domain import Action, State, Trigger, decide, fee_of, fee_percent_of
from booking.errors import IllegalTransition
from booking.holds import by_whom
from booking.model import Booking
from booking.repository import bookings
from events import Transaction
from events.contracts.booking import ApprovalDue, BookingCancelled, BookingCompleted, BookingNoShow, BookingRejected
from servicekit.auth import DESK, Principal
from servicekit.problems import Forbidden


@dataclass(frozen=True, slots=True)
class Refund:
    """What goes back when an appointment is cancelled, in the smallest unit."""

    amount: int
    fee: int
    status: str


async def cancel(
    tx: Transaction, booking_id: UUID, asking: Principal, *, reason: str | None, charge_fee: bool, preview: bool
) -> tuple[Booking, Refund]:
    """Calls the appointment off, or only says what that would give back. Again: as the first time."""
    booking = await access.locked(tx, booking_id, asking)
    by_staff = asking.is_staff(tx.tenant_id)
    if by_staff and not asking.is_staff(tx.tenant_id, DESK):
        raise Forbidden("Cancelling needs the front desk, a manager or the owner. Nothing was changed.")
    action = decide(booking.state, Trigger.CANCEL)
    if action is Action.SAME_ANSWER:
        return booking, _refund(booking, booking.fee)
    if action is not Action.CALL_OFF:
        raise IllegalTransition(f"An appointment that is {booking.state} cannot be cancelled. It was not changed.")
    fee = cancellation_fee(booking, by_staff=by_staff, charge_fee=charge_fee)
    if preview:
        return booking, _refund(booking, fee)
    booking = await call_off(tx, booking, by_staff=by_staff, by=by_whom(asking, tx.tenant_id), fee=fee, reason=reason)
    return booking, _refund(booking, fee)


def cancellation_fee(booking: Booking, *, by_staff: bool, charge_fee: bool) -> int:
    """What is kept: nothing when the clinic calls off (unless it says so) or has moved the visit before. What does not
    stand yet costs nothing but what an earlier late move did."""
    if booking.moved_by_clinic or (by_staff and not charge_fee):
        return 0
    percent = 0
    if booking.status is State.CONFIRMED:
        percent = fee_percent_of(booking.terms, start=booking.start_at, now=datetime.now(UTC), percent="fee_percent")
    kept = booking.paid - booking.refunded
    return min(fee_of(percent, price=booking.price, paid=kept) + booking.move_fee, kept)


async def call_off(
    tx: Transaction, booking: Booking, *, by_staff: bool, by: str, fee: int, reason: str | None
) -> Booking:
    """The locked appointment does not take place; all but `fee` goes back."""
    was_confirmed = booking.status is State.CONFIRMED
    booking = await giving_back.give_back(
        tx,
        booking,
        lambda gone: BookingCancelled(
            **gone.appointment_fact(),
            by="staff" if by_staff else "patient",
            fee=gone.money(fee),
            was_confirmed=was_confirmed,
        ),
        event="cancelled",
        by=by,
        status=State.CANCELLED.value,
        fee=fee,
        details=booking.details | {"reason": reason},
    )
    await conflicts.close_of(tx, booking)
    await differences.give_back(tx, booking)
    return booking


def _refund(booking: Booking, fee: int) -> Refund:
    if booking.payment_status == "voided":
        return Refund(booking.paid, fee, "voided")
    amount = max(0, booking.paid - booking.refunded - fee)
    if booking.status is State.CANCELLED and booking.refunded and not amount:
        return Refund(booking.refunded, fee, "succeeded")
    return Refund(amount, fee, "pending" if amount else "none")


def _is_to_do(booking: Booking, trigger: Trigger, wanted: Action, done: str) -> bool:
    """Whether it is to be done; False when it is so already, which answers as the first time. 409 otherwise."""
    action = decide(booking.state, trigger)
    if action not in (wanted, Action.SAME_ANSWER):
        raise IllegalTransition(f"An appointment that is {booking.state} cannot be {done}. It was not changed.")
    return action is wanted


# -- approval -------------------------------------------------------------------------------------------------------


async def approve(tx: Transaction, booking_id: UUID, asking: Principal) -> Booking:
    """The clinic says yes."""
    booking = await access.for_desk(tx, booking_id, asking)
    if not _is_to_do(booking, Trigger.APPROVE, Action.CONFIRM, "approved"):
        return booking
    return await saga.confirm(tx, booking, payment_id=booking.payment_id, by=by_whom(asking, tx.tenant_id))


async def reject(tx: Transaction, booking_id: UUID, asking: Principal, *, why: str | None) -> Booking:
    """The clinic says no: the time is free, everything goes back."""
    booking = await access.for_desk(tx, booking_id, asking)
    if not _is_to_do(booking, Trigger.REJECT, Action.TURN_DOWN, "rejected"):
        return booking
    return await turn_down(tx, booking, reason="rejected", by=by_whom(asking, tx.tenant_id), why=why)


async def turn_down(tx: Transaction, booking: Booking, *, reason: str, by: str, why: str | None = None) -> Booking:
    """Ends a locked booking that waited for approval."""
    booking = await giving_back.give_back(
        tx,
        booking,
        lambda gone: BookingRejected(**gone.appointment_fact(), reason=reason),
        event="rejected",
        by=by,
        status=State.REJECTED.value,
        details=booking.details | {"reason": why},
    )
    await conflicts.close_of(tx, booking)
    await differences.give_back(tx, booking)
    return booking


async def remind_approver(tx: Transaction, booking_id: UUID) -> None:
    """The job's part: half of the time to decide is over, and nobody has."""
    booking = await bookings.lock(tx, booking_id)
    if booking is None or booking.remind_at is None:
        return
    waiting = booking.status is State.PENDING_APPROVAL
    booking = await bookings.update(tx, booking, remind_at=None)
    if waiting:
        due = ApprovalDue(**booking.appointment_fact(), deadline=booking.claim_until)
        await tx.emit(due, correlation_id=booking.id)


# -- the visit ------------------------------------------------------------------------------------------------------


async def arrive(tx: Transaction, booking_id: UUID, asking: Principal, *, arrived: bool) -> Booking:
    """The patient is here, or is not after all. Again: as the first time."""
    booking = await access.for_staff(tx, booking_id, asking)
    if decide(booking.state, Trigger.ARRIVE) is not Action.MARK:
        raise IllegalTransition(f"An appointment that is {booking.state} has no arrivals. It was not changed.")
    if (booking.arrived_at is not None) == arrived:
        return booking
    booking = await bookings.update(tx, booking, arrived_at=datetime.now(UTC) if arrived else None)
    event = "arrived" if arrived else "arrival_undone"
    await bookings.note(tx, booking.id, event, by_whom(asking, tx.tenant_id))
    return booking


async def complete(tx: Transaction, booking_id: UUID, asking: Principal) -> Booking:
    """The visit took place."""
    booking = await access.for_staff(tx, booking_id, asking)
    if not _is_to_do(booking, Trigger.COMPLETE, Action.FINISH, "completed"):
        return booking
    return await _finish(tx, booking, by_whom(asking, tx.tenant_id), staff=True)


async def complete_over(tx: Transaction, booking_id: UUID) -> None:
    """The job's part: nobody said anything of a visit that is over."""
    booking = await bookings.lock(tx, booking_id)
    if booking is not None and decide(booking.status, Trigger.COMPLETE) is Action.FINISH:
        await _finish(tx, booking, "system", staff=False)


async def _finish(tx: Transaction, booking: Booking, by: str, *, staff: bool) -> Booking:
    booking = await bookings.update(tx, booking, status=State.COMPLETED.value)
    await bookings.note(tx, booking.id, "completed", by)
    fact = BookingCompleted(**booking.appointment_fact(), by="staff" if staff else "system")
    await tx.emit(fact, correlation_id=booking.id)
    await conflicts.close_of(tx, booking)
    return booking


async def miss(tx: Transaction, booking_id: UUID, asking: Principal) -> Booking:
    """Nobody came: the offering's no-show fee is kept, the rest goes back."""
    booking = await access.for_staff(tx, booking_id, asking)
    if not _is_to_do(booking, Trigger.MISS, Action.CHARGE_NO_SHOW, "a no-show"):
        return booking
    kept = booking.paid - booking.refunded
    percent = booking.terms.get("no_show_fee_percent", 0)
    fee = min(fee_of(percent, price=booking.price, paid=kept) + booking.move_fee, kept)
    booking = await bookings.update(tx, booking, status=State.NO_SHOW.value, fee=fee)
    await bookings.note(tx, booking.id, "no_show", by_whom(asking, tx.tenant_id))
    fact = BookingNoShow(**booking.appointment_fact(), fee=booking.money(fee))
    await tx.emit(fact, correlation_id=booking.id)
    await differences.give_back(tx, booking)
    await conflicts.close_of(tx, booking)
    return booking


async def end_overdue(tx: Transaction, booking_id: UUID) -> None:
    """The job's part: what waited too long is ended. Nothing when somebody was faster."""
    booking = await bookings.lock(tx, booking_id)
    if booking is None or not booking.overdue:
        return
    action = decide(booking.status, Trigger.TIME_RAN_OUT)
    if action is Action.FREE:
        await holds.expire(tx, booking)
    elif action is Action.TURN_DOWN:
        await turn_down(tx, booking, reason="deadline", by="system")
