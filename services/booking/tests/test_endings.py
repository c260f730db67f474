"""How appointments end: cancelled, approved or not, over, or nobody came; by whom, and what goes back."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from icalendar import Calendar

from booking import endings, handlers
from booking.jobs import complete_past_visits, end_overdue_bookings, remind_approvers
from events import Money, Transaction, new_id
from events.contracts.payment import PaymentCaptured, PaymentVoided, RefundIssued

from .conftest import NEXT_WEEK, Clinic, bearer, code

SOON = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=3)
DAY_AFTER = NEXT_WEEK + timedelta(days=1)


async def paid_visit(clinic: Clinic, start: datetime = SOON, **more: Any) -> tuple[dict[str, Any], UUID]:
    """A visit for 200 zł, paid in full. Its policy: free until a day before, then half of the price."""
    kind, anna = await clinic.offering("full", **more), await clinic.resource()
    booking = await clinic.appointment(clinic.offer(kind, [anna], start=start))
    return booking, await clinic.pay(booking)


async def visit(clinic: Clinic, start: datetime = NEXT_WEEK, user: UUID | None = None) -> dict[str, Any]:
    """A confirmed one, free of charge; `user` is the practitioner's account."""
    return await clinic.appointment(
        clinic.offer(await clinic.offering(), [await clinic.resource(user=user)], start=start)
    )


async def refunded(clinic: Clinic, booking: dict[str, Any], payment_id: UUID, total: int) -> None:
    money = Money(amount=total, currency="pln")
    event = RefundIssued(
        tenant_id=clinic.tenant_id, version=total, booking_id=UUID(booking["id"]), payment_id=payment_id,
        refund_id=new_id(), amount=money, total_refunded=money, reason="cancelled",
    )  # fmt: skip
    await clinic.tell(handlers.note_refund, event)


def refund(amount: int, fee: int, status: str) -> dict[str, Any]:
    return {"amount": amount, "currency": "pln", "fee": fee, "status": status}


# -- cancelling -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("start", "fee"), [(SOON, 10000), (NEXT_WEEK, 0)])
async def test_a_preview_tells_what_would_go_back_and_does_nothing(clinic: Clinic, start: datetime, fee: int) -> None:
    booking, _ = await paid_visit(clinic, start)
    mark = await clinic.mark()
    preview = await clinic.do("PUT", booking, "cancel", preview="true")
    assert preview.json()["refund"] == refund(20000 - fee, fee, "pending")
    assert (preview.json()["status"], await clinic.records(mark)) == ("confirmed", [])
    done = await clinic.do("PUT", booking, "cancel", {"reason": "ill"})
    assert (done.json()["status"], done.json()["refund"]) == ("cancelled", refund(20000 - fee, fee, "pending"))
    [fact] = await clinic.said("booking.booking_cancelled.v1")
    assert (fact["by"], fact["fee"]["amount"], fact["was_confirmed"]) == ("patient", fee, True)
    assert await clinic.in_step() == set()


async def test_an_odd_fee_is_rounded_for_the_patient_and_no_more_than_was_paid(clinic: Clinic) -> None:
    odd, _ = await paid_visit(clinic, price=9999, fee=33)
    assert (await clinic.do("PUT", odd, "cancel", preview="true")).json()["refund"]["fee"] == 3299
    kind, anna = await clinic.offering("deposit", deposit=5000, fee=50), await clinic.resource()
    deposit = await clinic.appointment(clinic.offer(kind, [anna], start=SOON))
    await clinic.pay(deposit, 5000)
    assert (await clinic.do("PUT", deposit, "cancel")).json()["refund"] == refund(0, 5000, "none")


