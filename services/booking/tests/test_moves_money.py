"""What a move costs, and what the clinic has to say to it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from booking import handlers
from booking.jobs import remind_approvers
from events import Money
from events.contracts.availability import OfferingState, ResourceState
from events.contracts.payment import RefundIssued

from .conftest import NEXT_WEEK, Clinic, code

RESCHEDULED = "booking.booking_rescheduled.v1"
SOON = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=3)
TOMORROW = NEXT_WEEK + timedelta(days=1)


async def moved(
    clinic: Clinic, booking: dict[str, Any], slot_id: str, who: dict[str, str] | None = None
) -> dict[str, Any]:
    answer = await clinic.do("PUT", booking, "reschedule", {"slot_id": slot_id}, who=who)
    assert answer.status_code == 200, answer.text
    await clinic.in_step()
    return dict(answer.json())


async def paid_visit(
    clinic: Clinic, start: datetime = SOON, **more: Any
) -> tuple[dict[str, Any], OfferingState, ResourceState, UUID]:
    """A visit for 200 zł, paid in full. Its policy: free until a day before, then half of the price."""
    kind, anna = await clinic.offering("full", **more), await clinic.resource()
    booking = await clinic.appointment(clinic.offer(kind, [anna], start=start))
    return booking, kind, anna, await clinic.pay(booking)


async def refund_of(clinic: Clinic, booking: dict[str, Any], who: dict[str, str] | None = None) -> dict[str, Any]:
    answer = await clinic.do("PUT", booking, "cancel", who=who)
    assert answer.status_code == 200, answer.text
    refund: dict[str, Any] = answer.json()["refund"]
    [fact] = await clinic.said("booking.booking_cancelled.v1")
    assert fact["fee"] == {"amount": refund["fee"], "currency": "pln"}
    return refund


# -- fees -------------------------------------------------------------------------------------------------------------


async def test_a_late_move_costs_its_fee_when_the_visit_is_cancelled_later(clinic: Clinic) -> None:
    booking, kind, anna, _ = await paid_visit(clinic, late_move_fee=10)
    await moved(clinic, booking, clinic.offer(kind, [anna], start=TOMORROW))
    [fact] = await clinic.said(RESCHEDULED)
    assert (fact["fee"]["amount"], fact["price"]["amount"]) == (2000, 20000)
    preview = await clinic.do("PUT", booking, "cancel", preview="true")
    assert preview.json()["refund"] == {"amount": 18000, "currency": "pln", "fee": 2000, "status": "pending"}
    assert (await refund_of(clinic, booking))["fee"] == 2000


async def test_a_move_in_good_time_costs_nothing(clinic: Clinic) -> None:
    booking, kind, anna, _ = await paid_visit(clinic, NEXT_WEEK, late_move_fee=10)
    await moved(clinic, booking, clinic.offer(kind, [anna], start=TOMORROW))
    assert [fact["fee"]["amount"] for fact in await clinic.said(RESCHEDULED)] == [0]
    assert (await refund_of(clinic, booking))["fee"] == 0


async def test_fees_of_several_late_moves_add_up_and_never_beyond_what_was_paid(clinic: Clinic) -> None:
    booking, kind, anna, _ = await paid_visit(clinic, late_move_fee=40, fee=50)
    for hours in (1, 2):
        await moved(clinic, booking, clinic.offer(kind, [anna], start=SOON + timedelta(hours=hours)))
    assert [fact["fee"]["amount"] for fact in await clinic.said(RESCHEDULED)] == [8000, 8000]
    assert (await refund_of(clinic, booking)) == {"amount": 0, "currency": "pln", "fee": 20000, "status": "none"}


async def test_a_late_moves_fee_is_kept_when_nobody_comes(clinic: Clinic) -> None:
    booking, kind, anna, _ = await paid_visit(clinic, late_move_fee=10, no_show_fee=50)
    await moved(clinic, booking, clinic.offer(kind, [anna], start=TOMORROW))
    assert (await clinic.do("POST", booking, "no-show", who=clinic.staff())).status_code == 200
    assert [fact["fee"]["amount"] for fact in await clinic.said("booking.booking_no_show.v1")] == [12000]


async def test_after_the_clinic_moved_a_visit_cancelling_it_gives_everything_back(clinic: Clinic) -> None:
    booking, kind, anna, _ = await paid_visit(clinic, late_move_fee=10, fee=100)
    await moved(clinic, booking, clinic.offer(kind, [anna], start=SOON + timedelta(hours=1)))
    await moved(clinic, booking, clinic.offer(kind, [anna], start=SOON + timedelta(hours=2)), clinic.staff())
    assert [(fact["by"], fact["fee"]["amount"]) for fact in await clinic.said(RESCHEDULED)] == [
        ("patient", 2000), ("staff", 0),
    ]  # fmt: skip
    assert await refund_of(clinic, booking) == {"amount": 20000, "currency": "pln", "fee": 0, "status": "pending"}


async def test_another_room_by_the_clinic_is_a_change_too(clinic: Clinic) -> None:
    kind, anna = await clinic.offering("full", fee=100), await clinic.resource()
    rooms = [await clinic.resource("room"), await clinic.resource("room")]
    booking = await clinic.appointment(clinic.offer(kind, [anna, rooms[0]], start=SOON))
    await clinic.pay(booking)
    await moved(clinic, booking, clinic.offer(kind, [anna, rooms[1]], start=SOON), clinic.staff())
    assert (await refund_of(clinic, booking))["amount"] == 20000


# -- prices -----------------------------------------------------------------------------------------------------------


async def test_a_cheaper_time_costs_less(clinic: Clinic) -> None:
    booking, kind, anna, payment_id = await paid_visit(clinic, NEXT_WEEK)
    now = await moved(clinic, booking, clinic.offer(kind, [anna], start=TOMORROW, amount=15000))
    assert now["slot"]["price"] == {"amount": 15000, "currency": "pln"}
    assert [fact["price"]["amount"] for fact in await clinic.said(RESCHEDULED)] == [15000]
    five = Money(amount=5000, currency="pln")
    refund = RefundIssued(
        tenant_id=clinic.tenant_id, version=2, booking_id=UUID(booking["id"]), payment_id=payment_id,
        refund_id=UUID(int=1), amount=five, total_refunded=five, reason="cancelled",
    )  # fmt: skip
    await clinic.tell(handlers.note_refund, refund)
    assert await refund_of(clinic, booking) == {"amount": 15000, "currency": "pln", "fee": 0, "status": "pending"}


async def test_seats_of_a_class_are_priced_each(clinic: Clinic) -> None:
    yoga, maria = await clinic.offering("full", price=2000, capacity=5), await clinic.resource()
    booking = await clinic.appointment(clinic.offer(yoga, [maria]), seats=3)
    await clinic.pay(booking, 6000)
    await moved(clinic, booking, clinic.offer(yoga, [maria], start=TOMORROW, amount=1500))
    assert [fact["price"]["amount"] for fact in await clinic.said(RESCHEDULED)] == [4500]


async def test_the_clinic_moves_to_a_dearer_time_at_the_old_price(clinic: Clinic) -> None:
    booking, kind, anna, _ = await paid_visit(clinic, NEXT_WEEK)
    await moved(clinic, booking, clinic.offer(kind, [anna], start=TOMORROW, amount=30000), clinic.staff())
    assert [fact["price"]["amount"] for fact in await clinic.said(RESCHEDULED)] == [20000]


# -- approval ---------------------------------------------------------------------------------------------------------


async def waiting(clinic: Clinic, mode: str = "free") -> tuple[dict[str, Any], OfferingState, ResourceState]:
    """A visit that waits for the clinic's approval."""
    kind, boss = await clinic.offering(mode), await clinic.resource(approval=True)
    booking = await clinic.appointment(clinic.offer(kind, [boss]))
    if mode != "free":
        await clinic.pay(booking, authorized=True)
    assert (await clinic.get(booking))["status"] == "pending_approval"
    return booking, kind, boss


