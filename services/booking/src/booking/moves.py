"""Reschedules: another time in exchange for the present one, in one transaction, or nothing."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from booking import access, approvals, catalogue, conflicts, offers, rules, waitlist
from booking.domain import Action, State, Trigger, decide, fee_of, fee_percent_of, reminder_at
from booking.errors import IllegalTransition, refusal
from booking.holds import by_whom
from booking.model import Booking, left_behind, occupied
from booking.repository import audit, bookings, slots
from booking.repository.slots import FOREVER, Refused, Taken
from events import Deleted, Event, Transaction
from events.contracts.booking import BookingRescheduled
from servicekit.auth import DESK, Principal
from servicekit.capabilities import Offer
from servicekit.problems import Forbidden, ValidationFailed
from servicekit.signing import Signer


async def reschedule(
    tx: Transaction,
    signer: Signer,
    booking_id: UUID,
    slot_id: str,
    asking: Principal,
    *,
    resolution: str = "gone",
) -> Booking:
    """The appointment at the offered time. Refused (409, 410, 422), the old time is kept. `resolution` is how its
    conflicts ended by that."""
    booking = await access.visible(tx, booking_id, asking)
    staff = asking.is_staff(tx.tenant_id)
    if staff and not asking.is_staff(tx.tenant_id, DESK):
        raise Forbidden("Moving a visit needs the front desk, a manager or the owner. Nothing was changed.")
    return await to_offer(tx, signer, booking, slot_id, asking, staff=staff, resolution=resolution)


async def to_offer(
    tx: Transaction,
    signer: Signer,
    seen: Booking,
    slot_id: str,
    asking: Principal,
    *,
    staff: bool,
    resolution: str = "gone",
) -> Booking:
    """Moves an appointment, seen without a lock, that the asker may move. Again: as the first time."""
    require_movable(seen, staff=staff)
    if seen.offer == slot_id:
        return seen
    offer = check(signer, seen, slot_id, staff=staff)
    moved = await exchange(
        tx, seen, offer, slot_id, by_staff=staff, by=by_whom(asking, tx.tenant_id), resolution=resolution
    )
    # After the slots are locked: a request locks its slot before it counts the patient's visits, too.
    await check_patient(tx, moved, offer, staff=staff)
    if offer.override:
        await audit.write(tx, asking.user_id, "override", moved.id, "moved")
    return moved


def check(signer: Signer, booking: Booking, slot_id: str, *, staff: bool) -> Offer:
    """The offer, if the appointment may move there: 409, 410 and 422 otherwise."""
    require_movable(booking, staff=staff)
    offer = offers.read(signer, slot_id, booking.tenant_id)
    _check(offer, booking, staff=staff)
    return offer


async def exchange(
    tx: Transaction,
    seen: Booking,
    offer: Offer,
    slot_id: str,
    *,
    by_staff: bool,
    by: str,
    resolution: str = "gone",
    price: int | None = None,
) -> Booking:
    """One time for another, for an appointment that was seen without a lock; whoever waits for the old one gets it. The
    price is what was agreed (`price`), else the lower of both."""
    line = await waitlist.line_for(tx, seen)
    taken = await _exchange(tx, seen, offer)
    booking = await bookings.relock(tx, seen.id)
    require_movable(booking, staff=by_staff)
    old_slot = await slots.of(tx, booking)
    was_full = old_slot.reserved + booking.seats == old_slot.capacity
    fee = 0
    if not by_staff:
        percent = fee_percent_of(
            booking.terms, start=booking.start_at, now=datetime.now(UTC), percent="late_move_fee_percent"
        )
        fee = fee_of(percent, price=booking.price, paid=booking.paid - booking.refunded)
    candidate = offers.candidates(offer)[taken.candidate]
    again = candidate.needs_approval and not by_staff and booking.status is State.CONFIRMED
    deadline = remind_at = None
    if again or booking.status is State.PENDING_APPROVAL:
        deadline = await approvals.deadline_for(tx, booking, taken.slot.start)
        remind_at = reminder_at(datetime.now(UTC), deadline)
        await slots.keep_claims(tx, booking, taken.slot, deadline)
    moved = await bookings.update(
        tx,
        booking,
        slot_id=taken.slot.id,
        provider_id=taken.slot.provider_id,
        start_at=taken.slot.start,
        end_at=taken.slot.end,
        resources=taken.resources,
        offer=slot_id,
        time_zone=offer.time_zone,
        price=min(booking.price, offer.amount * booking.seats) if price is None else price,
        needs_approval=candidate.needs_approval,
        claim_until=deadline or FOREVER,
        remind_at=remind_at,
        moved_by_clinic=booking.moved_by_clinic or by_staff,
        move_fee=booking.move_fee + fee,
        arrived_at=None,
    )
    await bookings.note(tx, moved.id, "rescheduled", by)
    event = BookingRescheduled(
        **moved.appointment_fact(),
        previous=booking.visit(),
        by="staff" if by_staff else "patient",
        price=moved.money(moved.price),
        fee=moved.money(fee),
    )
    said: list[Event | Deleted] = [
        event,
        *left_behind(booking, old_slot, moved, taken.slot),
        *occupied(moved, taken.slot),
    ]
    if old_slot.id != taken.slot.id:
        said += [*replace(old_slot, was_full=was_full).change(), *taken.slot.change()]
    await tx.emit(*said, correlation_id=moved.id)
    await conflicts.close_of(tx, moved, resolution)
    await waitlist.hand_over(tx, booking, line)
    if again:
        assert deadline is not None
        moved = await approvals.wait_for_approval(tx, moved, taken.slot, deadline)
    return moved


async def _exchange(tx: Transaction, booking: Booking, offer: Offer) -> Taken:
    async def attempt() -> Taken | Refused:
        return await slots.take(
            tx,
            booking.id,
            offering_id=offer.offering_id,
            start=offers.instant(offer.start),
            end=offers.instant(offer.end),
            capacity=offer.capacity,
            seats=booking.seats,
            until=FOREVER,
            candidates=offers.candidates(offer),
            override=offer.override,
            moving=True,
        )

    taken = await attempt()
    if isinstance(taken, Refused) and taken.why == "unknown":  # faster than the catalogue's events
        await catalogue.learn(tx, offer)
        taken = await attempt()
    if isinstance(taken, Refused):
        if taken.why == "changed":
            raise IllegalTransition("The appointment was changed at the same moment. Look at it again.")
        raise refusal(taken.why, taken.rule)
    return taken


def require_movable(booking: Booking, *, staff: bool) -> None:
    """409 unless the appointment stands, and by the patient only before it begins."""
    if decide(booking.state, Trigger.RESCHEDULE) is not Action.MOVE:
        raise IllegalTransition(f"An appointment that is {booking.state} cannot be moved. It was not changed.")
    if not staff and booking.start_at <= datetime.now(UTC):
        raise IllegalTransition("The visit has begun and cannot be moved any more. It was not changed.")


def _check(offer: Offer, booking: Booking, *, staff: bool) -> None:
    offers.require_future(offer)
    if offer.offering_id != booking.offering_id:
        raise ValidationFailed.of("slot_id", "is for another offering; cancel and book that instead")
    if offer.currency != booking.currency:
        raise ValidationFailed.of("slot_id", "has another currency; cancel and book again instead")
    if booking.seats > offer.capacity:
        raise ValidationFailed.of("slot_id", f"has {offer.capacity} seats, and the appointment {booking.seats}")
    if offer.override and not staff:
        raise ValidationFailed.of("slot_id", "was offered to the front desk only")


async def check_patient(tx: Transaction, booking: Booking, offer: Offer, *, staff: bool) -> None:
    """422 when a rule about the patient does not allow the visit at the offered time."""
    if offer.override and staff:
        return
    offering, tenant = await catalogue.offering(tx, offer.offering_id), await catalogue.tenant(tx)
    assert booking.person_id is not None  # an appointment has one
    await rules.check_patient(
        tx,
        booking,
        offering.rules,
        booking.person_id,
        verified=booking.verified,
        time_zone=tenant.time_zone,
        start=offers.instant(offer.start),
        end=offers.instant(offer.end),
    )
