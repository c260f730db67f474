"""What only the front desk may do when booking, and what only members may."""

from datetime import datetime, timedelta

import pytest

from booking import handlers
from events import new_id
from events.contracts.availability import GapRule, MaxRule, NoOverlapRule, OfferingState, ResourceState
from events.contracts.calendar import Busy

from .conftest import NEXT_WEEK, Clinic, code

LATER = NEXT_WEEK + timedelta(minutes=30)


async def ruled(clinic: Clinic) -> tuple[OfferingState, ResourceState]:
    """A practitioner whose visit at NEXT_WEEK forbids another one right after it, by two rules."""
    kind_id, anna = new_id(), await clinic.resource()
    rules = [
        GapRule(kind="gap", after_offering=kind_id, minutes=30),
        MaxRule(kind="max", of="practitioner", per="week", count=1),
    ]
    kind = await clinic.offering(rules=rules, offering_id=kind_id)
    await clinic.appointment(clinic.offer(kind, [anna]))
    return kind, anna


async def audited(clinic: Clinic, who: dict[str, str] | None = None) -> list[tuple[str, str, str, str]]:
    answer = await clinic.client.get(
        f"/internal/tenants/{clinic.tenant_id}/audit", headers=who or clinic.staff("auditor")
    )
    assert answer.status_code == 200, answer.text
    return [(row["action"], row["subject"], row["detail"], row["actor"]["user_id"]) for row in answer.json()["data"]]


@pytest.mark.parametrize("role", ["owner", "manager", "front_desk"])
async def test_the_desk_breaks_rules_with_a_reason_that_is_audited(clinic: Clinic, role: str) -> None:
    kind, anna = await ruled(clinic)
    user = new_id()
    slot = clinic.offer(kind, [anna], start=LATER)
    assert code(await clinic.book(slot, who=clinic.staff(role, user))) == (409, "slot-taken")
    made = await clinic.book(slot, who=clinic.staff(role, user), override=True, reason="in pain")
    assert (made.status_code, made.json()["status"]) == (201, "confirmed"), made.text
    assert await audited(clinic) == [("override", made.json()["id"], "in pain", str(user))]


async def test_nobody_else_overrides_anything(clinic: Clinic) -> None:
    kind, anna = await ruled(clinic)
    slot = clinic.offer(kind, [anna], start=LATER)
    asked = {"override": True, "reason": "please"}
    for role in ("practitioner", "auditor"):
        assert code(await clinic.book(slot, who=clinic.staff(role), **asked)) == (403, "forbidden")
    assert code(await clinic.book(slot, who=clinic.user(), **asked)) == (403, "forbidden")
    assert code(await clinic.book(slot, **asked)) == (401, "unauthenticated")
    elsewhere = clinic.tokens.of(new_id(), "owner", verified=True)
    assert code(await clinic.book(slot, who=elsewhere, **asked)) == (403, "forbidden")
    assert await audited(clinic) == []


@pytest.mark.parametrize("reason", [None, "", "   "])
async def test_an_override_without_a_reason_is_refused_by_the_fields_name(clinic: Clinic, reason: str | None) -> None:
    kind, anna = await ruled(clinic)
    slot = clinic.offer(kind, [anna], start=LATER)
    refused = await clinic.book(slot, who=clinic.staff(), override=True, reason=reason)
    assert code(refused) == (422, "validation-failed")
    assert [error["field"] for error in refused.json()["errors"]] == ["reason"]


async def test_an_override_never_takes_what_somebody_has(clinic: Clinic) -> None:
    kind, anna = await ruled(clinic)
    half = clinic.offer(kind, [anna], start=NEXT_WEEK + timedelta(minutes=15), override=True)
    refused = await clinic.book(half, who=clinic.staff(), override=True, reason="in pain")
    assert code(refused) == (409, "slot-taken")
    assert "rule" not in refused.json()
    assert await audited(clinic) == []


async def test_an_override_never_lands_on_a_block(clinic: Clinic) -> None:
    kind, anna = await ruled(clinic)
    start = NEXT_WEEK + timedelta(hours=3)
    busy = Busy(
        tenant_id=clinic.tenant_id, version=1, connection_id=new_id(), resource_id=anna.resource_id, external_key="x",
        generation=1, start=start, end=start + timedelta(hours=1),
    )  # fmt: skip
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await handlers.block_time(busy, tx)
    slot = clinic.offer(kind, [anna], start=start, override=True)
    assert code(await clinic.book(slot, who=clinic.staff(), override=True, reason="in pain")) == (409, "slot-taken")