async def test_the_desk_gives_everything_back_unless_it_charges_the_fee(clinic: Clinic) -> None:
    booking, _ = await paid_visit(clinic)
    asked = {"reason": "closed", "charge_fee": True}
    preview = await clinic.do("PUT", booking, "cancel", asked, who=clinic.staff(), preview="true")
    assert preview.json()["refund"] == refund(10000, 10000, "pending")
    done = await clinic.do("PUT", booking, "cancel", {"reason": "closed"}, who=clinic.staff())
    assert (done.json()["refund"], done.json()["reason"]) == (refund(20000, 0, "pending"), "closed")
    assert [fact["by"] for fact in await clinic.said("booking.booking_cancelled.v1")] == ["staff"]
    other, _ = await paid_visit(clinic)
    charged = await clinic.do("PUT", other, "cancel", asked, who=clinic.staff())
    assert charged.json()["refund"] == refund(10000, 10000, "pending")


async def test_a_patient_who_says_charge_fee_changes_nothing_by_it(clinic: Clinic) -> None:
    booking, _ = await paid_visit(clinic, NEXT_WEEK)
    answer = await clinic.do("PUT", booking, "cancel", {"charge_fee": True})
    assert answer.json()["refund"] == refund(20000, 0, "pending")


async def test_the_same_cancellation_again_is_answered_with_what_became_of_the_money(clinic: Clinic) -> None:
    booking, payment_id = await paid_visit(clinic)
    for _ in range(2):
        answer = await clinic.do("PUT", booking, "cancel")
        assert (answer.status_code, answer.json()["refund"]) == (200, refund(10000, 10000, "pending"))
    await refunded(clinic, booking, payment_id, 10000)
    for who in (None, clinic.staff()):
        answer = await clinic.do("PUT", booking, "cancel", who=who)
        assert answer.json()["refund"] == refund(10000, 10000, "succeeded")
    assert len(await clinic.said("booking.booking_cancelled.v1")) == 1


async def test_what_went_back_before_is_not_what_goes_back_now(clinic: Clinic) -> None:
    booking, payment_id = await paid_visit(clinic, NEXT_WEEK)
    await refunded(clinic, booking, payment_id, 5000)
    assert (await clinic.do("PUT", booking, "cancel")).json()["refund"] == refund(15000, 0, "pending")
    await refunded(clinic, booking, payment_id, 20000)
    assert (await clinic.do("PUT", booking, "cancel")).json()["refund"] == refund(20000, 0, "succeeded")


async def test_an_authorization_is_cancelled_or_charged_with_the_fee_alone(clinic: Clinic) -> None:
    kind, anna = await clinic.offering("authorize"), await clinic.resource()
    early = await clinic.appointment(clinic.offer(kind, [anna]))
    payment_id = await clinic.pay(early, authorized=True)
    assert (await clinic.do("PUT", early, "cancel")).json()["refund"] == refund(20000, 0, "pending")
    fact: dict[str, Any] = {"tenant_id": clinic.tenant_id, "version": 2, "booking_id": UUID(early["id"])}
    voided = PaymentVoided(**fact, payment_id=payment_id, amount=Money(amount=20000, currency="pln"))
    await clinic.tell(handlers.note_voided_payment, voided)
    assert (await clinic.do("PUT", early, "cancel")).json()["refund"] == refund(20000, 0, "voided")
    late = await clinic.appointment(clinic.offer(kind, [anna], start=SOON))
    payment_id = await clinic.pay(late, authorized=True)
    assert (await clinic.do("PUT", late, "cancel")).json()["refund"] == refund(10000, 10000, "pending")
    fact["booking_id"] = UUID(late["id"])
    captured = PaymentCaptured(**fact, payment_id=payment_id, amount=Money(amount=10000, currency="pln"))
    await clinic.tell(handlers.note_captured_payment, captured)
    assert (await clinic.get(late))["payment"]["amount_paid"] == 10000


async def test_what_is_over_cannot_be_cancelled(clinic: Clinic) -> None:
    for action in ("complete", "no-show"):
        booking = await visit(clinic)
        assert (await clinic.do("POST", booking, action, who=clinic.staff())).status_code == 200
        assert code(await clinic.do("PUT", booking, "cancel")) == (409, "illegal-transition")
        assert code(await clinic.do("PUT", booking, "cancel", preview="true")) == (409, "illegal-transition")


