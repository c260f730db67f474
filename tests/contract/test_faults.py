"""Answers that come late, wrong, or not at all, in each provider's own words."""

import time
from typing import Any

import httpx
import pytest
import stripe

from sandbox.faults import FAULTS

from .conftest import Sandbox, Shop, client_of


def test_a_lost_answer_took_effect_and_the_retry_finds_it(shop: Shop, sandbox: Sandbox) -> None:
    intent = shop.paid()
    shop.fault("response_lost", match="POST /v1/refunds", times=1)
    with pytest.raises(stripe.APIConnectionError):
        shop.client.v1.refunds.create({"payment_intent": intent.id, "amount": 100})
    assert shop.ledger(intent.id)["refunded"] == 100
    shop.fault("response_lost", match="POST /v1/refunds", times=1)
    client_of(sandbox, 2).v1.refunds.create({"payment_intent": intent.id, "amount": 200})
    assert shop.ledger(intent.id)["refunded"] == 300


def test_the_sdk_gets_past_a_server_that_recovers(shop: Shop, sandbox: Sandbox) -> None:
    shop.fault("server_error", times=1)
    shop.fault("unavailable", times=1)
    created = client_of(sandbox, 2).v1.checkout.sessions.create(shop.params())  # type: ignore[arg-type]
    assert created.status == "open"


def test_too_many_requests_say_when_to_come_back(shop: Shop) -> None:
    shop.fault("rate_limited", times=1)
    with pytest.raises(stripe.RateLimitError) as caught:
        shop.checkout()
    assert caught.value.headers["Retry-After"] == "1"
    assert caught.value.request_id


def test_a_stored_error_is_replayed_for_its_key_alone(shop: Shop) -> None:
    shop.fault("server_error_stored", times=1)
    key = {"idempotency_key": f"stored:{time.time_ns()}"}
    params = shop.params()
    for _ in range(2):
        with pytest.raises(stripe.APIError) as caught:
            shop.client.v1.checkout.sessions.create(params, key)  # type: ignore[arg-type]
        assert caught.value.http_status == 500
    assert caught.value.headers["Idempotent-Replayed"] == "true"
    assert shop.client.v1.checkout.sessions.create(params, {"idempotency_key": "other"}).status == "open"  # type: ignore[arg-type]


def test_a_hanging_call_is_answered_late_and_does_nothing_for_who_went_away(shop: Shop) -> None:
    intent = shop.paid()
    shop.fault("hang", match="POST /v1/refunds", seconds=0.4, times=2)
    headers = {"Authorization": "Bearer sk_test_x"}
    with pytest.raises(httpx.ReadTimeout):
        shop.http.post("/v1/refunds", data={"payment_intent": intent.id}, headers=headers, timeout=0.1)
    begun = time.monotonic()
    shop.client.v1.refunds.create({"payment_intent": intent.id, "amount": 100})
    assert time.monotonic() - begun >= 0.4
    assert shop.ledger(intent.id)["refunded"] == 100


CALLS: dict[str, tuple[str, str]] = {
    "stripe": ("POST", "/v1/checkout/sessions"),
    "google": ("GET", "/calendar/v3/calendars/a/events"),
    "sendgrid": ("POST", "/v3/mail/send"),
    "twilio": ("POST", "/2010-04-01/Accounts/AC1/Messages.json"),
}


def _message(provider: str, body: dict[str, Any]) -> str:
    if provider == "sendgrid":
        return str(body["errors"][0]["message"])
    return str(body["message"] if provider == "twilio" else body["error"]["message"])


@pytest.mark.parametrize("provider", list(CALLS))
def test_each_provider_fails_in_its_own_words(shop: Shop, provider: str) -> None:
    method, path = CALLS[provider]
    for fault, status in (("rate_limited", 429), ("server_error", 500), ("unavailable", 503)):
        shop.fault(fault, provider, match=f"{method} {path}", times=1)
        answer = shop.http.request(method, path)
        assert answer.status_code == status
        assert _message(provider, answer.json())
        assert ("Retry-After" in answer.headers) == (status != 500)
    shop.fault("response_lost", provider, times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        shop.http.request(method, path)
    for other in set(CALLS) - {provider}:
        shop.fault("server_error", other)
    answer = shop.http.request(method, path)
    assert answer.status_code == 401
    assert _message(provider, answer.json())


WRONG_FAULTS: list[tuple[Any, str]] = [
    ({"provider": "paypal", "fault": "hang"}, "stripe, google, sendgrid, twilio"),
    ({"provider": "sendgrid", "fault": "bounced"}, ", ".join(FAULTS["sendgrid"])),
    ({"provider": "stripe", "fault": "sync_token_gone"}, ", ".join(FAULTS["stripe"])),
    ({"provider": "stripe", "fault": ["hang"]}, "webhook_old"),
    ({"provider": "stripe", "fault": "hang", "times": 0}, "times"),
    ({"provider": "stripe", "fault": "hang", "times": True}, "times"),
    ({"provider": "stripe", "fault": "hang", "seconds": "1"}, "seconds"),
    ({"provider": "stripe", "fault": "hang", "match": 1}, "match"),
    ({"provider": "stripe", "fault": "hang", "time": 1}, "provider, fault, match, times, seconds"),
]


@pytest.mark.parametrize(("body", "named"), WRONG_FAULTS)
def test_a_wrong_fault_is_refused_and_says_what_there_is(http: httpx.Client, body: Any, named: str) -> None:
    answer = http.post("/_sandbox/faults", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert named in answer.json()["detail"]
    assert http.get("/_sandbox/faults").json()["data"] == []


HOSTILE = (
    b"",
    b"{",
    b"[]",
    b"1",
    b'{"a": NaN}',
    b'{"a": "\\ud800"}',
    b"[" * 100_000,
    b'{"a":' * 500 + b"1" + b"}" * 500,
)


@pytest.mark.parametrize("body", HOSTILE)
def test_hostile_json_is_a_refusal_everywhere(http: httpx.Client, consent: Any, body: bytes) -> None:
    google = {"Authorization": f"Bearer {consent.tokens['access_token']}"}
    for path, headers in (
        ("/_sandbox/faults", {}),
        ("/_sandbox/google/hostile@clinic.test/events", {}),
        ("/_sandbox/stripe/checkout/cs_none/settle", {}),
        ("/calendar/v3/calendars/hostile@clinic.test/events", google),
        ("/calendar/v3/freeBusy", google),
        ("/calendar/v3/channels/stop", google),
        ("/v3/mail/send", {"Authorization": "Bearer SG.x"}),
    ):
        answer = http.post(path, content=body, headers=headers | {"Content-Type": "application/json"})
        assert answer.status_code in (400, 404, 422), (path, answer.status_code, answer.text)
