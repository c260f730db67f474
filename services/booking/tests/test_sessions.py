"""A session of a class falls out: everybody is told, everything goes back, and its start is not offered again."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from events import new_id
from events.contracts.availability import OfferingState, ResourceState

from .conftest import NEXT_WEEK, Clinic, bearer, code

CANCELLED = "booking.booking_cancelled.v1"
TOMORROW = NEXT_WEEK + timedelta(days=1)


async def call_off(
    clinic: Clinic,
    kind: OfferingState,
    provider: ResourceState | None,
    start: datetime = NEXT_WEEK,
    who: dict[str, str] | None = None,
    **more: Any,
) -> httpx.Response:
    body: dict[str, Any] = {"offering_id": str(kind.offering_id), "start": start.isoformat()} | more
    if provider is not None:
        body["provider_id"] = str(provider.resource_id)
    headers = clinic.staff() if who is None else who
    return await clinic.client.post(f"{clinic.base}/sessions/cancel", json=body, headers=headers)


async def hidden(clinic: Clinic) -> dict[str, dict[str, Any]]:
    """The resources whose rows say that the start is not offered again, with the row."""
    return {row["resource_id"]: row for row in (await clinic.occupancy()).values() if row.get("cancelled")}


async def test_everybody_is_told_and_gets_everything_back(clinic: Clinic) -> None:
    yoga, maria = await clinic.offering("full", capacity=12, fee=100), await clinic.resource()
    soon = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=3)
    slot = clinic.offer(yoga, [maria], start=soon)
    paid = [await clinic.appointment(slot) for _ in range(3)]
    for booking in paid:
        await clinic.pay(booking)
    answer = await call_off(clinic, yoga, maria, soon, reason="maria is ill")
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "cancelled"
    assert set(answer.json()["appointment_ids"]) == {booking["id"] for booking in paid}
    facts = await clinic.said(CANCELLED)
    assert {fact["booking_id"] for fact in facts} == {booking["id"] for booking in paid}
    assert {(fact["by"], fact["fee"]["amount"], fact["was_confirmed"]) for fact in facts} == {("staff", 0, True)}
    for booking in paid:
        seen = await clinic.get(booking, who=clinic.staff())
        assert (seen["status"], seen["reason"]) == ("cancelled", "maria is ill")
        again = await clinic.do("PUT", booking, "cancel")
        assert again.json()["refund"] == {"amount": 20000, "currency": "pln", "fee": 0, "status": "pending"}


async def test_holds_are_released_and_what_was_not_paid_yet_is_called_off(clinic: Clinic) -> None:
    yoga, maria = await clinic.offering("full", capacity=12), await clinic.resource()
    slot = clinic.offer(yoga, [maria])
    hold, unpaid = (await clinic.hold(slot)).json(), await clinic.appointment(slot)
    answer = await call_off(clinic, yoga, maria)
    assert answer.json()["appointment_ids"] == [unpaid["id"]]
    assert (await clinic.get(hold, "holds"))["status"] == "released"
    assert (await clinic.get(unpaid))["status"] == "cancelled"
    assert len(await clinic.said("booking.hold_released.v1")) == 1
    assert [fact["was_confirmed"] for fact in await clinic.said(CANCELLED)] == [False]
    # Money that was on its way goes back.
    await clinic.pay(unpaid)
    assert len(await clinic.said("booking.payment_unwanted.v1")) == 1
    assert await clinic.in_step() == set()


async def test_its_start_cannot_be_held_again_but_its_practitioner_is_free_for_others(clinic: Clinic) -> None:
    yoga, maria, room = await clinic.offering(capacity=4), await clinic.resource(), await clinic.resource("room")
    slot = clinic.offer(yoga, [maria, room])
    await clinic.appointment(slot)
    await call_off(clinic, yoga, maria)
    assert code(await clinic.hold(slot)) == (409, "slot-taken")
    massage = await clinic.offering()
    assert (await clinic.hold(clinic.offer(massage, [maria, room]))).status_code == 201
    assert (await clinic.hold(clinic.offer(yoga, [maria, room], start=TOMORROW))).status_code == 201
    other = await clinic.resource()
    assert (await clinic.hold(clinic.offer(yoga, [other]))).status_code == 201, (
        "with another practitioner it takes place"
    )


async def test_what_is_said_of_it_stays_the_last_word(clinic: Clinic) -> None:
    yoga, maria, room = await clinic.offering(capacity=4), await clinic.resource(), await clinic.resource("room")
    slot = clinic.offer(yoga, [maria, room], buffer=15)
    await clinic.appointment(slot)
    await call_off(clinic, yoga, maria)
    rows = await hidden(clinic)
    assert set(rows) == {str(maria.resource_id), str(room.resource_id)}
    row = rows[str(maria.resource_id)]
    assert (row["reserved"], row["capacity"], row["expires_at"]) == (0, 4, None)
    assert datetime.fromisoformat(row["start"]) == NEXT_WEEK
    assert await clinic.said("booking.slot_released.v1") == []


@pytest.mark.parametrize("asked", [False, True])
async def test_seats_whose_time_ran_out_unseen_do_not_bring_it_back(clinic: Clinic, asked: bool) -> None:
    yoga, maria = await clinic.offering("full", capacity=4), await clinic.resource()
    slot = clinic.offer(yoga, [maria])
    late = await clinic.appointment(slot) if asked else (await clinic.hold(slot)).json()
    await clinic.run_out(late)
    answer = await call_off(clinic, yoga, maria)
    assert answer.json()["appointment_ids"] == []
    await clinic.end(late)
    assert (await clinic.get(late, "appointments" if asked else "holds"))["status"] == "expired"
    assert len(await clinic.said("booking.hold_expired.v1")) == 1
    assert set(await hidden(clinic)) == {str(maria.resource_id)}
    assert await clinic.in_step() == set()
    assert (await clinic.hold(clinic.offer(await clinic.offering(), [maria]))).status_code == 201


async def test_late_money_for_it_goes_back(clinic: Clinic) -> None:
    yoga, maria = await clinic.offering("full", capacity=4), await clinic.resource()
    booking = await clinic.appointment(clinic.offer(yoga, [maria]))
    await clinic.end(booking)
    await call_off(clinic, yoga, maria)
    await clinic.pay(booking)
    assert (await clinic.get(booking))["status"] == "unfulfillable"
    assert set(await hidden(clinic)) == {str(maria.resource_id)}


async def test_what_waits_for_an_approval_is_called_off_too(clinic: Clinic) -> None:
    yoga, maria = await clinic.offering(capacity=4), await clinic.resource(approval=True)
    booking = await clinic.appointment(clinic.offer(yoga, [maria]))
    assert booking["status"] == "pending_approval"
    await call_off(clinic, yoga, maria)
    assert (await clinic.get(booking))["status"] == "cancelled"
    assert code(await clinic.do("POST", booking, "approve", who=clinic.staff())) == (409, "illegal-transition")


async def test_a_seat_that_was_to_be_moved_there_is_only_let_go(clinic: Clinic) -> None:
    yoga, maria = await clinic.offering("full", capacity=4), await clinic.resource()
    booking = await clinic.appointment(clinic.offer(yoga, [maria]))
    await clinic.pay(booking)
    dearer = clinic.offer(yoga, [maria], start=TOMORROW, amount=30000)
    answer = await clinic.do("PUT", booking, "reschedule", {"slot_id": dearer})
    assert answer.status_code == 200, answer.text
    assert answer.json()["slot"]["start"] == booking["slot"]["start"]
    called_off = await call_off(clinic, yoga, maria, TOMORROW)
    assert (called_off.status_code, called_off.json()["appointment_ids"]) == (200, [])
    assert (await clinic.get(booking))["status"] == "confirmed"
    assert await clinic.said(CANCELLED) == []
    await clinic.in_step()


async def test_the_line_is_not_offered_what_falls_out(clinic: Clinic) -> None:
    yoga, maria = await clinic.offering(capacity=1), await clinic.resource()
    await clinic.appointment(clinic.offer(yoga, [maria]))
    window = {"from": NEXT_WEEK.isoformat(), "to": (NEXT_WEEK + timedelta(hours=1)).isoformat()}
    body = {"offering_id": str(yoga.offering_id), "customer_token": clinic.customer()} | window
    assert (await clinic.client.post(f"{clinic.base}/waitlist", json=body)).status_code == 201
    assert (await call_off(clinic, yoga, maria)).status_code == 200
    assert await clinic.said("booking.waitlist_offered.v1") == []


async def test_a_session_that_nobody_has_booked_is_hidden_too(clinic: Clinic) -> None:
    yoga, maria = await clinic.offering(capacity=4), await clinic.resource()
    answer = await call_off(clinic, yoga, maria)
    assert (answer.status_code, answer.json()["appointment_ids"]) == (200, [])
    assert set(await hidden(clinic)) == {str(maria.resource_id)}
    assert code(await clinic.hold(clinic.offer(yoga, [maria]))) == (409, "slot-taken")


async def test_the_same_again_is_answered_as_the_first_time(clinic: Clinic) -> None:
    yoga, maria = await clinic.offering(capacity=4), await clinic.resource()
    slot = clinic.offer(yoga, [maria])
    gone, *others = [await clinic.appointment(slot) for _ in range(3)]
    await clinic.do("PUT", gone, "cancel")
    first = await call_off(clinic, yoga, maria)
    assert set(first.json()["appointment_ids"]) == {booking["id"] for booking in others}
    mark = await clinic.mark()
    again = await call_off(clinic, yoga, maria)
    assert (again.status_code, again.json()) == (200, first.json())
    assert await clinic.records(mark) == []


async def test_a_class_without_a_practitioner_falls_out_too(clinic: Clinic) -> None:
    swim, pool = await clinic.offering(capacity=9), await clinic.resource("room")
    booking = await clinic.appointment(clinic.offer(swim, [pool]))
    answer = await call_off(clinic, swim, None)
    assert answer.json()["appointment_ids"] == [booking["id"]]
    assert set(await hidden(clinic)) == {str(pool.resource_id)}


async def test_only_the_desk_calls_a_session_off(clinic: Clinic) -> None:
    yoga, maria = await clinic.offering(capacity=4), await clinic.resource()
    booking = await clinic.appointment(clinic.offer(yoga, [maria]))
    assert code(await call_off(clinic, yoga, maria, who={})) == (401, "unauthenticated")
    assert code(await call_off(clinic, yoga, maria, who=bearer(booking))) == (401, "unauthenticated")
    for who in (clinic.user(), clinic.staff("auditor"), clinic.staff("practitioner")):
        assert code(await call_off(clinic, yoga, maria, who=who)) == (403, "forbidden")
    assert (await clinic.get(booking))["status"] == "confirmed"


async def test_wrong_sessions_are_refused_by_the_field_or_the_state(clinic: Clinic) -> None:
    yoga, maria = await clinic.offering(capacity=4), await clinic.resource()
    nobody = await call_off(clinic, yoga, None, provider_id=str(new_id()))
    assert (code(nobody), nobody.json()["errors"][0]["field"]) == ((422, "validation-failed"), "provider_id")
    nothing = await call_off(clinic, yoga, maria, offering_id=str(new_id()))
    assert (code(nothing), nothing.json()["errors"][0]["field"]) == ((422, "validation-failed"), "offering_id")
    past = await call_off(clinic, yoga, maria, datetime.now(UTC) - timedelta(hours=1))
    assert code(past) == (409, "illegal-transition")
    naive = await call_off(clinic, yoga, maria, datetime.now())
    assert code(naive) == (422, "validation-failed")
    assert await clinic.records() == []


async def test_a_move_into_it_is_refused_and_one_out_of_it_comes_too_late(clinic: Clinic) -> None:
    yoga, maria = await clinic.offering(capacity=4), await clinic.resource()
    slot, other = clinic.offer(yoga, [maria]), clinic.offer(yoga, [maria], start=TOMORROW)
    ewa, jan = await clinic.appointment(slot), await clinic.appointment(other)
    await call_off(clinic, yoga, maria)
    assert code(await clinic.do("PUT", jan, "reschedule", {"slot_id": slot})) == (409, "slot-taken")
    assert code(await clinic.do("PUT", ewa, "reschedule", {"slot_id": other})) == (409, "illegal-transition")
    [row] = await clinic.stored("SELECT status FROM slot WHERE start_at = :start", start=NEXT_WEEK)
    assert row["status"] == "cancelled"


async def test_money_that_comes_too_late_says_nothing_of_a_room_that_the_class_has_left(clinic: Clinic) -> None:
    yoga, maria = await clinic.offering("full", capacity=4), await clinic.resource()
    rooms = [await clinic.resource("room"), await clinic.resource("room")]
    late = await clinic.appointment(clinic.offer(yoga, [maria, rooms[0]]))
    await clinic.end(late)
    assert (await clinic.hold(clinic.offer(yoga, [maria, rooms[1]]))).status_code == 201
    await clinic.offers_now(yoga, active=False)
    await clinic.pay(late)
    assert (await clinic.get(late))["status"] == "unfulfillable"
    assert {resource for resource, *_ in await clinic.in_step()} == {maria.resource_id, rooms[1].resource_id}
