"""Resources, offerings, schedules and time off over HTTP."""

from uuid import uuid4

import pytest

from events import Deleted, new_id
from events.contracts.availability import AvailabilityChanged, OfferingState, ResourceState

NOBODY = uuid4()
PLN = {"amount": 30000, "currency": "pln"}


async def test_a_resource_is_made_read_changed_and_deleted(clinic, world):
    made = await clinic.call("POST", "/resources", {"type": "practitioner", "name": "Łucja Żak"}, expect=201)
    assert made["slug"] == "lucja-zak"
    assert made["time_zone"] == "Europe/Warsaw"
    assert (await clinic.call("GET", "/resources/lucja-zak"))["id"] == made["id"]

    changed = await clinic.call("PATCH", f"/resources/{made['id']}", {"buffer_after_minutes": 10, "slug": "lu"})
    assert (changed["slug"], changed["buffer_after_minutes"], changed["name"]) == ("lu", 10, "Łucja Żak")

    await clinic.call("DELETE", "/resources/lu", expect=204)
    await clinic.call("DELETE", "/resources/lu", expect=204)
    await clinic.call("GET", "/resources/lu", expect=404)
    await clinic.call("DELETE", "/resources/never", expect=404)
    states = await world.wait_sent(clinic.id, ResourceState, 3)
    assert [type(state) for state in states] == [ResourceState, ResourceState, Deleted]
    assert [state.version for state in states] == [1, 2, 3]


async def test_a_deleted_resource_that_bookings_name_stays_in_the_state_as_inactive(clinic, world):
    from datetime import UTC, datetime, timedelta

    anna = await clinic.practitioner()
    start = datetime.now(UTC) + timedelta(days=1)
    await clinic.take(anna, start, start + timedelta(minutes=30))
    await clinic.call("DELETE", "/resources/anna", expect=204)
    last = (await world.wait_sent(clinic.id, ResourceState, 3))[-1]
    assert not last.active
    await clinic.practitioner("Anna")  # the slug is free again


async def test_the_public_sees_what_is_public(clinic):
    body = {"type": "practitioner", "name": "Anna", "user_id": str(uuid4()), "metadata": {"a": "b"}}
    anna = await clinic.call("POST", "/resources", body, expect=201)
    await clinic.call("POST", "/resources", {"type": "room", "name": "Old", "active": False}, expect=201)
    seen = await clinic.call("GET", "/resources", who={})
    assert [row["slug"] for row in seen["data"]] == ["anna"]
    assert not {"user_id", "metadata"} & set(seen["data"][0])
    await clinic.call("GET", "/resources/old", who={}, expect=404)
    assert (await clinic.call("GET", "/resources/old"))["active"] is False
    assert (await clinic.call("GET", "/resources/anna"))["user_id"] == anna["user_id"]


@pytest.mark.parametrize("role", ["practitioner", "front_desk", "auditor"])
async def test_only_managers_write(clinic, world, role):
    await clinic.practitioner()
    who = world.tokens.of(clinic.id, role)
    body = {"type": "room", "name": "R"}
    await clinic.call("POST", "/resources", body, who=who, expect=403)
    await clinic.call("PATCH", "/resources/anna", {"name": "B"}, who=who, expect=403)
    await clinic.call("PUT", "/resources/anna/schedule", {"weekly": {}}, who=who, expect=403)
    await clinic.call("POST", "/offerings", {"name": "O", "duration_minutes": 30}, who=who, expect=403)
    await clinic.call("POST", "/resources", body, who={}, expect=401)
    await clinic.call("POST", "/resources", body, who=world.tokens.of(new_id(), "owner"), expect=403)
    await clinic.call("POST", "/resources", body, who=world.tokens.of(clinic.id, "manager"), expect=201)


async def test_if_match_guards_every_change(clinic, world):
    await clinic.practitioner()
    got = await world.client.get(f"{clinic.base}/resources/anna", headers=clinic.owner)
    tag = got.headers["etag"]
    stale = {"If-Match": '"1"'}
    await clinic.call("PATCH", "/resources/anna", {"name": "B"}, headers=stale, expect=412)
    await clinic.call("PUT", "/resources/anna/schedule", {"weekly": {}}, headers=stale, expect=412)
    await clinic.call("DELETE", "/resources/anna", headers=stale, expect=412)
    await clinic.call("PATCH", "/resources/anna", {"name": "B"}, headers={"If-Match": tag})
    await clinic.call("PATCH", "/resources/anna", {"name": "C"}, headers={"If-Match": "*"})