async def test_an_override_never_uses_an_old_schedule(clinic: Clinic) -> None:
    kind, anna = await ruled(clinic)
    slot = clinic.offer(kind, [anna], start=LATER, override=True)
    await clinic.has_now(anna, schedule_version=2)
    assert code(await clinic.book(slot, who=clinic.staff(), override=True, reason="pain")) == (410, "offer-expired")


async def test_the_desk_may_break_a_rule_about_the_patient_too(clinic: Clinic) -> None:
    kind = await clinic.offering(rules=[NoOverlapRule(kind="no_overlap")])
    ewa = new_id()
    await clinic.appointment(
        clinic.offer(kind, [await clinic.resource()]), customer_token=clinic.customer(ewa, verified=True)
    )
    hold = (await clinic.hold(clinic.offer(kind, [await clinic.resource()]))).json()
    token = clinic.customer(ewa)
    assert code(await clinic.request(hold, who=clinic.staff(), customer_token=token)) == (422, "rule-broken")
    made = await clinic.request(
        hold, who=clinic.staff(), customer_token=token, override=True, reason="brings her daughter"
    )
    assert made.status_code == 201, made.text
    assert [(action, detail) for action, _, detail, _ in await audited(clinic)] == [("override", "brings her daughter")]


async def test_what_was_offered_against_a_rule_is_refused_to_everybody_but_the_desk(clinic: Clinic) -> None:
    kind, anna = await ruled(clinic)
    slot = clinic.offer(kind, [anna], start=LATER, override=True)
    for who in (None, clinic.user(), clinic.staff("practitioner"), clinic.staff("auditor")):
        assert code(await clinic.hold(slot, who=who)) == (422, "offer-invalid")
    held = await clinic.hold(slot, who=clinic.staff())
    assert held.status_code == 201
    # Holding it said no reason: that comes with the appointment, or there is none.
    refused = await clinic.request(held.json(), who=clinic.staff())
    assert code(refused) == (422, "validation-failed")
    assert [error["field"] for error in refused.json()["errors"]] == ["override"]
    made = await clinic.request(held.json(), who=clinic.staff(), override=True, reason="in pain")
    assert made.status_code == 201
    assert [detail for _, _, detail, _ in await audited(clinic)] == ["in pain"]


async def test_what_the_desk_did_against_a_rule_is_no_offer_to_the_line(clinic: Clinic) -> None:
    kind, anna = await ruled(clinic)
    slot = clinic.offer(kind, [anna], start=LATER, override=True)
    made = await clinic.book(slot, who=clinic.staff(), override=True, reason="in pain")
    window = {"from": LATER.isoformat(), "to": (LATER + timedelta(hours=1)).isoformat()}
    body = {"offering_id": str(kind.offering_id), "customer_token": clinic.customer()} | window
    waiting = await clinic.client.post(f"{clinic.base}/waitlist", json=body)
    assert waiting.status_code == 201, waiting.text
    assert (await clinic.do("PUT", made.json(), "cancel", who=clinic.staff())).status_code == 200
    assert await clinic.said("booking.waitlist_offered.v1") == []


async def test_a_move_against_a_rule_is_the_desks_and_audited(clinic: Clinic) -> None:
    kind, anna = await ruled(clinic)
    far = clinic.offer(kind, [anna], start=NEXT_WEEK + timedelta(days=14))
    booking = (await clinic.book(far, who=clinic.staff())).json()
    soon, against = (clinic.offer(kind, [anna], start=LATER, override=override) for override in (False, True))
    assert code(await clinic.do("PUT", booking, "reschedule", {"slot_id": soon}, who=clinic.staff()))[0] == 409
    assert code(await clinic.do("PUT", booking, "reschedule", {"slot_id": against}))[0] == 422
    assert await audited(clinic) == []
    user = new_id()
    moved = await clinic.do("PUT", booking, "reschedule", {"slot_id": against}, who=clinic.staff("manager", user))
    assert moved.status_code == 200, moved.text
    assert await audited(clinic) == [("override", booking["id"], "moved", str(user))]


