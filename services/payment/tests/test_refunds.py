"""What staff give back by hand."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from events import new_id
from events.contracts.payment import PaymentAuthorized, RefundFailed, RefundIssued
from payment import outcomes, repository
from servicekit.testing import eventually

from .conftest import Till


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rsplit("/", 1)[-1]


async def test_staff_give_a_part_back_and_the_rest_stays(till: Till) -> None:
    request = await till.paid()
    answer = await till.give(request, 5000)
    assert answer.status_code == 201, answer.text
    given = answer.json()
    assert (given["amount"], given["currency"], given["status"]) == (5000, "pln", "pending")
    assert given["reason"] == "The room was cold"
    issued = await till.heard(request, RefundIssued)
    assert (str(issued.refund_id), issued.amount.amount, issued.reason) == (given["id"], 5000, "staff")
    await till.settled(request, captured=20000, refunded=5000)
    [listed] = await till.refunds(request)
    assert listed == given | {"status": "succeeded"}
    assert "cold" not in issued.model_dump_json(), "what staff say is nobody else's"


async def test_never_more_than_was_paid_less_what_went_back(till: Till) -> None:
    request = await till.paid()
    assert (await till.give(request, 15000)).status_code == 201
    refused = await till.give(request, 5001)
    assert code(refused) == (422, "validation-failed")
    assert refused.json()["errors"][0]["field"] == "amount"
    assert "5000" in refused.json()["errors"][0]["message"]
    assert (await till.give(request, 5000)).status_code == 201
    assert code(await till.give(request, 1)) == (422, "validation-failed")
    await till.settled(request, captured=20000, refunded=20000)


@pytest.mark.parametrize("amount", [0, -1, 1.5, "5000", True, None, 10**12])
async def test_an_amount_that_is_none_is_refused_by_name(till: Till, amount: Any) -> None:
    request = await till.paid()
    refused = await till.give(request, amount)
    assert code(refused) == (422, "validation-failed")
    assert [error["field"] for error in refused.json()["errors"]] == ["amount"]
    assert await till.refunds(request) == []


async def test_a_reason_is_needed(till: Till) -> None:
    request = await till.paid()
    refused = await till.give(request, 100, reason=" ")
    assert [error["field"] for error in refused.json()["errors"]] == ["reason"]


async def test_of_what_was_only_authorized_nothing_can_go_back(till: Till) -> None:
    request = till.request(mode="authorize", capture=False)
    await till.pay(await till.checkout(request))
    await till.heard(request, PaymentAuthorized)
    refused = await till.give(request, 100)
    assert code(refused) == (422, "validation-failed")
    assert "only authorized" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("role", "status"),
    [("owner", 201), ("manager", 201), ("front_desk", 201), ("practitioner", 403), ("auditor", 403), (None, 404)],
)
async def test_only_owner_managers_and_the_desk_give_money_back(till: Till, role: str | None, status: int) -> None:
    request = await till.paid()
    assert (await till.give(request, 100, role=role)).status_code == status
    guest = await till.payment.post(till.refunds_url(request), json={"amount": 1, "reason": "x"})
    assert code(guest) == (401, "unauthenticated")


async def test_another_clinic_sees_and_gives_nothing(till: Till) -> None:
    request = await till.paid()
    own, till.tenant_id = till.tenant_id, new_id()
    assert code(await till.give(request, 100)) == (404, "not-found")
    headers = till.tokens.of(till.tenant_id, "owner")
    assert (await till.payment.get(till.refunds_url(request), headers=headers)).status_code == 404
    foreign = f"/v1/clinics/{own}/appointments/{request.booking_id}/refunds"
    assert (await till.payment.get(foreign, headers=headers)).status_code == 404
    till.tenant_id = own
    assert await till.refunds(request) == []


async def test_an_appointment_that_nobody_pays_for_is_not_found(till: Till) -> None:
    assert code(await till.give(till.request(), 100)) == (404, "not-found")


async def test_the_same_key_gives_back_once(till: Till) -> None:
    request = await till.paid()
    key = {"Idempotency-Key": str(new_id())}
    headers = till.tokens.of(till.tenant_id, "owner") | key
    first = await till.give(request, 4000, headers=headers)
    again = await till.give(request, 4000, headers=headers)
    assert first.json() == again.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert code(await till.give(request, 4001, headers=headers)) == (422, "idempotency-mismatch")
    await till.settled(request, captured=20000, refunded=4000)


async def test_many_at_once_never_give_back_more_than_there_is(till: Till) -> None:
    request = await till.paid()
    answers = await asyncio.gather(*(till.give(request, 3000) for _ in range(12)))
    assert sorted(answer.status_code for answer in answers) == [201] * 6 + [422] * 6
    await till.settled(request, captured=20000, refunded=18000)


async def test_control_without_the_accounts_lock_too_much_would_be_given(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race test sees a race: without the lock, requests that overlap are all taken."""
    request = await till.paid()

    async def no_lock(tx: Any, appointment_id: UUID) -> None:
        return None

    look, looked, all_looked = repository.of_appointment, 0, asyncio.Event()

    async def look_together(tx: Any, appointment_id: UUID) -> Any:
        nonlocal looked
        found = await look(tx, appointment_id)
        looked += 1
        if looked == 3:
            all_looked.set()
        await asyncio.wait_for(all_looked.wait(), 5)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(repository, "lock_accounts", no_lock)
        patched.setattr(repository, "of_appointment", look_together)
        answers = await asyncio.gather(*(till.give(request, 15000) for _ in range(3)))
    assert [answer.status_code for answer in answers] == [201] * 3


