"""Money is never kept for an appointment that could not be given."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from booking import endings, handlers, holds, saga
from booking.repository import bookings
from events import Deleted, Early, Money, new_id
from events.contracts.calendar import Busy
from events.contracts.payment import (
    CheckoutExpired,
    CheckoutStarted,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentFailed,
    PaymentSucceeded,
    RefundIssued,
)
from servicekit.auth import service_authorization
from servicekit.capabilities import PaymentRequest

from .conftest import NEXT_WEEK, Clinic

TWENTY = Money(amount=20000, currency="pln")


async def paid(clinic: Clinic, booking: dict[str, Any], *, payment_id: UUID | None = None, kind: Any = None) -> UUID:
    payment_id = payment_id or new_id()
    event = (kind or PaymentSucceeded)(
        tenant_id=clinic.tenant_id, version=1, booking_id=UUID(booking["id"]), payment_id=payment_id, amount=TWENTY
    )
    react = handlers.confirm_authorized_booking if kind is PaymentAuthorized else handlers.confirm_paid_booking
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await react(event, tx)
    return payment_id


async def test_a_free_appointment_is_confirmed_at_once(clinic: Clinic) -> None:
    booking = await clinic.appointment(clinic.offer(await clinic.offering(), [await clinic.resource()]))
    assert booking["status"] == "confirmed"
    assert booking["customer"]["email"] == "ewa@example.test"
    assert booking["payment"] == {
        "status": "none", "amount_due": 0, "currency": "pln", "amount_paid": 0, "amount_refunded": 0,
        "session_id": None, "expires_at": None, "checkout_url": None,
    } | {key: booking["payment"].get(key) for key in ("checkout_url",)}  # fmt: skip
    assert "payment_request" not in booking
    assert booking["manage_url"].endswith(f"#token={booking['manage_token']}")
    assert len(await clinic.said("booking.booking_confirmed.v1")) == 1


async def test_the_token_of_the_patients_link_travels_sealed(clinic: Clinic) -> None:
    booking = await clinic.appointment(clinic.offer(await clinic.offering(), [await clinic.resource()]))
    assert booking["manage_token"] not in str(await clinic.outbox())
    said = (await clinic.said("booking.booking_confirmed.v1"))[0]
    assert clinic.service.sealer("links").open(said["manage"], booking["id"]) == booking["manage_token"]


async def test_no_event_says_who_the_patient_is(clinic: Clinic) -> None:
    await clinic.appointment(clinic.offer(await clinic.offering(), [await clinic.resource()]))
    assert "ewa" not in str(await clinic.outbox()).lower()


async def test_a_paid_appointment_waits_for_its_money_and_is_then_confirmed_once(clinic: Clinic) -> None:
    booking = await clinic.appointment(clinic.offer(await clinic.offering("full"), [await clinic.resource()]))
    assert (booking["status"], booking["payment"]["status"]) == ("pending_payment", "pending")
    asked = clinic.service.signer("payment_requests").verify(booking["payment_request"], PaymentRequest)
    assert (asked.amount, asked.currency, asked.capture, asked.booking_id) == (20000, "pln", True, UUID(booking["id"]))
    payment_id = await paid(clinic, booking)
    await paid(clinic, booking, payment_id=payment_id)
    seen = await clinic.get(booking)
    assert (seen["status"], seen["payment"]["status"], seen["payment"]["amount_paid"]) == ("confirmed", "paid", 20000)
    assert len(await clinic.said("booking.booking_confirmed.v1")) == 1
    assert not await clinic.said("booking.payment_unwanted.v1")


async def test_a_second_payment_goes_back_in_full(clinic: Clinic) -> None:
    booking = await clinic.appointment(clinic.offer(await clinic.offering("full"), [await clinic.resource()]))
    await paid(clinic, booking)
    second = await paid(clinic, booking)
    assert [entry["payment_id"] for entry in await clinic.said("booking.payment_unwanted.v1")] == [str(second)]
    assert (await clinic.get(booking))["status"] == "confirmed"


async def test_an_authorization_confirms_and_its_capture_is_noted(clinic: Clinic) -> None:
    booking = await clinic.appointment(clinic.offer(await clinic.offering("authorize"), [await clinic.resource()]))
    asked = clinic.service.signer("payment_requests").verify(booking["payment_request"], PaymentRequest)
    assert asked.capture is False
    payment_id = await paid(clinic, booking, kind=PaymentAuthorized)
    seen = await clinic.get(booking)
    assert (seen["status"], seen["payment"]["status"]) == ("confirmed", "authorized")
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        captured = PaymentCaptured(
            tenant_id=clinic.tenant_id, version=2, booking_id=UUID(booking["id"]), payment_id=payment_id, amount=TWENTY
        )
        await handlers.note_captured_payment(captured, tx)
    assert (await clinic.get(booking))["payment"]["status"] == "paid"


async def late(clinic: Clinic, *, resource: Any = None) -> tuple[dict[str, Any], Any, Any]:
    """An appointment whose hold ran out unpaid."""
    anna, kind = resource or await clinic.resource(), await clinic.offering("full")
    booking = await clinic.appointment(clinic.offer(kind, [anna], hold_seconds=0.4))
    await asyncio.sleep(0.5)
    return booking, anna, kind


@pytest.mark.parametrize("job_was_faster", [True, False])
async def test_late_money_takes_the_time_again_when_it_is_still_free(clinic: Clinic, job_was_faster: bool) -> None:
    booking, anna, kind = await late(clinic)
    if job_was_faster:
        async with clinic.service.database.transaction(clinic.tenant_id) as tx:
            await endings.end_overdue(tx, UUID(booking["id"]))
    await paid(clinic, booking)
    assert (await clinic.get(booking))["status"] == "confirmed"
    assert (await clinic.hold(clinic.offer(kind, [anna]))).status_code == 409


@pytest.mark.parametrize("job_was_faster", [True, False])
async def test_late_money_goes_back_when_the_time_is_gone(clinic: Clinic, job_was_faster: bool) -> None:
    booking, anna, kind = await late(clinic)
    if job_was_faster:
        async with clinic.service.database.transaction(clinic.tenant_id) as tx:
            await endings.end_overdue(tx, UUID(booking["id"]))
    other = await clinic.hold(clinic.offer(kind, [anna]))
    assert other.status_code == 201
    payment_id = await paid(clinic, booking)
    assert (await clinic.get(booking))["status"] == "unfulfillable"
    said = await clinic.said("booking.booking_unfulfillable.v1")
    assert [(entry["payment_id"], entry["reason"]) for entry in said] == [(str(payment_id), "taken")]
    assert (await clinic.get(other.json(), "holds"))["status"] == "held"


async def test_late_money_of_who_has_booked_that_time_anew_goes_back(clinic: Clinic) -> None:
    booking, _anna, _kind = await late(clinic)
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        old = await bookings.find(tx, UUID(booking["id"]))
        assert old is not None
        again = await clinic.hold(clinic.offer(await clinic.offering(), [await clinic.resource()]))
    token = clinic.customer()
    await clinic.client.post(
        f"{clinic.base}/appointments",
        json={"hold_id": again.json()["id"], "hold_token": again.json()["manage_token"], "customer_token": token},
    )
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        newer = await bookings.lock(tx, UUID(again.json()["id"]))
        assert newer is not None
        await bookings.update(tx, newer, person_id=old.person_id)
    await paid(clinic, booking)
    assert (await clinic.get(booking))["status"] == "unfulfillable"


async def test_money_for_a_cancelled_appointment_goes_back(clinic: Clinic) -> None:
    booking = await clinic.appointment(clinic.offer(await clinic.offering("full"), [await clinic.resource()]))
    url = f"{clinic.base}/appointments/{booking['id']}/cancel"
    bearer = {"Authorization": f"Bearer {booking['manage_token']}"}
    for _ in range(2):
        answer = await clinic.client.put(url, json={"reason": "ill"}, headers=bearer)
        assert (answer.status_code, answer.json()["refund"]["status"]) == (200, "none")
    await paid(clinic, booking)
    assert len(await clinic.said("booking.payment_unwanted.v1")) == 1
    assert len(await clinic.said("booking.booking_cancelled.v1")) == 1


async def test_money_before_the_booking_is_known_waits(clinic: Clinic) -> None:
    with pytest.raises(Early):
        await paid(clinic, {"id": str(uuid4())})


async def test_with_a_checkout_open_the_time_outlives_the_hold_by_the_grace(clinic: Clinic) -> None:
    anna, kind = await clinic.resource(), await clinic.offering("full")
    booking = await clinic.appointment(clinic.offer(kind, [anna], hold_seconds=0.4))
    payment_id = new_id()
    started = CheckoutStarted(
        tenant_id=clinic.tenant_id, version=1, booking_id=UUID(booking["id"]), payment_id=payment_id,
        session_id="cs_test_1", amount=TWENTY, expires_at=datetime.now(UTC) + timedelta(minutes=31),
    )  # fmt: skip
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await handlers.keep_time_for_checkout(started, tx)
    await asyncio.sleep(0.5)
    assert (await clinic.hold(clinic.offer(kind, [anna]))).status_code == 409
    closed = CheckoutExpired(
        tenant_id=clinic.tenant_id, version=2, booking_id=UUID(booking["id"]), payment_id=payment_id
    )
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await handlers.release_unpaid_booking(closed, tx)
    assert (await clinic.get(booking))["status"] == "expired"
    assert (await clinic.hold(clinic.offer(kind, [anna]))).status_code == 201


async def test_a_declined_card_leaves_the_hold_and_the_patient_may_try_again(clinic: Clinic) -> None:
    booking = await clinic.appointment(clinic.offer(await clinic.offering("full"), [await clinic.resource()]))
    failed = PaymentFailed(
        tenant_id=clinic.tenant_id, version=1, booking_id=UUID(booking["id"]), payment_id=new_id(), reason="declined"
    )
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await handlers.note_failed_payment(failed, tx)
    seen = await clinic.get(booking)
    assert (seen["status"], seen["payment"]["status"]) == ("pending_payment", "failed")
    again = await clinic.client.post(
        f"{clinic.base}/appointments/{booking['id']}/checkout",
        headers={"Authorization": f"Bearer {booking['manage_token']}"},
    )
    assert again.status_code == 200
    assert again.json()["payment_request"]


async def test_cancelling_late_keeps_the_fee_and_refunds_are_noted(clinic: Clinic) -> None:
    soon = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(hours=2)
    kind = await clinic.offering("full", fee=50)
    booking = await clinic.appointment(clinic.offer(kind, [await clinic.resource()], start=soon))
    payment_id = await paid(clinic, booking)
    url = f"{clinic.base}/appointments/{booking['id']}/cancel"
    bearer = {"Authorization": f"Bearer {booking['manage_token']}"}
    preview = await clinic.client.put(url, params={"preview": "true"}, headers=bearer)
    assert preview.json()["refund"] == {"amount": 10000, "currency": "pln", "fee": 10000, "status": "pending"}
    assert preview.json()["status"] == "confirmed"
    done = await clinic.client.put(url, headers=bearer)
    assert (done.json()["status"], done.json()["refund"]["amount"]) == ("cancelled", 10000)
    refund = RefundIssued(
        tenant_id=clinic.tenant_id, version=3, booking_id=UUID(booking["id"]), payment_id=payment_id,
        refund_id=new_id(), amount=Money(amount=10000, currency="pln"),
        total_refunded=Money(amount=10000, currency="pln"), reason="cancelled",
    )  # fmt: skip
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await handlers.note_refund(refund, tx)
    assert (await clinic.get(booking))["payment"]["status"] == "partially_refunded"


async def test_approval_waits_and_its_deadline_gives_everything_back(clinic: Clinic) -> None:
    kind, anna, scanner = (
        await clinic.offering("full"),
        await clinic.resource(),
        await clinic.resource("equipment", approval=True),
    )
    booking = await clinic.appointment(clinic.offer(kind, [anna, scanner]))
    asked = clinic.service.signer("payment_requests").verify(booking["payment_request"], PaymentRequest)
    assert asked.capture is False
    await paid(clinic, booking, kind=PaymentAuthorized)
    assert (await clinic.get(booking))["status"] == "pending_approval"
    assert (await clinic.hold(clinic.offer(kind, [anna]))).status_code == 409
    guest = await clinic.client.post(
        f"{clinic.base}/appointments/{booking['id']}/approve",
        headers={"Authorization": f"Bearer {booking['manage_token']}"},
    )
    assert guest.status_code == 401
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        row = await bookings.lock(tx, UUID(booking["id"]))
        assert row is not None
        await bookings.update(tx, row, claim_until=datetime.now(UTC) - timedelta(seconds=1))
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await endings.end_overdue(tx, UUID(booking["id"]))
    assert (await clinic.get(booking))["status"] == "rejected"
    assert [entry["reason"] for entry in await clinic.said("booking.booking_rejected.v1")] == ["deadline"]


async def test_an_external_event_hides_the_time_and_its_buffer_until_it_is_gone(clinic: Clinic) -> None:
    anna, kind = await clinic.resource(), await clinic.offering()
    busy = Busy(
        tenant_id=clinic.tenant_id, version=1, connection_id=uuid4(), resource_id=anna.resource_id, external_key="x",
        generation=1, start=NEXT_WEEK + timedelta(hours=1), end=NEXT_WEEK + timedelta(hours=2),
    )  # fmt: skip
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await handlers.block_time(busy, tx)
    within = NEXT_WEEK + timedelta(minutes=5)  # ends 25 minutes before the event: nearer than the 30 of the clinic
    assert (await clinic.hold(clinic.offer(kind, [anna], start=within))).status_code == 409
    assert (await clinic.hold(clinic.offer(kind, [anna]))).status_code == 201
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await handlers.unblock_time(Deleted(Busy.TYPE, busy.key(), clinic.tenant_id, 2), tx)
    after = NEXT_WEEK + timedelta(minutes=60)
    assert (await clinic.hold(clinic.offer(kind, [anna], start=after))).status_code == 201


async def test_a_hold_waits_for_a_block_that_is_being_written_and_then_sees_it(clinic: Clinic) -> None:
    """Without the advisory locks the two would not see each other, and both would be stored."""
    anna, kind = await clinic.resource(), await clinic.offering()
    busy = Busy(
        tenant_id=clinic.tenant_id, version=1, connection_id=uuid4(), resource_id=anna.resource_id, external_key="z",
        generation=1, start=NEXT_WEEK, end=NEXT_WEEK + timedelta(hours=1),
    )  # fmt: skip
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await handlers.block_time(busy, tx)
        holding = asyncio.create_task(clinic.hold(clinic.offer(kind, [anna])))
        await asyncio.sleep(0.3)
        assert not holding.done()
    assert (await holding).status_code == 409


async def test_a_block_waits_for_a_hold_that_is_being_placed(clinic: Clinic) -> None:
    anna, kind = await clinic.resource(), await clinic.offering()
    busy = Busy(
        tenant_id=clinic.tenant_id, version=1, connection_id=uuid4(), resource_id=anna.resource_id, external_key="w",
        generation=1, start=NEXT_WEEK, end=NEXT_WEEK + timedelta(hours=1),
    )  # fmt: skip

    async def write() -> None:
        async with clinic.service.database.transaction(clinic.tenant_id) as other:
            await handlers.block_time(busy, other)

    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await holds.place(tx, clinic.wish(clinic.offer(kind, [anna])))
        writing = asyncio.create_task(write())
        await asyncio.sleep(0.3)
        assert not writing.done()
    await writing


@pytest.mark.parametrize(("paid_in_time", "outcome"), [(True, "confirmed"), (False, "returned")])
async def test_payment_may_ask_directly_and_gets_an_answer(clinic: Clinic, paid_in_time: bool, outcome: str) -> None:
    anna, kind = await clinic.resource(), await clinic.offering("full")
    booking = await clinic.appointment(clinic.offer(kind, [anna], hold_seconds=600 if paid_in_time else 0.3))
    if not paid_in_time:
        await asyncio.sleep(0.4)
        assert (await clinic.hold(clinic.offer(kind, [anna]))).status_code == 201
    url = f"/internal/tenants/{clinic.tenant_id}/appointments/{booking['id']}/payments"
    body = {"payment_id": str(new_id()), "kind": "succeeded", "amount": 20000, "currency": "pln"}
    assert (await clinic.client.post(url, json=body)).status_code == 401
    headers = service_authorization(clinic.service.signer("services"), "payment")
    answer = await clinic.client.post(url, json=body, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"outcome": outcome})


async def test_an_event_that_lands_on_a_hold_makes_its_payment_go_back(clinic: Clinic) -> None:
    anna = await clinic.resource()
    booking = await clinic.appointment(clinic.offer(await clinic.offering("full"), [anna]))
    busy = Busy(
        tenant_id=clinic.tenant_id, version=1, connection_id=uuid4(), resource_id=anna.resource_id, external_key="y",
        generation=1, start=NEXT_WEEK, end=NEXT_WEEK + timedelta(hours=1),
    )  # fmt: skip
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await handlers.block_time(busy, tx)
    await paid(clinic, booking)
    said = await clinic.said("booking.booking_unfulfillable.v1")
    assert [entry["reason"] for entry in said] == ["blocked"]


async def test_a_hold_becomes_one_appointment_however_often_it_is_sent(clinic: Clinic) -> None:
    hold = (await clinic.hold(clinic.offer(await clinic.offering(), [await clinic.resource()]))).json()
    answers = await asyncio.gather(*(clinic.request(hold) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]
    assert {answer.json()["type"].rsplit("/", 1)[-1] for answer in answers if answer.status_code == 409} == {
        "hold-used"
    }


async def test_patients_are_sent_back_only_where_the_clinic_allows(clinic: Clinic) -> None:
    hold = (await clinic.hold(clinic.offer(await clinic.offering("full"), [await clinic.resource()]))).json()
    refused = await clinic.request(hold, return_url="https://evil.example/x")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "return_url")
    own = clinic.service.settings.public_url + "/clinic?x=1"
    assert (await clinic.request(hold, return_url=own)).status_code == 201


async def test_settled_with_nothing_due(clinic: Clinic) -> None:
    booking = await clinic.appointment(clinic.offer(await clinic.offering("full"), [await clinic.resource()]))
    nothing = Money(amount=0, currency="pln")
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await saga.take_money(tx, UUID(booking["id"]), new_id(), nothing, status="paid")
    seen = await clinic.get(booking)
    assert (seen["status"], seen["payment"]["status"]) == ("confirmed", "none")
