"""`place_hold` says in SQL what the models of the contracts say in Python, and both routes to it answer the same."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from booking import learning
from booking.model import Booking, Slot, occupied
from booking.repository import bookings, slots
from events import Event, new_id
from events.contracts.availability import MaxRule, OfferingState, ResourceState
from events.contracts.booking import HoldCreated, Occupancy
from events.contracts.identity import TenantChanged, TenantSettings
from events.envelope import Envelope, Message, as_headers, unseal

from .conftest import NEXT_WEEK, Clinic, bearer, code

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def stored(clinic: Clinic, hold: dict[str, Any]) -> tuple[Booking, Slot]:
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        booking = await bookings.find(tx, UUID(hold["id"]))
        assert booking is not None
        return booking, await slots.of(tx, booking)


def message(record: dict[str, Any]) -> Message:
    """The row of the outbox as a consumer gets it."""
    value = json.dumps(record["payload"]).encode()
    return Message(record["topic"], record["key"], value, as_headers(record["headers"].items()), 0, 0)


async def check_what_is_said(clinic: Clinic, hold: dict[str, Any], mark: int) -> None:
    booking, slot = await stored(clinic, hold)
    slot = Slot(**{name: getattr(slot, name) for name in Slot.__slots__} | {"was_full": False})
    expected = [
        HoldCreated(**booking.fact(), visit=booking.visit(), expires_at=booking.expires_at),
        *occupied(booking, slot),
        *slot.change(),
    ]
    records = await clinic.records(mark)
    said = [unseal(message(record)) for record in records]
    assert said == expected
    for record, event in zip(records, said, strict=True):
        assert isinstance(event, Event)
        assert (record["topic"], record["key"]) == (event.TOPIC, event.key())
        envelope = Envelope.of(message(record))
        assert (envelope.type, envelope.subject, envelope.version) == (event.TYPE, event.key(), event.version)
        assert (envelope.tenant_id, envelope.correlation_id) == (clinic.tenant_id, booking.id)
        assert (envelope.source, envelope.id.version) == ("holdfast/booking", 7)
        assert abs(envelope.time - datetime.now(UTC)) < timedelta(minutes=1)
        # The same attributes as an event from Python has: none is missing, none is added.
        assert record["headers"] == Envelope.of(message(record)).headers() | {"ce_time": record["headers"]["ce_time"]}


async def test_a_visit_in_a_room_is_said_as_the_models_would(clinic: Clinic) -> None:
    group = [await clinic.resource(), await clinic.resource("room"), await clinic.resource("equipment")]
    kind = await clinic.offering()
    for step, hold_seconds in enumerate((600, 0.25, 90061.5)):
        mark = await clinic.mark()
        start = NEXT_WEEK + timedelta(hours=step)
        slot = clinic.offer(kind, group, start=start, buffer=10, hold_seconds=hold_seconds)
        await check_what_is_said(clinic, (await clinic.hold(slot)).json(), mark)


async def test_seats_of_a_class_are_said_as_the_models_would(clinic: Clinic) -> None:
    yoga, group = await clinic.offering(capacity=3), [await clinic.resource(), await clinic.resource("room")]
    for seats in (1, 2):
        mark = await clinic.mark()
        held = await clinic.hold(clinic.offer(yoga, group), seats=seats)
        await check_what_is_said(clinic, held.json(), mark)
    assert len(await clinic.said("booking.slot_blocked.v1")) == 1


async def test_a_visit_without_a_practitioner_is_said_as_the_models_would(clinic: Clinic) -> None:
    kind, room = await clinic.offering(), await clinic.resource("room")
    mark = await clinic.mark()
    hold = (await clinic.hold(clinic.offer(kind, [room]))).json()
    await check_what_is_said(clinic, hold, mark)
    assert hold["slot"]["provider_id"] is None


async def test_the_trace_of_the_request_goes_with_it(clinic: Clinic) -> None:
    kind, anna = await clinic.offering(), await clinic.resource()
    held = await clinic.hold(clinic.offer(kind, [anna]), who={"traceparent": TRACE})
    assert held.status_code == 201
    traces = {record["headers"]["traceparent"].split("-")[1] for record in await clinic.records()}
    assert traces == {TRACE.split("-")[1]}


async def test_a_taken_seat_says_no_more_than_the_hold_and_the_row(clinic: Clinic) -> None:
    yoga, maria = await clinic.offering(capacity=2), await clinic.resource()
    await clinic.hold(clinic.offer(yoga, [maria]))
    rows = [record for record in await clinic.records() if record["topic"] == "holdfast.occupancy"]
    row = unseal(message(rows[-1]))
    assert isinstance(row, Occupancy)
    assert (row.reserved, row.capacity, row.expires_at) == (1, 2, None), "a class's claim ends with its last seat"


@pytest.mark.parametrize(
    ("mode", "deposit", "each"), [("free", None, 0), ("full", None, 2000), ("authorize", None, 2000),
                                  ("deposit", 500, 500), ("deposit", 9999, 2000)]
)  # fmt: skip
async def test_what_is_due_is_by_the_seat_and_never_more_than_the_price(
    clinic: Clinic, mode: str, deposit: int | None, each: int
) -> None:
    yoga = await clinic.offering(mode, price=2000, capacity=5, deposit=deposit)
    booking = await clinic.appointment(clinic.offer(yoga, [await clinic.resource()]), seats=3)
    assert booking["payment"]["amount_due"] == 3 * each
    [fact] = await clinic.said("booking.appointment_requested.v1")
    assert (fact["price"]["amount"], fact["amount_due"]["amount"]) == (6000, 3 * each)


# -- both routes --------------------------------------------------------------------------------------------------


def keyed() -> dict[str, str]:
    """With a key the request goes FastAPI's way, without one the short way."""
    return {"Idempotency-Key": str(uuid4())}


