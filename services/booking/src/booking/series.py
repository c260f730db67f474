"""Series: visits that come back at the same local time. Each is an appointment of its own."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from booking import appointments, endings, holds, moves, offers
from booking.appointments import Request
from booking.domain import Action, Trigger, decide
from booking.errors import IllegalTransition, OfferExpired, RuleBroken, SlotTaken
from booking.model import Booking
from booking.repository import bookings
from booking.repository import series as rows
from booking.repository.series import Series
from booking.settings import BookingSettings
from events import Transaction, new_id
from events.base import rfc3339
from servicekit.auth import DESK, Principal, hash_token, new_manage_token
from servicekit.database import Database
from servicekit.problems import NotFound, Problem, ValidationFailed
from servicekit.sealing import Sealer
from servicekit.signing import Signer

MOST_OF_A_SERIES = 104
"""A series is as long as two years of weeks at most; whoever may book one is not counted visit by visit."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One visit of a series as availability found it: an offer, or none and what else there is."""

    start: datetime
    slot_id: str | None
    alternatives: list[dict[str, Any]]
    appointment_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Booker:
    """Everything that booking a visit of a series needs besides the visit."""

    database: Database
    signer: Signer
    sealer: Sealer
    settings: BookingSettings
    asking: Principal


async def create(
    booker: Booker, tenant_id: UUID, rrule: str, slot_id: str, occurrences: list[Occurrence], asked: Request
) -> tuple[Series, str, list[dict[str, Any]]]:
    """Books every occurrence that can be had, each in a transaction of its own, the series itself in the first; the
    others are told with alternatives. `SlotTaken` and no series when none can be had."""
    offering_id = offers.read(booker.signer, slot_id, tenant_id).offering_id
    token, series_id = new_manage_token(), new_id()
    asked = replace(asked, series_id=series_id)
    answers: list[dict[str, Any]] = []
    first = True
    for occurrence in occurrences:
        if occurrence.slot_id is None:
            answers.append(_refused(occurrence))
            continue
        most = booker.settings.max_unverified_appointments if first else MOST_OF_A_SERIES
        try:
            async with booker.database.transaction(tenant_id) as tx:
                booking = await _book(tx, booker, occurrence.slot_id, asked, most)
                if first:
                    await rows.add(tx, series_id, offering_id, rrule, asked.customer, hash_token(token))
        except Problem as refusal:
            # What forbids a series at all is told at once; once there is one, a refusal is about that visit.
            if first and not isinstance(refusal, SlotTaken | OfferExpired | RuleBroken):
                raise
            answers.append(_refused(occurrence) | {"reason": refusal.detail})
        else:
            first = False
            answers.append({"start": occurrence.start, "status": "booked", "appointment_id": booking.id})
    if first:
        raise SlotTaken("None of these times can be had.", occurrences=_texts(answers))
    refused = [{"start": rfc3339(one["start"])} for one in answers if one["status"] == "refused"]
    async with booker.database.transaction(tenant_id) as tx:
        return await rows.settle(tx, series_id, refused), token, answers


async def _book(tx: Transaction, booker: Booker, slot_id: str, asked: Request, most_unverified: int) -> Booking:
    wanted = holds.wish(
        booker.signer,
        booker.settings,
        tenant_id=tx.tenant_id,
        slot_id=slot_id,
        seats=1,
        asking=booker.asking,
        origin=None,
    )
    hold = await holds.make(tx, wanted)
    if hold.amount_due and not asked.at_the_desk:
        raise ValidationFailed.of("pay", "has to be desk: only what is free is booked as a series otherwise")
    booking, _ = await appointments.request(
        tx, hold, asked, asking=booker.asking, most_unverified=most_unverified, sealer=booker.sealer
    )
    return booking


def _refused(occurrence: Occurrence) -> dict[str, Any]:
    answer = {"start": occurrence.start, "status": "refused", "alternatives": occurrence.alternatives}
    return answer | ({"slot_id": occurrence.slot_id} if occurrence.slot_id else {})


