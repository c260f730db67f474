"""Locations over HTTP, and the resources that are there."""

import asyncio
from uuid import UUID, uuid4

import pytest

from availability import repository
from events import new_id
from events.contracts.availability import ResourceState

HOURS = {"mon": [["08:00", "12:00"], ["13:00", "24:00"]]}


async def make(clinic, name="Centrum", **more):
    return await clinic.call("POST", "/locations", {"name": name, **more}, expect=201)


async def test_a_location_has_every_field_of_the_contract(clinic, world):
    body = {
        "slug": "old-town",
        "name": "Old Town",
        "address": "Rynek 1\n00-001 Warszawa",
        "phone": "+48 22 123 45 67",
        "time_zone": "Europe/Vilnius",
        "opening_hours": HOURS,
        "metadata": {"k": "v"},
    }
    made = await clinic.call("POST", "/locations", body, expect=201)
    assert {name: made[name] for name in body} == body
    assert {"created_at", "updated_at"} < set(made)
    seen = await clinic.call("GET", "/locations/old-town", who={})
    assert seen == {name: value for name, value in made.items() if name != "metadata"}
    assert (await clinic.call("GET", f"/locations/{made['id']}"))["metadata"] == {"k": "v"}
    plain = await make(clinic, "Żoliborz")
    assert (plain["slug"], plain["time_zone"], plain["opening_hours"]) == ("zoliborz", "Europe/Warsaw", {})
    assert (plain["address"], plain["phone"]) == (None, None)


async def test_a_patch_merges_and_is_guarded_by_if_match(clinic, world):
    made = await make(clinic, opening_hours=HOURS, phone="+48221234567")
    got = await world.client.get(f"{clinic.base}/locations/{made['slug']}")
    patch = {"opening_hours": {"sun": [["10:00", "11:00"]]}, "phone": None}
    await clinic.call("PATCH", "/locations/centrum", patch, headers={"If-Match": '"9"'}, expect=412)
    changed = await clinic.call("PATCH", "/locations/centrum", patch, headers={"If-Match": got.headers["etag"]})
    assert (changed["opening_hours"], changed["phone"]) == (HOURS | patch["opening_hours"], None)
    assert (changed["created_at"], changed["id"]) == (made["created_at"], made["id"])
    same = await world.client.patch(f"{clinic.base}/locations/centrum", json={"name": "Centrum"}, headers=clinic.owner)
    assert same.headers["etag"] == '"2"'


async def test_they_are_listed_by_cursor_to_everybody(clinic, make_clinic):
    for number in range(3):
        await make(clinic, f"Place {number}")
    first = await clinic.call("GET", "/locations", who={}, params={"limit": 2})
    rest = await clinic.call("GET", "/locations", who={}, params={"limit": 2, "cursor": first["next_cursor"]})
    assert [row["name"] for row in first["data"] + rest["data"]] == ["Place 0", "Place 1", "Place 2"]
    assert rest["next_cursor"] is None
    assert "metadata" not in first["data"][0]
    assert (await (await make_clinic()).call("GET", "/locations"))["data"] == []


