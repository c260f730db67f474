"""Never twice, never in silence: what becomes of a message when providers, identity or senders fail."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest
from sqlalchemy import text

from events import new_id
from events.brokers.memory import MemoryBroker
from events.contracts.notification import MessageFailed, MessageSent
from notification import repository, sending
from notification.domain import BookingStatus, Template
from notification.main import build
from notification.providers import Channels
from notification.repository import Booking
from notification.settings import NotificationSettings
from servicekit import copies
from servicekit.service import Service
from servicekit.testing import eventually

from .conftest import Clinic


@pytest.fixture
async def second(settings_of: Callable[..., NotificationSettings]) -> AsyncIterator[Service]:
    """Another replica, whose sender is called by hand."""
    service = build(settings_of(replica=1), MemoryBroker())
    yield service
    await service.close()


async def write_down(clinic: Clinic, count: int) -> list[repository.Message]:
    """So many refund messages, due now, of which no sender was told (they look every second)."""
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        for event in clinic.catalogue():
            await copies.keep(tx, event)
        visit = clinic.visit()
        booking = Booking(
            clinic.booking_id, clinic.tenant_id, 3, BookingStatus.CONFIRMED, clinic.contact_id, "en",
            visit.offering_id, visit.provider_id, visit.start, visit.end, {},
        )  # fmt: skip
        await repository.remember(tx, booking)
        for _ in range(count):
            context = {"amount": 100, "currency": "pln"}
            await repository.queue(
                tx, booking.id, Template.MONEY_REFUNDED, "email", f"contact:{clinic.contact_id}", str(new_id()), context
            )
    return await clinic.messages()


async def test_several_senders_send_each_message_once(clinic: Clinic, second: Service) -> None:
    await write_down(clinic, 20)
    await asyncio.gather(*(sending.send_due(service) for service in (clinic.service, second, clinic.service, second)))
    await clinic.inbox(clinic.patient, 20)
    await asyncio.sleep(0.2)
    assert len(await clinic.arrived(clinic.patient)) == 20


async def test_control_without_the_row_lock_a_message_is_sent_twice(
    clinic: Clinic, second: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race test sees a race: with the lock taken away it fails."""
    unguarded = str(repository._LOCK_DUE).split("AND status")[0]
    monkeypatch.setattr(repository, "_LOCK_DUE", text(unguarded))
    (message,) = await write_down(clinic, 1)
    await asyncio.gather(*(sending.send(service, clinic.tenant_id, message.id) for service in (clinic.service, second)))
    assert len(await clinic.arrived(clinic.patient)) >= 2


async def test_a_message_whose_answer_was_lost_is_not_sent_again(clinic: Clinic) -> None:
    await clinic.fault("response_lost", times=1)
    await write_down(clinic, 1)
    message = await clinic.settled("money_refunded")
    assert (message.status, message.reason) == ("unknown", "outcome_unknown")
    await asyncio.sleep(1.5)
    assert len(await clinic.arrived(clinic.patient)) == 1
    (failed,) = clinic.said()
    assert (type(failed), failed.reason, failed.message_id) == (MessageFailed, "outcome_unknown", message.id)


async def test_a_call_that_hangs_ends_and_delays_nobody_else(clinic: Clinic) -> None:
    await clinic.fault("hang", times=1, seconds=4)
    await write_down(clinic, 3)

    async def statuses(*expected: str) -> bool:
        return sorted(message.status for message in await clinic.messages()) == list(expected)

    await eventually(lambda: statuses("sending", "sent", "sent"))
    await write_down(clinic, 1)  # also what is written down meanwhile
    await eventually(lambda: statuses("sending", "sent", "sent", "sent"))
    await eventually(lambda: statuses("sent", "sent", "sent", "unknown"))


async def test_refusals_that_pass_are_tried_again(clinic: Clinic) -> None:
    for fault in ("rate_limited", "unavailable", "server_error"):
        await clinic.fault(fault, times=1)
    await write_down(clinic, 3)

    async def all_said() -> bool:
        return [type(event) for event in clinic.said()] == [MessageSent] * 3

    await eventually(all_said)
    assert {(message.status, message.attempts) for message in await clinic.messages()} == {("sent", 2)}
    assert len(await clinic.arrived(clinic.patient)) == 3


