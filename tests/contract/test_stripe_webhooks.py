"""Webhooks: signed, at once, again until taken; and everything that can be wrong with them."""

import json
import time

import pytest
import stripe

from .conftest import SECRET, Receiver, Shop, eventually

COMPLETED = '"checkout.session.completed"'


def _verified(headers: dict[str, str], body: bytes) -> stripe.Event:
    return stripe.Webhook.construct_event(body, headers["Stripe-Signature"], SECRET)  # type: ignore[no-untyped-call]


def _statuses(shop: Shop, session_id: str) -> list[int | None]:
    return [attempt["status"] for attempt in shop.events(session_id)[-1]["attempts"]]


def test_a_webhook_is_signed_and_comes_at_once(shop: Shop, receiver: Receiver) -> None:
    session = shop.checkout()
    paid_at = time.time()
    shop.pay(session.id)
    at, headers, body = eventually(lambda: receiver.of(session.id, COMPLETED))[0]
    assert at - paid_at < 1
    event = _verified(headers, body)
    assert (event.type, event.api_version) == ("checkout.session.completed", "2026-10-28.endive")
    assert event.data.object["id"] == session.id
    assert event.id == shop.events(session.id)[-1]["id"]
    with pytest.raises(stripe.SignatureVerificationError):
        _verified(headers, body + b" ")


def test_a_refused_webhook_comes_again_until_it_is_taken(shop: Shop, receiver: Receiver) -> None:
    session = shop.checkout()
    receiver.refusals = 2
    shop.client.v1.checkout.sessions.expire(session.id)
    tries = eventually(lambda: len(found := receiver.of(session.id)) == 3 and found)
    assert len({_verified(headers, body).id for _, headers, body in tries}) == 1
    assert eventually(lambda: len(found := _statuses(shop, session.id)) == 3 and found) == [500, 500, 200]


def test_an_event_is_sent_again_on_demand_freshly_signed(shop: Shop, receiver: Receiver) -> None:
    session = shop.checkout()
    shop.client.v1.checkout.sessions.expire(session.id)
    eventually(lambda: receiver.of(session.id))
    event_id = shop.events(session.id)[0]["id"]
    assert shop.http.post(f"/_sandbox/stripe/events/{event_id}/resend").json()["id"] == event_id
    both = eventually(lambda: len(found := receiver.of(session.id)) == 2 and found)
    assert {_verified(headers, body).id for _, headers, body in both} == {event_id}
    assert shop.http.post("/_sandbox/stripe/events/evt_none/resend").status_code == 404


def test_events_come_twice_late_or_never_on_demand(shop: Shop, receiver: Receiver) -> None:
    for fault, more in (("webhook_duplicated", {}), ("webhook_delayed", {"seconds": 0.6}), ("webhook_dropped", {})):
        shop.fault(fault, match="checkout.session.expired", times=1, **more)
    twice, late, never = (shop.checkout().id for _ in range(3))
    begun = time.time()
    for session_id in (twice, late, never):
        shop.client.v1.checkout.sessions.expire(session_id)
    eventually(lambda: len(receiver.of(twice)) == 2)
    assert eventually(lambda: receiver.of(late))[0][0] - begun >= 0.6
    assert receiver.of(never) == []
    assert _statuses(shop, never) == []
    assert shop.http.get("/_sandbox/faults").json()["data"] == []


def test_events_overtake_each_other_on_demand(shop: Shop, receiver: Receiver) -> None:
    shop.fault("webhook_reordered", match="checkout.session.expired", times=1)
    first, second, alone = (shop.checkout().id for _ in range(3))
    shop.client.v1.checkout.sessions.expire(first)
    shop.client.v1.checkout.sessions.expire(second)
    assert eventually(lambda: receiver.of(first))[0][0] > eventually(lambda: receiver.of(second))[0][0]
    shop.fault("webhook_reordered", match="checkout.session.expired", times=1)
    shop.client.v1.checkout.sessions.expire(alone)
    assert eventually(lambda: receiver.of(alone), 5)


@pytest.mark.parametrize("fault", ["webhook_bad_signature", "webhook_old"])
def test_a_webhook_that_must_not_be_believed(shop: Shop, receiver: Receiver, fault: str) -> None:
    shop.fault(fault, times=1)
    session = shop.checkout()
    shop.client.v1.checkout.sessions.expire(session.id)
    _, headers, body = eventually(lambda: receiver.of(session.id))[0]
    with pytest.raises(stripe.SignatureVerificationError):
        _verified(headers, body)
    assert json.loads(body)["data"]["object"]["id"] == session.id
