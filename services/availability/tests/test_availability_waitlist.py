"""Whoever waits longest for a time that came free is found first."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import text

from availability.waiting import Waiting
from events import Deleted, new_id
from events.contracts.availability import WaitlistMatched
from events.contracts.booking import Occupancy, WaitlistEntry
from events.contracts.calendar import Busy
from servicekit.capabilities import Offer

WARSAW = ZoneInfo("Europe/Warsaw")
DAY = date.today() + timedelta(days=8)


def at(clock: str, day: date = DAY) -> datetime:
    hour, minute = clock.split(":")
    return datetime(day.year, day.month, day.day, int(hour), int(minute), tzinfo=WARSAW).astimezone(UTC)


async def wait(clinic, world, offering, start="09:00", end="17:00", **more) -> WaitlistEntry:
    fields = {
        "tenant_id": clinic.id, "version": 1, "entry_id": new_id(), "offering_id": offering["id"],
        "provider_id": None, "start": at(start), "end": at(end),
    }  # fmt: skip
    entry = WaitlistEntry(**(fields | more))
    await world.publish(entry)
    return entry


async def free(clinic, world, row, version=2):
    await world.publish(Deleted(Occupancy.TYPE, row.key(), clinic.id, version))


async def matched(clinic, world, count):
    found = await world.wait_sent(clinic.id, WaitlistMatched, count)
    return sorted([(one.entry_id, one.start) for one in found], key=lambda one: (one[1], one[0]))


async def nothing_more(clinic, world, count):
    await world.service.get(Waiting).match()
    await asyncio.sleep(0.1)
    assert len(world.sent(clinic.id, WaitlistMatched)) == count


async def test_the_oldest_entry_is_found_for_what_was_given_back(clinic, world):
    anna = await clinic.practitioner("Anna")
    offering = await clinic.offering(duration_minutes=60)
    row = await clinic.take(anna, at("10:00"), at("11:00"))
    first = await wait(clinic, world, offering)
    await wait(clinic, world, offering)
    await nothing_more(clinic, world, 0)  # other times are free all along: nobody waits for those
    await free(clinic, world, row)
    assert await matched(clinic, world, 1) == [(first.entry_id, at("10:00"))]
    event = world.sent(clinic.id, WaitlistMatched)[0]
    offer = world.service.signer("offers").verify(event.slot_id, Offer)
    assert [str(one.resource_id) for one in offer.candidates[0]] == [anna["id"]]
    assert not offer.provider_chosen
    await nothing_more(clinic, world, 1)


async def test_two_times_are_found_for_two_entries(clinic, world):
    anna = await clinic.practitioner("Anna")
    offering = await clinic.offering(duration_minutes=60)
    rows = [await clinic.take(anna, at(f"{hour}:00"), at(f"{hour + 1}:00")) for hour in (10, 11)]
    entries = [await wait(clinic, world, offering) for _ in range(3)]
    for row in rows:
        await free(clinic, world, row)
    assert await matched(clinic, world, 2) == [
        (entries[0].entry_id, at("10:00")), (entries[1].entry_id, at("11:00")),
    ]  # fmt: skip
    await nothing_more(clinic, world, 2)


async def test_entries_that_do_not_fit_are_passed_over(clinic, world):
    anna = await clinic.practitioner("Anna")
    piotr = await clinic.practitioner("Piotr", weekly={"mon": [["09:00", "09:30"]]})
    offering = await clinic.offering(duration_minutes=60)
    other = await clinic.offering("Other", requirements=[{"type": "room"}])
    row = await clinic.take(anna, at("10:00"), at("11:00"))
    await wait(clinic, world, offering, start="10:05")  # begins too late
    await wait(clinic, world, offering, end="10:55")  # ends too soon
    await wait(clinic, world, offering, provider_id=piotr["id"])
    await wait(clinic, world, other)
    gone = await wait(clinic, world, offering)
    await world.publish(Deleted(WaitlistEntry.TYPE, gone.key(), clinic.id, 2))
    fits = await wait(clinic, world, offering, provider_id=anna["id"], start="10:00", end="11:00")
    await free(clinic, world, row)
    assert await matched(clinic, world, 1) == [(fits.entry_id, at("10:00"))]
    offer = world.service.signer("offers").verify(world.sent(clinic.id, WaitlistMatched)[0].slot_id, Offer)
    assert offer.provider_chosen


async def test_time_that_comes_free_in_any_way_is_seen(clinic, world):
    anna = await clinic.practitioner("Anna")
    offering = await clinic.offering(duration_minutes=60)
    away = {"start": at("09:00").isoformat(), "end": at("17:00").isoformat()}
    made = await clinic.call("POST", "/resources/anna/time-off", away, expect=201)
    entry = await wait(clinic, world, offering, start="09:00", end="10:00")
    await nothing_more(clinic, world, 0)
    await clinic.call("DELETE", f"/resources/anna/time-off/{made['id']}", expect=204)
    assert await matched(clinic, world, 1) == [(entry.entry_id, at("09:00"))]
    await world.publish(Deleted(WaitlistEntry.TYPE, entry.key(), clinic.id, 2))

    busy = Busy(
        tenant_id=clinic.id, version=1, connection_id=new_id(), resource_id=anna["id"], external_key="k",
        generation=1, start=at("12:00"), end=at("13:00"),
    )  # fmt: skip
    await world.publish(busy)
    second = await wait(clinic, world, offering, start="13:00", end="14:00")
    await world.publish(Deleted(Busy.TYPE, busy.key(), clinic.id, 2))
    assert (second.entry_id, at("13:00")) in await matched(clinic, world, 2)
    await world.publish(Deleted(WaitlistEntry.TYPE, second.key(), clinic.id, 2))

    third = await wait(clinic, world, offering, start="18:00", end="19:00")
    longer = {day: [["09:00", "20:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    await clinic.call("PUT", "/resources/anna/schedule", {"weekly": longer})
    assert (third.entry_id, at("18:00")) in await matched(clinic, world, 3)


async def test_an_entry_whose_time_was_taken_meanwhile_is_found_again(clinic, world):
    anna = await clinic.practitioner("Anna")
    offering = await clinic.offering(duration_minutes=60)
    row = await clinic.take(anna, at("10:00"), at("11:00"))
    entry = await wait(clinic, world, offering, start="10:00", end="11:00")
    await free(clinic, world, row)
    await matched(clinic, world, 1)
    async with world.service.database.transaction(clinic.id) as tx:
        await tx.connection.execute(text("UPDATE waiting SET tried_at = now() - interval '2 minutes'"))
    other = await clinic.take(anna, at("10:00"), at("11:00"))
    await free(clinic, world, other)
    found = await world.wait_sent(clinic.id, WaitlistMatched, 2)
    assert sorted(one.version for one in found) == [1, 2]
    assert {one.entry_id for one in found} == {entry.entry_id}


async def test_seats_of_a_class_are_shared_out(clinic, world):
    anna = await clinic.practitioner("Anna", weekly={DAY.strftime("%a").lower(): [["18:00", "19:00"]]})
    yoga = await clinic.offering("Yoga", duration_minutes=60, capacity=4)
    slot = new_id()
    row = await clinic.take(
        anna, at("18:00"), at("19:00"), owner_id=slot, slot_id=slot, offering_id=yoga["id"], capacity=4, reserved=4
    )
    three = await wait(clinic, world, yoga, end="19:00", seats=3)
    one, other = [await wait(clinic, world, yoga, end="19:00") for _ in range(2)]
    await wait(clinic, world, yoga, end="19:00")
    await world.publish(row.model_copy(update={"version": 2, "reserved": 2}))
    assert await matched(clinic, world, 2) == [(one.entry_id, at("18:00")), (other.entry_id, at("18:00"))]
    assert three.entry_id not in dict(await matched(clinic, world, 2))


async def test_an_older_entry_that_comes_late_does_not_come_back(clinic, world):
    anna = await clinic.practitioner("Anna")
    offering = await clinic.offering(duration_minutes=60)
    row = await clinic.take(anna, at("10:00"), at("11:00"))
    entry = await wait(clinic, world, offering, version=3)
    await world.publish(Deleted(WaitlistEntry.TYPE, entry.key(), clinic.id, 4))
    await world.publish(entry.model_copy(update={"version": 2}))
    await free(clinic, world, row)
    await nothing_more(clinic, world, 0)