async def test_an_unpaid_appointment_is_cancelled_without_a_fee_and_cannot_be_once_it_ran_out(clinic: Clinic) -> None:
    kind, anna = await clinic.offering("full"), await clinic.resource()
    booking = await clinic.appointment(clinic.offer(kind, [anna], start=SOON))
    assert (await clinic.do("PUT", booking, "cancel")).json()["refund"] == refund(0, 0, "none")
    booking = await clinic.appointment(clinic.offer(kind, [anna], start=SOON))
    await clinic.run_out(booking)
    assert code(await clinic.do("PUT", booking, "cancel")) == (409, "illegal-transition")


# -- approval ---------------------------------------------------------------------------------------------------------


async def test_the_approver_is_reminded_once_after_half_of_the_time(clinic: Clinic) -> None:
    boss = await clinic.resource(approval=True)
    booking = await clinic.appointment(clinic.offer(await clinic.offering(), [boss]))
    assert booking["status"] == "pending_approval"
    [row] = await clinic.stored("SELECT remind_at, claim_until FROM booking")
    half = (row["claim_until"] - row["remind_at"]) - (row["remind_at"] - datetime.now(UTC))
    assert abs(half) < timedelta(seconds=5)
    await remind_approvers(clinic.service)
    assert await clinic.said("booking.approval_due.v1") == []
    await clinic.stored("UPDATE booking SET remind_at = now() RETURNING 1")
    for _ in range(2):
        await remind_approvers(clinic.service)
    [fact] = await clinic.said("booking.approval_due.v1")
    assert datetime.fromisoformat(fact["deadline"]) == row["claim_until"]


async def test_nobody_is_reminded_of_what_was_decided(clinic: Clinic) -> None:
    boss, kind = await clinic.resource(approval=True), await clinic.offering()
    approved = await clinic.appointment(clinic.offer(kind, [boss]))
    rejected = await clinic.appointment(clinic.offer(kind, [boss], start=DAY_AFTER))
    await clinic.do("POST", approved, "approve", who=clinic.staff())
    await clinic.do("POST", rejected, "reject", who=clinic.staff())
    await clinic.stored("UPDATE booking SET remind_at = now() RETURNING 1")
    await remind_approvers(clinic.service)
    assert await clinic.said("booking.approval_due.v1") == []


async def test_deciding_again_is_answered_and_deciding_otherwise_is_not_possible(clinic: Clinic) -> None:
    boss, kind = await clinic.resource(approval=True), await clinic.offering()
    yes, no = [await clinic.appointment(clinic.offer(kind, [boss], start=s)) for s in (NEXT_WEEK, DAY_AFTER)]
    for _ in range(2):
        assert (await clinic.do("POST", yes, "approve", who=clinic.staff())).json()["status"] == "confirmed"
        assert (await clinic.do("POST", no, "reject", who=clinic.staff())).json()["status"] == "rejected"
    assert code(await clinic.do("POST", yes, "reject", who=clinic.staff())) == (409, "illegal-transition")
    assert code(await clinic.do("POST", no, "approve", who=clinic.staff())) == (409, "illegal-transition")
    assert len(await clinic.said("booking.booking_confirmed.v1")) == 1
    assert len(await clinic.said("booking.booking_rejected.v1")) == 1


# -- the visit ----------------------------------------------------------------------------------------------------


async def test_arriving_keeps_the_status_and_can_be_undone(clinic: Clinic) -> None:
    booking = await visit(clinic)
    for _ in range(2):
        here = await clinic.do("PUT", booking, "arrive", who=clinic.staff())
        assert (here.json()["status"], here.json()["arrived_at"][-1]) == ("confirmed", "Z")
    for _ in range(2):
        gone = await clinic.do("DELETE", booking, "arrive", who=clinic.staff())
        assert (gone.status_code, "arrived_at" in gone.json()) == (200, False)
    lines = [line["event"] for line in (await clinic.get(booking, who=clinic.staff()))["history"]]
    assert lines == ["held", "requested", "confirmed", "arrived", "arrival_undone"]
    await clinic.do("PUT", booking, "cancel")
    assert code(await clinic.do("PUT", booking, "arrive", who=clinic.staff())) == (409, "illegal-transition")