async def test_the_audit_is_for_owners_and_auditors_and_only_grows(clinic: Clinic) -> None:
    from sqlalchemy.exc import ProgrammingError

    kind, anna = await ruled(clinic)
    slot = clinic.offer(kind, [anna], start=LATER)
    await clinic.book(slot, who=clinic.staff(), override=True, reason="in pain")
    for role in ("front_desk", "manager", "practitioner"):
        answer = await clinic.client.get(f"/internal/tenants/{clinic.tenant_id}/audit", headers=clinic.staff(role))
        assert answer.status_code == 403, role
    assert len(await audited(clinic, clinic.staff("owner"))) == 1
    for change in ("UPDATE audit SET detail = 'x'", "DELETE FROM audit"):
        with pytest.raises(ProgrammingError, match="permission denied"):
            await clinic.stored(change)


# -- members ----------------------------------------------------------------------------------------------------------


async def test_a_guest_is_told_that_this_is_for_members_and_holds_nothing(clinic: Clinic) -> None:
    sauna, room = await clinic.offering(members_only=True), await clinic.resource("room")
    slot = clinic.offer(sauna, [room])
    assert code(await clinic.hold(slot)) == (422, "membership-required")
    assert code(await clinic.book(slot)) == (422, "membership-required")
    assert await clinic.claims() == set()


async def test_whoever_is_signed_in_may_hold_what_is_for_members(clinic: Clinic) -> None:
    sauna, room = await clinic.offering(members_only=True), await clinic.resource("room")
    ewa = new_id()
    held = await clinic.hold(clinic.offer(sauna, [room]), who=clinic.user(ewa))
    assert held.status_code == 201
    made = await clinic.request(held.json(), customer_token=clinic.customer(user=ewa, verified=True))
    assert made.status_code == 201


async def test_what_became_for_members_is_refused_also_when_it_was_offered_before(clinic: Clinic) -> None:
    sauna, room = await clinic.offering(), await clinic.resource("room")
    slot = clinic.offer(sauna, [room])
    await clinic.offers_now(sauna, members_only=True)
    assert code(await clinic.hold(slot)) == (422, "membership-required")


# -- paying at the desk -----------------------------------------------------------------------------------------------


async def test_who_pays_at_the_desk_owes_nothing_now_and_is_confirmed(clinic: Clinic) -> None:
    kind, anna = await clinic.offering("full"), await clinic.resource()
    made = await clinic.book(clinic.offer(kind, [anna]), who=clinic.staff(), pay="desk")
    assert (made.status_code, made.json()["status"]) == (201, "confirmed")
    assert made.json()["pay"] == "desk"
    assert made.json()["payment"]["amount_due"] == 0
    assert "payment_request" not in made.json()
    said = await clinic.said("booking.booking_confirmed.v1")
    assert [(fact["payment_id"], fact["amount_due"]["amount"], fact["price"]["amount"]) for fact in said] == [
        (None, 0, 20000)
    ]


@pytest.mark.parametrize("role", [None, "practitioner", "auditor"])
async def test_only_the_desk_takes_money_at_the_desk(clinic: Clinic, role: str | None) -> None:
    kind, anna = await clinic.offering("full"), await clinic.resource()
    who = clinic.staff(role) if role else None
    refused = await clinic.book(clinic.offer(kind, [anna]), who=who, pay="desk")
    assert refused.status_code == (403 if role else 401)
    assert await clinic.claims() == set()


async def test_who_pays_at_the_desk_still_waits_for_an_approval(clinic: Clinic) -> None:
    kind, anna = await clinic.offering("full"), await clinic.resource(approval=True)
    made = await clinic.book(clinic.offer(kind, [anna]), who=clinic.staff(), pay="desk")
    assert (made.status_code, made.json()["status"]) == (201, "pending_approval")
    deadline = datetime.fromisoformat(made.json()["approval_deadline"])
    assert {expires for expires in await _claim_ends(clinic)} == {deadline}
    approved = await clinic.do("POST", made.json(), "approve", who=clinic.staff())
    assert approved.json()["status"] == "confirmed"


async def _claim_ends(clinic: Clinic) -> list[datetime]:
    return [row["expires_at"] for row in await clinic.stored("SELECT expires_at FROM claim")]


async def test_a_reference_of_the_clinics_own_is_unique(clinic: Clinic) -> None:
    kind, anna = await clinic.offering(), await clinic.resource()
    first = await clinic.book(clinic.offer(kind, [anna]), who=clinic.staff(), external_ref="A-1")
    assert first.status_code == 201
    again = await clinic.book(clinic.offer(kind, [anna], start=LATER), who=clinic.staff(), external_ref="A-1")
    assert code(again) == (422, "validation-failed")
    assert [error["field"] for error in again.json()["errors"]] == ["external_ref"]
    assert len(await clinic.claims()) == 1
