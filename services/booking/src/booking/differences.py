"""A move to a dearer time: the old time is kept until the difference is paid.

The new time is held by a booking of its own that `moves` the appointment. When its payment is there, the hold gives its
time to the appointment in one transaction; when nobody pays, it runs out like any hold. When the appointment ends, the
difference goes back like the rest: fees are kept from the first payment.
"""

from uuid import UUID

from booking import access, holds, moves, offers
from booking.domain import Action, State, Trigger, decide
from booking.errors import IllegalTransition, OfferExpired, SlotTaken
from booking.holds import Wish
from booking.model import Booking, vacated
from booking.repository import bookings, slots
from booking.settings import BookingSettings
from events import Money, Transaction
from events.contracts.booking import DifferencePaid, HoldReleased, PaymentUnwanted
from servicekit.auth import Principal
from servicekit.capabilities import Offer
from servicekit.signing import Signer

_PAID_AHEAD = ("full", "authorize")


def of(booking: Booking, offer: Offer, *, staff: bool) -> int:
    """What the patient has to pay before the visit moves, in the smallest unit: nothing where the clinic moves it,
    where the rest is paid at the clinic anyhow, or where the new time costs no more."""
    if staff or booking.mode not in _PAID_AHEAD or booking.paid == 0:
        return 0
    return max(0, offer.amount * booking.seats - booking.price)


async def reschedule(
    tx: Transaction, signer: Signer, settings: BookingSettings, appointment_id: UUID, slot_id: str, asking: Principal
) -> tuple[Booking, Booking | None]:
    """The appointment at the offered time; or as it is, with the hold that keeps a dearer time until it is paid.
    Refused (409, 410, 422), the old time is kept."""
    booking = await access.visible(tx, appointment_id, asking)
    staff = asking.is_staff(tx.tenant_id)
    difference = of(booking, offers.read(signer, slot_id, tx.tenant_id), staff=staff)
    if difference == 0:
        return await moves.reschedule(tx, signer, appointment_id, slot_id, asking), None
    offer = moves.check(signer, booking, slot_id, staff=staff)
    wanted = holds.wish(
        signer, settings, tenant_id=tx.tenant_id, slot_id=slot_id, seats=booking.seats, asking=asking, origin=None
    )
    kept = await _hold(tx, booking, wanted, difference, asking)
    await moves.check_patient(tx, booking, offer, staff=staff)
    return booking, kept


async def _hold(tx: Transaction, booking: Booking, wanted: Wish, difference: int, asking: Principal) -> Booking:
    """Holds the dearer time; a former one of this appointment is released."""
    if (former := await bookings.move_of(tx, booking.id)) is not None:
        locked = await bookings.lock(tx, former.id)
        if locked is not None and decide(locked.state, Trigger.CANCEL) is Action.CALL_OFF:
            await holds.drop(tx, locked, holds.by_whom(asking, tx.tenant_id))
    kept = await holds.make(tx, wanted)
    return await bookings.update(
        tx,
        kept,
        status=State.PENDING_PAYMENT.value,
        moves=booking.id,
        amount_due=difference,
        price=difference,
        mode="full",
        payment_status="pending",
        needs_approval=False,
    )


async def take_money(
    tx: Transaction, kept: Booking, action: Action, payment_id: UUID, amount: Money, *, status: str
) -> Booking:
    """The difference was paid for a locked hold: the appointment moves, or the money goes back."""
    if action is Action.NOTHING:
        return kept
    if action is Action.ACCEPT and await _move(tx, kept, payment_id, amount, status):
        return await bookings.relock(tx, kept.id)
    kept = await bookings.relock(tx, kept.id)
    await bookings.note(tx, kept.id, "payment_returned", "system")
    kept = await bookings.update(tx, kept)
    unwanted = PaymentUnwanted(
        **kept.fact(), payment_id=payment_id, reason=f"booking_{kept.state}", appointment_id=kept.moves
    )
    await tx.emit(unwanted, correlation_id=kept.id)
    return kept


async def _move(tx: Transaction, kept: Booking, payment_id: UUID, amount: Money, status: str) -> bool:
    assert kept.moves is not None
    appointment = await bookings.find(tx, kept.moves)
    assert appointment is not None  # a foreign key
    await slots.lock_alone(tx, {resource.id for resource in (*kept.resources, *appointment.resources)})
    slot = await slots.free(tx, kept)
    freed = await bookings.update(
        tx,
        kept,
        status=State.RELEASED.value,
        seated=False,
        payment_id=payment_id,
        payment_status=status,
        paid=amount.amount,
    )
    released = HoldReleased(**freed.fact(), visit=freed.visit())
    await tx.emit(released, *vacated(freed, slot), correlation_id=freed.id)
    if decide(appointment.state, Trigger.RESCHEDULE) is not Action.MOVE:
        return False
    offer = offers.read_again(kept.offer)
    try:
        price = appointment.price + kept.price
        await moves.exchange(tx, appointment, offer, kept.offer, by_staff=False, by="patient", price=price)
    except (SlotTaken, OfferExpired, IllegalTransition):  # raised before anything of the appointment was changed
        return False
    paid = DifferencePaid(**freed.fact(), payment_id=payment_id, appointment_id=appointment.id)
    await tx.emit(paid, correlation_id=appointment.id)
    return True


async def give_back(tx: Transaction, appointment: Booking) -> int:
    """The appointment ended: what was paid for its moves goes back; how much that is."""
    total = 0
    for kept in await bookings.paid_moves_of(tx, appointment.id):
        unwanted = PaymentUnwanted(
            **kept.fact(), payment_id=kept.payment_id, reason="appointment_ended", appointment_id=appointment.id
        )
        await tx.emit(unwanted, correlation_id=appointment.id)
        total += kept.paid - kept.refunded
    return total
