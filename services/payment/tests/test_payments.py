"""Every cent that comes is answered for, or goes back."""

import asyncio
import json
import time

import pytest
import stripe as sdk
from aiohttp import web

from events import Money
from events.contracts.booking import (
    BookingCancelled,
    BookingConfirmed,
    BookingRejected,
    BookingUnfulfillable,
    HoldExpired,
    HoldRenewed,
    PaymentUnwanted,
)
from events.contracts.payment import (
    CheckoutExpired,
    CheckoutStarted,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentFailed,
    PaymentSucceeded,
    PaymentVoided,
    RefundIssued,
)
from payment.settings import PaymentSettings
from servicekit.capabilities import Settlement
from servicekit.testing import eventually, free_port

from .conftest import SECRET, Till


async def test_a_paid_checkout_becomes_one_event_and_one_line_of_the_ledger(till: Till) -> None:
    request = till.request()
    session = await till.checkout(request)
    assert await till.checkout(request) == session
    started = await till.heard(request, CheckoutStarted)
    assert started.session_id == session
    assert (await till.pay(session)).status_code == 200
    paid = await till.heard(request, PaymentSucceeded)
    assert paid.amount == Money(amount=20000, currency="pln")
    assert await till.balance(request) == 20000
    metadata = (await till.ledger(request))["metadata"]
    assert {"tenant", "booking_id", "hold_id", "slot_id", "product", "actor", "user_id", "payment_id"} == set(metadata)
    again = await till.open(request)
    assert again.status_code == 409


async def test_webhooks_that_are_repeated_change_nothing(till: Till) -> None:
    request = till.request()
    session = await till.checkout(request)
    await till.pay(session)
    await till.heard(request, PaymentSucceeded)
    events = (await till.sandbox.get("/_sandbox/stripe/events")).json()["data"]
    mine = [entry for entry in events if entry["event"]["data"]["object"].get("id") == session]
    for entry in mine * 2:
        await till.sandbox.post(f"/_sandbox/stripe/events/{entry['id']}/resend")
    await asyncio.sleep(0.5)
    assert len([event for event in till.said(request) if isinstance(event, PaymentSucceeded)]) == 1
    assert await till.balance(request) == 20000


@pytest.mark.parametrize("fault", ["webhook_duplicated", "webhook_reordered", "webhook_dropped"])
async def test_payment_succeeds_whatever_becomes_of_its_webhooks(till: Till, fault: str) -> None:
    request = till.request()
    session = await till.checkout(request)
    await till.fault(fault)
    await till.pay(session)
    await till.heard(request, PaymentSucceeded)
    await asyncio.sleep(0.3)
    assert len([event for event in till.said(request) if isinstance(event, PaymentSucceeded)]) == 1


@pytest.mark.parametrize("spoil", ["secret", "old", "future", "body", "none"])
async def test_a_webhook_that_stripe_did_not_sign_just_now_is_refused(till: Till, spoil: str) -> None:
    body = json.dumps({"id": "evt_forged", "object": "event", "type": "checkout.session.completed", "data": {}})
    at = int(time.time()) + {"old": -3600, "future": 3600}.get(spoil, 0)
    secret = "whsec_other" if spoil == "secret" else SECRET
    header = sdk.WebhookSignature.generate_signature_header(payload=body, secret=secret, timestamp=at)
    sent = body + " " if spoil == "body" else body
    headers = {} if spoil == "none" else {"Stripe-Signature": header}
    answer = await till.payment.post("/v1/payments/webhook", content=sent, headers=headers)
    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[-1]) == (400, "signature-invalid")


async def test_an_authorization_is_charged_when_the_booking_stands(till: Till) -> None:
    request = till.request(mode="authorize", capture=False)
    await till.pay(await till.checkout(request))
    authorized = await till.heard(request, PaymentAuthorized)
    assert (await till.ledger(request))["captured"] == 0
    confirmed = BookingConfirmed(**till.about(request), **till.terms(request), payment_id=authorized.payment_id)
    await till.tell(confirmed)
    assert (await till.heard(request, PaymentCaptured)).amount.amount == 20000
    assert (await till.ledger(request))["captured"] == 20000
    assert await till.balance(request) == 20000


