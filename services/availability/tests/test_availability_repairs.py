"""What can be done for a visit that lost one of its resources."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from events import new_id
from servicekit.capabilities import Offer

WARSAW = ZoneInfo("Europe/Warsaw")
DAY = date.today() + timedelta(days=8)


def at(clock: str, day: date = DAY) -> datetime:
    hour, minute = clock.split(":")
    return datetime(day.year, day.month, day.day, int(hour), int(minute), tzinfo=WARSAW).astimezone(UTC)


@pytest.fixture
def repair(clinic, world, service_token):
    """Asks for repairs of a visit from 10:00 to 11:00."""

    async def ask(offering, resources, broken, provider, booking, **more):
        body = {
            "offering_id": offering["id"],
            "start": at("10:00").isoformat(),
            "end": at("11:00").isoformat(),
            "resource_ids": [one["id"] for one in resources],
            "broken_resource_id": broken["id"],
            "provider_id": provider["id"] if provider else None,
            "booking_id": str(booking),
            **more,
        }
        url = f"/internal/tenants/{clinic.id}/repairs"
        answer = await world.client.post(url, json=body, headers=service_token)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return ask


def assignment(world, slot) -> tuple[Offer, list[str]]:
    offer = world.service.signer("offers").verify(slot["slot_id"], Offer)
    assert len(offer.candidates) == 1
    return offer, [str(one.resource_id) for one in offer.candidates[0]]


async def booked(clinic, offering, *resources):
    """A booking from 10:00 to 11:00; its id."""
    booking = new_id()
    for resource in resources:
        await clinic.take(resource, at("10:00"), at("11:00"), owner_id=booking, offering_id=offering["id"])
    return booking


async def test_another_room_at_the_same_time_keeps_the_practitioner(clinic, world, repair):
    anna = await clinic.practitioner("Anna")
    await clinic.practitioner("Piotr")
    rooms = [await clinic.resource("room", f"Room {number}") for number in (1, 2, 3)]
    needs = [{"type": "practitioner"}, {"type": "room"}]
    offering = await clinic.offering(duration_minutes=60, requirements=needs)
    booking = await booked(clinic, offering, anna, rooms[0])
    await clinic.take(rooms[2], at("10:30"), at("11:30"))
    found = await repair(offering, [anna, rooms[0]], rooms[0], anna, booking)
    assert [one["resource"] for one in found["substitutes"]] == [
        {"id": rooms[1]["id"], "type": "room", "name": "Room 2"}
    ]
    offer, resources = assignment(world, found["substitutes"][0]["slot"])
    assert resources == [anna["id"], rooms[1]["id"]]
    assert (offer.start, offer.end) == (int(at("10:00").timestamp()), int(at("11:00").timestamp()))
    assert len(found["alternatives"]) == 5


async def test_other_practitioners_at_the_same_time_and_then_the_same_one_at_others(clinic, world, repair):
    anna = await clinic.practitioner("Anna")
    piotr = await clinic.practitioner("Piotr")
    ola = await clinic.practitioner("Ola")
    room = await clinic.resource("room", "Room")
    needs = [{"type": "practitioner"}, {"type": "room"}]
    offering = await clinic.offering(duration_minutes=60, requirements=needs)
    booking = await booked(clinic, offering, anna, room)
    away = {"start": at("09:30").isoformat(), "end": at("10:30").isoformat()}
    await clinic.call("POST", "/resources/anna/time-off", away, expect=201)
    found = await repair(offering, [anna, room], anna, anna, booking, limit=3)
    assert [one["resource"]["id"] for one in found["substitutes"]] == [piotr["id"], ola["id"]]
    # The booking's own room is not in its own way.
    assert assignment(world, found["substitutes"][0]["slot"])[1] == [piotr["id"], room["id"]]
    starts = [(one["local_start"][11:16], one["provider_id"]) for one in found["alternatives"]]
    assert starts == [(clock, anna["id"]) for clock in ("11:00", "12:00", "13:00")]


async def test_somebody_elses_booking_stays_in_the_way(clinic, repair):
    anna = await clinic.practitioner("Anna")
    room = await clinic.resource("room", "Room")
    offering = await clinic.offering(duration_minutes=60, requirements=[{"type": "practitioner"}, {"type": "room"}])
    await booked(clinic, offering, anna, room)
    found = await repair(offering, [anna, room], room, anna, new_id())
    assert found["substitutes"] == []
    assert "10:00" not in [one["local_start"][11:16] for one in found["alternatives"]]


async def test_a_resource_that_left_the_catalogue_can_be_replaced(clinic, world, repair):
    anna = await clinic.practitioner("Anna")
    piotr = await clinic.practitioner("Piotr")
    offering = await clinic.offering(duration_minutes=60, min_notice_minutes=60 * 24 * 30)
    booking = await booked(clinic, offering, anna)
    await clinic.call("PATCH", "/resources/anna", {"active": False})
    found = await repair(offering, [anna], anna, anna, booking)
    assert [one["resource"]["id"] for one in found["substitutes"]] == [piotr["id"]]
    # The notice binds patients, not the clinic.
    assert [one["provider_id"] for one in found["alternatives"]] == [piotr["id"]] * 5


async def test_a_visit_keeps_its_length_and_what_is_not_offered_has_no_repairs(clinic, world, repair):
    anna = await clinic.practitioner("Anna")
    await clinic.practitioner("Piotr")
    offering = await clinic.offering(duration_minutes=60)
    booking = await booked(clinic, offering, anna)
    await clinic.call("PATCH", f"/offerings/{offering['id']}", {"duration_minutes": 30})
    found = await repair(offering, [anna], anna, anna, booking)
    offer, _ = assignment(world, found["substitutes"][0]["slot"])
    assert offer.end - offer.start == 3600
    assert found["substitutes"][0]["slot"]["end"] == f"{at('11:00'):%Y-%m-%dT%H:%M:%SZ}"
    await clinic.call("PATCH", f"/offerings/{offering['id']}", {"active": False})
    assert await repair(offering, [anna], anna, anna, booking) == {"substitutes": [], "alternatives": []}
