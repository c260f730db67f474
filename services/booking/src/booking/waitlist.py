"""The waitlist: who waits for a time gets it as a timed exclusive hold when it frees, in order.

What is freed goes to the first in line in the transaction that frees it, so that nobody can be faster. What becomes
possible otherwise (wider hours, somebody else's time) comes from availability as `WaitlistMatched`.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from msgspec.structs import replace

from booking import catalogue, offers
from booking.errors import Hoarding, MembershipRequired
from booking.model import Booking
from booking.repository import bookings, slots
from booking.repository import waitlist as entries
from booking.repository.waitlist import Entry
from events import Deleted, Event, Transaction, new_id
from events.contracts.booking import WaitlistEntry, WaitlistJoined, WaitlistOffered
from servicekit.auth import Principal, hash_token, new_manage_token
from servicekit.capabilities import CustomerToken, Offer, OfferedResource
from servicekit.problems import NotFound, ValidationFailed
from servicekit.sealing import Sealer
from servicekit.signing import stored

LONGEST_WINDOW = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Window:
    """What somebody waits for: a visit of the offering within [start, end)."""

    offering_id: UUID
    provider_id: UUID | None
    start: datetime
    end: datetime
    seats: int


async def join(
    tx: Transaction, window: Window, customer: CustomerToken, sealer: Sealer, *, staff: bool, most_unverified: int
) -> tuple[Entry, str]:
    """A place at the end of the line, and its manage token. 422 for a window in which no visit could lie."""
    await _check(tx, window, customer.user_id)
    if not (customer.verified or staff) and await entries.waiting_of(tx, customer.person_id) >= most_unverified:
        raise Hoarding(
            f"This address waits for {most_unverified} times already and was never verified. You were not put on the"
            " list; leave another one first.",
            retry_after=3600,
        )
    token, hold_token = new_manage_token(), new_manage_token()
    entry_id, hold_id = new_id(), new_id()
    entry = await entries.add(
        tx,
        {
            "id": entry_id,
            "offering": window.offering_id,
            "provider": window.provider_id,
            "start": window.start,
            "end": window.end,
            "seats": window.seats,
            "hold": hold_id,
            "hold_token": hash_token(hold_token),
            "sealed": sealer.seal(hold_token, str(hold_id)),
            "person": customer.person_id,
            "contact": customer.contact_id,
            "user": customer.user_id,
            "locale": customer.locale,
            "token": hash_token(token),
        },
    )
    joined = WaitlistJoined(
        tenant_id=tx.tenant_id,
        version=entry.version,
        entry_id=entry.id,
        offering_id=entry.offering_id,
        provider_id=entry.provider_id,
        start=entry.start,
        end=entry.end,
        person_id=entry.person_id,
        contact_id=entry.contact_id,
        locale=entry.locale,
        manage=sealer.seal(token, str(entry.id)),
    )
    await tx.emit(joined, _state(entry), correlation_id=entry.id)
    return entry, token


async def _check(tx: Transaction, window: Window, user_id: UUID | None) -> None:
    offering = await catalogue.offering(tx, window.offering_id)
    if not offering.active:
        raise ValidationFailed.of("offering_id", "is no longer offered")
    if offering.members_only and user_id is None:
        raise MembershipRequired
    if window.provider_id is not None:
        provider = (await catalogue.resources(tx, [window.provider_id])).get(window.provider_id)
        if provider is None or provider.type != "practitioner" or not provider.active:
            raise ValidationFailed.of("provider_id", "is no practitioner of this clinic")
    if window.seats > offering.capacity:
        raise ValidationFailed.of("seats", f"this offering has {offering.capacity} seats")
    if window.end <= window.start:
        raise ValidationFailed.of("to", "has to be after from")
    if window.end - window.start > LONGEST_WINDOW:
        raise ValidationFailed.of("to", f"is more than {LONGEST_WINDOW.days} days after from")
    now = datetime.now(UTC)
    if window.end <= now + timedelta(minutes=offering.duration_minutes):
        raise ValidationFailed.of("to", "leaves no time for the visit any more")
    if window.end - window.start < timedelta(minutes=offering.duration_minutes):
        raise ValidationFailed.of("to", f"leaves less than the visit's {offering.duration_minutes} minutes")


async def leave(tx: Transaction, entry_id: UUID) -> str | None:
    """The entry waits no more; its status, `passed` unless it was offered something just now or taken before."""
    entry = await entries.lock(tx, entry_id)
    if entry is not None and entry.status == "waiting":
        entry = await entries.change(tx, entry, "passed")
        await tx.emit(_tombstone(entry), correlation_id=entry.id)
    return entry.status if entry is not None else None


async def visible(tx: Transaction, entry_id: UUID, asking: Principal) -> Entry:
    """The entry if it is the asker's to see, else 404."""
    return mine(tx, await entries.find(tx, entry_id), asking)


def mine(tx: Transaction, entry: Entry | None, asking: Principal) -> Entry:
    """The entry for staff, its owner and the bearer of its token; 404 for everyone else."""
    if entry is None:
        raise NotFound("There is no such place on the waitlist, or it is not yours to see.")
    asking.require_visible(
        tx.tenant_id, owner=entry.user_id, token_hash=entry.manage_token, what="place on the waitlist"
    )
    return entry


