"""Holds: a time kept for somebody, for minutes."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from booking import catalogue, giving_back, offers, waitlist
from booking.domain import Action, Trigger, decide
from booking.errors import HoldExpired, IllegalTransition, OfferInvalid, refusal
from booking.model import Booking, occupied
from booking.repository import bookings, slots
from booking.repository.slots import Placed
from booking.settings import BookingSettings
from events import Transaction, new_id
from events.contracts.booking import HoldExpired as HoldExpiredEvent
from events.contracts.booking import HoldReleased, HoldRenewed
from servicekit.auth import DESK, Principal, hash_token, new_manage_token
from servicekit.capabilities import Offer
from servicekit.problems import NotFound, ValidationFailed
from servicekit.signing import Signer


@dataclass(frozen=True, slots=True)
class Wish:
    """A time that somebody wants to hold: the verified offer, and the arguments of `place_hold`."""

    offer: Offer
    booking_id: UUID
    seats: int
    token: str
    parameters: dict[str, Any]


def wish(
    signer: Signer,
    settings: BookingSettings,
    *,
    tenant_id: UUID,
    slot_id: str,
    seats: int,
    asking: Principal,
    origin: bytes | None,
    override: bool = False,
) -> Wish:
    """What is to be held. 410 for an offer that is over; 422 for one that is not ours, that has not so many seats, or
    that breaks a rule and is not held by staff."""
    offer = offers.read(signer, slot_id, tenant_id)
    offers.require_future(offer)
    if seats > offer.capacity:
        raise ValidationFailed.of("seats", f"this time has {offer.capacity} seats")
    if offer.override and not asking.is_staff(tenant_id, DESK):
        raise OfferInvalid("This time was offered to the front desk only. Nothing was held; search again.")
    token = new_manage_token()
    booking_id = new_id()
    parameters = slots.hold_parameters(
        offer,
        offers.candidates(offer),
        tenant_id=tenant_id,
        booking_id=booking_id,
        slot_id=slot_id,
        seats=seats,
        token_hash=hash_token(token),
        user_id=asking.user_id,
        by=by_whom(asking, tenant_id),
    ) | {
        "override": override or offer.override,
        "origin": origin,
        "most_live": settings.max_live_holds_per_origin,
        "most_hourly": settings.max_holds_per_hour_per_origin,
    }
    return Wish(offer, booking_id, seats, token, parameters)


async def place(tx: Transaction, wanted: Wish) -> Placed:
    """Holds the time in this transaction. `SlotTaken` (409) when no candidate is free; see `errors.refusal`."""
    placed = await slots.hold(tx, wanted.parameters)
    if placed.outcome == "unknown":  # faster than the catalogue's events
        await catalogue.learn(tx, wanted.offer)
        placed = await slots.hold(tx, wanted.parameters)
    if placed.outcome != "held":
        raise refusal(placed.outcome, placed.rule)
    return placed


async def make(tx: Transaction, wanted: Wish) -> Booking:
    """The same, as the locked booking."""
    await place(tx, wanted)
    return await bookings.relock(tx, wanted.booking_id)


async def renew(tx: Transaction, hold_id: UUID, asking: Principal) -> Booking:
    """Lets the hold last once more for its length; 409 the second time."""
    booking = await locked(tx, hold_id, asking)
    if booking.renewed or decide(booking.state, Trigger.RENEW) is not Action.EXTEND:
        if booking.state == "expired":
            raise HoldExpired("The hold has run out and cannot be renewed. Hold a time again.")
        raise IllegalTransition("A hold is renewed once, while it lives. It was not changed.")
    length = booking.expires_at - booking.created_at
    until = booking.expires_at + length
    claim_until = booking.claim_until + length  # with a Checkout open, its grace stays on top
    slot = await slots.of(tx, booking)
    if not await slots.keep_claims(tx, booking, slot, claim_until):
        raise HoldExpired("The hold has run out and cannot be renewed. Hold a time again.")
    booking = await bookings.update(tx, booking, renewed=True, expires_at=until, claim_until=claim_until)
    await bookings.note(tx, booking.id, "renewed", by_whom(asking, tx.tenant_id))
    await tx.emit(HoldRenewed(**booking.fact(), expires_at=until), *occupied(booking, slot), correlation_id=booking.id)
    return booking


async def release(tx: Transaction, hold_id: UUID, asking: Principal) -> None:
    """Gives a hold up. Again: as the first time."""
    booking = await locked(tx, hold_id, asking)
    action = decide(booking.state, Trigger.RELEASE)
    if action is Action.SAME_ANSWER:
        return
    if action is not Action.FREE:
        raise IllegalTransition("The hold has become an appointment. Cancel the appointment instead.")
    await drop(tx, booking, by_whom(asking, tx.tenant_id))


async def drop(tx: Transaction, booking: Booking, by: str) -> None:
    """Frees what a locked hold has."""
    await giving_back.give_back(
        tx,
        booking,
        lambda gone: HoldReleased(**gone.fact(), visit=gone.visit()),
        event="released",
        by=by,
        status="released",
    )


async def expire(tx: Transaction, booking: Booking) -> None:
    """Ends a locked booking whose time ran out: the seat is free, and everybody sees it."""
    await giving_back.give_back(
        tx,
        booking,
        lambda gone: HoldExpiredEvent(
            **gone.fact(),
            visit=gone.visit(),
            requested=gone.is_appointment,
            contact_id=gone.contact_id,
            locale=gone.locale,
        ),
        event="expired",
        by="system",
        status="expired",
    )


async def visible(tx: Transaction, hold_id: UUID, asking: Principal) -> Booking:
    """The hold if it is the asker's to see, else 404."""
    booking = await bookings.find(tx, hold_id)
    return _mine(tx, booking, asking)


async def locked(tx: Transaction, hold_id: UUID, asking: Principal) -> Booking:
    """The same, locked."""
    booking = await bookings.lock(tx, hold_id)
    return _mine(tx, booking, asking)


def _mine(tx: Transaction, booking: Booking | None, asking: Principal) -> Booking:
    if booking is None:
        raise NotFound("There is no such hold, or it is not yours to see.")
    # Converting a hold ends the hold's token: from then on the appointment's counts.
    asking.require_visible(tx.tenant_id, owner=booking.user_id, token_hash=booking.hold_token, what="hold")
    return booking


def by_whom(asking: Principal, tenant_id: UUID) -> str:
    """Who did it, for the history: never a name."""
    if asking.is_staff(tenant_id):
        return f"staff:{asking.user_id}"
    return f"user:{asking.user_id}" if asking.user_id else "guest"


async def leave_waitlist(tx: Transaction, entry_id: UUID, asking: Principal) -> None:
    """Gives a place in the line up, and with it what is offered. Again: as the first time."""
    entry = await waitlist.visible(tx, entry_id, asking)
    status = await waitlist.leave(tx, entry.id) if entry.status == "waiting" else entry.status
    if status == "offered":
        booking = await bookings.lock(tx, entry.hold_id)
        if booking is not None and decide(booking.state, Trigger.RELEASE) is Action.FREE:
            await drop(tx, booking, by_whom(asking, tx.tenant_id))
