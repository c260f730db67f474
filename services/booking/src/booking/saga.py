"""What money does to a booking. Facts about money are never refused: it is accepted, or it goes back."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from booking import approvals, catalogue, conflicts, differences, giving_back, holds, offers
from booking.domain import Action, State, Trigger, decide
from booking.errors import refusal
from booking.model import Booking, Slot, occupied, vacated
from booking.repository import blocks, bookings, slots
from booking.repository.slots import FOREVER, Refused
from events import Early, Event, Money, Transaction
from events.contracts.booking import (
    BookingConfirmed,
    BookingUnfulfillable,
    PaymentUnwanted,
)


async def take_money(tx: Transaction, booking_id: UUID, payment_id: UUID, amount: Money, *, status: str) -> Booking:
    """A payment succeeded (`paid`) or was authorized (`authorized`): the booking stands on it, or it goes back."""
    await _lock_slots(tx, booking_id)
    booking = await bookings.lock(tx, booking_id)
    if booking is None:
        raise Early(f"the booking {booking_id} that was paid for is not known yet")
    same = booking.payment_id == payment_id
    action = decide(booking.state, Trigger.SAME_MONEY if same else Trigger.MONEY)
    if booking.moves is not None:
        return await differences.take_money(tx, booking, action, payment_id, amount, status=status)
    if action is Action.ACCEPT:
        booking = await _remember(tx, booking, payment_id, amount, status)
        return await accept(tx, booking, payment_id=payment_id)
    if action is Action.REACQUIRE:
        booking = await _remember(tx, booking, payment_id, amount, status)
        return await reacquire(tx, booking, payment_id)
    if action is Action.RETURN_MONEY:
        await bookings.note(tx, booking.id, "payment_returned", "system")
        booking = await bookings.update(tx, booking)
        await tx.emit(
            PaymentUnwanted(**booking.fact(), payment_id=payment_id, reason=f"booking_{booking.state}"),
            correlation_id=booking.id,
        )
    return booking


async def _lock_slots(tx: Transaction, booking_id: UUID) -> None:
    """Late money may take another candidate's slot while the booking has its own, and the difference to a dearer time
    gives up one slot for another: all are locked in the order of slots, or two who want each other's would wait for
    ever."""
    seen = await bookings.find(tx, booking_id)
    if seen is None or seen.status not in (State.PENDING_PAYMENT, State.EXPIRED):
        return
    if seen.moves is not None and (appointment := await bookings.find(tx, seen.moves)) is not None:
        await slots.lock_these(tx, (seen.slot_id, appointment.slot_id))
        return
    offer = offers.read_again(seen.offer)
    late = seen.claim_until <= datetime.now(UTC) + timedelta(seconds=5)  # or will be when its turn comes
    if late and len(offer.candidates) > 1:
        await slots.lock_all(tx, seen, offer.capacity, offers.candidates(offer))


async def _remember(tx: Transaction, booking: Booking, payment_id: UUID, amount: Money, status: str) -> Booking:
    if amount.amount == 0:
        return await bookings.update(tx, booking, payment_id=payment_id, payment_status="none")
    return await bookings.update(tx, booking, payment_id=payment_id, payment_status=status, paid=amount.amount)


async def accept(tx: Transaction, booking: Booking, *, payment_id: UUID | None) -> Booking:
    """What was due is there: the locked booking is confirmed, or waits for the clinic's approval.

    Claims that are gone, and an external event or other working hours that came meanwhile, make it unfulfillable: the
    money goes back.
    """
    await slots.share_locks(tx, booking)
    if await blocks.are_on(tx, booking):
        return await give_up(tx, booking, payment_id, reason="blocked")
    if not await catalogue.still_works(tx, booking):
        return await give_up(tx, booking, payment_id, reason="stale")
    if not booking.needs_approval:
        return await confirm(tx, booking, payment_id=payment_id, by="system")
    slot = await slots.of(tx, booking)
    deadline = await approvals.deadline_for(tx, booking, booking.start_at)
    if not await slots.keep_claims(tx, booking, slot, deadline):
        return await give_up(tx, booking, payment_id, reason="taken")
    return await approvals.wait_for_approval(tx, booking, slot, deadline)


async def confirm(tx: Transaction, booking: Booking, *, payment_id: UUID | None, by: str) -> Booking:
    """The locked booking stands: its claims have no end any more."""
    slot = await slots.of(tx, booking)
    if not await slots.keep_claims(tx, booking, slot, FOREVER):
        return await give_up(tx, booking, payment_id, reason="taken")
    booking = await bookings.update(tx, booking, status=State.CONFIRMED.value, claim_until=FOREVER, remind_at=None)
    await bookings.note(tx, booking.id, "confirmed", by)
    await tx.emit(_confirmed(booking, payment_id), *occupied(booking, slot), correlation_id=booking.id)
    return booking


async def reacquire(tx: Transaction, booking: Booking, payment_id: UUID) -> Booking:
    """Paid after the hold ran out: the time is taken again if it can still be given, else the money goes back.

    All checks of a fresh hold are made over the offer's candidates; rooms and equipment may change, the practitioner
    only where the patient asked for any.
    """
    left: list[Event] = []
    offer = offers.read_again(booking.offer)
    if booking.status is not State.EXPIRED:
        wanted = {entry.resource_id for group in offer.candidates for entry in group}
        await slots.lock_alone(tx, wanted | {resource.id for resource in booking.resources})
        slot = await slots.free(tx, booking)
        had_seat = booking.seated
        booking = await bookings.update(tx, booking, status=State.EXPIRED.value, seated=False)
        if had_seat or slot.capacity == 1:  # whoever took its seat of a class has said how that is now
            await tx.emit(*vacated(booking, slot), correlation_id=booking.id)
        left = slot.change()
    offering = await catalogue.offering(tx, offer.offering_id)
    if not offering.active or booking.start_at <= datetime.now(UTC):
        await tx.emit(*left, correlation_id=booking.id)
        return await give_up(tx, booking, payment_id, reason="past" if offering.active else "inactive")
    candidates = offers.candidates(offer)
    if offer.provider_chosen:
        candidates = [candidate for candidate in candidates if candidate.provider_id == booking.provider_id]
    if await bookings.has_newer_overlap(tx, booking):
        await tx.emit(*left, correlation_id=booking.id)
        return await give_up(tx, booking, payment_id, reason="duplicate")
    until = datetime.now(UTC) + timedelta(seconds=offer.hold_seconds)
    taken = await slots.take(
        tx,
        booking.id,
        offering_id=offer.offering_id,
        start=booking.start_at,
        end=booking.end_at,
        capacity=offer.capacity,
        seats=booking.seats,
        until=until,
        candidates=candidates,
        override=offer.override,
    )
    if isinstance(taken, Refused):
        await tx.emit(*left, correlation_id=booking.id)
        return await give_up(tx, booking, payment_id, reason=taken.why)
    booking = await bookings.update(
        tx,
        booking,
        status=State.PENDING_PAYMENT.value,
        slot_id=taken.slot.id,
        provider_id=taken.slot.provider_id,
        resources=taken.resources,
        needs_approval=candidates[taken.candidate].needs_approval,
        claim_until=until,
        seated=True,
    )
    await bookings.note(tx, booking.id, "taken_again", "system")
    await tx.emit(*_after(left, taken.slot), correlation_id=booking.id)
    return await accept(tx, booking, payment_id=payment_id)


def _after(left: list[Event], slot: Slot) -> list[Event]:
    """What to say of the slot: nothing when it was freed and taken again in the same breath."""
    return [] if left and slot.full else slot.change()


async def give_up(tx: Transaction, booking: Booking, payment_id: UUID | None, *, reason: str) -> Booking:
    """The time cannot be given: whatever the locked booking still has is freed, and the money goes back."""
    if payment_id is None:  # nothing was paid: the request itself is refused, and with it all of this undone
        raise refusal(reason, None)
    booking = await giving_back.give_back(
        tx,
        booking,
        lambda gone: BookingUnfulfillable(**gone.appointment_fact(), payment_id=payment_id, reason=reason),
        event=f"unfulfillable:{reason}",
        by="system",
        status=State.UNFULFILLABLE.value,
    )
    await conflicts.close_of(tx, booking)
    return booking


async def extend_for_checkout(tx: Transaction, booking_id: UUID, session_id: str) -> None:
    """A Checkout is open: the time stays taken for the clinic's grace after the hold's end, so that who pays in the
    last second is not overtaken while the webhook travels."""
    booking = await bookings.lock(tx, booking_id)
    if booking is None:
        raise Early(f"the booking {booking_id} whose Checkout started is not known yet")
    if booking.state is not State.PENDING_PAYMENT:
        return
    tenant = await catalogue.tenant(tx)
    until = booking.expires_at + timedelta(seconds=tenant.settings.payment_grace_seconds)
    slot = await slots.of(tx, booking)
    if not await slots.keep_claims(tx, booking, slot, until):
        return
    booking = await bookings.update(tx, booking, claim_until=until, session_id=session_id, payment_status="pending")
    await tx.emit(*occupied(booking, slot), correlation_id=booking.id)


async def close_checkout(tx: Transaction, booking_id: UUID) -> None:
    """The Checkout was closed unpaid, for good: what the hold kept is free at once."""
    booking = await bookings.lock(tx, booking_id)
    if booking is None:
        raise Early(f"the booking {booking_id} whose Checkout ended is not known yet")
    hold_is_over = booking.expires_at <= datetime.now(UTC) + timedelta(seconds=1)
    if hold_is_over and decide(booking.status, Trigger.CHECKOUT_CLOSED) is Action.FREE:
        await holds.expire(tx, booking)


async def note_payment(
    tx: Transaction,
    booking_id: UUID,
    payment_id: UUID,
    *,
    status: str,
    captured: int | None = None,
    refunded: int | None = None,
) -> None:
    """The payment's own status, kept beside the appointment's. Of another payment than the booking's: nothing, but
    for a failed attempt while it waits to be paid."""
    booking = await bookings.lock(tx, booking_id)
    if booking is None:
        raise Early(f"the booking {booking_id} is not known yet")
    if status == "failed":
        if booking.payment_id == payment_id or booking.status is State.PENDING_PAYMENT:
            await bookings.update(tx, booking, payment_status="failed")
        return
    if booking.payment_id != payment_id:
        return
    if refunded is not None:
        full = refunded >= booking.paid
        await bookings.update(
            tx, booking, refunded=refunded, payment_status="refunded" if full else "partially_refunded"
        )
    elif captured is not None:  # of a cancelled authorization only the fee is charged
        await bookings.update(tx, booking, payment_status=status, paid=captured)
    else:
        await bookings.update(tx, booking, payment_status=status)


def _confirmed(booking: Booking, payment_id: UUID | None) -> BookingConfirmed:
    return BookingConfirmed(
        **booking.appointment_fact(),
        mode=booking.mode,
        price=booking.money(booking.price),
        amount_due=booking.money(booking.amount_due),
        payment_id=payment_id,
    )
