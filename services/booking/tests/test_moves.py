"""A move: another time in exchange for the present one, or nothing changes."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from booking import handlers
from events import new_id
from events.contracts.availability import GapRule, NoOverlapRule, OfferingState, ResourceState
from events.contracts.calendar import Busy

from .conftest import NEXT_WEEK, Clinic, bearer, code

RESCHEDULED = "booking.booking_rescheduled.v1"
HOUR = timedelta(hours=1)
TOMORROW = NEXT_WEEK + timedelta(days=1)


def minutes(count: int) -> timedelta:
    return timedelta(minutes=count)


async def move(
    clinic: Clinic, booking: dict[str, Any], slot_id: str, who: dict[str, str] | None = None
) -> httpx.Response:
    return await clinic.do("PUT", booking, "reschedule", {"slot_id": slot_id}, who=who)


async def moved(
    clinic: Clinic, booking: dict[str, Any], slot_id: str, who: dict[str, str] | None = None
) -> dict[str, Any]:
    answer = await move(clinic, booking, slot_id, who)
    assert answer.status_code == 200, answer.text
    await clinic.in_step()
    return dict(answer.json())


async def everything(clinic: Clinic) -> list[list[dict[str, Any]]]:
    """All that a refused move must leave as it is."""
    tables = ("booking", "slot", "claim", "history", "audit")
    rows = [await clinic.stored(f"SELECT to_jsonb(t) AS row FROM {table} t ORDER BY 1") for table in tables]
    return [*rows, await clinic.records()]


async def visit(clinic: Clinic, **more: Any) -> tuple[dict[str, Any], OfferingState, ResourceState]:
    """A confirmed visit at NEXT_WEEK, free of charge unless it is said otherwise and paid then."""
    kind, anna = await clinic.offering(**more), await clinic.resource()
    booking = await clinic.appointment(clinic.offer(kind, [anna]))
    if kind.mode != "free":
        await clinic.pay(booking)
    return booking, kind, anna


# -- what a move does -------------------------------------------------------------------------------------------------


async def test_a_moved_visit_has_the_new_time_and_the_old_one_is_free(clinic: Clinic) -> None:
    booking, kind, anna = await visit(clinic)
    mark = await clinic.mark()
    now = await moved(clinic, booking, clinic.offer(kind, [anna], start=TOMORROW))
    assert (now["status"], now["id"]) == ("confirmed", booking["id"])
    assert datetime.fromisoformat(now["slot"]["start"]) == TOMORROW
    assert (await clinic.get(booking))["slot"]["start"] == now["slot"]["start"]
    [fact] = await clinic.said(RESCHEDULED, mark)
    assert (fact["by"], fact["fee"]["amount"]) == ("patient", 0)
    assert datetime.fromisoformat(fact["previous"]["start"]) == NEXT_WEEK
    assert datetime.fromisoformat(fact["visit"]["start"]) == TOMORROW
    assert fact["previous"]["slot_id"] != fact["visit"]["slot_id"]
    assert fact["manage"], "the patient is told, and needs the link"
    [freed] = await clinic.said("booking.slot_released.v1", mark)
    [blocked] = await clinic.said("booking.slot_blocked.v1", mark)
    assert (freed["slot_id"], blocked["slot_id"]) == (fact["previous"]["slot_id"], fact["visit"]["slot_id"])
    assert (await clinic.hold(clinic.offer(kind, [anna]))).status_code == 201
    assert (await clinic.hold(clinic.offer(kind, [anna], start=TOMORROW))).status_code == 409


async def test_a_visit_moves_onto_a_part_of_its_own_old_time(clinic: Clinic) -> None:
    booking, kind, anna = await visit(clinic)
    for start in (NEXT_WEEK + minutes(15), NEXT_WEEK + minutes(5), NEXT_WEEK):
        now = await moved(clinic, booking, clinic.offer(kind, [anna], start=start, buffer=10))
        assert datetime.fromisoformat(now["slot"]["start"]) == start
    assert len(await clinic.claims()) == 1


async def test_each_resource_is_said_once_and_those_left_are_gone(clinic: Clinic) -> None:
    kind, anna = await clinic.offering(), await clinic.resource()
    rooms = [await clinic.resource("room"), await clinic.resource("room")]
    booking = await clinic.appointment(clinic.offer(kind, [anna, rooms[0]]))
    mark = await clinic.mark()
    await moved(clinic, booking, clinic.offer(kind, [anna, rooms[1]], start=NEXT_WEEK + minutes(15)))
    rows = [row for row in await clinic.records(mark) if row["topic"] == "holdfast.occupancy"]
    said = {row["key"].partition(":")[2]: row["payload"] is not None for row in rows}
    assert len(rows) == 3
    assert said == {
        str(anna.resource_id): True, str(rooms[0].resource_id): False, str(rooms[1].resource_id): True,
    }  # fmt: skip
    assert len({row["headers"]["version"] for row in rows}) == 1


async def test_a_visit_keeps_its_start_and_changes_its_practitioner_or_room(clinic: Clinic) -> None:
    kind, anna, piotr = await clinic.offering(), await clinic.resource(), await clinic.resource()
    rooms = [await clinic.resource("room"), await clinic.resource("room")]
    booking = await clinic.appointment(clinic.offer(kind, [anna, rooms[0]]))
    for provider, room in ((anna, rooms[1]), (piotr, rooms[1]), (anna, rooms[0])):
        now = await moved(clinic, booking, clinic.offer(kind, [provider, room]), who=clinic.staff())
        assert now["slot"]["provider_id"] == str(provider.resource_id)
        assert {one["id"] for one in now["slot"]["resources"]} == {str(provider.resource_id), str(room.resource_id)}
    assert len(await clinic.said(RESCHEDULED)) == 3


async def test_the_first_free_assignment_is_taken(clinic: Clinic) -> None:
    booking, kind, anna = await visit(clinic)
    piotr = await clinic.resource()
    assert (await clinic.hold(clinic.offer(kind, [anna], start=TOMORROW))).status_code == 201
    now = await moved(clinic, booking, clinic.offer(kind, [anna], [piotr], start=TOMORROW))
    assert now["slot"]["provider_id"] == str(piotr.resource_id)


async def test_versions_never_go_back_however_often_a_visit_moves(clinic: Clinic) -> None:
    booking, kind, anna = await visit(clinic)
    piotr = await clinic.resource()
    for step, provider in enumerate([anna, piotr, anna, piotr]):
        await moved(clinic, booking, clinic.offer(kind, [provider], start=NEXT_WEEK + minutes(5 * step)))
    await clinic.do("PUT", booking, "cancel")
    seen: dict[str, int] = {}
    for row in await clinic.records():
        version = int(row["headers"]["version"])
        assert version >= seen.get(row["key"], 0), row["key"]
        seen[row["key"]] = version
    assert await clinic.in_step() == set()


async def test_the_same_move_again_is_answered_and_not_done_again(clinic: Clinic) -> None:
    soon = NEXT_WEEK - timedelta(days=7) + timedelta(hours=3)
    kind, anna = await clinic.offering("full", late_move_fee=10), await clinic.resource()
    booking = await clinic.appointment(clinic.offer(kind, [anna], start=soon))
    await clinic.pay(booking)
    slot = clinic.offer(kind, [anna], start=soon + HOUR)
    first, again = await moved(clinic, booking, slot), await moved(clinic, booking, slot)
    assert first == again
    assert len(await clinic.said(RESCHEDULED)) == 1


# -- classes ----------------------------------------------------------------------------------------------------------


async def test_a_seat_moves_from_one_session_to_another_and_the_others_stay(clinic: Clinic) -> None:
    yoga, maria = await clinic.offering(capacity=2), await clinic.resource()
    other, massage = await clinic.resource(), await clinic.offering()
    session, later = clinic.offer(yoga, [maria]), clinic.offer(yoga, [other], start=TOMORROW)
    ewa, jan = await clinic.appointment(session), await clinic.appointment(session)
    mark = await clinic.mark()
    now = await moved(clinic, ewa, later)
    assert now["slot"]["remaining"] == 1
    assert len(await clinic.said("booking.slot_released.v1", mark)) == 1
    assert (await clinic.get(jan))["slot"]["remaining"] == 1
    assert (await clinic.hold(clinic.offer(massage, [maria]))).status_code == 409
    # With the last seat the session is over, and its practitioner free for others.
    await moved(clinic, jan, later)
    assert (await clinic.hold(clinic.offer(massage, [maria]))).status_code == 201
    assert len(await clinic.said("booking.slot_blocked.v1")) == 3  # the first session, the second, the massage
    assert code(await clinic.hold(later)) == (409, "slot-taken")


async def test_seats_move_all_or_none(clinic: Clinic) -> None:
    yoga, maria = await clinic.offering(capacity=4), await clinic.resource()
    session, later = clinic.offer(yoga, [maria]), clinic.offer(yoga, [maria], start=TOMORROW)
    three = await clinic.appointment(session, seats=3)
    two = await clinic.appointment(later, seats=2)
    before = await everything(clinic)
    assert code(await move(clinic, three, later)) == (409, "slot-taken")
    assert await everything(clinic) == before
    await clinic.do("PUT", two, "cancel")
    assert (await moved(clinic, three, later))["slot"]["seats"] == 3


async def test_the_only_one_of_a_session_takes_it_to_another_room(clinic: Clinic) -> None:
    yoga, maria = await clinic.offering(capacity=4), await clinic.resource()
    rooms = [await clinic.resource("room"), await clinic.resource("room")]
    ewa = await clinic.appointment(clinic.offer(yoga, [maria, rooms[0]]))
    await moved(clinic, ewa, clinic.offer(yoga, [maria, rooms[1]]), who=clinic.staff())
    assert {resource for resource, *_ in await clinic.claims()} == {maria.resource_id, rooms[1].resource_id}
    assert (await clinic.hold(clinic.offer(await clinic.offering(), [rooms[0]]))).status_code == 201


async def test_one_of_several_cannot_take_the_session_to_another_room(clinic: Clinic) -> None:
    yoga, maria = await clinic.offering(capacity=4), await clinic.resource()
    rooms = [await clinic.resource("room"), await clinic.resource("room")]
    session = clinic.offer(yoga, [maria, rooms[0]])
    ewa, _ = await clinic.appointment(session), await clinic.appointment(session)
    now = await moved(clinic, ewa, clinic.offer(yoga, [maria, rooms[1]]), who=clinic.staff())
    assert {one["id"] for one in now["slot"]["resources"]} == {str(maria.resource_id), str(rooms[0].resource_id)}


async def test_a_session_that_got_more_seats_meanwhile_moves_like_any_other(clinic: Clinic) -> None:
    lesson, maria = await clinic.offering(), await clinic.resource()
    rooms = [await clinic.resource("room"), await clinic.resource("room")]
    ewa = await clinic.appointment(clinic.offer(lesson, [maria, rooms[0]]))
    lesson = await clinic.offers_now(lesson, capacity=4)
    await moved(clinic, ewa, clinic.offer(lesson, [maria, rooms[1]]), who=clinic.staff())
    now = await moved(clinic, ewa, clinic.offer(lesson, [maria, rooms[0]], start=TOMORROW))
    assert now["slot"]["remaining"] == 3
    await clinic.do("PUT", ewa, "cancel")
    assert await clinic.in_step() == set()


# -- what is refused changes nothing ----------------------------------------------------------------------------------


async def occupied(clinic: Clinic, kind: OfferingState, anna: ResourceState) -> str:
    slot = clinic.offer(kind, [anna], start=TOMORROW)
    assert (await clinic.hold(slot)).status_code == 201
    return slot


async def blocked(clinic: Clinic, kind: OfferingState, anna: ResourceState) -> str:
    busy = Busy(
        tenant_id=clinic.tenant_id, version=1, connection_id=new_id(), resource_id=anna.resource_id, external_key="x",
        generation=1, start=TOMORROW, end=TOMORROW + HOUR,
    )  # fmt: skip
    await clinic.tell(handlers.block_time, busy)
    return clinic.offer(kind, [anna], start=TOMORROW)


async def stale(clinic: Clinic, kind: OfferingState, anna: ResourceState) -> str:
    await clinic.has_now(anna, schedule_version=2)
    return clinic.offer(kind, [anna], start=TOMORROW)


async def against_a_rule(clinic: Clinic, kind: OfferingState, anna: ResourceState) -> str:
    other = await clinic.offering()
    await clinic.offers_now(kind, rules=[GapRule(kind="gap", after_offering=other.offering_id, minutes=30)])
    assert (await clinic.hold(clinic.offer(other, [anna], start=TOMORROW - minutes(30)))).status_code == 201
    return clinic.offer(kind, [anna], start=TOMORROW)


async def past(clinic: Clinic, kind: OfferingState, anna: ResourceState) -> str:
    return clinic.offer(kind, [anna], start=NEXT_WEEK - timedelta(days=8))


async def outlived(clinic: Clinic, kind: OfferingState, anna: ResourceState) -> str:
    return clinic.offer(kind, [anna], start=TOMORROW, lives=-60)


async def of_another_kind(clinic: Clinic, _: OfferingState, anna: ResourceState) -> str:
    return clinic.offer(await clinic.offering(), [anna], start=TOMORROW)


async def in_another_currency(clinic: Clinic, kind: OfferingState, anna: ResourceState) -> str:
    return clinic.offer(kind, [anna], start=TOMORROW, currency="eur")


async def of_the_desk(clinic: Clinic, kind: OfferingState, anna: ResourceState) -> str:
    return clinic.offer(kind, [anna], start=TOMORROW, override=True)


async def forged(clinic: Clinic, kind: OfferingState, anna: ResourceState) -> str:
    return "x" + clinic.offer(kind, [anna], start=TOMORROW)


@pytest.mark.parametrize(
    ("slot", "status", "problem"),
    [
        (occupied, 409, "slot-taken"),
        (blocked, 409, "slot-taken"),
        (against_a_rule, 409, "slot-taken"),
        (stale, 410, "offer-expired"),
        (past, 410, "offer-expired"),
        (outlived, 410, "offer-expired"),
        (of_another_kind, 422, "validation-failed"),
        (in_another_currency, 422, "validation-failed"),
        (of_the_desk, 422, "validation-failed"),
        (forged, 422, "offer-invalid"),
    ],
)
async def test_a_refused_move_changes_nothing(clinic: Clinic, slot: Any, status: int, problem: str) -> None:
    booking, kind, anna = await visit(clinic)
    slot_id = await slot(clinic, kind, anna)
    before = await everything(clinic)
    refused = await move(clinic, booking, slot_id)
    assert code(refused) == (status, problem)
    assert await everything(clinic) == before
    await clinic.in_step()


async def test_a_move_that_a_rule_forbids_says_which(clinic: Clinic) -> None:
    booking, kind, anna = await visit(clinic)
    refused = await move(clinic, booking, await against_a_rule(clinic, kind, anna))
    assert refused.json()["rule"]["kind"] == "gap"


async def test_more_seats_than_the_other_time_has_are_refused_by_the_field(clinic: Clinic) -> None:
    yoga, maria = await clinic.offering(capacity=4), await clinic.resource()
    three = await clinic.appointment(clinic.offer(yoga, [maria]), seats=3)
    smaller = await clinic.offers_now(yoga, capacity=2)
    refused = await move(clinic, three, clinic.offer(smaller, [maria], start=TOMORROW))
    assert code(refused) == (422, "validation-failed")
    assert [error["field"] for error in refused.json()["errors"]] == ["slot_id"]


async def test_a_move_into_another_of_ones_own_visits_is_refused_but_not_for_the_visit_itself(clinic: Clinic) -> None:
    kind = await clinic.offering(rules=[NoOverlapRule(kind="no_overlap")])
    anna, piotr, ewa = await clinic.resource(), await clinic.resource(), new_id()
    token = clinic.customer(ewa, verified=True)
    first = await clinic.appointment(clinic.offer(kind, [anna]), customer_token=token)
    await clinic.appointment(clinic.offer(kind, [anna], start=TOMORROW), customer_token=token)
    before = await everything(clinic)
    refused = await move(clinic, first, clinic.offer(kind, [piotr], start=TOMORROW + minutes(15)))
    assert (code(refused), refused.json()["rule"]["kind"]) == ((422, "rule-broken"), "no_overlap")
    assert await everything(clinic) == before
    await moved(clinic, first, clinic.offer(kind, [anna], start=NEXT_WEEK + minutes(15)))


async def test_a_move_does_not_break_a_rule_against_the_visit_itself(clinic: Clinic) -> None:
    kind_id, anna = new_id(), await clinic.resource()
    rules = [GapRule(kind="gap", after_offering=kind_id, minutes=60)]
    kind = await clinic.offering(rules=rules, offering_id=kind_id)
    booking = await clinic.appointment(clinic.offer(kind, [anna]))
    await moved(clinic, booking, clinic.offer(kind, [anna], start=NEXT_WEEK + minutes(45)))


async def test_an_offer_newer_than_the_catalogue_here_waits_for_it(clinic: Clinic) -> None:
    booking, kind, _ = await visit(clinic)
    piotr = await clinic.resource()
    unknown = piotr.model_copy(update={"resource_id": new_id()})
    slot = clinic.offer(kind, [unknown], start=TOMORROW)
    moving = asyncio.create_task(move(clinic, booking, slot))
    await asyncio.sleep(0.1)
    await clinic.has_now(unknown)
    assert (await moving).status_code == 200
    before = await everything(clinic)
    never = clinic.offer(kind, [unknown.model_copy(update={"resource_id": new_id()})])
    assert code(await move(clinic, booking, never)) == (503, "unavailable")
    assert await everything(clinic) == before


# -- who, and when ----------------------------------------------------------------------------------------------------


async def test_only_what_stands_can_be_moved(clinic: Clinic) -> None:
    booking, kind, anna = await visit(clinic)
    slot = clinic.offer(kind, [anna], start=TOMORROW)
    await clinic.do("PUT", booking, "cancel")
    assert code(await move(clinic, booking, slot)) == (409, "illegal-transition")
    unpaid = await clinic.appointment(clinic.offer(await clinic.offering("full"), [anna]))
    assert code(await move(clinic, unpaid, slot)) == (409, "illegal-transition")
    over, kind, anna = await visit(clinic)
    await clinic.do("POST", over, "complete", who=clinic.staff())
    assert code(await move(clinic, over, clinic.offer(kind, [anna], start=TOMORROW))) == (409, "illegal-transition")
    hold = (await clinic.hold(slot)).json()
    assert code(await move(clinic, hold, slot)) == (404, "not-found")


async def begun(clinic: Clinic, booking: dict[str, Any]) -> None:
    change = "UPDATE booking SET start_at = now() - interval '1 min', end_at = now() + interval '29 min' WHERE id = :id"
    await clinic.stored(change + " RETURNING 1", id=UUID(booking["id"]))


async def test_what_has_begun_is_moved_by_the_desk_alone(clinic: Clinic) -> None:
    booking, kind, anna = await visit(clinic)
    await begun(clinic, booking)
    slot = clinic.offer(kind, [anna], start=TOMORROW)
    assert code(await move(clinic, booking, slot)) == (409, "illegal-transition")
    assert (await move(clinic, booking, slot, clinic.staff())).status_code == 200


async def test_strangers_do_not_find_it_and_other_staff_may_not(clinic: Clinic) -> None:
    booking, kind, anna = await visit(clinic)
    slot = clinic.offer(kind, [anna], start=TOMORROW)
    other, *_ = await visit(clinic)
    for who in ({}, bearer(other), clinic.user(), clinic.tokens.of(new_id(), {str(new_id()): "owner"})):
        assert code(await move(clinic, booking, slot, who)) == (404, "not-found")
    assert code(await move(clinic, booking, slot, clinic.staff("auditor"))) == (403, "forbidden")
    assert code(await move(clinic, booking, slot, clinic.staff("practitioner"))) == (404, "not-found")
    for role in ("front_desk", "manager", "owner"):
        assert (await move(clinic, booking, slot, clinic.staff(role))).status_code == 200
    lines = (await clinic.get(booking, who=clinic.staff()))["history"]
    assert [line["event"] for line in lines].count("rescheduled") == 1, "the same move again is no other one"


async def test_whoever_is_signed_in_moves_the_own_visit(clinic: Clinic) -> None:
    ewa, kind, anna = new_id(), await clinic.offering(), await clinic.resource()
    token = clinic.customer(user=ewa, verified=True)
    booking = await clinic.appointment(clinic.offer(kind, [anna]), customer_token=token)
    slot = clinic.offer(kind, [anna], start=TOMORROW)
    assert (await move(clinic, booking, slot, clinic.user(ewa))).status_code == 200