async def test_late_money_goes_back_by_itself(till: Till) -> None:
    request = till.request()
    await till.pay(await till.checkout(request))
    paid = await till.heard(request, PaymentSucceeded)
    await till.tell(BookingUnfulfillable(**till.about(request), payment_id=paid.payment_id, reason="taken"))
    refund = await till.heard(request, RefundIssued)
    assert (refund.amount.amount, refund.reason) == (20000, "late")
    assert (await till.ledger(request))["refunded"] == 20000
    assert await till.balance(request) == 0


async def test_a_late_authorization_is_cancelled_without_a_charge(till: Till) -> None:
    request = till.request(mode="authorize", capture=False)
    await till.pay(await till.checkout(request))
    authorized = await till.heard(request, PaymentAuthorized)
    await till.tell(BookingUnfulfillable(**till.about(request), payment_id=authorized.payment_id, reason="taken"))
    await till.heard(request, PaymentVoided)
    row = await till.ledger(request)
    assert (row["captured"], row["voided"], row["refunded"]) == (0, 20000, 0)


async def test_a_refund_whose_answer_was_lost_is_made_once(till: Till) -> None:
    request = till.request()
    await till.pay(await till.checkout(request))
    paid = await till.heard(request, PaymentSucceeded)
    await till.fault("response_lost", match="POST /v1/refunds", times=3)
    await till.tell(
        PaymentUnwanted(
            tenant_id=till.tenant_id, version=4, booking_id=request.booking_id, payment_id=paid.payment_id, reason="x"
        )
    )
    assert (await till.heard(request, RefundIssued, seconds=30)).reason == "surplus"
    assert (await till.ledger(request))["refunded"] == 20000
    assert await till.balance(request) == 0


async def test_a_cancellation_keeps_the_fee_and_nothing_more(till: Till) -> None:
    request = till.request()
    await till.pay(await till.checkout(request))
    await till.heard(request, PaymentSucceeded)
    fee = Money(amount=5000, currency="pln")
    await till.tell(BookingCancelled(**till.about(request), by="patient", fee=fee, was_confirmed=True))
    assert (await till.heard(request, RefundIssued)).amount.amount == 15000
    assert await till.balance(request) == 5000


async def test_a_rejection_gives_the_authorization_free(till: Till) -> None:
    request = till.request(mode="deposit", capture=False)
    await till.pay(await till.checkout(request))
    await till.heard(request, PaymentAuthorized)
    await till.tell(BookingRejected(**till.about(request), reason="rejected"))
    await till.heard(request, PaymentVoided)


async def test_the_checkout_closes_when_its_hold_ends(till: Till) -> None:
    request = till.request(hold_seconds=1.5)
    session = await till.checkout(request)
    await till.heard(request, CheckoutExpired)
    assert (await till.pay(session)).status_code == 409
    assert (await till.sandbox.get(f"/_sandbox/stripe/checkout/{session}")).json()["status"] == "expired"


async def test_a_renewed_hold_keeps_its_checkout_open(till: Till) -> None:
    from datetime import UTC, datetime, timedelta

    request = till.request(hold_seconds=2)
    session = await till.checkout(request)
    until = datetime.now(UTC) + timedelta(seconds=60)
    await till.tell(HoldRenewed(tenant_id=till.tenant_id, version=3, booking_id=request.booking_id, expires_at=until))
    await asyncio.sleep(3)
    assert (await till.sandbox.get(f"/_sandbox/stripe/checkout/{session}")).json()["status"] == "open"


async def test_an_ended_booking_opens_no_checkout(till: Till) -> None:
    request = till.request()
    about = till.about(request)
    await till.tell(
        HoldExpired(
            tenant_id=till.tenant_id, version=3, booking_id=request.booking_id, visit=about["visit"], requested=True
        )
    )

    async def refused() -> bool:
        return (await till.open(request)).status_code == 409

    await eventually(refused)