def _texts(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [answer | {"start": rfc3339(answer["start"])} for answer in answers]


async def visible(tx: Transaction, series_id: UUID, asking: Principal) -> Series:
    """The series if it is the asker's to see, else 404."""
    found = await rows.find(tx, series_id)
    if found is None:
        raise NotFound("There is no such series, or it is not yours to see.")
    asking.require_visible(tx.tenant_id, owner=found.user_id, token_hash=found.manage_token, what="series")
    return found


async def shown(tx: Transaction, series: Series) -> list[dict[str, Any]]:
    """Its occurrences by start: those that were booked as they are now, and those that could not be."""
    booked = [
        {
            "start": booking.start_at,
            "status": "booked",
            "appointment_id": booking.id,
            "appointment_status": booking.state,
        }
        for booking in await rows.bookings_of(tx, series.id)
    ]
    refused = [{"start": datetime.fromisoformat(one["start"]), "status": "refused"} for one in series.refused]
    return sorted([*booked, *refused], key=lambda one: one["start"])


async def chosen(tx: Transaction, series: Series, scope: str, appointment_id: UUID | None) -> list[Booking]:
    """The appointments that `this`, `following` or `all` means, by start: of those that are still to come, and the
    named one (`all` needs none) unless it was called off already. 409 when that is over."""
    own = await rows.bookings_of(tx, series.id)
    anchor = next((booking for booking in own if booking.id == appointment_id), None)
    if anchor is None and appointment_id is not None:
        raise NotFound("This appointment is none of the series. Nothing was changed.")
    if anchor is not None and decide(anchor.state, Trigger.CANCEL) is Action.REFUSE:
        raise IllegalTransition(f"The appointment is {anchor.state} and no longer to come. Nothing was changed.")
    now = datetime.now(UTC)
    coming = [
        booking
        for booking in own
        if decide(booking.state, Trigger.CANCEL) is Action.CALL_OFF and (booking.start_at > now or booking is anchor)
    ]
    if scope == "this":
        return [booking for booking in coming if booking is anchor]
    return [booking for booking in coming if anchor is None or scope == "all" or booking.start_at >= anchor.start_at]


async def to_move(tx: Transaction, series: Series, scope: str, appointment_id: UUID) -> tuple[Booking, list[Booking]]:
    """The named appointment and all that the scope means; 409 when it is not to come any more."""
    found = await chosen(tx, series, scope, appointment_id)
    anchor = next((booking for booking in found if booking.id == appointment_id), None)
    if anchor is None:
        raise IllegalTransition("The appointment was called off and cannot be moved. Nothing was changed.")
    return anchor, found


async def cancel(
    database: Database, tenant_id: UUID, series_id: UUID, asking: Principal, scope: str, appointment_id: UUID | None
) -> Series:
    """Calls off this one, this and the following, or all that are to come; each by the offering's policy."""
    async with database.transaction(tenant_id) as tx:
        series = await visible(tx, series_id, asking)
        ids = [booking.id for booking in await chosen(tx, series, scope, appointment_id)]
    by_staff = asking.is_staff(tenant_id)
    if by_staff:
        asking.require_role(tenant_id, DESK)
    for booking_id in ids:
        async with database.transaction(tenant_id) as tx:
            booking = await bookings.lock(tx, booking_id)
            if booking is None or decide(booking.state, Trigger.CANCEL) is not Action.CALL_OFF:
                continue  # it ended by itself meanwhile
            fee = endings.cancellation_fee(booking, by_staff=by_staff, charge_fee=False)
            by = holds.by_whom(asking, tenant_id)
            await endings.call_off(tx, booking, by_staff=by_staff, by=by, fee=fee, reason=None)
    async with database.transaction(tenant_id) as tx:
        return await rows.close_if_over(tx, series.id)


async def reschedule(
    booker: Booker, tenant_id: UUID, series_id: UUID, occurrences: list[Occurrence]
) -> tuple[Series, list[dict[str, Any]]]:
    """Moves each named appointment to its own new time, or keeps it and says so with alternatives."""
    asking = booker.asking
    async with booker.database.transaction(tenant_id) as tx:
        series = await visible(tx, series_id, asking)
        own = {booking.id for booking in await rows.bookings_of(tx, series.id)}
    if asking.is_staff(tenant_id):
        asking.require_role(tenant_id, DESK)
    if any(occurrence.appointment_id not in own for occurrence in occurrences):
        raise NotFound("An appointment is none of this series. Nothing was changed.")
    return series, [await _move(booker, tenant_id, occurrence) for occurrence in occurrences]


async def _move(booker: Booker, tenant_id: UUID, occurrence: Occurrence) -> dict[str, Any]:
    assert occurrence.appointment_id is not None
    kept = _refused(occurrence) | {"appointment_id": occurrence.appointment_id}
    if occurrence.slot_id is None:
        return kept
    staff = booker.asking.is_staff(tenant_id)
    try:
        async with booker.database.transaction(tenant_id) as tx:
            booking = await bookings.find(tx, occurrence.appointment_id)
            assert booking is not None  # it is in the series
            moved = await moves.to_offer(tx, booker.signer, booking, occurrence.slot_id, booker.asking, staff=staff)
    except (SlotTaken, OfferExpired, RuleBroken, IllegalTransition) as refusal:
        return kept | {"reason": refusal.detail}
    return {"start": moved.start_at, "status": "booked", "appointment_id": moved.id}
