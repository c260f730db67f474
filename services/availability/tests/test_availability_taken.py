"""The read model: versions, tombstones, and what strangers hear of it."""

import asyncio
import base64
import json
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text

from availability.live import KafkaEnds, LiveCursor, encode
from events import Deleted, new_id
from events.brokers.kafka import KafkaBroker
from events.contracts.availability import AvailabilityChanged
from events.contracts.booking import Occupancy
from events.contracts.calendar import Busy
from events.contracts.identity import TenantChanged
from events.envelope import seal

DAY = date.today() + timedelta(days=7)


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(DAY.year, DAY.month, DAY.day, hour, minute, tzinfo=UTC)


async def changes(world, clinic, count):
    """Changes after the one that setting the schedule made, as (type, hour, remaining)."""
    events = await world.wait_sent(clinic.id, AvailabilityChanged, count + 1)
    assert [event.version for event in events] == list(range(1, len(events) + 1))
    found = [change for event in events for change in event.changes]
    return [(c.type, c.start.hour, c.remaining) for c in found if c.type != "schedule_changed"]


async def test_taken_and_freed_are_told_with_the_visits_times(clinic, world):
    anna = await clinic.practitioner()
    later = datetime.now(UTC) + timedelta(minutes=10)
    row = await clinic.take(anna, at(10), at(10, 30), claim_start=at(9, 45), claim_end=at(10, 45), expires_at=later)
    await world.publish(row.model_copy(update={"version": 2, "expires_at": None}))  # booked: nothing new to strangers
    await world.publish(Deleted(Occupancy.TYPE, row.key(), clinic.id, 3))
    assert await changes(world, clinic, 2) == [("slot_taken", 10, None), ("slot_freed", 10, None)]
    taken = next(c for e in world.sent(clinic.id, AvailabilityChanged) for c in e.changes if c.type == "slot_taken")
    assert (taken.start, taken.end) == (at(10), at(10, 30))


async def test_a_moved_row_frees_the_old_time_and_takes_the_new(clinic, world):
    anna = await clinic.practitioner()
    row = await clinic.take(anna, at(10), at(11))
    moved = {"version": 2, "start": at(14), "end": at(15), "claim_start": at(14), "claim_end": at(15)}
    await world.publish(row.model_copy(update=moved))
    assert await changes(world, clinic, 2) == [
        ("slot_taken", 10, None), ("slot_freed", 10, None), ("slot_taken", 14, None),
    ]  # fmt: skip


async def test_older_versions_change_nothing(clinic, world):
    anna = await clinic.practitioner()
    offering = await clinic.offering(duration_minutes=60)
    row = await clinic.take(anna, at(10), at(11), version=5)
    old = {"version": 4, "start": at(14), "end": at(15), "claim_start": at(14), "claim_end": at(15)}
    await world.publish(row.model_copy(update=old))
    await world.publish(Deleted(Occupancy.TYPE, row.key(), clinic.id, 4))
    starts = [slot["start"] for slot in (await clinic.availability(offering, DAY))["slots"]]
    assert at(10) not in map(datetime.fromisoformat, starts)
    assert at(14) in map(datetime.fromisoformat, starts)
    assert await changes(world, clinic, 1) == [("slot_taken", 10, None)]


async def test_a_tombstone_outlasts_an_older_state_that_comes_late(clinic, world):
    anna = await clinic.practitioner()
    offering = await clinic.offering(duration_minutes=60)
    row = clinic.occupancy(anna, at(10), at(11), version=1)
    before = len(await clinic.starts(offering, DAY))
    await world.publish(Deleted(Occupancy.TYPE, row.key(), clinic.id, 2))
    await world.publish(row)
    assert len(await clinic.starts(offering, DAY)) == before
    await asyncio.sleep(0.1)
    assert await changes(world, clinic, 0) == []


async def test_a_room_is_told_of_as_a_room(clinic, world):
    room = await clinic.resource("room", "Room")
    anna = await clinic.practitioner()
    await clinic.take(room, at(10), at(11), provider_id=anna["id"])
    events = await world.wait_sent(clinic.id, AvailabilityChanged, 2)
    told = [event for event in events if event.changes[0].type == "slot_taken"]
    assert [(str(event.resource_id), event.resource_type) for event in told] == [(room["id"], "room")]


async def test_a_class_tells_its_seats(clinic, world):
    anna = await clinic.practitioner()
    row = await clinic.take(anna, at(18), at(19), capacity=3, reserved=1)
    for version, reserved in ((2, 3), (3, 2)):
        await world.publish(row.model_copy(update={"version": version, "reserved": reserved}))
    await world.publish(Deleted(Occupancy.TYPE, row.key(), clinic.id, 4))
    assert await changes(world, clinic, 4) == [
        ("slot_taken", 18, 2), ("slot_taken", 18, 0), ("slot_freed", 18, 1), ("slot_freed", 18, 3),
    ]  # fmt: skip
    told = [c for e in world.sent(clinic.id, AvailabilityChanged) for c in e.changes if c.type.startswith("slot")]
    assert {change.offering_id for change in told} == {row.offering_id}