async def test_sms_are_as_careful(clinic: Clinic) -> None:
    await clinic.fault("rate_limited", "twilio", times=1)
    await clinic.tell(*clinic.catalogue([]), clinic.confirmed())
    message = await clinic.settled("booking_confirmed", "sms")
    assert (message.status, message.attempts) == ("sent", 2)


async def test_an_sms_whose_answer_was_lost_is_not_sent_again(clinic: Clinic) -> None:
    await clinic.fault("response_lost", "twilio", times=1)
    await clinic.tell(*clinic.catalogue([]), clinic.confirmed())
    message = await clinic.settled("booking_confirmed", "sms")
    assert (message.status, message.reason) == ("unknown", "outcome_unknown")
    assert len(await clinic.inbox(clinic.phone)) == 1


async def test_what_a_killed_sender_had_in_its_hands_is_not_sent_again(clinic: Clinic, second: Service) -> None:
    (message,) = await write_down(clinic, 1)
    async with second.database.transaction(clinic.tenant_id) as tx:
        found = await repository.lock_due(tx, message.id)
        assert found is not None
        await repository.claim(tx, found[0])
    await sending.end_interrupted(second)
    assert (await clinic.messages())[0].status == "sending"  # its sender may still be at it
    async with second.database.transaction(clinic.tenant_id) as tx:
        await tx.connection.execute(text("UPDATE message SET claimed_at = now() - interval '61 s'"))
    await sending.end_interrupted(second)
    message = await clinic.settled("money_refunded")
    assert (message.status, message.reason) == ("unknown", "interrupted")
    assert await clinic.arrived(clinic.patient) == []

    async def said() -> bool:
        return [type(event) for event in clinic.said()] == [MessageFailed]

    await eventually(said)


async def test_while_identity_is_away_messages_wait(clinic: Clinic) -> None:
    clinic.directory.away = True
    await write_down(clinic, 1)

    async def waits() -> bool:
        return (await clinic.messages())[0].reason == "identity_away"

    await eventually(waits)
    clinic.directory.away = False
    assert (await clinic.settled("money_refunded")).status == "sent"


async def test_a_recipient_that_is_gone_is_a_failure(clinic: Clinic) -> None:
    clinic.directory.contacts[clinic.contact_id] |= {"name": None, "email": None, "phone": None}
    await write_down(clinic, 1)
    message = await clinic.settled("money_refunded")
    assert (message.status, message.reason) == ("failed", "no_address")


async def test_without_a_provider_nothing_counts_as_sent(clinic: Clinic) -> None:
    configured = clinic.service.get(Channels)
    clinic.service.provide(Channels(None, None, "no-reply@holdfast.test"))
    try:
        await clinic.tell(*clinic.catalogue([]), clinic.confirmed())
        mail = await clinic.settled("booking_confirmed")
        sms = await clinic.settled("booking_confirmed", "sms")
    finally:
        clinic.service.provide(configured)
    assert [(m.status, m.reason) for m in (mail, sms)] == [
        ("failed", "no_email_provider_configured"),
        ("failed", "no_sms_provider_configured"),
    ]


async def test_no_address_or_name_is_stored_or_said(clinic: Clinic) -> None:
    await clinic.tell(*clinic.catalogue(), clinic.confirmed())

    async def all_told() -> bool:
        return len(clinic.said()) == 4

    await eventually(all_told)
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        stored = ""
        for table in ("message", "booking", "copy", "outbox", "inbox", "parked"):
            stored += "".join((await tx.connection.execute(text(f"SELECT t::text FROM {table} t"))).scalars())
    assert str(clinic.booking_id) in stored
    said = "".join(str(record.value) + str(record.headers) for record in clinic.records())
    for secret in (clinic.patient, clinic.phone, clinic.alerts, clinic.practitioner, "Żuk", "Reception"):
        assert secret not in stored
        assert secret not in said


async def test_a_clinic_sees_its_own_rows_only(clinic: Clinic, second: Service) -> None:
    await write_down(clinic, 1)
    await clinic.settled("money_refunded")
    for tenant in (new_id(), None):
        async with second.database.transaction(tenant) as tx:
            for table in ("message", "booking", "copy"):
                assert (await tx.connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one() == 0
    async with second.database.transaction() as tx:
        assert await repository.stranded(tx, timedelta(days=1), 10) == []
