"""The process itself: what it keeps, what it forgets, and its pages."""

import time
from pathlib import Path
from typing import Any

import httpx

from .conftest import SECRET, Receiver, Sandbox, Shop, client_of, code_of, eventually, exchange


def _shop(sandbox: Sandbox, http: httpx.Client) -> Shop:
    return Shop(client_of(sandbox, 0), http)


def test_everything_answered_survives_a_kill_and_a_reset_empties_it(data_dir: Path, receiver: Receiver) -> None:
    own = Sandbox(data_dir / "killed-sandbox")  # Nobody listens where its webhooks go.
    own.start()
    with httpx.Client(base_url=own.url, trust_env=False) as http:
        shop = _shop(own, http)
        intent = shop.paid()
        key = {"idempotency_key": "refund:1"}
        refund = shop.client.v1.refunds.create({"payment_intent": intent.id, "amount": 700}, key)  # type: ignore[arg-type]
        event = http.post("/_sandbox/google/a@b.test/events", json=_event("2026-12-01")).json()
        tokens = exchange(http, code_of(http)).json()
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        path = "/calendar/v3/calendars/a@b.test/events"
        since = http.get(path, headers=bearer).json()["nextSyncToken"]
        own.kill()
        own.webhook_url = f"{receiver.url}/revived"
        own.start()
        shop = _shop(own, http)
        assert shop.client.v1.refunds.create({"payment_intent": intent.id, "amount": 700}, key).id == refund.id  # type: ignore[arg-type]
        assert shop.ledger(intent.id)["refunded"] == 700
        assert http.get(f"{path}/{event['id']}", headers=bearer).json()["etag"] == event["etag"]
        assert http.get(path, params={"syncToken": since}, headers=bearer).json()["items"] == []
        # What nobody took goes on after the restart.
        assert eventually(lambda: receiver.of(refund.id, "refund.created", path="/revived"))
        assert http.post("/_sandbox/reset").status_code == 204
        assert http.get("/_sandbox/stripe/ledger").json() == {"data": []}
        assert http.get("/_sandbox/stripe/events").json() == {"data": []}
        tokens = exchange(http, code_of(http)).json()
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert http.get(path, headers=bearer).json()["items"] == []
        assert http.get(path, params={"syncToken": since}, headers=bearer).status_code == 410
    own.stop()
    assert SECRET


def _event(day: str) -> dict[str, Any]:
    times = {name: {"dateTime": f"{day}T{hour}:00:00Z"} for name, hour in (("start", "08"), ("end", "09"))}
    return {"summary": "Dentist"} | times


def test_the_checkout_page_pays_and_leads_back(shop: Shop) -> None:
    session = shop.checkout()
    url = str(session.url)
    assert "200.00 PLN" in shop.http.get(url).text
    declined = shop.http.post(url, data={"card": "4000 0000 0000 0002"})
    assert (declined.status_code, declined.headers["location"]) == (303, f"/checkout/{session.id}?declined=true")
    assert "declined" in shop.http.get(declined.headers["location"]).text
    paid = shop.http.post(url, data={"card": "4242 4242 4242 4242"})
    assert (paid.status_code, paid.headers["location"]) == (303, f"https://clinic.test/done?session={session.id}")
    assert shop.session(session.id).payment_status == "paid"
    assert "complete" in shop.http.get(url).text
    again = shop.http.post(url, data={"card": "4242 4242 4242 4242"})
    assert again.headers["location"] == f"/checkout/{session.id}"
    expired = shop.checkout()
    shop.client.v1.checkout.sessions.expire(expired.id)
    assert "Nothing was charged" in shop.http.get(str(expired.url)).text
    assert shop.http.post(url).status_code == 422


def test_pages_are_there_or_not_found(http: httpx.Client, calendar: str) -> None:
    for path in ("/", "/inbox", f"/calendar/{calendar}", "/health/live", "/health/ready"):
        assert http.get(path).status_code == 200, path
    for path in ("/checkout/none", "/inbox/none", "/inbox/none/attachments/0", "/nothing"):
        assert http.get(path).status_code == 404, path
    assert http.post("/checkout/none", data={"card": "4242"}).status_code == 404


def test_people_add_to_a_calendar_by_its_page(http: httpx.Client, calendar: str) -> None:
    form = {
        "summary": "<b>Dentist</b>",
        "start": "2026-12-01T09:00",
        "end": "2026-12-01T10:00",
        "zone": "Europe/Warsaw",
    }
    assert http.post(f"/calendar/{calendar}", data=form).status_code == 303
    assert "&lt;b&gt;Dentist" in http.get(f"/calendar/{calendar}").text
    event = http.get(f"/_sandbox/google/{calendar}/events").json()["data"][0]
    assert event["start"]["dateTime"] == "2026-12-01T09:00:00+01:00"
    for wrong in ({"zone": "Mars"}, {"zone": "../etc"}, {"start": "noon"}, {"end": "2026-12-01T08:00"}):
        assert http.post(f"/calendar/{calendar}", data=form | wrong).status_code == 422, wrong


def test_the_controls_answer_problems(shop: Shop, http: httpx.Client) -> None:
    session = shop.checkout()
    path = f"/_sandbox/stripe/checkout/{session.id}"
    shown = http.get(path).json()
    assert set(shown) == {"id", "status", "payment_status", "url", "expires_at", "metadata"}
    assert shown["expires_at"] > time.time()
    for body in ({"outcome": "maybe"}, {"outcom": "decline"}, {"card": 4242}):
        answer = http.post(f"{path}/pay", json=body)
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
        assert answer.json()["errors"]
    assert http.post(f"{path}/pay", content=b"{", headers={"Content-Type": "application/json"}).status_code == 400
    for call in ("pay", "settle"):
        missing = http.post(f"/_sandbox/stripe/checkout/cs_none/{call}", json={"outcome": "succeed"})
        assert missing.status_code == 404
    assert http.post(f"{path}/pay").json()["status"] == "complete"
