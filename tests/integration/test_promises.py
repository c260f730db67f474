"""The three promises, under races, lateness and bad input."""

import asyncio
import hashlib
import hmac
import json
import time
from uuid import uuid4

import psycopg
import pytest

from .conftest import Client, Clinic, System, eventually

SHORT_HOLD = 0.05  # minutes


async def test_of_two_hundred_at_one_slot_one_wins_and_the_rest_get_alternatives(
    clinic: Clinic, client: Client
) -> None:
    offering = await clinic.offering("free")
    await clinic.resource()
    slot = await clinic.slot(offering)

    async def attempt() -> tuple[int, dict[str, object]]:
        answer = await client.call("POST", f"{clinic.path}/holds", json={"slot_id": slot["slot_id"]})
        return answer.status_code, answer.json()

    answers = await asyncio.gather(*(attempt() for _ in range(200)))
    statuses = sorted(status for status, _ in answers)
    assert statuses == [201] + [409] * 199
    refused = [body for status, body in answers if status == 409]
    assert all(str(body["type"]).endswith("/slot-taken") for body in refused)
    alternative = next(body["alternatives"][0] for body in refused if body["alternatives"])  # type: ignore[index]
    await clinic.hold(alternative)


async def test_a_hold_runs_out_and_its_time_is_free_again(clinic: Clinic) -> None:
    offering = await clinic.offering("free", hold_minutes=SHORT_HOLD)
    await clinic.resource()
    slot = await clinic.slot(offering)
    await clinic.hold(slot)
    await clinic.hold(slot, expect=409)

    async def gone() -> bool:
        return not await free_again()

    async def free_again() -> bool:
        return slot["start"] in [entry["start"] for entry in await clinic.slots(offering)]

    await eventually(gone)  # the word of the hold travels to availability
    await eventually(free_again)
    await clinic.hold(slot)


@pytest.mark.parametrize("mode", ["full", "authorize"])
async def test_money_that_comes_late_takes_the_time_again_when_it_is_free(
    clinic: Clinic, client: Client, mode: str
) -> None:
    offering = await clinic.offering(mode, hold_minutes=SHORT_HOLD)
    await clinic.resource()
    appointment = await clinic.book(offering)
    # The patient pays at once, but Stripe's word of it comes only when the hold is long over.
    await client.fault("stripe", "webhook_delayed", seconds=6)
    await client.pay(appointment["payment"]["session_id"])
    await clinic.reaches(appointment, "confirmed", payment="paid", seconds=30)
    assert (await client.ledger(appointment["id"]))[0]["captured"] == 20000


@pytest.mark.parametrize(("mode", "status"), [("full", "refunded"), ("authorize", "voided")])
async def test_money_that_comes_too_late_goes_back_by_itself(client: Client, mode: str, status: str) -> None:
    # Without a grace, so that the time is free to others at the very end of the hold.
    clinic = await Clinic.open(client, payment_grace_seconds=0)
    offering = await clinic.offering(mode, hold_minutes=SHORT_HOLD)
    await clinic.resource()
    slot = await clinic.slot(offering)
    appointment = await clinic.request(await clinic.hold(slot))
    session = appointment["payment"]["session_id"]
    # Stripe cannot be asked while the hold ends, so nobody can close the Checkout; then the patient pays.
    await client.fault("stripe", "unavailable", match="/v1/checkout/sessions/")

    async def somebody_else() -> bool:
        answer = await client.call("POST", f"{clinic.path}/holds", json={"slot_id": slot["slot_id"]})
        return bool(answer.status_code == 201)

    await eventually(somebody_else)
    assert (await client.pay(session)).status_code == 200
    await client.sandbox.delete("/_sandbox/faults")
    await clinic.reaches(appointment, "unfulfillable", payment=status, seconds=90)
    row = (await client.ledger(appointment["id"]))[0]
    assert row["captured"] == row["refunded"]


async def test_webhooks_repeated_reordered_and_forged_change_nothing(clinic: Clinic, client: Client) -> None:
    offering = await clinic.offering("full")
    await clinic.resource()
    appointment = await clinic.book(offering)
    await client.fault("stripe", "webhook_duplicated")
    await client.fault("stripe", "webhook_reordered", times=2)
    await client.pay(appointment["payment"]["session_id"])
    await clinic.reaches(appointment, "confirmed", payment="paid")
    await client.sandbox.delete("/_sandbox/faults")
    for event in (await client.sandbox.get("/_sandbox/stripe/events")).json()["data"][-6:]:
        await client.sandbox.post(f"/_sandbox/stripe/events/{event['id']}/resend")
    body = json.dumps({"id": "evt_1", "object": "event", "type": "checkout.session.completed", "data": {"object": {}}})
    for secret in ("whsec_forged", ""):
        at = int(time.time())
        mac = hmac.new(secret.encode(), f"{at}.{body}".encode(), hashlib.sha256).hexdigest()
        answer = await client.call(
            "POST", "/v1/payments/webhook", content=body, headers={"Stripe-Signature": f"t={at},v1={mac}"}
        )
        assert answer.status_code == 400
        assert answer.json()["type"].endswith("/signature-invalid")
    await asyncio.sleep(0.5)
    seen = await clinic.get(appointment)
    assert (seen["status"], seen["payment"]["amount_paid"]) == ("confirmed", 20000)
    assert len([row for row in await client.ledger(appointment["id"]) if row["captured"]]) == 1