async def test_an_offering_has_every_field_of_the_contract(clinic, world):
    anna = await clinic.practitioner()
    body = {
        "slug": "implant",
        "name": "Implant",
        "description": "d",
        "duration_minutes": 90,
        "slot_step_minutes": 30,
        "starts": {"tue": ["18:00"]},
        "price": {"amount": 400000, "currency": "pln"},
        "capacity": 2,
        "buffer_before_minutes": 5,
        "buffer_after_minutes": 10,
        "min_notice_minutes": 60,
        "window_days": 90,
        "hold_minutes": 0.05,
        "payment": {"mode": "deposit", "deposit_amount": 50000},
        "cancellation": {
            "free_until_minutes": 1440,
            "fee_percent": 50,
            "no_show_fee_percent": 100,
            "late_move_fee_percent": 0,
        },
        "reminders_minutes": [1440, 7],
        "requirements": [
            {"type": "practitioner", "any_of": [anna["id"]], "optional": False, "preferences": {anna["id"]: 7}},
            {"type": "room", "any_of": "all", "optional": True, "preferences": {}},
        ],
        "rules": [
            {"kind": "max", "of": "practitioner", "per": "day", "count": 3},
            {"kind": "no_overlap", "of": "patient"},
        ],
        "members_only": True,
        "external_ref": "E-1",
        "metadata": {"k": "v"},
        "active": True,
    }
    made = await clinic.call("POST", "/offerings", body, expect=201)
    assert {name: made[name] for name in body} == body
    assert (await clinic.call("GET", "/offerings", params={"external_ref": "E-1"}))["data"][0]["id"] == made["id"]
    state = (await world.wait_sent(clinic.id, OfferingState, 1))[0]
    assert (state.hold_seconds, state.mode, state.deposit_amount, state.version) == (3, "deposit", 50000, 1)