async def test_a_declined_card_is_said_and_the_same_checkout_can_still_be_paid(till: Till) -> None:
    request = till.request()
    session = await till.checkout(request)
    assert (await till.pay(session, card="4000000000000002")).status_code == 402
    await till.heard(request, PaymentFailed)
    assert (await till.pay(session)).status_code == 200
    await till.heard(request, PaymentSucceeded)


async def test_money_that_takes_its_time_comes_in_the_end(till: Till) -> None:
    request = till.request()
    session = await till.checkout(request)
    await till.pay(session, card="4242424242424242", outcome="async")
    await asyncio.sleep(0.5)
    assert not [event for event in till.said(request) if isinstance(event, PaymentSucceeded)]
    await till.sandbox.post(f"/_sandbox/stripe/checkout/{session}/settle", json={"outcome": "succeed"})
    await till.heard(request, PaymentSucceeded)


async def test_when_stripe_is_away_the_checkout_is_tried_again_under_the_same_key(till: Till) -> None:
    request = till.request()
    await till.fault("unavailable", match="POST /v1/checkout/sessions", times=3)
    refused = await till.open(request)
    assert (refused.status_code, refused.json()["type"].rsplit("/", 1)[-1]) == (503, "unavailable")
    await till.fault("response_lost", match="POST /v1/checkout/sessions", times=1)
    session = await till.checkout(request)
    sessions = [
        row for row in (await till.sandbox.get("/_sandbox/stripe/events")).json()["data"] if session in str(row)
    ]
    assert sessions == []
    assert len([event for event in till.said(request) if isinstance(event, CheckoutStarted)]) <= 1


async def test_less_than_stripe_takes_counts_as_nothing(till: Till) -> None:
    request = till.request(amount=100)
    answer = (await till.open(request)).json()
    assert answer["status"] == "settled"
    said = till.service.signer("settlements").verify(answer["settlement"], Settlement)
    assert said.booking_id == request.booking_id
    assert (await till.heard(request, PaymentSucceeded)).amount.amount == 0


async def test_a_request_that_booking_did_not_sign_is_refused(till: Till) -> None:
    from servicekit.auth import service_authorization

    headers = service_authorization(till.service.signer("services"), "gateway")
    forged = await till.payment.post("/internal/checkouts", json={"payment_request": "AAAA"}, headers=headers)
    assert forged.status_code == 422
    assert (await till.payment.post("/internal/checkouts", json={"payment_request": "AAAA"})).status_code == 401


async def test_a_success_that_booking_does_not_answer_is_told_again_with_the_same_id(till: Till) -> None:
    request = till.request()
    await till.pay(await till.checkout(request))
    await till.heard(request, PaymentSucceeded)

    async def repeated() -> bool:
        return len([event for event in till.said(request) if isinstance(event, PaymentSucceeded)]) > 1

    await eventually(repeated, seconds=40)
    ids = {
        message.header("ce_id")
        for partition, log in till.broker.logs.items()
        if partition.topic == "holdfast.payment"
        for message in log
        if message.key == str(request.booking_id) and message.type == PaymentSucceeded.TYPE
    }
    assert len(ids) == 1


async def test_booking_that_stays_silent_is_asked_and_its_word_is_carried_out(till: Till) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"outcome": "returned"})

    app = web.Application()
    app.router.add_post("/internal/tenants/{tenant}/appointments/{id}/payments", answer)
    runner, port = web.AppRunner(app), free_port()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    settings = till.service.settings
    assert isinstance(settings, PaymentSettings)
    before = settings.booking_url, settings.ask_seconds
    settings.booking_url, settings.ask_seconds = f"http://127.0.0.1:{port}", 1.0
    try:
        request = till.request()
        await till.pay(await till.checkout(request))
        assert (await till.heard(request, RefundIssued, seconds=60)).amount.amount == 20000
    finally:
        settings.booking_url, settings.ask_seconds = before
        await runner.cleanup()
    own = f"/internal/tenants/{till.tenant_id}/appointments/{request.booking_id}/payments"
    assert own in asked
    assert await till.balance(request) == 0