async def test_an_abandoned_checkout_is_closed_and_its_time_released(clinic: Clinic, client: Client) -> None:
    offering = await clinic.offering("full", hold_minutes=SHORT_HOLD)
    await clinic.resource()
    appointment = await clinic.book(offering)
    await clinic.reaches(appointment, "expired")
    session = appointment["payment"]["session_id"]
    assert (await client.sandbox.get(f"/_sandbox/stripe/checkout/{session}")).json()["status"] == "expired"
    assert (await client.pay(session)).status_code == 409


async def test_the_same_key_books_once(clinic: Clinic, client: Client) -> None:
    offering = await clinic.offering("full")
    await clinic.resource()
    slot = await clinic.slot(offering)
    key = {"Idempotency-Key": str(uuid4())}
    holds = [
        await client.call("POST", f"{clinic.path}/holds", json={"slot_id": slot["slot_id"]}, headers=key)
        for _ in range(2)
    ]
    assert [answer.status_code for answer in holds] == [201, 201]
    assert holds[0].json() == holds[1].json()
    assert holds[1].headers["Idempotent-Replayed"] == "true"
    hold = holds[0].json()
    body = {
        "hold_id": hold["id"],
        "hold_token": hold["manage_token"],
        "customer": {"name": "Jan", "email": "jan@example.test"},
    }
    key = {"Idempotency-Key": str(uuid4())}
    answers = [await client.call("POST", f"{clinic.path}/appointments", json=body, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    first, second = (answer.json() for answer in answers)
    assert first["id"] == second["id"]
    assert first["payment"]["session_id"] == second["payment"]["session_id"]
    changed = body | {"customer": {"name": "Jan", "email": "other@example.test"}}
    other = await client.call("POST", f"{clinic.path}/appointments", json=changed, headers=key)
    assert (other.status_code, other.json()["type"].rsplit("/", 1)[-1]) == (422, "idempotency-mismatch")


async def test_one_clinic_cannot_see_another_by_its_api(clinic: Clinic, client: Client) -> None:
    offering = await clinic.offering("free")
    await clinic.resource()
    appointment = await clinic.book(offering)
    stranger = await Clinic.open(client)
    for path in (
        f"{clinic.path}/appointments/{appointment['id']}",
        f"{stranger.path}/appointments/{appointment['id']}",
        f"{clinic.path}/appointments",
    ):
        assert (await client.call("GET", path, token=stranger.token)).status_code == 404, path
    own = f"{stranger.path}/appointments/{appointment['id']}"
    assert (await client.call("GET", own, token=appointment["manage_token"])).status_code == 404
    assert (await client.call("GET", f"{clinic.path}/members", token=stranger.token)).status_code in (403, 404)
    made = await client.call(
        "POST", f"{clinic.path}/resources", token=stranger.token, json={"type": "room", "name": "x"}
    )
    assert made.status_code in (403, 404)


def test_no_service_can_read_anothers_tables(system: System) -> None:
    url = system.ready["postgres"]
    schemas = ("identity", "availability", "booking", "payment", "calendar_sync", "notification", "insight")
    with psycopg.connect(url, autocommit=True) as connection:
        for role in schemas:
            for other in schemas:
                if role != other:
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        connection.execute(f"SET ROLE {role}_app; SELECT * FROM {other}.outbox LIMIT 1")
                    connection.execute("RESET ROLE")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/v1/clinics/{clinic}/holds", "{", 400, "malformed"),
        ("POST", "/v1/clinics/{clinic}/holds", "{}", 422, "validation-failed"),
        ("POST", "/v1/clinics/{clinic}/holds", '{"slot_id": "AAAA"}', 422, "offer-invalid"),
        ("POST", "/v1/clinics/{clinic}/appointments", "[]", 400, "malformed"),
        ("POST", "/v1/clinics/{clinic}/appointments", '{"hold_id": "x"}', 422, "validation-failed"),
        ("GET", "/v1/clinics/{clinic}/holds/nonsense", None, 422, "validation-failed"),
        ("GET", "/v1/clinics/{clinic}/holds/01a1fd97-1f1e-7a67-9cf3-000000000000", None, 404, "not-found"),
        ("GET", "/v1/clinics/no-such-clinic/offerings", None, 404, "not-found"),
        ("GET", "/v1/nothing/here", None, 404, "not-found"),
        ("DELETE", "/v1/payments/webhook", None, 405, "method-not-allowed"),
        ("GET", "/v1/clinics/{clinic}/live", None, 426, "upgrade-required"),
        (
            "GET",
            "/v1/clinics/{clinic}/providers/any/availability?offering=x&from=a&to=b",
            None,
            404,
            "not-found",
        ),
    ],
)
async def test_bad_input_is_refused_clearly(
    clinic: Clinic, client: Client, method: str, path: str, body: str | None, status: int, code: str
) -> None:
    headers = {"Content-Type": "application/json"} if body else {}
    answer = await client.call(method, path.format(clinic=clinic.slug), content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"https://holdfast.dev/problems/{code}", problem
    assert {"title", "status", "detail"} <= set(problem)
