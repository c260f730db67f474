"""Holds: a time kept for somebody, for minutes."""

from datetime import timedelta
from uuid import UUID

from booking import catalogue, offers, repository
from booking.domain import Action, Trigger, amount_due, decide
from booking.errors import Hoarding, HoldExpired, IllegalTransition, SlotTaken
from booking.model import Booking, occupied, vacated
from booking.repository import Candidate, Taken
from booking.settings import BookingSettings
from events import Transaction, new_id
from events.contracts.booking import HoldCreated, HoldReleased, HoldRenewed
from events.contracts.booking import HoldExpired as HoldExpiredEvent
from servicekit.auth import Principal, hash_token, new_manage_token
from servicekit.capabilities import Offer
from servicekit.problems import NotFound, ValidationFailed
from servicekit.signing import Signer


async def place(
    tx: Transaction,
    signer: Signer,
    settings: BookingSettings,
    *,
    slot_id: str,
    seats: int,
    asking: Principal,
    origin: bytes | None,
) -> tuple[Booking, str]:
    """Holds an offered time. Returns the hold and its manage token, which is stored only as a hash.

    `SlotTaken` (409) when no candidate is free, 410/422 for the offer's faults, 429 for hoarding.
    """
    offer = offers.read(signer, slot_id, tx.tenant_id)
    if seats > offer.capacity:
        raise ValidationFailed.of("seats", f"this time has {offer.capacity} seats")
    offering = await catalogue.offering(tx, offer.offering_id, offer.offering_version)
    tenant = await catalogue.tenant(tx)
    candidates = await offers.candidates(tx, offer)
    if origin is not None:
        await _refuse_hoarding(tx, origin, settings)
    booking_id = new_id()
    ttl = timedelta(seconds=offer.hold_seconds)
    buffer = timedelta(minutes=tenant.settings.external_buffer_minutes)
    taken = await take(tx, booking_id, offer, seats, ttl, buffer, candidates)
    if isinstance(taken, str):
        raise SlotTaken
    token = new_manage_token()
    price = offer.amount * seats
    booking = await repository.insert(
        tx,
        booking_id,
        {
            "slot_id": taken.slot.id,
            "offering_id": offer.offering_id,
            "provider_id": taken.slot.provider_id,
            "status": "held",
            "seats": seats,
            "start_at": taken.slot.start,
            "end_at": taken.slot.end,
            "time_zone": offer.time_zone,
            "resources": taken.resources,
            "offer": slot_id,
            "price": price,
            "currency": offer.currency,
            "mode": offering.mode,
            "amount_due": amount_due(offering.mode, price=price, deposit=offering.deposit_amount, seats=seats),
            "terms": offering.cancellation.model_dump() | {"notice_minutes": offering.min_notice_minutes},
            "needs_approval": candidates[taken.candidate].needs_approval,
            "expires_at": taken.expires_at,
            "claim_until": taken.expires_at,
            "hold_token": hash_token(token),
            "origin": origin,
            "user_id": asking.user_id,
        },
    )
    await repository.note(tx, booking.id, "held", by_whom(asking, booking))
    held = HoldCreated(**booking.fact(), visit=booking.visit(), expires_at=booking.expires_at)
    await tx.emit(held, *occupied(booking, taken.slot), *taken.slot.change(), correlation_id=booking.id)
    return booking, token


async def take(
    tx: Transaction,
    booking_id: UUID,
    offer: Offer,
    seats: int,
    ttl: timedelta,
    external_buffer: timedelta,
    candidates: list[Candidate],
) -> Taken | str:
    """Takes one of the offer's candidates for a booking, or says why none can be had."""
    return await repository.take_slot(
        tx,
        booking_id,
        offering_id=offer.offering_id,
        start=offers.instant(offer.start),
        end=offers.instant(offer.end),
        capacity=offer.capacity,
        seats=seats,
        ttl=ttl,
        external_buffer=external_buffer,
        candidates=candidates,
    )


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
    slot = await repository.slot_of(tx, booking)
    if not await repository.keep_claims(tx, booking, slot, claim_until):
        raise HoldExpired("The hold has run out and cannot be renewed. Hold a time again.")
    booking = await repository.update(tx, booking, renewed=True, expires_at=until, claim_until=claim_until)
    await repository.note(tx, booking.id, "renewed", by_whom(asking, booking))
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
    slot = await repository.free(tx, booking)
    booking = await repository.update(tx, booking, status="released", seated=False)
    await repository.note(tx, booking.id, "released", by_whom(asking, booking))
    await tx.emit(
        HoldReleased(**booking.fact(), visit=booking.visit()),
        *vacated(booking, slot),
        *slot.change(),
        correlation_id=booking.id,
    )


async def expire(tx: Transaction, booking: Booking) -> None:
    """Ends a locked booking whose time ran out: the seat is free, and everybody sees it."""
    slot = await repository.free(tx, booking)
    booking = await repository.update(tx, booking, status="expired", seated=False)
    await repository.note(tx, booking.id, "expired", "system")
    expired = HoldExpiredEvent(
        **booking.fact(),
        visit=booking.visit(),
        requested=booking.is_appointment,
        contact_id=booking.contact_id,
        locale=booking.locale,
    )
    await tx.emit(expired, *vacated(booking, slot), *slot.change(), correlation_id=booking.id)


async def visible(tx: Transaction, hold_id: UUID, asking: Principal) -> Booking:
    """The hold if it is the asker's to see, else 404."""
    booking = await repository.find(tx, hold_id)
    return _mine(tx, booking, asking)


async def locked(tx: Transaction, hold_id: UUID, asking: Principal) -> Booking:
    """The same, locked."""
    booking = await repository.lock(tx, hold_id)
    return _mine(tx, booking, asking)


def _mine(tx: Transaction, booking: Booking | None, asking: Principal) -> Booking:
    if booking is None:
        raise NotFound("There is no such hold, or it is not yours to see.")
    # Converting a hold ends the hold's token: from then on the appointment's counts.
    asking.require_visible(tx.tenant_id, owner=booking.user_id, token_hash=booking.hold_token, what="hold")
    return booking


def by_whom(asking: Principal, booking: Booking) -> str:
    """Who did it, for the history: never a name."""
    if asking.is_staff(booking.tenant_id):
        return f"staff:{asking.user_id}"
    return f"user:{asking.user_id}" if asking.user_id else "guest"


async def _refuse_hoarding(tx: Transaction, origin: bytes, settings: BookingSettings) -> None:
    live, hourly = await repository.hoarded(tx, origin)
    if live >= settings.max_live_holds_per_origin:
        raise Hoarding(
            f"{live} times are held from your address already. Book or release one of them first.", retry_after=60
        )
    if hourly >= settings.max_holds_per_hour_per_origin:
        raise Hoarding("Too many times were held from your address within an hour.", retry_after=600)
