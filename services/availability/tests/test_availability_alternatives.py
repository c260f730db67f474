"""What is offered in place of a refused slot."""

import time
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest

from events import new_id
from servicekit.capabilities import Offer

DAY = date.today() + timedelta(days=8)


@pytest.fixture
def ask(clinic, world, service_token):
    """Asks for alternatives to a slot_id."""

    async def call(slot_id, expect=200, tenant=None, **more):
        url = f"/internal/tenants/{tenant or clinic.id}/alternatives"
        answer = await world.client.post(url, json={"slot_id": slot_id, **more}, headers=service_token)
        assert answer.status_code == expect, answer.text
        return answer.json()

    return call


async def test_the_nearest_are_offered_and_never_the_refused_one(clinic, world, ask):
    await clinic.practitioner("Anna")
    offering = await clinic.offering()
    slots = (await clinic.availability(offering, DAY, provider="anna"))["slots"]
    refused = slots[8]
    found = (await ask(refused["slot_id"]))["alternatives"]
    nearest = sorted(slot["start"] for slot in found)
    assert nearest[:4] == [slots[i]["start"] for i in (6, 7, 9, 10)] or nearest[1:] == [
        slots[i]["start"] for i in (6, 7, 9, 10)
    ]
    assert set(found[0]) == set(refused)
    offer = world.service.signer("offers").verify(found[0]["slot_id"], Offer)
    assert offer.provider_chosen
    assert len((await ask(refused["slot_id"], limit=2))["alternatives"]) == 2


async def test_the_same_provider_comes_first_when_the_patient_chose_one(clinic, ask):
    anna = await clinic.practitioner("Anna")
    piotr = await clinic.practitioner("Piotr")
    hours = {"weekly": {}, "overrides": [{"date": str(DAY), "ranges": [["10:00", "11:00"]]}]}
    await clinic.call("PUT", "/resources/anna/schedule", hours)
    offering = await clinic.offering()
    slots = (await clinic.availability(offering, DAY, provider="anna"))["slots"]
    found = (await ask(slots[0]["slot_id"]))["alternatives"]
    providers = [slot["provider_id"] for slot in found]
    # Anna half an hour later, then Piotr from the very time asked for.
    assert providers == [anna["id"], *[piotr["id"]] * 4]
    assert found[0]["start"] == slots[1]["start"]
    assert found[1]["start"] == slots[0]["start"]


async def test_with_any_the_nearest_of_all_are_offered(clinic, ask):
    anna = await clinic.practitioner("Anna")
    offering = await clinic.offering()
    refused = (await clinic.availability(offering, DAY))["slots"][4]
    await clinic.practitioner("Piotr")
    found = (await ask(refused["slot_id"]))["alternatives"]
    assert found[0]["start"] == refused["start"]
    assert found[0]["provider_id"] != anna["id"]
    assert len({slot["start"] for slot in found}) == 5


async def test_others_at_the_same_location_come_before_those_elsewhere(clinic, ask):
    places = [
        (await clinic.call("POST", "/locations", {"name": name}, expect=201))["id"] for name in ("Old Town", "Harbour")
    ]
    names = {"Anna": 0, "Far": 1, "Near": 0, "Nowhere": None}
    people = {}
    for name, place in names.items():
        made = await clinic.practitioner(name, location_id=places[place] if place is not None else None)
        people[made["id"]] = name
    hours = {"weekly": {}, "overrides": [{"date": str(DAY), "ranges": [["10:00", "11:00"]]}]}
    for name in ("anna", "near"):
        await clinic.call("PUT", f"/resources/{name}/schedule", hours)
    offering = await clinic.offering()
    slots = (await clinic.availability(offering, DAY, provider="anna"))["slots"]
    found = (await ask(slots[0]["slot_id"]))["alternatives"]
    # Her own other time, then the colleague's at her place, then elsewhere, all of them the nearest first.
    assert [people[slot["provider_id"]] for slot in found] == ["Anna", "Near", "Far", "Far", "Far"]
    assert [slot["start"] for slot in found][:2] == [slots[1]["start"], slots[0]["start"]]
    far = [abs(datetime.fromisoformat(s["start"]) - datetime.fromisoformat(slots[0]["start"])) for s in found[2:]]
    assert far == sorted(far)


async def test_all_alternatives_can_be_held_as_they_are(clinic, world, ask):
    anna = await clinic.practitioner("Anna")
    room = await clinic.resource("room", "Room")
    offering = await clinic.offering(requirements=[{"type": "practitioner"}, {"type": "room"}])
    refused = (await clinic.availability(offering, DAY))["slots"][4]
    busy_until = datetime.fromisoformat(refused["end"]) + timedelta(hours=1)
    await clinic.take(room, datetime.fromisoformat(refused["start"]), busy_until)
    found = (await ask(refused["slot_id"]))["alternatives"]
    listed = {slot["start"] for slot in (await clinic.availability(offering, DAY))["slots"]}
    assert len(found) == 5
    assert {slot["start"] for slot in found} <= listed
    for slot in found:
        offer = world.service.signer("offers").verify(slot["slot_id"], Offer)
        assert [str(one.resource_id) for one in offer.candidates[0]] == [anna["id"], room["id"]]


async def test_an_offer_whose_time_is_over_will_do_and_a_forged_one_will_not(clinic, make_clinic, world, ask):
    await clinic.practitioner()
    offering = await clinic.offering()
    slot_id = (await clinic.availability(offering, DAY))["slots"][0]["slot_id"]
    signer = world.service.signer("offers")
    offer = signer.verify(slot_id, Offer)
    old = signer.sign(msgspec.structs.replace(offer, expires=int(time.time()) - 9999))
    assert len((await ask(old))["alternatives"]) == 5
    assert (await ask(slot_id[:-3] + "abc", expect=422))["type"].endswith("offer-invalid")
    await ask("nonsense", expect=422)
    other = await make_clinic()
    await ask(slot_id, expect=422, tenant=other.id)
    gone = signer.sign(msgspec.structs.replace(offer, offering_id=new_id()))
    assert (await ask(gone))["alternatives"] == []
    past = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp())
    assert isinstance(
        (await ask(signer.sign(msgspec.structs.replace(offer, start=past, end=past + 1800))))["alternatives"], list
    )


async def test_only_services_may_ask(clinic, world):
    url = f"/internal/tenants/{clinic.id}/alternatives"
    answer = await world.client.post(url, json={"slot_id": "x"}, headers=clinic.owner)
    assert answer.status_code == 401
