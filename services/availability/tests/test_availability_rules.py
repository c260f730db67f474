"""Optional needs, preferences, rules of practitioners and rooms, sessions that fall out, what staff may override."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from events import Deleted, new_id
from events.contracts.availability import AvailabilityChanged
from events.contracts.booking import Occupancy
from servicekit.capabilities import Offer

WARSAW = ZoneInfo("Europe/Warsaw")


def monday(weeks: int = 1) -> date:
    day = date.today() + timedelta(days=7 * weeks)
    return day + timedelta(days=-day.weekday() % 7)


DAY = monday()


def at(clock: str, day: date = DAY) -> datetime:
    hour, minute = clock.split(":")
    return datetime(day.year, day.month, day.day, int(hour), int(minute), tzinfo=WARSAW).astimezone(UTC)


def offer_of(world, slot) -> Offer:
    return world.service.signer("offers").verify(slot["slot_id"], Offer)


def resources_of(world, slot) -> list[list[str]]:
    return [[str(one.resource_id) for one in candidate] for candidate in offer_of(world, slot).candidates]


MORNING = {"mon": [["09:00", "12:00"]]}


# -- optional and preferred ----------------------------------------------------------------------------------------


async def test_what_is_optional_is_taken_where_it_is_free_and_else_left_out(clinic, world):
    anna = await clinic.practitioner(weekly=MORNING)
    scanner = await clinic.resource("equipment", "Scanner")
    needs = [{"type": "practitioner"}, {"type": "equipment", "optional": True}]
    offering = await clinic.offering(duration_minutes=60, requirements=needs)
    await clinic.take(scanner, at("10:00"), at("11:00"))
    slots = (await clinic.availability(offering, DAY))["slots"]
    assert [slot["local_start"][11:16] for slot in slots] == ["09:00", "10:00", "11:00"]
    # Where it is free, the last resort does without it: somebody may take it before the hold.
    assert resources_of(world, slots[0]) == [[anna["id"], scanner["id"]], [anna["id"]]]
    assert resources_of(world, slots[1]) == [[anna["id"]]]


async def test_who_is_preferred_comes_first_then_who_has_less_to_do(clinic, world):
    names = ("Anna", "Piotr", "Ola", "Jan")
    anna, piotr, ola, jan = [await clinic.practitioner(name, weekly=MORNING) for name in names]
    preferences = {ola["id"]: 5, piotr["id"]: -1}
    offering = await clinic.offering(requirements=[{"type": "practitioner", "preferences": preferences}])
    await clinic.take(anna, at("11:00"), at("11:30"))
    slot = (await clinic.availability(offering, DAY))["slots"][0]
    order = [ola["id"], jan["id"], anna["id"], piotr["id"]]
    assert slot["provider_ids"] == order
    assert slot["provider_id"] == ola["id"]
    assert [candidate[0] for candidate in resources_of(world, slot)] == order


async def test_preferred_rooms_come_first(clinic, world):
    await clinic.practitioner(weekly=MORNING)
    rooms = [await clinic.resource("room", f"Room {number}") for number in (1, 2)]
    needs = [{"type": "practitioner"}, {"type": "room", "preferences": {rooms[1]["id"]: 1}}]
    offering = await clinic.offering(requirements=needs)
    slot = (await clinic.availability(offering, DAY))["slots"][0]
    assert [candidate[1] for candidate in resources_of(world, slot)] == [rooms[1]["id"], rooms[0]["id"]]


async def test_candidates_differ_in_as_much_as_they_can(clinic, world):
    for name in ("Anna", "Piotr"):
        await clinic.practitioner(name, weekly=MORNING)
    for number in range(2):
        await clinic.resource("room", f"Room {number}")
    offering = await clinic.offering(requirements=[{"type": "practitioner"}, {"type": "room"}])
    first, second, *others = resources_of(world, (await clinic.availability(offering, DAY))["slots"][0])
    assert not set(first) & set(second)
    assert len({tuple(one) for one in (first, second, *others)}) == 4


# -- rules ---------------------------------------------------------------------------------------------------------


async def test_a_gap_after_another_offering_is_kept_with_the_same_practitioner_only(clinic):
    anna = await clinic.practitioner("Anna", weekly=MORNING)
    await clinic.practitioner("Piotr", weekly=MORNING)
    surgery = await clinic.offering("Surgery", duration_minutes=60)
    rule = {"kind": "gap", "after_offering": surgery["id"], "minutes": 45, "of": "practitioner"}
    checkup = await clinic.offering("Check-up", rules=[rule])
    await clinic.take(anna, at("09:00"), at("10:00"), offering_id=surgery["id"])
    assert await clinic.starts(checkup, DAY, provider="anna") == ["11:00", "11:30"]
    assert "10:00" in await clinic.starts(checkup, DAY, provider="piotr")
    # And from the other side: a surgery may not end shortly before a check-up that is there.
    await clinic.take(anna, at("11:30"), at("12:00"), offering_id=checkup["id"])
    assert await clinic.starts(surgery, DAY, provider="anna") == []
    assert "10:00" in await clinic.starts(surgery, DAY, provider="piotr")


async def test_a_gap_of_rooms_follows_the_room(clinic, world):
    await clinic.practitioner("Anna", weekly=MORNING)
    rooms = [await clinic.resource("room", f"Room {number}") for number in (1, 2)]
    surgery = await clinic.offering("Surgery")
    rule = {"kind": "gap", "after_offering": surgery["id"], "minutes": 30, "of": "room"}
    checkup = await clinic.offering("Check-up", rules=[rule], requirements=[{"type": "practitioner"}, {"type": "room"}])
    await clinic.take(rooms[0], at("09:00"), at("09:30"), offering_id=surgery["id"])
    slots = (await clinic.availability(checkup, DAY))["slots"]
    by_start = {slot["local_start"][11:16]: [one[1] for one in resources_of(world, slot)] for slot in slots}
    assert by_start["09:00"] == by_start["09:30"] == [rooms[1]["id"]]
    assert set(by_start["10:00"]) == {rooms[0]["id"], rooms[1]["id"]}


async def test_a_gap_may_be_kept_after_visits_of_the_offering_itself(clinic):
    anna = await clinic.practitioner("Anna", weekly=MORNING)
    offering = await clinic.offering("Check-up")
    rule = {"kind": "gap", "after_offering": offering["id"], "minutes": 60, "of": "practitioner"}
    await clinic.call("PATCH", "/offerings/check-up", {"rules": [rule]})
    await clinic.take(anna, at("10:30"), at("11:00"), offering_id=offering["id"])
    assert await clinic.starts(offering, DAY) == ["09:00"]


@pytest.mark.parametrize(("per", "free"), [("day", [0, 3, 3]), ("week", [0, 0, 3])])
async def test_a_practitioner_has_so_many_visits_of_the_offering_and_no_more(clinic, per, free):
    anna = await clinic.practitioner(
        "Anna", weekly={"mon": [["09:00", "11:30"]], "tue": [["09:00", "10:30"]], "sun": [["09:00", "10:30"]]}
    )
    rule = {"kind": "max", "of": "practitioner", "per": per, "count": 2}
    offering = await clinic.offering("Check-up", rules=[rule])
    later = datetime.now(UTC) + timedelta(minutes=10)
    await clinic.take(anna, at("09:00"), at("09:30"), offering_id=offering["id"])
    await clinic.take(anna, at("09:30"), at("10:00"), offering_id=offering["id"], expires_at=later)  # holds count
    await clinic.take(anna, at("10:00"), at("10:30"))  # another offering's does not
    days = (DAY, DAY + timedelta(days=1), DAY + timedelta(days=8))
    assert [len(await clinic.starts(offering, day)) for day in days] == free
    # Asked in another zone, it is still the clinic's day.
    assert len(await clinic.starts(offering, DAY, tz="Pacific/Auckland")) == free[0]


async def test_a_session_counts_once_and_joining_it_not_at_all(clinic):
    anna = await clinic.practitioner("Anna", weekly={"mon": [["17:00", "20:00"]]})
    rule = {"kind": "max", "of": "practitioner", "per": "day", "count": 1}
    yoga = await clinic.offering("Yoga", duration_minutes=60, capacity=5, rules=[rule])
    slot = new_id()
    await clinic.take(
        anna, at("18:00"), at("19:00"), owner_id=slot, slot_id=slot, offering_id=yoga["id"], capacity=5, reserved=3
    )
    slots = (await clinic.availability(yoga, DAY))["slots"]
    assert [(one["local_start"][11:16], one["remaining"]) for one in slots] == [("18:00", 2)]


async def test_rules_about_the_patient_are_not_judged_here(clinic):
    await clinic.practitioner(weekly=MORNING)
    rules = [{"kind": "max", "of": "patient", "per": "day", "count": 1}, {"kind": "no_overlap", "of": "patient"}]
    assert len(await clinic.starts(await clinic.offering(rules=rules), DAY)) == 6


# -- sessions ------------------------------------------------------------------------------------------------------


async def test_a_session_that_falls_out_frees_its_time_for_others_and_is_not_offered_again(clinic, world):
    anna = await clinic.practitioner("Anna", weekly={"mon": [["17:00", "20:00"]]})
    yoga = await clinic.offering("Yoga", duration_minutes=60, capacity=5)
    massage = await clinic.offering("Massage", duration_minutes=60)
    slot = new_id()
    row = await clinic.take(
        anna, at("18:00"), at("19:00"), owner_id=slot, slot_id=slot, offering_id=yoga["id"], capacity=5, reserved=3
    )
    assert await clinic.starts(massage, DAY) == ["17:00", "19:00"]
    await world.publish(row.model_copy(update={"version": 2, "cancelled": True, "reserved": 0}))
    assert await clinic.starts(massage, DAY) == ["17:00", "18:00", "19:00"]
    assert await clinic.starts(yoga, DAY) == ["17:00", "19:00"]
    full = (await clinic.availability(yoga, DAY, include="full"))["slots"]
    assert [one["local_start"][11:16] for one in full] == ["17:00", "19:00"]
    told = await world.wait_sent(clinic.id, AvailabilityChanged, 3)
    assert told[-1].changes[0].type == "schedule_changed"
    assert (told[-1].changes[0].start, told[-1].changes[0].end) == (at("18:00"), at("19:00"))
    await world.publish(Deleted(Occupancy.TYPE, row.key(), clinic.id, 3))
    assert await clinic.starts(yoga, DAY) == ["17:00", "18:00", "19:00"]


async def test_a_session_whose_room_is_gone_is_not_offered(clinic):
    anna = await clinic.practitioner("Anna", weekly={"mon": [["17:00", "20:00"]]})
    room = await clinic.resource("room", "Room")
    needs = [{"type": "practitioner"}, {"type": "room"}]
    yoga = await clinic.offering("Yoga", duration_minutes=60, capacity=5, requirements=needs)
    slot = new_id()
    fields = {"owner_id": slot, "slot_id": slot, "offering_id": yoga["id"], "capacity": 5, "reserved": 3}
    for resource in (anna, room):
        await clinic.take(resource, at("18:00"), at("19:00"), **fields)
    assert [one["remaining"] for one in (await clinic.availability(yoga, DAY))["slots"]] == [5, 2, 5]
    away = {"start": at("18:30").isoformat(), "end": at("18:45").isoformat()}
    await clinic.call("POST", "/resources/room/time-off", away, expect=201)
    assert await clinic.starts(yoga, DAY) == ["17:00", "19:00"]


# -- staff ---------------------------------------------------------------------------------------------------------


async def test_staff_may_look_beyond_notice_window_and_rules_but_not_beyond_what_is_taken(clinic, world):
    anna = await clinic.practitioner("Anna", weekly={"mon": [["09:00", "11:00"]]})
    offering = await clinic.offering("Check-up", min_notice_minutes=60 * 24 * 30, window_days=1)
    rule = {"kind": "gap", "after_offering": offering["id"], "minutes": 60, "of": "practitioner"}
    await clinic.call("PATCH", "/offerings/check-up", {"rules": [rule]})
    await clinic.take(anna, at("09:00"), at("09:30"), offering_id=offering["id"])
    assert await clinic.starts(offering, DAY) == []
    params = {"offering": "check-up", "from": str(DAY), "to": str(DAY), "override": "true"}
    slots = (await clinic.call("GET", "/providers/any/availability", params=params))["slots"]
    assert [one["local_start"][11:16] for one in slots] == ["09:30", "10:00", "10:30"]
    assert offer_of(world, slots[0]).override
    days = (await clinic.call("GET", "/providers/any/availability/days", params=params))["data"]
    assert days[0]["free"] == 3


async def test_strangers_and_auditors_may_not_override(clinic, world):
    await clinic.practitioner("Anna", weekly=MORNING)
    await clinic.offering("Check-up")
    params = {"offering": "check-up", "from": str(DAY), "to": str(DAY), "override": "true"}
    path = "/providers/any/availability"
    await clinic.call("GET", path, who={}, params=params, expect=401)
    await clinic.call("GET", path, who=world.tokens.of(clinic.id, "auditor"), params=params, expect=403)
    await clinic.call("GET", path, who=world.tokens.of(UUID(int=7), "owner"), params=params, expect=403)
    await clinic.call("GET", path, who={}, params=params | {"override": "maybe"}, expect=422)
    desk = world.tokens.of(clinic.id, "front_desk")
    assert (await clinic.call("GET", path, who=desk, params=params))["slots"]
    plain = await clinic.call("GET", path, who=desk, params=params | {"override": "false"})
    assert not offer_of(world, plain["slots"][0]).override


async def test_what_is_for_members_is_shown_to_all(clinic):
    await clinic.practitioner(weekly=MORNING)
    offering = await clinic.offering(members_only=True)
    assert len(await clinic.starts(offering, DAY)) == 6
