"""An appointment that moves takes its calendar event with it."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from calendar_sync import grants, writing
from calendar_sync.domain import event_id
from calendar_sync.repository import appointments, connections, rows
from events import Money, Transaction, new_id
from events.contracts.booking import BookingCompleted, BookingNoShow, BookingRejected, BookingRescheduled
from events.contracts.calendar import CalendarEventWritten
from servicekit.testing import eventually

from .conftest import NEXT_WEEK, Clinic, World
from .test_mirror import channel_open, settled
from .test_writing import shown, written


def starts(event: dict[str, Any]) -> datetime | None:
    return datetime.fromisoformat(event["start"]["dateTime"]) if "dateTime" in event["start"] else None


async def moved_to(clinic: Clinic, start: datetime) -> dict[str, Any]:
    """The calendar's one event, once it is at this time."""

    async def there() -> list[dict[str, Any]]:
        found = await clinic.events()
        return found if [starts(event) for event in found] == [start] else []

    return (await eventually(there))[0]


async def colleague_of(clinic: Clinic) -> Clinic:
    """Another practitioner of the same clinic, with a calendar of their own."""
    other = Clinic(clinic.world, tenant_id=clinic.tenant_id, offering_id=clinic.offering_id)
    await clinic.world.publish(clinic.resource(other.provider_id, "piotr", user_id=other.practitioner))
    await other.connect(provider_id="piotr", calendar_id=f"piotr@{clinic.slug}.test")
    return other


async def shows(clinic: Clinic, calendar: str) -> list[str]:
    answer = await clinic.world.http.get(f"{clinic.world.sandbox}/_sandbox/google/{calendar}/events")
    return [event["id"] for event in answer.json()["data"] if event["status"] != "cancelled"]


async def test_a_moved_appointment_is_the_same_event_at_another_time(clinic: Clinic) -> None:
    await clinic.connect()
    booking_id = await clinic.confirm()
    [before] = await shown(clinic, 1)
    await clinic.move(booking_id, days=2)
    after = await moved_to(clinic, NEXT_WEEK + timedelta(days=2))
    assert after["id"] == before["id"] == event_id(clinic.tenant_id, booking_id, clinic.calendar)
    assert after["extendedProperties"]["private"]["booking_version"] == "2"
    [_, told] = await written(clinic, 2)
    assert (told.version, told.deleted) == (2, False)


async def change(clinic: Clinic, event: dict[str, Any], **changes: Any) -> None:
    """The practitioner changes the event in their calendar."""
    async with clinic.world.service.database.transaction(clinic.tenant_id) as tx:
        [(connection_id,)] = await rows.run(tx, text("SELECT id FROM connection"))
        connection = await connections.get_connection(tx, connection_id)
    assert connection is not None
    token = grants.unseal(clinic.world.service, connection).access_token
    url = f"{clinic.world.sandbox}/calendar/v3/calendars/{clinic.calendar}/events/{event['id']}"
    headers = {"Authorization": f"Bearer {token}"}
    answer = await clinic.world.http.patch(url, json=changes, headers=headers)
    assert answer.is_success, answer.text


async def test_what_its_owner_added_to_the_event_stays(clinic: Clinic) -> None:
    await clinic.connect()
    booking_id = await clinic.confirm()
    [event] = await shown(clinic, 1)
    await change(clinic, event, location="Room 3", colorId="5")
    await clinic.move(booking_id, days=2)
    after = await moved_to(clinic, NEXT_WEEK + timedelta(days=2))
    assert (after["location"], after["colorId"]) == ("Room 3", "5")


async def test_an_event_that_its_owner_made_an_all_day_one_gets_its_time_back(clinic: Clinic) -> None:
    await clinic.connect()
    booking_id = await clinic.confirm()
    [event] = await shown(clinic, 1)
    days = [{"date": (NEXT_WEEK + timedelta(days=number)).date().isoformat()} for number in (0, 1)]
    await change(clinic, event, start=days[0], end=days[1])
    await clinic.move(booking_id, days=2)
    await moved_to(clinic, NEXT_WEEK + timedelta(days=2))


async def test_another_practitioner_gets_the_event_and_the_former_one_loses_it(clinic: Clinic) -> None:
    await clinic.connect()
    other = await colleague_of(clinic)
    booking_id = await clinic.confirm()
    await shown(clinic, 1)
    await other.move(booking_id, days=0, before=clinic)
    theirs = f"piotr@{clinic.slug}.test"

    async def swapped() -> bool:
        return await shows(clinic, theirs) == [event_id(clinic.tenant_id, booking_id, theirs)]

    await eventually(swapped)
    await shown(clinic, 0)
    # And back again: the first calendar's event is revived under its id.
    await clinic.move(booking_id, version=3, days=1, before=other)
    await moved_to(clinic, NEXT_WEEK + timedelta(days=1))

    async def gone() -> bool:
        return await shows(clinic, theirs) == []

    await eventually(gone)