async def test_defaults_of_an_offering(clinic):
    free = await clinic.call("POST", "/offerings", {"name": "Check-up", "duration_minutes": 30}, expect=201)
    assert free["price"] == {"amount": 0, "currency": "pln"}
    assert free["payment"]["mode"] == "free"
    assert (free["slot_step_minutes"], free["hold_minutes"], free["capacity"]) == (30, 10, 1)
    assert free["requirements"] == [{"type": "practitioner", "any_of": "all", "optional": False, "preferences": {}}]
    assert (free["rules"], free["members_only"]) == ([], False)
    paid = await clinic.offering("Paid", price=PLN)
    assert paid["payment"]["mode"] == "authorize"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"duration_minutes": 32}, "duration_minutes"),
        ({"duration_minutes": 0}, "duration_minutes"),
        ({"slot_step_minutes": 7}, "slot_step_minutes"),
        ({"buffer_before_minutes": 3}, "buffer_before_minutes"),
        ({"min_notice_minutes": 1}, "min_notice_minutes"),
        ({"window_days": 731}, "window_days"),
        ({"hold_minutes": 0.01}, "hold_minutes"),
        ({"capacity": 0}, "capacity"),
        ({"price": {"amount": 1, "currency": "usd"}}, "price.currency"),
        ({"price": {"amount": -1, "currency": "pln"}}, "price.amount"),
        ({"payment": {"mode": "deposit"}}, "payment.deposit_amount"),
        ({"payment": {"mode": "deposit", "deposit_amount": 30001}}, "payment.deposit_amount"),
        ({"payment": {"mode": "full", "deposit_amount": 1}}, "payment.deposit_amount"),
        ({"payment": {"mode": "coins"}}, "payment.mode"),
        ({"cancellation": {"fee_percent": 101}}, "cancellation.fee_percent"),
        ({"reminders_minutes": [0]}, "reminders_minutes.0"),
        ({"starts": {"tue": ["18:03"]}}, "starts"),
        ({"slug": "Not a slug"}, "slug"),
        ({"slug": "any"}, "slug"),
        ({"slug": "01a1fdce-2e9c-76b3-9957-54bf03f9dc22"}, "slug"),
        ({"name": "a\u0000b"}, "name"),
        ({"requirements": []}, "requirements"),
        ({"requirements": [{"type": "room", "any_of": [str(NOBODY)]}]}, "requirements.0.any_of"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_named_in_post_and_patch(clinic, change, field):
    body = {"name": "Check-up", "duration_minutes": 30, "price": PLN}
    refused = await clinic.call("POST", "/offerings", body | change, expect=422)
    assert any(error["field"].startswith(field) for error in refused["errors"]), refused
    made = await clinic.offering(price=PLN)
    before = await clinic.call("GET", f"/offerings/{made['id']}")
    again = await clinic.call("PATCH", f"/offerings/{made['id']}", change, expect=422)
    assert any(error["field"].startswith(field) for error in again["errors"]), again
    assert await clinic.call("GET", f"/offerings/{made['id']}") == before
    assert len((await clinic.call("GET", "/offerings"))["data"]) == 1


async def test_a_patch_merges_and_null_resets(clinic, world):
    made = await clinic.offering(price=PLN, cancellation={"fee_percent": 50}, min_notice_minutes=60)
    changed = await clinic.call(
        "PATCH",
        f"/offerings/{made['slug']}",
        {"cancellation": {"no_show_fee_percent": 100}, "min_notice_minutes": None, "price": {"amount": 100}},
    )
    assert changed["cancellation"]["fee_percent"] == 50
    assert changed["cancellation"]["no_show_fee_percent"] == 100
    assert (changed["min_notice_minutes"], changed["price"]) == (0, {"amount": 100, "currency": "pln"})
    await clinic.call("PATCH", f"/offerings/{made['slug']}", {"duration_minutes": None}, expect=422)
    states = await world.wait_sent(clinic.id, OfferingState, 2)
    assert [(state.version, state.price.amount) for state in states] == [(1, 30000), (2, 100)]


async def test_a_patch_that_changes_nothing_is_no_new_version(clinic, world):
    await clinic.practitioner()
    before = await world.client.get(f"{clinic.base}/resources/anna", headers=clinic.owner)
    after = await world.client.patch(f"{clinic.base}/resources/anna", json={"name": "Anna"}, headers=clinic.owner)
    assert before.headers["etag"] == after.headers["etag"]


async def test_slugs_and_external_refs_are_unique_in_their_clinic(clinic, make_clinic):
    await clinic.offering("One", slug="one", external_ref="x")
    refused = await clinic.call("POST", "/offerings", {"name": "T", "slug": "one", "duration_minutes": 30}, expect=422)
    assert refused["errors"][0]["field"] == "slug"
    refused = await clinic.call(
        "POST", "/offerings", {"name": "T", "external_ref": "x", "duration_minutes": 30}, expect=422
    )
    assert refused["errors"][0]["field"] == "external_ref"
    assert (await clinic.offering("One"))["slug"] == "one-2"
    other = await make_clinic()
    await other.offering("One", slug="one", external_ref="x")


async def test_lists_go_on_by_cursor(clinic):
    for number in range(5):
        await clinic.resource("room", f"Room {number}")
    for sort, expected in (("created_at", range(5)), ("-created_at", range(4, -1, -1))):
        names, cursor = [], None
        while True:
            params = {"limit": 2, "sort": sort} | ({"cursor": cursor} if cursor else {})
            found = await clinic.call("GET", "/resources", params=params)
            names += [row["name"] for row in found["data"]]
            cursor = found["next_cursor"]
            if cursor is None:
                break
        assert names == [f"Room {number}" for number in expected]
    await clinic.call("GET", "/resources", params={"cursor": "nonsense"}, expect=422)
    await clinic.call("GET", "/resources", params={"limit": 201}, expect=422)
    later = "2999-01-01T00:00:00Z"
    assert (await clinic.call("GET", "/resources", params={"updated_since": later}))["data"] == []


async def test_a_post_with_the_same_idempotency_key_is_answered_again(clinic):
    key = {"Idempotency-Key": str(uuid4())}
    body = {"type": "room", "name": "Room"}
    first = await clinic.call("POST", "/resources", body, headers=key, expect=201)
    again = await clinic.call("POST", "/resources", body, headers=key, expect=201)
    assert first == again


async def test_a_schedule_is_validated_stored_and_announced(clinic, world):
    anna = await clinic.practitioner(weekly={"mon": [["09:00", "12:30"], ["13:00", "24:00"]]})
    found = await clinic.call("GET", "/resources/anna/schedule", who={})
    assert found["weekly"] == {"mon": [["09:00", "12:30"], ["13:00", "24:00"]]}
    assert found["time_zone"] == "Europe/Warsaw"
    for weekly, field in (
        ({"mon": [["09:02", "10:00"]]}, "weekly.mon[0][0]"),
        ({"mon": [["10:00", "09:00"]]}, "weekly.mon[0]"),
        ({"moonday": []}, "weekly.moonday"),
    ):
        refused = await clinic.call("PUT", "/resources/anna/schedule", {"weekly": weekly}, expect=422)
        assert refused["errors"][0]["field"] == field
    body = {"weekly": {}, "time_zone": "Mars/Base"}
    await clinic.call("PUT", "/resources/anna/schedule", body, expect=422)
    changed = await world.wait_sent(clinic.id, AvailabilityChanged, 1)
    assert [str(event.resource_id) for event in changed] == [anna["id"]]
    assert changed[0].changes[0].type == "schedule_changed"
    assert (await world.wait_sent(clinic.id, ResourceState, 2))[-1].schedule_version == 2


async def test_time_off_is_entered_listed_and_taken_back(clinic, world):
    user = uuid4()
    await clinic.practitioner(user_id=str(user))
    body = {"start": "2027-01-04T08:00:00Z", "end": "2027-01-04T12:00:00+01:00", "reason": "r"}
    own = world.tokens.of(clinic.id, "practitioner", user)
    made = await clinic.call("POST", "/resources/anna/time-off", body, who=own, expect=201)
    assert made["end"] == "2027-01-04T11:00:00Z"
    await clinic.call("POST", "/resources/anna/time-off", body | {"end": body["start"]}, expect=422)
    await clinic.call("POST", "/resources/anna/time-off", body | {"rrule": "FREQ=DAILY"}, expect=422)
    stranger = world.tokens.of(clinic.id, "practitioner")
    await clinic.call("POST", "/resources/anna/time-off", body, who=stranger, expect=403)
    await clinic.call("GET", "/resources/anna/time-off", who={}, expect=401)
    assert [row["id"] for row in (await clinic.call("GET", "/resources/anna/time-off"))["data"]] == [made["id"]]
    for _ in range(2):
        await clinic.call("DELETE", f"/resources/anna/time-off/{made['id']}", who=own, expect=204)
    await clinic.call("DELETE", f"/resources/anna/time-off/{uuid4()}", expect=404)
    assert (await clinic.call("GET", "/resources/anna/time-off"))["data"] == []
    states = await world.wait_sent(clinic.id, ResourceState, 4)
    assert [state.schedule_version for state in states] == [1, 2, 3, 4]
    last = (await world.wait_sent(clinic.id, AvailabilityChanged, 3))[-1].changes[0]
    assert (last.type, last.start.hour, last.end.hour) == ("schedule_changed", 8, 11)


async def test_seeding_twice_changes_nothing_the_second_time(clinic, world, service_token):
    identity, offering = new_id(), new_id()
    base = f"/internal/tenants/{clinic.id}"
    resource = {
        "type": "room",
        "name": "Room 1",
        "slug": "room-1",
        "schedule": {"weekly": {"mon": [["09:00", "17:00"]]}},
    }
    body = {"name": "Check-up", "slug": "checkup", "duration_minutes": 30}
    tags = []
    for _ in range(2):
        for path, document in ((f"/resources/{identity}", resource), (f"/offerings/{offering}", body)):
            answer = await world.client.put(base + path, json=document, headers=service_token)
            assert answer.status_code == 200, answer.text
            tags.append(answer.headers["etag"])
    assert tags[:2] == tags[2:]
    assert (await clinic.call("GET", "/resources/room-1"))["id"] == str(identity)
    refused = await world.client.put(f"{base}/offerings/{offering}", json=body, headers=clinic.owner)
    assert refused.status_code == 401


async def test_what_is_not_built_is_not_in_the_contract(world):
    document = (await world.client.get("/openapi.json")).json()
    assert not any(part in path for path in document["paths"] for part in ("photo", "waitlist", "plans"))


async def test_tenants_are_kept_apart_by_the_database(clinic, make_clinic, world):
    from sqlalchemy import text

    anna = await clinic.practitioner()
    other = await make_clinic()
    await other.call("GET", f"/resources/{anna['id']}", expect=404)
    async with world.service.database.transaction(other.id) as tx:
        for table in (
            "location",
            "resource",
            "offering",
            "time_off",
            "occupancy",
            "busy",
            "feed",
            "copy",
            "calendar_connection",
        ):
            query = text(f"SELECT count(*) FROM {table} WHERE tenant_id = :tenant")
            assert (await tx.connection.execute(query, {"tenant": clinic.id})).scalar_one() == 0
        stolen = text("UPDATE resource SET name = 'x' WHERE id = :id")
        assert (await tx.connection.execute(stolen, {"id": anna["id"]})).rowcount == 0
