"""Two at once: what the guards are for, and that these tests see it when a guard is taken away."""

import asyncio
import contextlib
from uuid import UUID

import pytest

from calendar_sync import mirroring, writing
from calendar_sync.repository import appointments
from events import Transaction, new_id
from events.base import Money
from events.contracts.booking import BookingConfirmed
from events.contracts.calendar import CalendarEventWritten
from servicekit.testing import eventually

from .conftest import Clinic, World
from .test_mirror import channel_open
from .test_writing import shown, written


async def confirm_while_connecting(world: World, clinic: Clinic) -> UUID:
    """A confirmation whose transaction is still open while a calendar is connected."""
    free = Money(amount=0, currency="pln")
    booking_id = new_id()
    fact = clinic.fact(BookingConfirmed, booking_id, 1, mode="free", price=free, amount_due=free)
    async with world.service.database.transaction(clinic.tenant_id) as tx:
        await writing.want(tx, fact, confirmed=True)
        connecting = asyncio.create_task(clinic.connect())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(connecting), 1.0)
    await connecting
    return booking_id


async def test_an_appointment_confirmed_while_its_calendar_is_connected_is_written(
    world: World, clinic: Clinic
) -> None:
    booking_id = await confirm_while_connecting(world, clinic)
    [event] = await shown(clinic, 1)
    assert str(booking_id) in event["description"]


async def test_without_the_lock_that_appointment_would_be_missed(
    world: World, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nobody_meets(tx: Transaction, resource_id: UUID) -> None:
        return None

    monkeypatch.setattr(appointments, "meet", nobody_meets)
    booking_id = await confirm_while_connecting(world, clinic)
    assert await world.admin.run("SELECT 1 FROM calendar_event WHERE booking_id = %s", booking_id) == []


async def test_only_one_reads_a_calendar_at_a_time(world: World, clinic: Clinic) -> None:
    connection_id = await clinic.connect()
    await channel_open(clinic)

    async def none_reads() -> bool:
        rows = await world.admin.run("SELECT lease FROM connection WHERE id = %s AND lease IS NULL", connection_id)
        return bool(rows)

    await eventually(none_reads)
    read = [mirroring.read(world.service, clinic.tenant_id, connection_id) for _ in range(4)]
    assert sorted(await asyncio.gather(*read)) == [False, False, False, True]


async def test_a_reader_that_lost_its_lease_changes_nothing(world: World, clinic: Clinic) -> None:
    connection_id = await clinic.connect()
    await channel_open(clinic)
    await world.fault("hang", match="GET /calendar/v3", times=1, seconds=1.0)
    await world.admin.run("UPDATE connection SET due_at = now() WHERE id = %s", connection_id)
    await clinic.add_event()

    async def is_read() -> bool:
        rows = await world.admin.run("SELECT 1 FROM connection WHERE id = %s AND lease IS NOT NULL", connection_id)
        return bool(rows)

    await eventually(is_read)
    taken = "UPDATE connection SET lease = %s, lease_until = now() + interval '3 s' WHERE id = %s RETURNING sync_token"
    [(token,)] = await world.admin.run(taken, new_id(), connection_id)
    await asyncio.sleep(1.2)
    assert await world.admin.run("SELECT sync_token FROM connection WHERE id = %s", connection_id) == [(token,)]
    assert clinic.busy() == {}


async def test_two_writers_make_one_event(world: World, clinic: Clinic) -> None:
    connection_id = await clinic.connect()
    booking_id = await clinic.confirm()
    await written(clinic, 1)
    await world.admin.run("UPDATE calendar_event SET due_at = now() WHERE booking_id = %s", booking_id)
    ids = (booking_id, connection_id)
    wrote = await asyncio.gather(*(writing.write(world.service, clinic.tenant_id, ids) for _ in range(4)))
    assert sum(wrote) <= 1, "the job may have been the one"
    assert len(await clinic.events()) == 1
    assert {one.booking_id for one in clinic.said(CalendarEventWritten)} == {booking_id}