async def test_a_visit_is_completed_once(clinic: Clinic) -> None:
    booking = await visit(clinic)
    for _ in range(2):
        answer = await clinic.do("POST", booking, "complete", who=clinic.staff())
        assert (answer.status_code, answer.json()["status"]) == (200, "completed")
    assert [fact["by"] for fact in await clinic.said("booking.booking_completed.v1")] == ["staff"]


async def test_what_nobody_said_anything_of_is_completed_an_hour_after_its_end(clinic: Clinic) -> None:
    booking, other = await visit(clinic), await visit(clinic)
    cancelled = await visit(clinic)
    await clinic.do("PUT", cancelled, "cancel")
    over = "UPDATE booking SET start_at = now() - interval '3 h', end_at = now() - interval '61 min' WHERE id <> :other"
    await clinic.stored(over + " RETURNING 1", other=UUID(other["id"]))
    just = "UPDATE booking SET start_at = now() - interval '3 h', end_at = now() - interval '59 min' WHERE id = :other"
    await clinic.stored(just + " RETURNING 1", other=UUID(other["id"]))
    for _ in range(2):
        await complete_past_visits(clinic.service)
    states = [(await clinic.get(one))["status"] for one in (booking, other, cancelled)]
    assert states == ["completed", "confirmed", "cancelled"]
    assert [fact["by"] for fact in await clinic.said("booking.booking_completed.v1")] == ["system"]
    line = (await clinic.get(booking, who=clinic.staff()))["history"][-1]
    assert (line["event"], line["by"]) == ("completed", "system")


@pytest.mark.parametrize(("percent", "fee"), [(0, 0), (40, 8000), (100, 20000)])
async def test_when_nobody_comes_the_fee_is_kept_and_the_rest_goes_back(clinic: Clinic, percent: int, fee: int) -> None:
    booking, _ = await paid_visit(clinic, no_show_fee=percent)
    for _ in range(2):
        answer = await clinic.do("POST", booking, "no-show", who=clinic.staff())
        assert (answer.status_code, answer.json()["status"]) == (200, "no_show")
    [fact] = await clinic.said("booking.booking_no_show.v1")
    assert fact["fee"] == {"amount": fee, "currency": "pln"}


async def test_what_the_clock_completed_may_still_be_a_no_show_but_not_the_other_way(clinic: Clinic) -> None:
    booking, _ = await paid_visit(clinic, no_show_fee=50)
    await clinic.do("POST", booking, "complete", who=clinic.staff())
    answer = await clinic.do("POST", booking, "no-show", who=clinic.staff())
    assert (answer.status_code, answer.json()["status"]) == (200, "no_show")
    assert code(await clinic.do("POST", booking, "complete", who=clinic.staff())) == (409, "illegal-transition")
    assert code(await clinic.do("PUT", booking, "arrive", who=clinic.staff())) == (409, "illegal-transition")


# -- who ----------------------------------------------------------------------------------------------------------

VISIT = (("PUT", "arrive"), ("DELETE", "arrive"), ("POST", "complete"), ("POST", "no-show"))
DECISIONS = (("POST", "approve"), ("POST", "reject"))


async def test_strangers_find_nothing_and_patients_are_not_staff(clinic: Clinic) -> None:
    booking = await visit(clinic)
    for method, action in (*VISIT, *DECISIONS, ("PUT", "cancel")):
        for who in ({}, clinic.user(), clinic.tokens.of(new_id(), {str(new_id()): "owner"})):
            assert code(await clinic.do(method, booking, action, who=who)) == (404, "not-found"), action
        if action != "cancel":
            assert code(await clinic.do(method, booking, action)) == (401, "unauthenticated"), action
    assert (await clinic.get(booking))["status"] == "confirmed"


