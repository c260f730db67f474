"""Checkout, PaymentIntents and refunds, by Stripe's SDK; every answer against the SDK's types."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import stripe

from .conftest import Sandbox, Shop, client_of
from .stripe_types import mistakes


def test_every_answer_has_the_fields_and_types_of_the_pinned_version(shop: Shop) -> None:
    api = shop.client.v1
    opened, session = shop.checkout(), shop.checkout(manual=True)
    shop.pay(session.id, card="4000000000000002")
    shop.pay(session.id)
    whole = api.checkout.sessions.retrieve(
        session.id, {"expand": ["payment_intent.latest_charge.refunds", "line_items"]}
    )
    intent = shop.paid()
    refund = api.refunds.create({"payment_intent": intent.id, "amount": 500, "reason": "requested_by_customer"})
    later, failed = shop.checkout(), shop.checkout()
    for checkout, outcome in ((later, "succeed"), (failed, "fail")):
        shop.pay(checkout.id, outcome="async")
        shop.http.post(f"/_sandbox/stripe/checkout/{checkout.id}/settle", json={"outcome": outcome})
    answers: list[Any] = [
        opened, whole, refund, api.checkout.sessions.expire(opened.id), api.refunds.retrieve(refund.id),
        api.payment_intents.capture(whole.payment_intent.id), api.charges.retrieve(intent.latest_charge),  # type: ignore[union-attr,arg-type]
        api.checkout.sessions.list({"limit": 100}), api.payment_intents.list({"limit": 100}),
        api.refunds.list(), api.charges.list(), api.events.list({"limit": 100}),
        api.checkout.sessions.line_items.list(session.id),
    ]  # fmt: skip
    found = [text for answer in answers for text in mistakes(answer.to_dict())]
    found += [
        text
        for entry in shop.http.get("/_sandbox/stripe/events").json()["data"]
        for text in mistakes(entry["event"]) + mistakes(entry["event"]["data"]["object"])
    ]
    assert found == []


def test_the_checker_sees_what_is_missing_unknown_and_wrong(shop: Shop) -> None:
    session = shop.checkout().to_dict()
    session |= {"amount_total": "20000", "surprise": 1, "status": "opened", "automatic_tax": {}}
    del session["expires_at"]
    assert sorted(text.split(":")[0] for text in mistakes(session)) == [
        "checkout.session.amount_total", "checkout.session.automatic_tax.enabled", "checkout.session.expires_at",
        "checkout.session.status", "checkout.session.surprise",
    ]  # fmt: skip


def test_a_paid_checkout_is_complete_and_charged_once(shop: Shop) -> None:
    session = shop.checkout()
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
    assert session.url
    assert shop.pay(session.id).json()["payment_status"] == "paid"
    assert shop.pay(session.id).status_code == 409
    session = shop.session(session.id)
    assert (session.status, session.payment_status, session.url) == ("complete", "paid", None)
    row = shop.ledger(str(session.payment_intent))
    assert row | {"session": session.id, "metadata": {"booking_id": "b1"}} == row
    assert [row[name] for name in ("amount", "authorized", "captured", "refunded", "voided")] == [20000] * 3 + [0, 0]


def test_a_declined_card_charges_nothing_and_another_may_be_tried(shop: Shop) -> None:
    session = shop.checkout()
    for card in ("4000000000000002", "4000000000009995", "4111111111111112"):
        assert shop.pay(session.id, card=card).status_code == 402
    intent = shop.client.v1.payment_intents.retrieve(str(shop.session(session.id).payment_intent))
    assert intent.status == "requires_payment_method"
    assert intent.last_payment_error
    assert intent.last_payment_error.code == "incorrect_number"
    assert shop.pay(session.id).status_code == 200
    intent = shop.client.v1.payment_intents.retrieve(intent.id)
    assert (intent.status, intent.last_payment_error) == ("succeeded", None)


def test_an_expired_checkout_takes_no_money_and_a_paid_one_does_not_expire(shop: Shop) -> None:
    session = shop.checkout()
    shop.pay(session.id, outcome="decline")
    assert shop.client.v1.checkout.sessions.expire(session.id).status == "expired"
    assert shop.pay(session.id).status_code == 409
    intent = shop.client.v1.payment_intents.retrieve(str(shop.session(session.id).payment_intent))
    assert intent.status == "canceled"
    paid = shop.checkout()
    shop.pay(paid.id)
    for checkout in (session, paid):
        with pytest.raises(stripe.InvalidRequestError, match="can be expired"):
            shop.client.v1.checkout.sessions.expire(checkout.id)


def test_of_a_payment_and_an_expiry_in_the_same_instant_one_happens(shop: Shop) -> None:
    def expire(session_id: str) -> bool:
        try:
            return shop.client.v1.checkout.sessions.expire(session_id).status == "expired"
        except stripe.InvalidRequestError:
            return False

    with ThreadPoolExecutor(2) as threads:
        for _ in range(15):
            session = shop.checkout()
            paying = threads.submit(shop.pay, session.id)
            expired = threads.submit(expire, session.id).result()
            assert (paying.result().status_code, expired) in ((200, False), (409, True))
            row = [
                row for row in shop.http.get("/_sandbox/stripe/ledger").json()["data"] if row["session"] == session.id
            ]
            assert sum(entry["captured"] for entry in row) == (0 if expired else 20000)


@pytest.mark.parametrize(("outcome", "status", "payment"), [
    ("succeed", "succeeded", "paid"), ("fail", "requires_payment_method", "unpaid"),
])  # fmt: skip
def test_an_asynchronous_payment_ends_later(shop: Shop, outcome: str, status: str, payment: str) -> None:
    session = shop.checkout()
    settle = f"/_sandbox/stripe/checkout/{session.id}/settle"
    assert shop.http.post(settle, json={"outcome": outcome}).status_code == 409
    assert shop.pay(session.id, card="4000000000000077").json()["payment_status"] == "unpaid"
    session = shop.session(session.id)
    intent_id = str(session.payment_intent)
    assert (session.status, shop.client.v1.payment_intents.retrieve(intent_id).status) == ("complete", "processing")
    with pytest.raises(stripe.InvalidRequestError):
        shop.client.v1.payment_intents.cancel(intent_id)
    assert shop.http.post(settle, json={"outcome": outcome}).status_code == 200
    assert shop.http.post(settle, json={"outcome": outcome}).status_code == 409
    assert shop.client.v1.payment_intents.retrieve(intent_id).status == status
    assert shop.session(session.id).payment_status == payment
    kinds = [entry["type"] for entry in shop.events(session.id)]
    said = "succeeded" if outcome == "succeed" else "failed"
    assert kinds == ["checkout.session.completed", f"checkout.session.async_payment_{said}"]


def test_an_authorization_is_captured_whole_or_in_part_and_once(shop: Shop) -> None:
    api = shop.client.v1.payment_intents
    whole, part = shop.paid(manual=True), shop.paid(manual=True)
    assert (whole.status, whole.amount_capturable, whole.amount_received) == ("requires_capture", 20000, 0)
    assert api.capture(whole.id).amount_received == 20000
    for amount in (0, 20001):
        with pytest.raises(stripe.InvalidRequestError):
            api.capture(part.id, {"amount_to_capture": amount})
    captured = api.capture(part.id, {"amount_to_capture": 5000})
    assert (captured.status, captured.amount_received, captured.amount_capturable) == ("succeeded", 5000, 0)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.capture(part.id)
    assert caught.value.code == "payment_intent_unexpected_state"
    assert shop.ledger(part.id)["captured"] == 5000


def test_a_cancelled_authorization_costs_nothing(shop: Shop) -> None:
    intent = shop.paid(manual=True)
    canceled = shop.client.v1.payment_intents.cancel(intent.id, {"cancellation_reason": "abandoned"})
    assert (canceled.status, canceled.cancellation_reason) == ("canceled", "abandoned")
    row = shop.ledger(intent.id)
    assert (row["voided"], row["captured"], row["status"]) == (20000, 0, "canceled")
    for call in (shop.client.v1.payment_intents.cancel, shop.client.v1.payment_intents.capture):
        with pytest.raises(stripe.InvalidRequestError):
            call(intent.id)


def test_refunds_give_back_what_was_paid_and_not_more(shop: Shop) -> None:
    api, intent = shop.client.v1.refunds, shop.paid()
    assert api.create({"payment_intent": intent.id, "amount": 5000}).status == "succeeded"
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded amount"):
        api.create({"payment_intent": intent.id, "amount": 15001})
    assert api.create({"charge": str(intent.latest_charge)}).amount == 15000
    with pytest.raises(stripe.InvalidRequestError) as caught:
        api.create({"payment_intent": intent.id})
    assert caught.value.code == "charge_already_refunded"
    charge = shop.client.v1.charges.retrieve(str(intent.latest_charge), {"expand": ["refunds"]})
    assert (charge.refunded, charge.amount_refunded, len(charge.refunds.data if charge.refunds else [])) == (
        True, 20000, 2,
    )  # fmt: skip
    assert shop.ledger(intent.id)["refunded"] == 20000
    for wrong in ({"payment_intent": shop.paid(manual=True).id}, {"payment_intent": "pi_none"}, {}):
        with pytest.raises(stripe.InvalidRequestError):
            api.create(wrong)  # type: ignore[arg-type]


def test_a_key_gives_the_first_answer_again_and_refuses_other_parameters(shop: Shop) -> None:
    key = {"idempotency_key": f"booking:{time.time_ns()}"}
    params = shop.params()
    create = shop.client.v1.checkout.sessions.create
    first, again = create(params, key), create(params, key)  # type: ignore[arg-type]
    assert first.id == again.id
    assert again.last_response
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    with pytest.raises(stripe.IdempotencyError):
        create(params | {"client_reference_id": "other"}, key)  # type: ignore[arg-type]


def test_a_refusal_is_replayed_but_refused_parameters_are_not_kept(shop: Shop) -> None:
    intent, key = shop.paid(), {"idempotency_key": f"capture:{time.time_ns()}"}
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            shop.client.v1.payment_intents.capture(intent.id, {}, key)  # type: ignore[arg-type]
    assert caught.value.headers["Idempotent-Replayed"] == "true"
    key = {"idempotency_key": f"checkout:{time.time_ns()}"}
    with pytest.raises(stripe.InvalidRequestError):
        shop.checkout(options=key, expires_at=int(time.time()) + 60)
    assert shop.checkout(options=key).status == "open"


def test_lists_are_paged_filtered_and_newest_first(shop: Shop) -> None:
    api = shop.client.v1.checkout.sessions
    made = [shop.checkout().id for _ in range(3)][::-1]
    page = api.list({"limit": 2})
    assert ([entry.id for entry in page.data], page.has_more) == (made[:2], True)
    assert api.list({"limit": 1, "starting_after": made[1]}).data[0].id == made[2]
    assert [entry.id for entry in api.list({"ending_before": made[2], "limit": 2}).data] == made[:2]
    walked = []
    for entry in api.list({"limit": 1}).auto_paging_iter():
        walked.append(entry.id)
        if len(walked) == 3:
            break
    assert walked == made
    shop.pay(made[0])
    intent_id = str(shop.session(made[0]).payment_intent)
    assert [entry.id for entry in api.list({"payment_intent": intent_id}).data] == [made[0]]
    assert made[0] not in [entry.id for entry in api.list({"status": "open", "limit": 100}).data]
    assert api.list({"created": {"gt": int(time.time()) + 60}}).data == []
    events = shop.client.v1.events.list({"type": "payment_intent.succeeded"})
    assert {event.type for event in events.data} == {"payment_intent.succeeded"}
    assert shop.client.v1.events.retrieve(events.data[0].id).id == events.data[0].id


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("line_items", {"line_items": []}),
    ("mode", {"mode": "subscription"}),
    ("expires_at", {"expires_at": 5}),
    ("expires_at", {"expires_at": "soon"}),
    ("success_url", {"success_url": "javascript:alert(1)"}),
    ("payment_method_types", {"payment_method_types": ["card"]}),
    ("ui_mode", {"ui_mode": "hosted"}),
    ("metadata", {"metadata": {f"k{number}": "v" for number in range(51)}}),
    ("metadata[k]", {"metadata": {"k": "v" * 501}}),
]


@pytest.mark.parametrize(("param", "more"), WRONG)
def test_wrong_parameters_are_named(shop: Shop, param: str, more: dict[str, Any]) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        shop.checkout(**more)
    assert caught.value.param == param
    assert caught.value.request_id


BAD_QUERIES = (
    "limit=abc", "limit=0", "limit=101", "limit=²", "starting_after=x", "sort=up", "created[gt]=x", "expand=x",
    "expand[]=data.nothing", "a[b=1", "limit[x]=1",
)  # fmt: skip


@pytest.mark.parametrize("query", BAD_QUERIES)
def test_bad_queries_are_refused_as_stripe_does(shop: Shop, http: httpx.Client, query: str) -> None:
    shop.checkout()
    answer = http.get(f"/v1/checkout/sessions?{query}", headers={"Authorization": "Bearer sk_test_x"})
    assert answer.status_code in (400, 404), answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert answer.headers["Request-Id"].startswith("req_")


HOSTILE_FORMS = (
    b"a=1&a[b]=2", b"a[b]=2&a=1", b"a" + b"[b]" * 2000 + b"=1", b"\xff\xfe",
    b"&".join(b"a%d=1" % number for number in range(6000)), b"line_items=1", b"line_items[x]=1", b"metadata[a][b]=1",
)  # fmt: skip


@pytest.mark.parametrize("body", HOSTILE_FORMS)
def test_hostile_forms_are_refused_as_stripe_does(http: httpx.Client, body: bytes) -> None:
    headers = {"Authorization": "Bearer sk_test_x", "Content-Type": "application/x-www-form-urlencoded"}
    answer = http.post("/v1/checkout/sessions", content=body, headers=headers)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_only_a_secret_key_opens_and_what_is_unknown_says_so(http: httpx.Client, sandbox: Sandbox) -> None:
    for value in ("", "Bearer", "Bearer pk_test_x", "Basic %%%", "Basic YWJj", "Digest sk_test_x"):
        answer = http.get("/v1/refunds", headers={"Authorization": value} if value else {})
        assert (answer.status_code, "error" in answer.json()) == (401, True), value
    assert http.get("/v1/refunds", auth=("sk_test_x", "")).status_code == 200
    answer = http.post("/v1/customers", headers={"Authorization": "Bearer sk_test_x"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "invalid_request_error")
    api = client_of(sandbox, 0).v1
    for call in (api.checkout.sessions, api.payment_intents, api.refunds, api.charges, api.events):
        with pytest.raises(stripe.InvalidRequestError) as caught:
            call.retrieve("none_1")  # type: ignore[attr-defined]
        assert (caught.value.http_status, caught.value.code) == (404, "resource_missing")
