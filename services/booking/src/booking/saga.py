"""What money does to a booking. Facts about money are never refused: it is accepted, or it goes back."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from booking import catalogue, holds, offers, repository
from booking.domain import Action, State, Trigger, approval_deadline, decide
from booking.errors import OfferExpired, SlotTaken
from booking.model import Booking, Slot, occupied, vacated
from booking.repository import FOREVER
from events import Early, Event, Money, Transaction
from events.contracts.booking import (
    ApprovalRequested,
    BookingConfirmed,
    BookingUnfulfillable,
    PaymentUnwanted,
)


async def take_money(tx: Transaction, booking_id: UUID, payment_id: UUID, amount: Money, *, status: str) -> Booking:
    """A payment succeeded (`paid`) or was authorized (`authorized`): the booking stands on it, or it goes back."""
    booking = await repository.lock(tx, booking_id)
    if booking is None:
        raise Early(f"the booking {booking_id} that was paid for is not known yet")
    same = booking.payment_id == payment_id
    action = decide(booking.state, Trigger.SAME_MONEY if same else Trigger.MONEY)
    if action is Action.ACCEPT:
        booking = await _remember(tx, booking, payment_id, amount, status)
        return await accept(tx, booking, payment_id=payment_id)
    if action is Action.REACQUIRE:
        booking = await _remember(tx, booking, payment_id, amount, status)
        return await reacquire(tx, booking, payment_id)
    if action is Action.RETURN_MONEY:
        await repository.note(tx, booking.id, "payment_returned", "system")
        booking = await repository.update(tx, booking)
        await tx.emit(
            PaymentUnwanted(**booking.fact(), payment_id=payment_id, reason=f"booking_{booking.state}"),
            correlation_id=booking.id,
        )
    return booking


async def _remember(tx: Transaction, booking: Booking, payment_id: UUID, amount: Money, status: str) -> Booking:
    if amount.amount == 0:
        return await repository.update(tx, booking, payment_id=payment_id, payment_status="none")
    return await repository.update(tx, booking, payment_id=payment_id, payment_status=status, paid=amount.amount)


async def accept(tx: Transaction, booking: Booking, *, payment_id: UUID | None) -> Booking:
    """What was due is there: the locked booking is confirmed, or waits for the clinic's approval.

    Claims that are gone, or an external event that came meanwhile, make it unfulfillable: the money goes back.
    """
    tenant = await catalogue.tenant(tx)
    buffer = timedelta(minutes=tenant.settings.external_buffer_minutes)
    if await repository.is_blocked(tx, booking, buffer):
        return await give_up(tx, booking, payment_id, reason="blocked")
    if not booking.needs_approval:
        return await confirm(tx, booking, payment_id=payment_id, by="system")
    slot = await repository.slot_of(tx, booking)
    deadline = approval_deadline(
        datetime.now(UTC),
        booking.start_at,
        approval_minutes=tenant.settings.approval_minutes,
        notice_minutes=booking.terms["notice_minutes"],
    )
    if not await repository.keep_claims(tx, booking, slot, deadline):
        return await give_up(tx, booking, payment_id, reason="taken")
    booking = await repository.update(tx, booking, status=State.PENDING_APPROVAL.value, claim_until=deadline)
    await repository.note(tx, booking.id, "approval_requested", "system")
    await tx.emit(
        ApprovalRequested(**booking.appointment_fact(), price=booking.money(booking.price), deadline=deadline),
        *occupied(booking, slot),
        correlation_id=booking.id,
    )
    return booking


async def confirm(tx: Transaction, booking: Booking, *, payment_id: UUID | None, by: str) -> Booking:
    """The locked booking stands: its claims have no end any more."""
    slot = await repository.slot_of(tx, booking)
    if not await repository.keep_claims(tx, booking, slot, FOREVER):
        return await give_up(tx, booking, payment_id, reason="taken")
    booking = await repository.update(tx, booking, status=State.CONFIRMED.value, claim_until=FOREVER)
    await repository.note(tx, booking.id, "confirmed", by)
    await tx.emit(_confirmed(booking, payment_id), *occupied(booking, slot), correlation_id=booking.id)
    return booking


async def reacquire(tx: Transaction, booking: Booking, payment_id: UUID) -> Booking:
    """Paid after the hold ran out: the time is taken again if it can still be given, else the money goes back.

    All checks of a fresh hold are made over the offer's candidates; rooms and equipment may change, the practitioner
    only where the patient asked for any.
    """
    left: list[Event] = []
    if booking.status is not State.EXPIRED:
        slot = await repository.free(tx, booking)
        booking = await repository.update(tx, booking, status=State.EXPIRED.value, seated=False)
        await tx.emit(*vacated(booking, slot), correlation_id=booking.id)
        left = slot.change()
    offer = offers.read_again(booking.offer)
    try:
        await catalogue.offering(tx, offer.offering_id, offer.offering_version)
        candidates = await offers.candidates(tx, offer)
    except OfferExpired:
        await tx.emit(*left, correlation_id=booking.id)
        return await give_up(tx, booking, payment_id, reason="stale")
    if offer.provider_chosen:
        candidates = [candidate for candidate in candidates if candidate.provider_id == booking.provider_id]
    if await repository.has_newer_overlap(tx, booking):
        await tx.emit(*left, correlation_id=booking.id)
        return await give_up(tx, booking, payment_id, reason="duplicate")
    tenant = await catalogue.tenant(tx)
    buffer = timedelta(minutes=tenant.settings.external_buffer_minutes)
    ttl = timedelta(seconds=offer.hold_seconds)
    taken = await holds.take(tx, booking.id, offer, booking.seats, ttl, buffer, candidates)
    if isinstance(taken, str):
        await tx.emit(*left, correlation_id=booking.id)
        return await give_up(tx, booking, payment_id, reason=taken)
    booking = await repository.update(
        tx,
        booking,
        status=State.PENDING_PAYMENT.value,
        slot_id=taken.slot.id,
        provider_id=taken.slot.provider_id,
        resources=taken.resources,
        needs_approval=candidates[taken.candidate].needs_approval,
        claim_until=taken.expires_at,
        seated=True,
    )
    await repository.note(tx, booking.id, "taken_again", "system")
    await tx.emit(*_after(left, taken.slot), correlation_id=booking.id)
    return await accept(tx, booking, payment_id=payment_id)


def _after(left: list[Event], slot: Slot) -> list[Event]:
    """What to say of the slot: nothing when it was freed and taken again in the same breath."""
    return [] if left and slot.full else slot.change()


async def give_up(tx: Transaction, booking: Booking, payment_id: UUID | None, *, reason: str) -> Booking:
    """The time cannot be given: whatever the locked booking still has is freed, and the money goes back."""
    slot = await repository.free(tx, booking)
    if payment_id is None:  # nothing was paid: the request itself is refused, and with it all of this undone
        raise SlotTaken
    booking = await repository.update(tx, booking, status=State.UNFULFILLABLE.value, seated=False)
    await repository.note(tx, booking.id, f"unfulfillable:{reason}", "system")
    await tx.emit(
        BookingUnfulfillable(**booking.appointment_fact(), payment_id=payment_id, reason=reason),
        *vacated(booking, slot),
        *slot.change(),
        correlation_id=booking.id,
    )
    return booking


async def extend_for_checkout(tx: Transaction, booking_id: UUID, session_id: str) -> None:
    """A Checkout is open: the time stays taken for the clinic's grace after the hold's end, so that who pays in the
    last second is not overtaken while the webhook travels."""
    booking = await repository.lock(tx, booking_id)
    if booking is None:
        raise Early(f"the booking {booking_id} whose Checkout started is not known yet")
    if booking.state is not State.PENDING_PAYMENT:
        return
    tenant = await catalogue.tenant(tx)
    until = booking.expires_at + timedelta(seconds=tenant.settings.payment_grace_seconds)
    slot = await repository.slot_of(tx, booking)
    if not await repository.keep_claims(tx, booking, slot, until):
        return
    booking = await repository.update(tx, booking, claim_until=until, session_id=session_id, payment_status="pending")
    await tx.emit(*occupied(booking, slot), correlation_id=booking.id)


async def close_checkout(tx: Transaction, booking_id: UUID) -> None:
    """The Checkout was closed unpaid, for good: what the hold kept is free at once."""
    booking = await repository.lock(tx, booking_id)
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
    booking = await repository.lock(tx, booking_id)
    if booking is None:
        raise Early(f"the booking {booking_id} is not known yet")
    if status == "failed":
        if booking.payment_id == payment_id or booking.status is State.PENDING_PAYMENT:
            await repository.update(tx, booking, payment_status="failed")
        return
    if booking.payment_id != payment_id:
        return
    if refunded is not None:
        full = refunded >= booking.paid
        await repository.update(
            tx, booking, refunded=refunded, payment_status="refunded" if full else "partially_refunded"
        )
    elif captured is not None:  # of a cancelled authorization only the fee is charged
        await repository.update(tx, booking, payment_status=status, paid=captured)
    else:
        await repository.update(tx, booking, payment_status=status)


def _confirmed(booking: Booking, payment_id: UUID | None) -> BookingConfirmed:
    return BookingConfirmed(
        **booking.appointment_fact(),
        mode=booking.mode,
        price=booking.money(booking.price),
        amount_due=booking.money(booking.amount_due),
        payment_id=payment_id,
    )
