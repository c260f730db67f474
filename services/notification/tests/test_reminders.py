"""Reminders: set, skipped, dropped."""

import asyncio
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from events.envelope import Record, as_headers, seal
from servicekit.testing import eventually

from .conftest import Clinic


async def queued(clinic: Clinic) -> list[datetime]:
    return [m.due_at for m in await clinic.messages() if m.template == "reminder" and m.status == "queued"]


async def test_reminders_are_set_by_the_offering(clinic: Clinic) -> None:
    await clinic.tell(*clinic.catalogue([1440, 60]), clinic.confirmed())
    await clinic.inbox(clinic.patient)
    before = [clinic.start - timedelta(minutes=minutes) for minutes in (1440, 60)]
    assert await queued(clinic) == [before[0], before[0], before[1], before[1]]  # each by e-mail and by SMS


async def test_reminders_whose_time_has_passed_are_skipped(clinic: Clinic) -> None:
    clinic.start = datetime.now(UTC) + timedelta(hours=2)
    await clinic.tell(*clinic.catalogue([1440, 60]), clinic.confirmed())
    await clinic.inbox(clinic.patient)
    assert set(await queued(clinic)) == {clinic.start - timedelta(minutes=60)}


async def test_a_reminder_goes_out_when_its_time_comes(clinic: Clinic) -> None:
    clinic.start = datetime.now(UTC) + timedelta(minutes=1, seconds=1.5)
    await clinic.tell(*clinic.catalogue([1]), clinic.confirmed())
    mails = await clinic.inbox(clinic.patient, 2)
    assert mails[1]["subject"].startswith("Reminder: ")
    assert mails[1]["attachments"] == []


async def test_a_cancellation_drops_the_reminders(clinic: Clinic) -> None:
    await clinic.tell(*clinic.catalogue(), clinic.confirmed())
    await clinic.inbox(clinic.patient)
    await clinic.tell(clinic.cancelled())
    await clinic.inbox(clinic.patient, 2)
    reminders = [m for m in await clinic.messages() if m.template == "reminder"]
    assert {(m.status, m.reason) for m in reminders} == {("dropped", "booking_cancelled")}


async def test_a_reminder_that_is_no_longer_true_is_not_sent_even_when_it_was_left_in_the_queue(clinic: Clinic) -> None:
    clinic.start = datetime.now(UTC) + timedelta(minutes=1, seconds=2)
    await clinic.tell(*clinic.catalogue([1]), clinic.confirmed())
    await clinic.inbox(clinic.patient)
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await tx.connection.execute(text("UPDATE booking SET status = 'cancelled'"))
    message = await clinic.settled("reminder")
    assert (message.status, message.reason) == ("dropped", "booking_cancelled")
    assert len(await clinic.arrived(clinic.patient)) == 1


async def test_history_is_remembered_and_not_told(clinic: Clinic) -> None:
    await clinic.tell(*clinic.catalogue())
    envelope, record = seal(clinic.confirmed(), source="test")
    headers = envelope.headers() | {"ce_time": "2026-01-01T00:00:00Z"}
    await clinic.broker.publish([Record(record.topic, record.key, record.value, as_headers(headers.items()))], 1)

    async def known() -> bool:
        async with clinic.service.database.transaction(clinic.tenant_id) as tx:
            return bool((await tx.connection.execute(text("SELECT count(*) FROM booking"))).scalar_one())

    await eventually(known)
    await asyncio.sleep(0.1)
    assert await clinic.messages() == []