async def test_only_managers_write(clinic, world):
    await make(clinic)
    front = world.tokens.of(clinic.id, "front_desk")
    for who, status in ((front, 403), ({}, 401), (world.tokens.of(new_id(), "owner"), 403)):
        await clinic.call("POST", "/locations", {"name": "X"}, who=who, expect=status)
        await clinic.call("PATCH", "/locations/centrum", {"name": "X"}, who=who, expect=status)
        await clinic.call("DELETE", "/locations/centrum", who=who, expect=status)
    await make(clinic, "Other", slug="other")
    await clinic.call("DELETE", "/locations/other", who=world.tokens.of(clinic.id, "manager"), expect=204)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"slug": "me"}, "slug"),
        ({"slug": "centrum"}, "slug"),
        ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"phone": "call us"}, "phone"),
        ({"address": "x" * 501}, "address"),
        ({"opening_hours": {"mon": [["10:00", "09:00"]]}}, "opening_hours"),
        ({"opening_hours": {"mon": [["09:00", "11:00"], ["10:00", "12:00"]]}}, "opening_hours"),
        ({"opening_hours": {"holiday": []}}, "opening_hours"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_what_is_wrong_is_named_and_not_stored(clinic, change, field):
    await make(clinic)
    other = await make(clinic, "Other")
    for method, path, body in (("POST", "", {"name": "New"} | change), ("PATCH", f"/{other['id']}", change)):
        refused = await clinic.call(method, f"/locations{path}", body, expect=422)
        assert any(error["field"].startswith(field) for error in refused["errors"]), refused
    assert [row["name"] for row in (await clinic.call("GET", "/locations"))["data"]] == ["Centrum", "Other"]
    assert await clinic.call("GET", f"/locations/{other['id']}") == other


async def test_resources_are_at_locations_that_exist(clinic, make_clinic, world):
    place = await make(clinic, time_zone="Europe/Vilnius")
    elsewhere = await make(await make_clinic())
    anna = await clinic.practitioner(location_id=place["id"])
    assert (anna["location_id"], anna["time_zone"]) == (place["id"], "Europe/Vilnius")
    for wrong in (str(uuid4()), elsewhere["id"]):
        refused = await clinic.call("PATCH", "/resources/anna", {"location_id": wrong}, expect=422)
        assert refused["errors"][0]["field"] == "location_id"
        await clinic.call("POST", "/resources", {"type": "room", "name": "R", "location_id": wrong}, expect=422)
    assert (await clinic.call("GET", "/resources/anna", who={}))["location_id"] == place["id"]
    assert [str(state.location_id) for state in await world.wait_sent(clinic.id, ResourceState, 2)] == [place["id"]] * 2
    await clinic.resource("room", "Room 1")
    for query in (place["id"], "centrum"):
        listed = await clinic.call("GET", "/resources", params={"location": query})
        assert [row["slug"] for row in listed["data"]] == ["anna"]
    await clinic.call("GET", "/resources", params={"location": "nowhere"}, expect=404)


async def test_a_location_in_use_is_not_deleted(clinic):
    place = await make(clinic)
    await clinic.practitioner(location_id=place["id"])
    refused = await clinic.call("DELETE", "/locations/centrum", expect=409)
    assert refused["type"].endswith("/in-use")
    assert "anna" in refused["detail"]
    await clinic.call("PATCH", "/resources/anna", {"location_id": None})
    for _ in range(2):
        await clinic.call("DELETE", "/locations/centrum", expect=204)
    await clinic.call("GET", "/locations/centrum", expect=404)
    await clinic.call("PATCH", "/resources/anna", {"location_id": place["id"]}, expect=422)
    assert (await make(clinic))["slug"] == "centrum"


async def test_a_location_is_not_lost_to_a_resource_that_moves_in(clinic, world):
    """Both at once: whoever is second is refused, so no resource is left at a location that is no more."""
    for number in range(5):
        place = await make(clinic, f"Place {number}")
        base, headers = clinic.base, clinic.owner
        body = {"type": "room", "name": f"Room {number}", "location_id": place["id"]}
        moved, deleted = await asyncio.gather(
            world.client.post(f"{base}/resources", json=body, headers=headers),
            world.client.delete(f"{base}/locations/{place['id']}", headers=headers),
        )
        assert (moved.status_code, deleted.status_code) in ((201, 409), (422, 204))


async def test_a_delete_waits_for_a_resource_that_moves_in(clinic, world):
    place = await make(clinic)
    async with world.service.database.transaction(clinic.id) as tx:
        assert await repository.keep_location(tx, UUID(place["id"]))
        deleting = asyncio.create_task(
            world.client.delete(f"{clinic.base}/locations/{place['id']}", headers=clinic.owner)
        )
        await asyncio.sleep(0.3)
        assert not deleting.done()
    assert (await deleting).status_code == 204


async def test_providers_of_a_location_show_their_words(clinic):
    place = await make(clinic)
    anna = await clinic.practitioner("Anna", location_id=place["id"], bio="Dentist since 2004.\nSpeaks Polish.")
    await clinic.practitioner("Piotr")
    listed = (await clinic.call("GET", "/providers", who={}))["data"]
    assert [row["bio"] for row in listed] == [anna["bio"], None]
    there = (await clinic.call("GET", "/providers", who={}, params={"location": "centrum"}))["data"]
    assert [row["slug"] for row in there] == ["anna"]
    await clinic.call("GET", "/providers", who={}, params={"location": "nowhere"}, expect=404)
    for wrong in ({"bio": "x" * 2001}, {"bio": "a\u0000b"}):
        await clinic.call("PATCH", "/resources/anna", wrong, expect=422)
    refused = await clinic.call("POST", "/resources", {"type": "room", "name": "R", "bio": "Big"}, expect=422)
    assert refused["errors"][0]["field"] == "bio"
    assert (await clinic.call("PATCH", "/resources/anna", {"bio": None}))["bio"] is None