async def test_moves_that_overtake_each_other_end_at_the_newest(clinic: Clinic) -> None:
    await clinic.connect()
    booking_id = await clinic.confirm()
    for version, days in ((2, 1), (4, 3), (3, 2)):
        await clinic.move(booking_id, version=version, days=days)
    await moved_to(clinic, NEXT_WEEK + timedelta(days=3))
    await asyncio.sleep(0.3)
    await moved_to(clinic, NEXT_WEEK + timedelta(days=3))
    versions = [one.version for one in clinic.said(CalendarEventWritten)]
    assert versions == sorted(versions)


async def test_a_move_whose_answer_was_lost_is_one_event(world: World, clinic: Clinic) -> None:
    await clinic.connect()
    booking_id = await clinic.confirm()
    await written(clinic, 1)
    await world.fault("response_lost", match="PATCH /calendar/v3/calendars", times=1)
    await clinic.move(booking_id)
    await written(clinic, 2)
    await moved_to(clinic, NEXT_WEEK + timedelta(days=1))


async def test_a_moved_event_that_comes_back_in_a_notice_makes_nobody_busy(clinic: Clinic) -> None:
    await clinic.connect()
    await channel_open(clinic)
    booking_id = await clinic.confirm()
    await shown(clinic, 1)
    await clinic.move(booking_id, days=2)
    await moved_to(clinic, NEXT_WEEK + timedelta(days=2))
    await clinic.add_event(days=5)
    await settled(clinic, 1)
    [busy] = clinic.busy().values()
    assert busy.start == NEXT_WEEK + timedelta(days=5), "only what its owner added"


async def test_a_visit_that_took_place_or_whose_patient_did_not_come_stays_in_the_calendar(clinic: Clinic) -> None:
    await clinic.connect()
    came, stayed_away = await clinic.confirm(), await clinic.confirm(days=1)
    await shown(clinic, 2)
    free = Money(amount=0, currency="pln")
    await clinic.world.publish(
        clinic.fact(BookingCompleted, came, 2, by="staff"), clinic.fact(BookingNoShow, stayed_away, 2, fee=free)
    )
    await asyncio.sleep(0.3)
    assert len(await clinic.events()) == 2


async def test_a_request_that_waits_for_approval_is_in_no_calendar_when_it_moves(clinic: Clinic) -> None:
    await clinic.connect()
    booking_id = new_id()
    await clinic.move(booking_id)
    stands = await clinic.confirm(days=4)
    [event] = await shown(clinic, 1)
    assert str(stands) in event["description"]


async def test_a_move_that_the_clinic_refuses_takes_the_event_away(clinic: Clinic) -> None:
    await clinic.connect()
    booking_id = await clinic.confirm()
    await clinic.move(booking_id)
    await moved_to(clinic, NEXT_WEEK + timedelta(days=1))
    await clinic.world.publish(clinic.fact(BookingRejected, booking_id, 4, days=1, reason="rejected"))
    await shown(clinic, 0)


async def test_a_cancelled_appointment_that_moved_before_goes_from_the_calendar(clinic: Clinic) -> None:
    await clinic.connect()
    booking_id = await clinic.confirm()
    await clinic.move(booking_id)
    await moved_to(clinic, NEXT_WEEK + timedelta(days=1))
    await clinic.cancel(booking_id, version=3)
    await shown(clinic, 0)
    await clinic.move(booking_id, version=2)
    await asyncio.sleep(0.3)
    assert await clinic.events() == []


async def move_while_connecting(world: World, clinic: Clinic) -> tuple[UUID, str]:
    """A move away from a practitioner whose transaction is still open while a calendar of theirs is connected."""
    booking_id = await clinic.confirm()

    async def kept() -> bool:
        return bool(await world.admin.run("SELECT 1 FROM appointment WHERE booking_id = %s", booking_id))

    await eventually(kept)
    other = Clinic(world, tenant_id=clinic.tenant_id, offering_id=clinic.offering_id)
    free = Money(amount=0, currency="pln")
    previous = clinic.fact(BookingCompleted, booking_id, 1, by="staff").visit
    fact = other.fact(BookingRescheduled, booking_id, 2, previous=previous, by="staff", price=free, fee=free)
    assert isinstance(fact, BookingRescheduled)
    async with world.service.database.transaction(clinic.tenant_id) as tx:
        await writing.move(tx, fact)
        connecting = asyncio.create_task(clinic.connect())
        done, _ = await asyncio.wait({connecting}, timeout=1.0)
    await connecting
    return booking_id, "connected meanwhile" if done else "waited"


async def test_an_appointment_that_leaves_while_a_calendar_is_connected_is_not_written_there(
    world: World, clinic: Clinic
) -> None:
    booking_id, _ = await move_while_connecting(world, clinic)
    found = await world.admin.run("SELECT present FROM calendar_event WHERE booking_id = %s", booking_id)
    assert found in ([], [(False,)])


async def test_control_without_the_lock_it_would_be_written_there(
    world: World, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nobody_meets(tx: Transaction, resource_id: UUID) -> None:
        return None

    monkeypatch.setattr(appointments, "meet", nobody_meets)
    booking_id, _ = await move_while_connecting(world, clinic)
    assert await world.admin.run("SELECT present FROM calendar_event WHERE booking_id = %s", booking_id) == [(True,)]