async def test_what_waits_for_approval_moves_and_goes_on_waiting_until_a_new_deadline(clinic: Clinic) -> None:
    booking, kind, boss = await waiting(clinic)
    before = (await clinic.get(booking))["approval_deadline"]
    now = await moved(clinic, booking, clinic.offer(kind, [boss], start=TOMORROW))
    assert now["status"] == "pending_approval"
    assert now["approval_deadline"] > before
    deadline = datetime.fromisoformat(now["approval_deadline"])
    assert [row["expires_at"] for row in await clinic.stored("SELECT expires_at FROM claim")] == [deadline]
    [row] = [row for row in (await clinic.occupancy()).values()]
    assert datetime.fromisoformat(row["expires_at"]) == deadline
    approved = await clinic.do("POST", booking, "approve", who=clinic.staff())
    assert (approved.json()["status"], "approval_deadline" in approved.json()) == ("confirmed", False)
    await clinic.in_step()


async def test_a_deadline_never_lies_behind_the_new_start(clinic: Clinic) -> None:
    booking, kind, boss = await waiting(clinic)
    now = await moved(clinic, booking, clinic.offer(kind, [boss], start=SOON))
    assert datetime.fromisoformat(now["approval_deadline"]) <= SOON


async def test_whoever_approves_is_reminded_of_the_moved_visit_by_its_own_deadline(clinic: Clinic) -> None:
    booking, kind, boss = await waiting(clinic)
    await clinic.stored("UPDATE booking SET remind_at = now() RETURNING 1")
    await remind_approvers(clinic.service)
    assert len(await clinic.said("booking.approval_due.v1")) == 1
    now = await moved(clinic, booking, clinic.offer(kind, [boss], start=TOMORROW))
    [row] = await clinic.stored("SELECT remind_at, claim_until FROM booking")
    assert datetime.now(UTC) < row["remind_at"] < row["claim_until"] == datetime.fromisoformat(now["approval_deadline"])