async def test_both_routes_answer_the_same_document(clinic: Clinic) -> None:
    kind = await clinic.offering("full")
    group = [await clinic.resource(), await clinic.resource("room")]
    slot = clinic.offer(kind, group, [await clinic.resource()])
    answers = []
    for who in ({}, keyed()):
        answer = await clinic.hold(slot, who=who)
        assert answer.status_code == 201, answer.text
        hold = answer.json()
        assert (await clinic.get(hold, "holds")) == {key: hold[key] for key in hold if key != "manage_token"}
        gone = await clinic.client.delete(f"{clinic.base}/holds/{hold['id']}", headers=bearer(hold))
        assert gone.status_code == 204
        answers.append(answer)
    short, long = (answer.json() for answer in answers)
    own = ("id", "expires_at", "manage_token")
    assert {key: value for key, value in short.items() if key not in own} == {
        key: value for key, value in long.items() if key not in own
    }
    assert list(short) == list(long)
    assert [len(short[key]) for key in own] == [len(long[key]) for key in own]
    names = ("content-type", "cache-control")
    assert [answers[0].headers[name] for name in names] == [answers[1].headers[name] for name in names]


async def test_a_seat_is_shown_when_it_is_taken_as_it_is_shown_later(clinic: Clinic) -> None:
    yoga = await clinic.offering(capacity=3)
    slot = clinic.offer(yoga, [await clinic.resource(kind) for kind in ("room", "practitioner", "equipment", "room")])
    for who in ({}, {}, keyed()):
        hold = (await clinic.hold(slot, who=who)).json()
        later = await clinic.get(hold, "holds")
        assert later["slot"]["resources"] == hold["slot"]["resources"]
        assert len(later["slot"]["resources"]) == 4


async def test_both_routes_refuse_alike(clinic: Clinic) -> None:
    rules = [MaxRule(kind="max", of="practitioner", per="day", count=1)]
    kind, anna = await clinic.offering(rules=rules), await clinic.resource()
    sauna = await clinic.offering(members_only=True)
    good = clinic.offer(kind, [anna])
    assert (await clinic.hold(good)).status_code == 201
    refusals = {
        "taken": good,
        "against a rule": clinic.offer(kind, [anna], start=NEXT_WEEK + timedelta(minutes=30)),
        "for members": clinic.offer(sauna, [anna]),
        "for the desk": clinic.offer(kind, [anna], override=True),
        "too old": clinic.offer(kind, [anna], lives=-60),
        "past": clinic.offer(kind, [anna], start=NEXT_WEEK - timedelta(days=9)),
        "forged": good[:-3] + "abc",
    }
    for name, slot in refusals.items():
        short, long = await clinic.hold(slot), await clinic.hold(slot, who=keyed())
        assert short.status_code == long.status_code >= 400, name
        assert short.json() == long.json(), name
        assert short.headers["content-type"] == long.headers["content-type"] == "application/problem+json"
    short, long = await clinic.hold(good, seats=2), await clinic.hold(good, seats=2, who=keyed())
    assert short.json() == long.json()


