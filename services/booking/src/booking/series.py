"""Series: visits that come back at the same local time. Each is an appointment of its own."""

from dataclasses import dataclass, replace
from datetime import datetime
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
from servicekit.problems import NotFound, ValidationFailed
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
    """Books every occurrence that can be had, each in a transaction of its own; the others are told with alternatives.
    `SlotTaken` and no series when none can be had."""
    offering_id = offers.read(booker.signer, slot_id, tenant_id).offering_id
    token, series_id = new_manage_token(), new_id()
    async with booker.database.transaction(tenant_id) as tx:
        await rows.add(tx, series_id, offering_id, rrule, asked.customer, hash_token(token))
    asked = replace(asked, series_id=series_id)
    answers = [await _book(booker, tenant_id, occurrence, asked) for occurrence in occurrences]
    refused = [answer for answer in answers if answer["status"] == "refused"]
    async with booker.database.transaction(tenant_id) as tx:
        if len(refused) == len(answers):
            await rows.remove(tx, series_id)
        else:
            series = await rows.settle(tx, series_id, [{"start": rfc3339(one["start"])} for one in refused])
            return series, token, answers
    raise SlotTaken("None of these times can be had.", occurrences=_texts(answers))


async def _book(booker: Booker, tenant_id: UUID, occurrence: Occurrence, asked: Request) -> dict[str, Any]:
    if occurrence.slot_id is None:
        return _refused(occurrence)
    try:
        async with booker.database.transaction(tenant_id) as tx:
            wanted = holds.wish(
                booker.signer,
                booker.settings,
                tenant_id=tenant_id,
                slot_id=occurrence.slot_id,
                seats=1,
                asking=booker.asking,
                origin=None,
            )
            hold = await holds.make(tx, wanted)
            if hold.amount_due and not asked.at_the_desk:
                raise ValidationFailed.of("pay", "has to be desk: only what is free is booked as a series otherwise")
            booking, _ = await appointments.request(
                tx,
                hold,
                asked,
                asking=booker.asking,
                most_unverified=MOST_OF_A_SERIES,
                sealer=booker.sealer,
            )
    except (SlotTaken, OfferExpired, RuleBroken) as refusal:
        return _refused(occurrence) | {"reason": refusal.detail}
    return {"start": occurrence.start, "status": "booked", "appointment_id": booking.id}


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


async def chosen(tx: Transaction, series: Series, scope: str, appointment_id: UUID) -> list[Booking]:
    """The appointments that `this`, `following` or `all` means, by start: of those that are still to come."""
    coming = [b for b in await rows.bookings_of(tx, series.id) if decide(b.state, Trigger.CANCEL) is Action.CALL_OFF]
    anchor = next((booking for booking in coming if booking.id == appointment_id), None)
    if anchor is None:
        raise NotFound("This appointment is none of the series that is still to come. Nothing was changed.")
    if scope == "this":
        return [anchor]
    return [booking for booking in coming if scope == "all" or booking.start_at >= anchor.start_at]


async def cancel(
    database: Database, tenant_id: UUID, series_id: UUID, asking: Principal, scope: str, appointment_id: UUID
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
    answers = []
    for occurrence in occurrences:
        if occurrence.appointment_id not in own:
            raise NotFound("An appointment is none of this series. It was not changed.")
        answers.append(await _move(booker, tenant_id, occurrence))
    return series, answers


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
