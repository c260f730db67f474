"""Calls that more than one service answers: who is asked after whom, and what the client gets."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from events import new_id
from gateway.composing.audit import merged
from gateway.composing.conflicts import KEEP_DISRUPTION, WAITLIST_DISRUPTION, options
from gateway.main import Gateway
from servicekit import keys
from servicekit.capabilities import Settlement
from servicekit.signing import Signer

from .conftest import TENANT, Services, problem

Reached = tuple[Gateway, httpx.AsyncClient]
CLINIC, INTERNAL = f"/v1/clinics/{TENANT}", f"/internal/tenants/{TENANT}"
EWA = {"name": "Ewa", "email": "ewa@example.test"}
KEY = "0190a0a0-0000-7000-8000-00000000000a"


@pytest.fixture
def client(gateway: Reached, services: Services) -> httpx.AsyncClient:
    """A client of the gateway, with identity answering; nothing else is answered yet."""
    services.answers.clear()
    services.answers["POST", f"{INTERNAL}/customers"] = (200, {"customer_token": "signed"})
    return gateway[1]


@pytest.fixture
def settlement(keys_path: Path) -> Callable[[Any], str]:
    """Payment's word that nothing is due for a booking."""
    signer = Signer(keys.load(keys_path).of("settlements"), "settlements")
    return lambda booking_id: signer.sign(Settlement(int(time.time()) + 60, TENANT, booking_id, new_id()))


# -- appointments --------------------------------------------------------------------------------------------------


async def test_a_move_to_a_taken_time_is_refused_with_alternatives(
    client: httpx.AsyncClient, services: Services
) -> None:
    path = f"{CLINIC}/appointments/{new_id()}/reschedule"
    services.answers["PUT", path] = (409, problem(409, "slot-taken", alternatives=[]))
    services.answers["POST", f"{INTERNAL}/alternatives"] = (200, {"alternatives": [{"slot_id": "b"}]})
    answer = await client.put(path.replace(str(TENANT), "alfa"), json={"slot_id": "move-a"})
    assert (answer.status_code, answer.json()["alternatives"]) == (409, [{"slot_id": "b"}])
    assert services.last(f"{INTERNAL}/alternatives")[1]["slot_id"] == "move-a"


async def test_an_appointment_at_a_taken_slot_is_refused_with_alternatives(
    client: httpx.AsyncClient, services: Services
) -> None:
    services.answers["POST", f"{CLINIC}/appointments"] = (409, problem(409, "slot-taken", alternatives=[]))
    services.answers["POST", f"{INTERNAL}/alternatives"] = (200, {"alternatives": [{"slot_id": "b"}]})
    body = {"slot_id": "direct-a", "customer": EWA}
    answer = await client.post("/v1/clinics/alfa/appointments", json=body)
    assert (answer.status_code, answer.json()["alternatives"]) == (409, [{"slot_id": "b"}])


async def test_a_move_to_a_dearer_time_opens_a_checkout_and_shows_what_waits(
    client: httpx.AsyncClient, services: Services
) -> None:
    booking_id = str(new_id())
    path = f"{CLINIC}/appointments/{booking_id}/reschedule"
    move = {"status": "pending_payment", "slot": {"start": "2026-12-01T09:00:00Z"}}
    kept = {"id": booking_id, "status": "confirmed", "payment": {"status": "paid"}, "move": move}
    services.answers["PUT", path] = (200, kept | {"payment_request": "due"})
    opened = {"status": "open", "session_id": "cs_1", "checkout_url": "https://pay", "expires_at": "x"}
    services.answers["POST", "/internal/checkouts"] = (200, opened)
    answer = await client.put(path, json={"slot_id": "a"})
    assert answer.json() == kept | {"payment": {"status": "paid", "session_id": "cs_1", "checkout_url": "https://pay"}}
    assert services.last("/internal/checkouts")[1] == {"payment_request": "due"}