@pytest.mark.parametrize(
    "body",
    [
        "", "null", "[]", '"x"', "7", "{", "{}", '{"slot_id": null}', '{"slot_id": 5}', '{"slot_id": ""}',
        '{"slot_id": "x", "seat": 1}', '{"slot_id": "x", "seats": 0}', '{"slot_id": "x", "seats": 1001}',
        '{"slot_id": "x", "seats": "two"}', '{"slot_id": "x", "seats": "2"}', '{"slot_id": "x", "seats": 2.0}',
        '{"slot_id": "x", "seats": 1.5}', '{"slot_id": "x", "seats": true}', '{"slot_id": "x", "seats": null}',
        '{"seats": "x", "more": 1}', '{"slot_id": "x\\u0000y"}', '{"slot_id": "\\ud800"}',
        '{"slot_id": "%s"}' % ("x" * 8001), '{"slot_id": "x", "seats": 99999999999999999999}',
    ],
)  # fmt: skip
async def test_both_routes_name_the_same_wrong_fields(clinic: Clinic, body: str) -> None:
    answers = []
    for more in ({}, keyed()):
        headers = {"Content-Type": "application/json"} | more
        answer = await clinic.client.post(f"{clinic.base}/holds", content=body, headers=headers)
        fields = {error["field"] for error in answer.json().get("errors", [])}
        answers.append((code(answer), fields))
    assert answers[0] == answers[1]
    assert answers[0][0][0] in (400, 422)


# -- faster than the catalogue ------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", [{}, {"Idempotency-Key": "x"}], ids=["short", "long"])
async def test_an_offer_that_is_newer_than_the_copies_waits_for_them(clinic: Clinic, who: dict[str, str]) -> None:
    headers = keyed() if who else {}
    old, anna = await clinic.offering("full"), await clinic.resource()
    kind = old.model_copy(update={"version": 2, "mode": "free"})
    piotr = anna.model_copy(update={"resource_id": new_id()})
    holding = asyncio.create_task(clinic.hold(clinic.offer(kind, [piotr]), who=headers))
    await asyncio.sleep(0.1)
    assert not holding.done()
    await clinic.offers_now(kind)
    await asyncio.sleep(0.05)
    await clinic.has_now(piotr)
    held = await holding
    assert held.status_code == 201, held.text
    assert (await clinic.request(held.json())).json()["status"] == "confirmed"


@pytest.mark.parametrize("long", [False, True])
async def test_what_never_comes_is_told_in_time_and_holds_nothing(clinic: Clinic, long: bool) -> None:
    kind, anna = await clinic.offering(), await clinic.resource()
    unknown = anna.model_copy(update={"resource_id": new_id()})
    answer = await clinic.hold(clinic.offer(kind, [anna, unknown]), who=keyed() if long else None)
    assert code(answer) == (503, "unavailable")
    assert answer.headers["Retry-After"] == "1"
    assert await clinic.claims() == set()


async def test_a_clinic_that_has_just_opened_is_waited_for(clinic: Clinic) -> None:
    fresh = Clinic(clinic.service, clinic.client, clinic.tokens)
    kind, anna = await fresh.offering(), await fresh.resource()
    holding = asyncio.create_task(fresh.hold(fresh.offer(kind, [anna])))
    await asyncio.sleep(0.1)
    await fresh.open()
    assert (await holding).status_code == 201


async def test_what_only_the_copies_know_is_read_from_there(clinic: Clinic) -> None:
    kind, anna = await clinic.offering(), await clinic.resource()
    for table in ("clinic", "offering", "resource"):
        await clinic.stored(f"DELETE FROM {table} RETURNING 1")
    assert (await clinic.hold(clinic.offer(kind, [anna]))).status_code == 201