async def test_auditors_look_and_do_nothing(clinic: Clinic) -> None:
    booking, who = await visit(clinic), clinic.staff("auditor")
    assert (await clinic.get(booking, who=who))["history"]
    for method, action in (*VISIT, *DECISIONS, ("PUT", "cancel")):
        assert code(await clinic.do(method, booking, action, who=who)) == (403, "forbidden"), action


async def test_practitioners_say_what_became_of_their_own_visits_and_see_no_others(clinic: Clinic) -> None:
    anna = new_id()
    own, other, who = await visit(clinic, user=anna), await visit(clinic), clinic.staff("practitioner", anna)
    for method, action in VISIT:
        assert code(await clinic.do(method, other, action, who=who)) == (404, "not-found"), action
    assert (await clinic.do("PUT", own, "arrive", who=who)).status_code == 200
    for method, action in (*DECISIONS, ("PUT", "cancel")):
        assert code(await clinic.do(method, own, action, who=who)) == (403, "forbidden"), action
    assert (await clinic.do("POST", own, "complete", who=who)).json()["status"] == "completed"
    listed = await clinic.client.get(f"{clinic.base}/appointments", headers=who)
    assert [one["id"] for one in listed.json()["data"]] == [own["id"]]


async def test_history_says_who_did_what_to_staff_alone_and_never_a_name(clinic: Clinic) -> None:
    booking, desk = await visit(clinic), new_id()
    await clinic.do("POST", booking, "complete", who=clinic.staff("front_desk", desk))
    lines = (await clinic.get(booking, who=clinic.staff()))["history"]
    assert [(line["event"], line["by"]) for line in lines] == [
        ("held", "guest"), ("requested", "guest"), ("confirmed", "system"), ("completed", f"staff:{desk}"),
    ]  # fmt: skip
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    assert "history" not in await clinic.get(booking)


# -- the calendar file --------------------------------------------------------------------------------------------


async def test_a_calendar_file_for_the_patient_and_staff_that_a_cancellation_takes_back(clinic: Clinic) -> None:
    booking = await visit(clinic)
    versions = []
    for method, status in (("PUBLISH", "CONFIRMED"), ("CANCEL", "CANCELLED")):
        for who in (bearer(booking), clinic.staff()):
            answer = await clinic.do("GET", booking, "calendar.ics", who=who)
            assert answer.headers["Content-Type"].startswith("text/calendar")
            calendar = Calendar.from_ical(answer.content)
            [event] = calendar.walk("VEVENT")
            assert (calendar["METHOD"], event["STATUS"], str(event["UID"])) == (method, status, booking["id"])
            assert event.decoded("DTSTART") == NEXT_WEEK
        versions.append(int(event["SEQUENCE"]))
        await clinic.do("PUT", booking, "cancel")
    assert versions[0] < versions[1]


async def test_a_calendar_file_by_the_links_token_and_for_nobody_else(clinic: Clinic) -> None:
    booking = await visit(clinic)
    by_link = await clinic.do("GET", booking, "calendar.ics", who={}, token=booking["manage_token"])
    assert by_link.status_code == 200
    for who in ({}, clinic.user(), bearer(await visit(clinic))):
        assert code(await clinic.do("GET", booking, "calendar.ics", who=who)) == (404, "not-found")


async def test_what_cannot_be_ended_keeps_no_other_waiting(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = await clinic.offering()
    held = [(await clinic.hold(clinic.offer(kind, [await clinic.resource()]))).json() for _ in range(2)]
    for hold in held:
        await clinic.run_out(hold)
    end = endings.end_overdue

    async def broken_for_the_first(tx: Transaction, booking_id: UUID) -> None:
        if str(booking_id) == held[0]["id"]:
            raise RuntimeError("this one cannot be ended")
        await end(tx, booking_id)

    monkeypatch.setattr(endings, "end_overdue", broken_for_the_first)
    with pytest.raises(ExceptionGroup):
        await end_overdue_bookings(clinic.service)
    ended = await clinic.said("booking.hold_expired.v1")
    assert [event["booking_id"] for event in ended] == [held[1]["id"]]