async def test_the_fee_of_a_cancelled_visit_can_go_back_too(till: Till) -> None:
    request = await till.paid()
    await till.cancel(request, 8000)
    await till.settled(request, captured=20000, refunded=12000)
    assert code(await till.give(request, 8001)) == (422, "validation-failed")
    assert (await till.give(request, 8000)).status_code == 201
    await till.settled(request, captured=20000, refunded=20000)
    assert [one["cause"] for one in await till.refunds(request)] == ["cancelled", "staff"]


async def test_what_staff_gave_back_before_counts_when_it_is_cancelled(till: Till) -> None:
    request = await till.paid()
    await till.give(request, 6000)
    await till.cancel(request, 10000)
    await till.settled(request, captured=20000, refunded=10000)


async def test_of_a_difference_that_was_paid_staff_give_back_too(till: Till) -> None:
    request = await till.paid()
    difference = await till.pay_difference(request, 6000)
    assert code(await till.give(request, 20001)) == (422, "validation-failed"), "one payment at a time"
    assert (await till.give(request, 20000)).status_code == 201
    refused = await till.give(request, 6001)
    assert "6000" in refused.json()["detail"]
    assert (await till.give(request, 6000)).status_code == 201
    await till.settled(request, captured=20000, refunded=20000)
    await till.settled(difference, captured=6000, refunded=6000)
    assert [one["amount"] for one in await till.refunds(request)] == [20000, 6000]


async def test_a_long_list_is_given_in_pages(till: Till) -> None:
    request = await till.paid()
    for _ in range(3):
        assert (await till.give(request, 100)).status_code == 201
    headers, url = till.tokens.of(till.tenant_id, "auditor"), till.refunds_url(request)
    first = (await till.payment.get(url, params={"limit": 2}, headers=headers)).json()
    rest = (await till.payment.get(url, params={"cursor": first["next_cursor"]}, headers=headers)).json()
    assert (len(first["data"]), len(rest["data"]), rest["next_cursor"]) == (2, 1, None)
    assert len({one["id"] for one in first["data"] + rest["data"]}) == 3


async def test_a_refund_whose_answer_was_lost_is_made_once(till: Till) -> None:
    request = await till.paid()
    await till.fault("response_lost", match="POST /v1/refunds", times=3)
    assert (await till.give(request, 5000)).status_code == 201
    await till.settled(request, captured=20000, refunded=5000, seconds=30)


async def test_a_refund_that_stripe_refuses_is_told_and_waits_for_another_try(till: Till) -> None:
    request = await till.paid()
    row = await till.ledger(request)
    # Somebody gave everything back in Stripe's own dashboard.
    answer = await till.sandbox.post(
        "/v1/refunds", data={"payment_intent": row["payment_intent"]}, headers={"Authorization": "Bearer sk_test_x"}
    )
    assert answer.status_code == 200, answer.text
    assert (await till.give(request, 5000)).status_code == 201
    failed = await till.heard(request, RefundFailed)
    assert (failed.amount.amount, failed.reason) == (5000, "charge_already_refunded")
    assert [(one["status"], one["reason"]) for one in await till.refunds(request)] == [
        ("failed", "The room was cold"),
        ("pending", "The room was cold"),
    ]
    await asyncio.sleep(1.2)
    assert len([event for event in till.said(request) if isinstance(event, RefundFailed)]) == 1
    assert await till.balance(request) == 20000
    assert code(await till.give(request, 15001)) == (422, "validation-failed"), "what is on its way counts"


async def test_a_refund_that_came_back_from_the_bank_is_taken_out_of_the_books_and_made_again(till: Till) -> None:
    request = await till.paid()
    await till.give(request, 5000)
    await till.settled(request, captured=20000, refunded=5000)
    async with till.service.database.transaction(till.tenant_id) as tx:
        [payment] = await repository.of_booking(tx, request.booking_id)
        statement = text("SELECT stripe_id FROM refund WHERE payment_id = :payment")
        stripe_id = (await tx.connection.execute(statement, {"payment": payment.id})).scalar_one()
    for _ in range(2):  # the same webhook twice
        async with till.service.database.transaction(till.tenant_id) as tx:
            payment = await repository.lock(tx, payment.id)
            await outcomes.refund_bounced(tx, payment, stripe_id)
    assert (await till.heard(request, RefundFailed)).reason == "refund_failed_at_bank"
    assert await till.balance(request) == 20000
    async with till.service.database.transaction(till.tenant_id) as tx:
        payment = await repository.lock(tx, payment.id)
        await repository.update(tx, payment, due_at=outcomes.NOW)
        tx.wake("move_payments")

    async def again() -> bool:
        return await till.balance(request) == 15000

    await eventually(again)
    assert [one["status"] for one in await till.refunds(request)] == ["failed", "succeeded"]