async def test_a_move_for_which_nothing_is_due_is_settled_by_its_hold_and_shown_as_it_is_then(
    client: httpx.AsyncClient, services: Services, settlement: Callable[[Any], str]
) -> None:
    booking_id, hold_id = str(new_id()), new_id()
    own = f"{CLINIC}/appointments/{booking_id}"
    before = {"id": booking_id, "status": "confirmed", "slot": "old", "payment": {}, "move": {"id": str(hold_id)}}
    services.answers["PUT", f"{own}/reschedule"] = (200, before | {"payment_request": "due"})
    services.answers["POST", "/internal/checkouts"] = (200, {"status": "settled", "settlement": settlement(hold_id)})
    services.answers["POST", f"{INTERNAL}/appointments/{hold_id}/settle"] = (200, {"id": str(hold_id)})
    after = {"id": booking_id, "status": "confirmed", "slot": "new", "payment": {"status": "paid"}}
    services.answers["GET", own] = (200, after)
    answer = await client.put(f"{own}/reschedule", json={"slot_id": "a"}, headers={"Authorization": "Bearer mine"})
    assert answer.json() == after
    assert services.last(own)[0].headers["Authorization"] == "Bearer mine"


async def test_an_appointment_for_which_nothing_is_due_is_confirmed_at_once_and_keeps_its_token(
    client: httpx.AsyncClient, services: Services, settlement: Callable[[Any], str]
) -> None:
    booking_id = new_id()
    made = {"id": str(booking_id), "status": "pending_payment", "payment": {"status": "pending"}, "manage_token": "t"}
    services.answers["POST", f"{CLINIC}/appointments"] = (201, made | {"payment_request": "due"})
    services.answers["POST", "/internal/checkouts"] = (200, {"status": "settled", "settlement": settlement(booking_id)})
    confirmed = {"id": str(booking_id), "status": "confirmed", "payment": {"status": "paid"}}
    services.answers["POST", f"{INTERNAL}/appointments/{booking_id}/settle"] = (200, confirmed)
    answer = await client.post("/v1/clinics/alfa/appointments", json={"hold_id": "h", "customer": EWA})
    assert (answer.status_code, answer.json()) == (201, confirmed | {"manage_token": "t"})


async def test_who_waits_is_known_by_identity(client: httpx.AsyncClient, services: Services) -> None:
    services.answers["POST", f"{CLINIC}/waitlist"] = (201, {"id": "1", "status": "waiting"})
    body = {"offering_id": "o", "from": "a", "to": "b", "customer": EWA, "customer_token": "forged"}
    answer = await client.post("/v1/clinics/alfa/waitlist", json=body)
    assert (answer.status_code, answer.json()["status"]) == (201, "waiting")
    request, sent = services.last(f"{CLINIC}/waitlist")
    assert sent == {"offering_id": "o", "from": "a", "to": "b", "customer_token": "signed"}
    assert len(request.headers["X-Request-Hash"]) == 64
    answer = await client.post("/v1/clinics/alfa/waitlist", json={"offering_id": "o"})
    assert [error["field"] for error in answer.json()["errors"]] == ["customer"]


async def test_a_customer_that_identity_refuses_is_refused(client: httpx.AsyncClient, services: Services) -> None:
    services.answers["POST", f"{INTERNAL}/customers"] = (422, problem(422, "validation-failed", errors=[]))
    for path in ("waitlist", "appointments", "series"):
        before = services.count(f"{CLINIC}/{path}")
        body = {"slot_id": "a", "rrule": "r", "customer": EWA}
        assert (await client.post(f"/v1/clinics/alfa/{path}", json=body)).status_code == 422
        assert services.count(f"{CLINIC}/{path}") == before


# -- series --------------------------------------------------------------------------------------------------------

FREE = {"start": "2026-12-01T08:00:00Z", "slot_id": "s1", "alternatives": []}
LOST = {"start": "2026-12-08T08:00:00Z", "slot_id": "s2", "alternatives": []}
FULL = {"start": "2026-12-15T08:00:00Z", "slot_id": None, "alternatives": [{"slot_id": "x"}]}