async def test_external_events_are_told_with_their_buffer(clinic, world):
    anna = await clinic.practitioner()
    busy = Busy(
        tenant_id=clinic.id, version=1, connection_id=new_id(), resource_id=anna["id"], external_key="a:b",
        generation=1, start=at(10), end=at(11),
    )  # fmt: skip
    await world.publish(busy)
    await world.publish(busy.model_copy(update={"version": 2, "generation": 2}))  # the same again
    await world.publish(busy.model_copy(update={"version": 3, "start": at(12), "end": at(13)}))
    await world.publish(busy.model_copy(update={"version": 2}))
    await world.publish(Deleted(Busy.TYPE, busy.key(), clinic.id, 4))
    assert await changes(world, clinic, 3) == [
        ("slot_taken", 9, None), ("slot_freed", 9, None), ("slot_taken", 11, None), ("slot_freed", 11, None),
    ]  # fmt: skip


async def test_another_external_buffer_is_told_where_it_matters(clinic, world):
    anna = await clinic.practitioner()
    await clinic.practitioner("Piotr")
    busy = Busy(
        tenant_id=clinic.id, version=1, connection_id=new_id(), resource_id=anna["id"], external_key="k",
        generation=1, start=at(10), end=at(11),
    )  # fmt: skip
    await world.publish(busy)
    changed = TenantChanged(
        tenant_id=clinic.id, version=2, slug="c", name="C", time_zone="Europe/Warsaw", currency="pln", locales=[],
        settings={"external_buffer_minutes": 60},
    )  # fmt: skip
    await world.publish(changed)
    events = await world.wait_sent(clinic.id, AvailabilityChanged, 4)
    told = [e for e in events if e.changes[0].type == "schedule_changed" and e.changes[0].start == at(9)]
    assert [str(event.resource_id) for event in told] == [anna["id"]]
    assert told[0].changes[0].end == at(12)


async def test_a_frame_and_the_answer_that_agrees_with_it_are_one_transaction(clinic, world):
    """If the outbox refuses, the read model does not change either."""
    from availability import taken

    anna = await clinic.practitioner()
    row = clinic.occupancy(anna, at(10), at(11))

    async def fail() -> None:
        async with world.service.database.transaction(clinic.id) as tx:
            await taken.occupy(tx, row)
            raise RuntimeError("no commit")

    with pytest.raises(RuntimeError, match="no commit"):
        await fail()
    async with world.service.database.transaction(clinic.id) as tx:
        count = await tx.connection.execute(
            text("SELECT count(*) FROM occupancy WHERE owner_id = :o"), {"o": row.owner_id}
        )
        assert count.scalar_one() == 0
    assert await changes(world, clinic, 0) == []


async def test_freed_rows_are_forgotten_in_the_end(clinic, world):
    from availability import repository

    anna = await clinic.practitioner()
    row = await clinic.take(anna, at(10), at(11))
    kept = await clinic.take(anna, at(12), at(13))
    await world.publish(Deleted(Occupancy.TYPE, row.key(), clinic.id, 2))
    async with world.service.database.transaction() as tx:
        await repository.forget_freed(tx, -1)
    async with world.service.database.transaction(clinic.id) as tx:
        left = (await tx.connection.execute(text("SELECT owner_id FROM occupancy"))).scalars().all()
    assert left == [kept.owner_id]


# -- the live cursor -----------------------------------------------------------------------------------------------


async def test_the_cursor_of_an_answer_lies_before_every_later_frame(clinic, world, cursor):
    anna = await clinic.practitioner()
    offering = await clinic.offering()
    await changes(world, clinic, 0)
    await cursor.refresh()
    resume = (await clinic.availability(offering, DAY))["resume"]
    offsets = json.loads(base64.urlsafe_b64decode(resume))
    await clinic.take(anna, at(10), at(11))
    await changes(world, clinic, 1)
    behind = [
        message
        for partition, log in world.broker.logs.items()
        if partition.topic == "holdfast.availability"
        for message in log[offsets[str(partition.number)] :]
    ]
    assert any(anna["id"] == message.key for message in behind)


def test_the_cursors_text_needs_no_padding():
    for offsets in ({}, {0: 1}, {0: 1, 1: 22}, {number: 10**number for number in range(6)}):
        encoded = encode(offsets)
        assert "=" not in encoded
        assert json.loads(base64.urlsafe_b64decode(encoded)) == {str(n): offset for n, offset in offsets.items()}


async def test_the_cursor_follows_a_real_kafka(kafka_bootstrap):
    ends = KafkaEnds(kafka_bootstrap)
    cursor = LiveCursor(ends)
    async with asyncio.timeout(60):  # a broker that has just been started may be slow
        while not cursor.known:
            await cursor.refresh()
    before = json.loads(base64.urlsafe_b64decode(cursor.text()))
    assert len(before) == 6
    event = AvailabilityChanged(tenant_id=new_id(), version=1, resource_id=new_id(), resource_type="room", changes=[])
    broker = KafkaBroker(kafka_bootstrap, "test")
    await broker.publish([seal(event, source="test")[1]], 10)
    await cursor.refresh()
    after = json.loads(base64.urlsafe_b64decode(cursor.text()))
    assert sum(after.values()) == sum(before.values()) + 1
    await broker.close()
    await ends.close()


async def test_without_kafka_the_former_cursor_stands():
    ends = KafkaEnds("127.0.0.1:1")
    cursor = LiveCursor(ends)
    await cursor.refresh()
    assert not cursor.known
    assert json.loads(base64.urlsafe_b64decode(cursor.text())) == {}
    await ends.close()