# -- handing over ---------------------------------------------------------------------------------------------------


async def line_for(tx: Transaction, booking: Booking) -> Sequence[UUID]:
    """Who waits for what the locked booking is about to give back, the first in line first."""
    if not booking.seated or booking.start_at <= datetime.now(UTC):
        return ()
    return await entries.line(
        tx,
        booking.offering_id,
        booking.provider_id,
        booking.start_at,
        booking.end_at,
        booking.person_id,
        booking.slot_id,
    )


def resources_for(booking: Booking) -> set[UUID]:
    """What the booking has, and what else the visit could be given with: to be locked before it is freed."""
    offered = {resource.resource_id for group in _same(booking) for resource in group}
    return offered | {resource.id for resource in booking.resources}


def _same(gone: Booking) -> list[list[OfferedResource]]:
    candidates = offers.read_again(gone.offer).candidates
    return [group for group in candidates if offers.candidate(group).provider_id == gone.provider_id]


async def hand_over(
    tx: Transaction, gone: Booking, line: Sequence[UUID], locked: AbstractSet[UUID] | None = None
) -> None:
    """Offers the freed time to the line, until it is taken: with what it had, or with any of `locked`, the resources
    whose locks this transaction has alone."""
    if not line:
        return
    offer = offers.read_again(gone.offer)
    if locked is None:
        locked = {resource.id for resource in gone.resources}
    same = [group for group in _same(gone) if all(entry.resource_id in locked for entry in group)]
    for entry_id in line:
        entry = await entries.lock_waiting(tx, entry_id)
        if entry is not None and await _offer(tx, entry, offer, same) and offer.capacity == 1:
            return


async def match(tx: Transaction, entry_id: UUID, slot_id: str) -> None:
    """Availability found a time for somebody who waits: held for them if it is still to be had."""
    entry = await entries.lock_waiting(tx, entry_id)
    if entry is not None:
        offer = offers.read_again(slot_id)
        await _offer(tx, entry, offer, offer.candidates)


async def _offer(tx: Transaction, entry: Entry, offer: Offer, groups: Sequence[list[OfferedResource]]) -> bool:
    """Holds one of the assignments for the locked entry, at today's price; False when none can be had."""
    offering = await catalogue.offering(tx, offer.offering_id)
    tenant = await catalogue.tenant(tx)
    start, now = offers.instant(offer.start), datetime.now(UTC)
    until = min(now + timedelta(minutes=tenant.settings.waitlist_offer_minutes), start)
    if not offering.active or start <= now + timedelta(minutes=offering.min_notice_minutes):
        return False
    current = replace(
        offer,
        expires=int(until.timestamp()),
        offering_version=offering.version,
        amount=offering.price.amount,
        currency=offering.price.currency,
        hold_seconds=(until - now).total_seconds(),
        candidates=await catalogue.as_of_now(tx, groups, start, offers.instant(offer.end)),
        override=False,  # what the desk once did against a rule is no offer to others
    )
    if not current.candidates:
        return False
    parameters = slots.hold_parameters(
        current,
        offers.candidates(current),
        tenant_id=tx.tenant_id,
        booking_id=entry.hold_id,
        slot_id=stored(current),
        seats=entry.seats,
        token_hash=entry.hold_token,
        user_id=entry.user_id,
        by="system",
    )
    if (await slots.hold(tx, parameters | {"entry": entry.id})).outcome != "held":
        return False
    hold = await bookings.relock(tx, entry.hold_id)
    offered = await entries.change(tx, entry, "offered", hold.expires_at)
    event = WaitlistOffered(
        **hold.fact(),
        entry_id=entry.id,
        visit=hold.visit(),
        offer_until=hold.expires_at,
        person_id=entry.person_id,
        contact_id=entry.contact_id,
        locale=entry.locale,
        manage=entry.hold_sealed,
    )
    await tx.emit(event, _tombstone(offered), correlation_id=entry.id)
    return True


async def taken(tx: Transaction, booking: Booking) -> None:
    """The hold that was offered became an appointment."""
    if booking.entry_id is not None and (entry := await entries.lock(tx, booking.entry_id)):
        await entries.change(tx, entry, "taken")


async def pass_on(tx: Transaction, gone: Booking) -> None:
    """What was offered was not taken: the entry is over."""
    if gone.entry_id is None or gone.status not in ("released", "expired"):
        return
    entry = await entries.lock(tx, gone.entry_id)
    if entry is not None and entry.status != "passed":
        await entries.change(tx, entry, "passed")


async def outlive(tx: Transaction, entry_id: UUID) -> None:
    """The job's part: nothing came free within the window."""
    entry = await entries.find(tx, entry_id)
    if entry is not None and entry.end <= datetime.now(UTC):
        await leave(tx, entry_id)


def _state(entry: Entry) -> Event:
    return WaitlistEntry(
        tenant_id=entry.tenant_id,
        version=entry.version,
        entry_id=entry.id,
        offering_id=entry.offering_id,
        provider_id=entry.provider_id,
        start=entry.start,
        end=entry.end,
        seats=entry.seats,
    )


def _tombstone(entry: Entry) -> Deleted:
    return Deleted(WaitlistEntry.TYPE, f"waitlist:{entry.id}", entry.tenant_id, entry.version)