async def test_a_series_takes_what_availability_found_and_helps_those_who_were_too_slow(
    client: httpx.AsyncClient, services: Services
) -> None:
    services.answers["POST", f"{INTERNAL}/occurrences"] = (200, {"occurrences": [FREE, LOST, FULL]})
    booked = {"start": "2026-12-01T08:00:00Z", "status": "booked", "appointment_id": "1"}
    lost = {"start": "2026-12-08T08:00:00Z", "status": "refused", "alternatives": [], "slot_id": "s2"}
    full = {"start": "2026-12-15T08:00:00Z", "status": "refused", "alternatives": [{"slot_id": "x"}]}
    services.answers["POST", f"{CLINIC}/series"] = (
        201,
        {"id": "9", "status": "active", "occurrences": [booked, lost, full]},
    )
    services.answers["POST", f"{INTERNAL}/alternatives"] = (200, {"alternatives": [{"slot_id": "y"}]})
    body = {"slot_id": "s1", "rrule": "FREQ=WEEKLY;COUNT=3", "customer": EWA, "pay": "desk"}
    answer = await client.post("/v1/clinics/alfa/series", json=body)
    assert answer.status_code == 201
    lost = {"start": lost["start"], "status": "refused", "alternatives": [{"slot_id": "y"}]}
    assert answer.json()["occurrences"] == [booked, lost, full]
    assert services.last(f"{INTERNAL}/occurrences")[1] == {"slot_id": "s1", "rrule": "FREQ=WEEKLY;COUNT=3"}
    assert services.last(f"{INTERNAL}/alternatives")[1]["slot_id"] == "s2"
    assert services.last(f"{CLINIC}/series")[1] == {
        "slot_id": "s1",
        "rrule": "FREQ=WEEKLY;COUNT=3",
        "pay": "desk",
        "customer_token": "signed",
        "occurrences": [FREE, LOST, FULL],
    }


async def test_a_series_of_which_nothing_could_be_had_is_a_refusal_that_says_what_else_there_is(
    client: httpx.AsyncClient, services: Services
) -> None:
    services.answers["POST", f"{INTERNAL}/occurrences"] = (200, {"occurrences": [FREE]})
    lost = {"start": FREE["start"], "status": "refused", "alternatives": [], "slot_id": "s1"}
    services.answers["POST", f"{CLINIC}/series"] = (409, problem(409, "slot-taken", occurrences=[lost]))
    services.answers["POST", f"{INTERNAL}/alternatives"] = (200, {"alternatives": [{"slot_id": "z"}]})
    body = {"slot_id": "s1-none", "rrule": "FREQ=WEEKLY;COUNT=1", "customer": EWA}
    answer = await client.post("/v1/clinics/alfa/series", json=body)
    assert answer.status_code == 409
    assert answer.json()["alternatives"] == [{"slot_id": "z"}]
    assert answer.json()["occurrences"][0]["alternatives"] == [{"slot_id": "z"}]


async def test_a_rule_that_availability_refuses_books_nothing_but_a_stored_answer_outlives_its_offer(
    client: httpx.AsyncClient, services: Services
) -> None:
    services.answers["POST", f"{INTERNAL}/occurrences"] = (410, problem(410, "offer-expired"))
    body = {"slot_id": "old", "rrule": "FREQ=WEEKLY;COUNT=3", "customer": EWA}
    before = services.count(f"{CLINIC}/series")
    assert (await client.post("/v1/clinics/alfa/series", json=body)).status_code == 410
    assert services.count(f"{CLINIC}/series") == before
    keyed = {"Idempotency-Key": KEY}
    services.answers["POST", f"{CLINIC}/series"] = (422, problem(422, "validation-failed"))
    assert (await client.post("/v1/clinics/alfa/series", json=body, headers=keyed)).status_code == 410
    stored = (201, {"id": "9", "occurrences": []}, {"Idempotent-Replayed": "true"})
    services.answers["POST", f"{CLINIC}/series"] = stored
    again = await client.post("/v1/clinics/alfa/series", json=body, headers=keyed)
    assert (again.status_code, again.json()["id"]) == (201, "9")
    assert "occurrences" not in services.last(f"{CLINIC}/series")[1]
    for missing in ("slot_id", "rrule"):
        answer = await client.post(
            "/v1/clinics/alfa/series", json={name: value for name, value in body.items() if name != missing}
        )
        assert [error["field"] for error in answer.json()["errors"]] == [missing]