async def test_a_patient_who_moves_to_what_needs_approval_waits_for_it_again(clinic: Clinic) -> None:
    booking, kind, _, _ = await paid_visit(clinic, NEXT_WEEK)
    boss = await clinic.resource(approval=True)
    mark = await clinic.mark()
    now = await moved(clinic, booking, clinic.offer(kind, [boss], start=TOMORROW))
    assert (now["status"], now["payment"]["status"]) == ("pending_approval", "paid")
    facts = [row["headers"]["ce_type"] for row in await clinic.records(mark) if row["key"] == booking["id"]]
    assert facts == [RESCHEDULED, "booking.approval_requested.v1"]
    approved = await clinic.do("POST", booking, "approve", who=clinic.staff())
    assert approved.json()["status"] == "confirmed"
    await clinic.in_step()


async def test_refused_after_such_a_move_everything_goes_back(clinic: Clinic) -> None:
    booking, kind, _, _ = await paid_visit(clinic, late_move_fee=50)
    boss = await clinic.resource(approval=True)
    await moved(clinic, booking, clinic.offer(kind, [boss], start=TOMORROW))
    rejected = await clinic.do("POST", booking, "reject", {"reason": "on leave"}, who=clinic.staff())
    assert (rejected.json()["status"], rejected.json()["reason"]) == ("rejected", "on leave")
    assert len(await clinic.said("booking.booking_rejected.v1")) == 1
    assert await clinic.in_step() == set()


async def test_a_late_moves_fee_is_kept_also_when_the_patient_cancels_before_the_approval(clinic: Clinic) -> None:
    booking, kind, _, _ = await paid_visit(clinic, late_move_fee=10)
    boss = await clinic.resource(approval=True)
    await moved(clinic, booking, clinic.offer(kind, [boss], start=TOMORROW))
    assert await refund_of(clinic, booking) == {"amount": 18000, "currency": "pln", "fee": 2000, "status": "pending"}
    assert [fact["was_confirmed"] for fact in await clinic.said("booking.booking_cancelled.v1")] == [False]


async def test_the_clinic_needs_nobodys_approval_to_move(clinic: Clinic) -> None:
    booking, kind, _, _ = await paid_visit(clinic, NEXT_WEEK)
    boss = await clinic.resource(approval=True)
    now = await moved(clinic, booking, clinic.offer(kind, [boss], start=TOMORROW), clinic.staff())
    assert now["status"] == "confirmed"


@pytest.mark.parametrize("mode", ["free", "authorize"])
async def test_an_approval_that_does_not_come_after_a_move_frees_the_new_time(clinic: Clinic, mode: str) -> None:
    booking, kind, boss = await waiting(clinic, mode)
    slot = clinic.offer(kind, [boss], start=TOMORROW)
    await moved(clinic, booking, slot)
    assert code(await clinic.hold(slot)) == (409, "slot-taken")
    await clinic.end(booking)
    assert (await clinic.get(booking))["status"] == "rejected"
    assert await clinic.in_step() == set()
    assert (await clinic.hold(slot)).status_code == 201
