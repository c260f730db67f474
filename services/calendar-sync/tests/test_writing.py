"""A confirmed appointment is one event in its practitioner's calendar, whatever happens on the way."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from calendar_sync.domain import event_id
from events.contracts.calendar import CalendarEventWritten
from servicekit.testing import eventually

from .conftest import NEXT_WEEK, Clinic, World


async def shown(clinic: Clinic, count: int, *, seconds: float = 15.0) -> list[dict[str, Any]]:
    """The calendar's events once there are so many."""

    async def so_many() -> list[list[dict[str, Any]]]:
        found = await clinic.events()
        return [found] if len(found) == count else []

    return (await eventually(so_many, seconds=seconds))[0]


async def written(clinic: Clinic, count: int) -> list[Any]:
    async def so_many() -> list[Any]:
        found = clinic.said(CalendarEventWritten)
        return found if len(found) >= count else []

    return await eventually(so_many)


async def test_a_confirmed_appointment_is_one_event_that_says_who_comes_when(clinic: Clinic) -> None:
    connection_id = await clinic.connect()
    booking_id = await clinic.confirm()
    [event] = await shown(clinic, 1)
    assert event["id"] == event_id(clinic.tenant_id, booking_id, clinic.calendar)
    assert event["summary"] == "Check-up: Jan Nowak"
    for said in ("Jan Nowak", "jan@example.test", "+48123456789", str(booking_id)):
        assert said in event["description"]
    assert event["start"]["timeZone"] == "Europe/Warsaw"
    assert event["extendedProperties"]["private"]["booking_id"] == str(booking_id)
    assert event["extendedProperties"]["private"]["tenant"] == str(clinic.tenant_id)
    [told] = await written(clinic, 1)
    assert (told.booking_id, told.connection_id, told.deleted) == (booking_id, connection_id, False)


async def test_the_same_appointment_twice_is_one_event(clinic: Clinic) -> None:
    await clinic.connect()
    booking_id = await clinic.confirm()
    await clinic.confirm(booking_id)
    await written(clinic, 1)
    await asyncio.sleep(0.3)
    assert len(await clinic.events()) == 1
    assert len(clinic.said(CalendarEventWritten)) == 1


async def test_a_write_whose_answer_was_lost_is_one_event(world: World, clinic: Clinic) -> None:
    await clinic.connect()
    await world.fault("response_lost", match="POST /calendar/v3/calendars", times=1)
    await clinic.confirm()
    await written(clinic, 1)
    assert len(await clinic.events()) == 1


@pytest.mark.parametrize("fault", ["rate_limited", "server_error"])
async def test_a_refused_write_is_made_later(world: World, clinic: Clinic, fault: str) -> None:
    await clinic.connect()
    await world.fault(fault, match="POST /calendar/v3/calendars", times=1)
    await clinic.confirm()
    await shown(clinic, 1)


async def test_a_cancelled_appointment_goes_from_the_calendar(clinic: Clinic) -> None:
    await clinic.connect()
    booking_id = await clinic.confirm()
    await shown(clinic, 1)
    await clinic.cancel(booking_id)
    await shown(clinic, 0)
    [_, told] = await written(clinic, 2)
    assert told.deleted


async def test_cancelling_right_behind_confirming_leaves_nothing(clinic: Clinic) -> None:
    await clinic.connect()
    booking_id = await clinic.confirm()
    await clinic.cancel(booking_id)

    async def done() -> bool:
        return any(one.deleted for one in clinic.said(CalendarEventWritten))

    await eventually(done)
    assert await clinic.events() == []


async def test_an_event_that_its_owner_deleted_comes_back_when_the_appointment_moves(clinic: Clinic) -> None:
    await clinic.connect()
    booking_id = await clinic.confirm()
    [event] = await shown(clinic, 1)
    await clinic.delete_event(event["id"])
    assert await clinic.events() == []
    await clinic.confirm(booking_id, version=5, days=2)
    [event] = await shown(clinic, 1)
    assert event["id"] == event_id(clinic.tenant_id, booking_id, clinic.calendar)
    assert datetime.fromisoformat(event["start"]["dateTime"]) == NEXT_WEEK + timedelta(days=2)


async def test_an_older_event_about_an_appointment_changes_nothing(clinic: Clinic) -> None:
    await clinic.connect()
    booking_id = await clinic.confirm(version=5)
    await shown(clinic, 1)
    await clinic.cancel(booking_id, version=4)
    await asyncio.sleep(0.3)
    assert len(await clinic.events()) == 1


async def test_coming_appointments_are_written_when_a_calendar_is_connected_later(clinic: Clinic) -> None:
    stands, called_off = await clinic.confirm(), await clinic.confirm(days=1)
    await clinic.cancel(called_off)
    await heard_of(clinic, 2)
    await clinic.connect()
    [event] = await shown(clinic, 1)
    assert str(stands) in event["description"]


async def heard_of(clinic: Clinic, count: int) -> None:
    async def kept() -> bool:
        async with clinic.world.service.database.transaction(clinic.tenant_id) as tx:
            rows = await tx.connection.execute(text("SELECT count(*), bool_or(NOT confirmed) FROM appointment"))
            number, cancelled = rows.one()
        return bool(number == count and cancelled)

    await eventually(kept)


async def test_an_appointment_with_another_practitioner_is_not_written(clinic: Clinic) -> None:
    await clinic.connect()
    stranger = Clinic(clinic.world, tenant_id=clinic.tenant_id, offering_id=clinic.offering_id)
    await stranger.confirm()
    mine: UUID = await clinic.confirm()
    [event] = await shown(clinic, 1)
    assert str(mine) in event["description"]