async def test_a_series_moves_by_the_visits_that_booking_names_and_the_times_that_availability_finds(
    client: httpx.AsyncClient, services: Services
) -> None:
    series_id, first, second = str(new_id()), str(new_id()), str(new_id())
    starts = ["2026-12-01T08:00:00Z", "2026-12-08T08:00:00Z"]
    moving = {"from_start": starts[0], "starts": starts, "appointment_ids": [first, second]}
    services.answers["GET", f"{INTERNAL}/series/{series_id}/occurrences"] = (200, moving)
    services.answers["POST", f"{INTERNAL}/shifted"] = (200, {"occurrences": [FREE, FULL]})
    done = {"id": series_id, "status": "active", "occurrences": []}
    path = f"{CLINIC}/series/{series_id}/reschedule"
    services.answers["PUT", path] = (200, done)
    body = {"scope": "following", "appointment_id": first, "slot_id": "s1"}
    answer = await client.put(path, json=body, headers={"Authorization": "Bearer mine"})
    assert (answer.status_code, answer.json()) == (200, done)
    asked, _ = services.last(f"{INTERNAL}/series/{series_id}/occurrences")
    assert dict(asked.query) == {"scope": "following", "appointment_id": first}
    assert asked.headers["Authorization"] == "Bearer mine"
    assert services.last(f"{INTERNAL}/shifted")[1] == {"slot_id": "s1", "from_start": starts[0], "starts": starts}
    occurrences = [{"appointment_id": first} | FREE, {"appointment_id": second} | FULL]
    assert services.last(path)[1] == body | {"occurrences": occurrences}
    del services.answers["GET", f"{INTERNAL}/series/{series_id}/occurrences"]
    before = services.count(path)
    assert (await client.put(path, json=body)).status_code == 404
    assert services.count(path) == before


# -- conflicts -----------------------------------------------------------------------------------------------------


def test_options_are_in_the_order_of_what_they_disturb() -> None:
    start = datetime(2026, 12, 1, 8, tzinfo=UTC)
    room = {"id": "r", "type": "room", "name": "2"}
    later = {"slot_id": "later", "start": "2026-12-01T10:00:00Z"}
    sooner = {"slot_id": "sooner", "start": "2026-12-01T07:45:00Z"}
    same = {"slot_id": "same", "start": "2026-12-01T08:00:00Z"}
    found = options({"substitutes": [{"slot": same, "resource": room}], "alternatives": [later, sooner]}, start)
    assert [(one["id"], one["kind"], one["disruption"]) for one in found] == [
        ("substitute.same", "substitute", 0),
        ("reschedule.sooner", "reschedule", 15),
        ("reschedule.later", "reschedule", 120),
        ("waitlist", "waitlist", WAITLIST_DISRUPTION),
        ("keep", "keep", KEEP_DISRUPTION),
    ]
    assert (found[0]["slot"], found[0]["resource"], found[1]["slot"]) == (same, room, sooner)
    assert [one["id"] for one in options({}, start)] == ["waitlist", "keep"]