async def test_an_older_state_that_comes_late_changes_nothing(clinic: Clinic) -> None:
    kind, anna = await clinic.offering(), await clinic.resource()
    newer = await clinic.offers_now(kind, active=False)
    gone = await clinic.has_now(anna, active=False)
    await clinic.offers_now(kind)
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await learning.keep_resource(tx, anna)
    assert code(await clinic.hold(clinic.offer(newer, [anna]))) == (410, "offer-expired")
    other = await clinic.offering()
    assert code(await clinic.hold(clinic.offer(other, [gone]))) == (410, "offer-expired")


async def test_the_clinics_buffer_is_the_one_of_now(clinic: Clinic) -> None:
    state = TenantChanged(
        tenant_id=clinic.tenant_id, version=9, slug="clinic", name="Clinic", time_zone="Europe/Warsaw", currency="pln",
        locales=["pl"], settings=TenantSettings(external_buffer_minutes=0),
    )  # fmt: skip
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await learning.keep_tenant(tx, state)
    [row] = await clinic.stored("SELECT external_buffer FROM clinic")
    assert row["external_buffer"] == timedelta(0)


# -- hoarding -----------------------------------------------------------------------------------------------------


async def slots_of(clinic: Clinic, count: int) -> list[str]:
    """So many times that do not touch each other."""
    kind: OfferingState = await clinic.offering("full")
    anna: ResourceState = await clinic.resource()
    return [clinic.offer(kind, [anna], start=NEXT_WEEK + timedelta(hours=step)) for step in range(count)]


@pytest.mark.parametrize("long", [False, True])
async def test_one_address_holds_three_unpaid_times_and_then_waits(clinic: Clinic, long: bool) -> None:
    origin = {"X-Origin-Hash": uuid4().hex}
    one, two, three, four = await slots_of(clinic, 4)

    async def hold(slot: str, more: dict[str, str] = origin) -> Any:
        return await clinic.hold(slot, who=more | (keyed() if long else {}))

    held = [await hold(slot) for slot in (one, two, three)]
    assert [answer.status_code for answer in held] == [201, 201, 201]
    # One that waits for its payment is as unpaid as one that is only held.
    assert (await clinic.request(held[0].json())).json()["status"] == "pending_payment"
    refused = await hold(four)
    assert code(refused) == (429, "rate-limited")
    assert int(refused.headers["Retry-After"]) > 0
    assert (await hold(four, {"X-Origin-Hash": uuid4().hex})).status_code == 201
    await clinic.pay(held[0].json())
    (later,) = await slots_of(clinic, 1)
    assert (await hold(later)).status_code == 201


async def test_another_clinic_is_another_matter(clinic: Clinic) -> None:
    origin = {"X-Origin-Hash": uuid4().hex}
    other = await Clinic(clinic.service, clinic.client, clinic.tokens).open()
    for one in (clinic, other):
        for slot in await slots_of(one, 3):
            assert (await one.hold(slot, who=origin)).status_code == 201


async def test_one_address_holds_twenty_times_an_hour_however_soon_it_lets_go(clinic: Clinic) -> None:
    origin = {"X-Origin-Hash": uuid4().hex}
    (slot,) = await slots_of(clinic, 1)
    for _ in range(20):
        hold = (await clinic.hold(slot, who=origin)).json()
        await clinic.client.delete(f"{clinic.base}/holds/{hold['id']}", headers=bearer(hold))
    refused = await clinic.hold(slot, who=origin)
    assert code(refused) == (429, "rate-limited")
    assert await clinic.claims() == set()
    hour_ago = "UPDATE booking SET created_at = now() - interval '61 min' RETURNING 1"
    await clinic.stored(hour_ago)
    assert (await clinic.hold(slot, who=origin)).status_code == 201


async def test_an_origin_that_is_no_hash_is_refused_by_its_name(clinic: Clinic) -> None:
    (slot,) = await slots_of(clinic, 1)
    for more in ({}, keyed()):
        refused = await clinic.hold(slot, who={"X-Origin-Hash": "not hex"} | more)
        assert refused.status_code == 422
        assert [error["field"].replace("_", "-") for error in refused.json()["errors"]] in (
            ["x-origin-hash"], ["header.x-origin-hash"],
        )  # fmt: skip