async def test_each_open_conflict_has_its_options_and_nobody_sees_what_they_are_made_of(
    client: httpx.AsyncClient, services: Services
) -> None:
    repair = {"offering_id": "o", "start": "2026-12-01T08:00:00Z", "limit": 5}
    conflicts = [{"id": "1", "cause": "time_off", "repair": repair}, {"id": "2", "status": "resolved"}]
    services.answers["GET", f"{CLINIC}/conflicts"] = (200, {"data": conflicts, "next_cursor": "c"})
    slot = {"slot_id": "s", "start": "2026-12-01T08:30:00Z"}
    services.answers["POST", f"{INTERNAL}/repairs"] = (200, {"substitutes": [], "alternatives": [slot]})
    answer = await client.get("/v1/clinics/alfa/conflicts?limit=100&status=open")
    assert answer.json()["next_cursor"] == "c"
    first, second = answer.json()["data"]
    assert [one["id"] for one in first["options"]] == ["reschedule.s", "waitlist", "keep"]
    assert "repair" not in first
    assert second["options"] == []
    assert services.last(f"{INTERNAL}/repairs")[1] == repair
    assert dict(services.last(f"{CLINIC}/conflicts")[0].query) == {"status": "open", "limit": "20"}
    del services.answers["POST", f"{INTERNAL}/repairs"]
    answer = await client.get("/v1/clinics/alfa/conflicts")
    assert [one["id"] for one in answer.json()["data"][0]["options"]] == ["waitlist", "keep"]


# -- audit ---------------------------------------------------------------------------------------------------------


def line(second: int, name: str = "") -> dict[str, str]:
    return {"id": f"{second}{name}", "at": f"2026-12-01T08:00:{second:02}Z"}


def test_pages_of_the_audit_follow_each_other_and_keep_what_is_of_one_instant_together() -> None:
    identity = [line(9), line(7), line(7, "b"), line(2)]
    booking = [line(8), line(7, "c"), line(1)]

    def page(limit: int, before: int = 99) -> tuple[list[str], str | None]:
        lists = [[one for one in found if one["at"] < line(before)["at"]] for found in (identity, booking)]
        lines, following = merged([found[: limit + 1] for found in lists], limit, limit + 1)
        return [one["id"] for one in lines], following

    assert page(3) == (["9", "8"], line(8)["at"])
    assert page(3, 8) == (["7", "7b", "7c"], line(7)["at"])
    assert page(3, 7) == (["2", "1"], None)
    assert page(10) == (["9", "8", "7", "7b", "7c", "2", "1"], None)
    assert page(1, 8) == (["7"], line(7)["at"])  # a page cannot hold them together: it goes on after that instant


async def test_the_audit_is_both_services_lines_for_whom_both_let_see_it(
    client: httpx.AsyncClient, services: Services
) -> None:
    services.answers["GET", f"{CLINIC}/audit"] = (200, {"data": [line(5), line(3)], "next_cursor": None})
    services.answers["GET", f"{INTERNAL}/audit"] = (200, {"data": [line(4)]})
    mine = {"Authorization": "Bearer mine"}
    answer = await client.get("/v1/clinics/alfa/audit?limit=2", headers=mine)
    assert [one["id"] for one in answer.json()["data"]] == ["5", "4"]
    for path in (f"{CLINIC}/audit", f"{INTERNAL}/audit"):
        request, _ = services.last(path)
        assert request.headers["Authorization"] == "Bearer mine"
        assert dict(request.query) == {"limit": "3"}
    await client.get("/v1/clinics/alfa/audit", params={"cursor": answer.json()["next_cursor"]}, headers=mine)
    assert dict(services.last(f"{INTERNAL}/audit")[0].query) == {"limit": "51", "before": line(4)["at"]}
    for bad in ({"limit": "0"}, {"limit": "201"}, {"limit": "x"}, {"cursor": "nonsense"}, {"cursor": "MQ=="}):
        assert (await client.get("/v1/clinics/alfa/audit", params=bad)).status_code == 422, bad
    services.answers["GET", f"{INTERNAL}/audit"] = (403, problem(403, "forbidden"))
    assert (await client.get("/v1/clinics/alfa/audit", headers=mine)).status_code == 403
