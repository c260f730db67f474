"""Ten messages an hour to one recipient: what is beyond waits, and is seen to wait."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from events import new_id
from events.brokers.memory import MemoryBroker
from notification import sending
from notification.domain import Template
from notification.main import build
from notification.settings import NotificationSettings
from servicekit.service import Service
from servicekit.testing import client_of, eventually

from .conftest import Clinic
from .test_sending import write_down


@pytest.fixture
def limited(clinic: Clinic) -> Any:
    """Three an hour."""
    settings = clinic.service.get(NotificationSettings)
    before, settings.messages_an_hour = settings.messages_an_hour, 3
    yield clinic
    settings.messages_an_hour = before


async def counts(clinic: Clinic) -> dict[str, int]:
    found: dict[str, int] = {}
    for message in await clinic.messages():
        key = f"{message.status}:{message.reason or ''}"
        found[key] = found.get(key, 0) + 1
    return found


async def until(clinic: Clinic, expected: dict[str, int]) -> None:
    async def so() -> bool:
        return await counts(clinic) == expected

    await eventually(so)


def test_ten_is_the_default() -> None:
    assert NotificationSettings.model_fields["messages_an_hour"].default == 10


async def test_what_is_beyond_the_limit_waits_until_the_hour_is_over(limited: Clinic) -> None:
    await write_down(limited, 5)
    await until(limited, {"sent:": 3, "queued:recipient_limit": 2})
    assert len(await limited.arrived(limited.patient)) == 3
    waiting = [m for m in await limited.messages() if m.status == "queued"]
    assert all(timedelta(minutes=55) < m.due_at - m.wanted_at < timedelta(minutes=61) for m in waiting)
    async with limited.service.database.transaction(limited.tenant_id) as tx:
        await tx.connection.execute(text("UPDATE message SET addressed_at = addressed_at - interval '1 hour'"))
        await tx.connection.execute(text("UPDATE message SET due_at = now() WHERE status = 'queued'"))
        tx.wake("send_messages")
    await until(limited, {"sent:": 5})


async def test_who_has_waited_for_a_day_hears_nothing_any_more(limited: Clinic) -> None:
    await write_down(limited, 4)
    await until(limited, {"sent:": 3, "queued:recipient_limit": 1})
    async with limited.service.database.transaction(limited.tenant_id) as tx:
        statement = "UPDATE message SET due_at = now(), wanted_at = now() - interval '24 hours' WHERE status = 'queued'"
        await tx.connection.execute(text(statement))
        tx.wake("send_messages")
    await until(limited, {"sent:": 3, "dropped:recipient_limit": 1})


async def test_the_address_counts_not_the_appointment_nor_the_clinic(limited: Clinic) -> None:
    """Whoever types a stranger's address into many clinics sends the stranger no more for it."""
    await write_down(limited, 3)
    await until(limited, {"sent:": 3})
    elsewhere = Clinic(limited.service, limited.broker, limited.sandbox, limited.directory)
    elsewhere.people()
    shouted = limited.patient.replace("patient", "PATIENT")
    limited.directory.contacts[elsewhere.contact_id]["email"] = shouted
    await write_down(elsewhere, 1)
    await until(elsewhere, {"queued:recipient_limit": 1})
    assert len(await limited.arrived(limited.patient)) == 3
    stranger = Clinic(limited.service, limited.broker, limited.sandbox, limited.directory)
    stranger.people()
    await write_down(stranger, 1)
    await until(stranger, {"sent:": 1})


async def test_sms_and_mail_count_apart_and_staff_hear_everything(limited: Clinic) -> None:
    await limited.tell(*limited.catalogue([]))
    for version in range(3, 8):
        await limited.tell(limited.confirmed(version))
    await limited.inbox(limited.alerts, 5)
    await limited.inbox(limited.practitioner, 5)
    await limited.inbox(limited.patient, 3)
    await limited.inbox(limited.phone, 3)
    await until(limited, {"sent:": 16, "queued:recipient_limit": 4})


@pytest.fixture
async def second(settings_of: Callable[..., NotificationSettings]) -> AsyncIterator[Service]:
    """Another replica, whose sender is called by hand."""
    service = build(settings_of(replica=1, messages_an_hour=3), MemoryBroker())
    yield service
    await service.close()


async def test_senders_of_several_replicas_count_each_other(limited: Clinic, second: Service) -> None:
    await write_down(limited, 12)
    await asyncio.gather(*(sending.send_due(service) for service in (limited.service, second, second)))
    await until(limited, {"sent:": 3, "queued:recipient_limit": 9})
    assert len(await limited.arrived(limited.patient)) == 3


async def test_control_without_the_lock_they_do_not(limited: Clinic, second: Service, postgres_url: str) -> None:
    """The race test sees a race: with the lock taken away, more go out than may."""
    import psycopg

    database = second.database.engine.url.database
    url = postgres_url.rsplit("/", 1)[0] + f"/{database}"
    with psycopg.connect(url, autocommit=True) as admin:
        find = "SELECT pg_get_functiondef('notification.address_message'::regproc)"
        (whole,) = admin.execute(find).fetchone() or ("",)
        lock = "PERFORM pg_advisory_xact_lock(hashtextextended('address:' || encode(p_address, 'hex'), 0));"
        assert lock in whole
        # In its place a pause, in which the others look, too.
        admin.execute(
            whole.replace(lock, "PERFORM pg_sleep(0.2);").replace("v_now := clock_timestamp();", "v_now := now();")
        )  # type: ignore[arg-type]
        try:
            await write_down(limited, 8)
            await asyncio.gather(*(sending.send_due(service) for service in (limited.service, second)))

            async def more() -> bool:
                return len(await limited.arrived(limited.patient)) > 3

            await eventually(more)
        finally:
            admin.execute(whole)  # type: ignore[arg-type]


async def test_one_clinic_cannot_count_anothers_message(limited: Clinic) -> None:
    (message,) = await write_down(limited, 1)
    await until(limited, {"sent:": 1})
    async with limited.service.database.transaction(new_id()) as tx:
        statement = text("SELECT address_message(:tenant, :id, :address, 3)")
        parameters = {"tenant": limited.tenant_id, "id": message.id, "address": b"x"}
        with pytest.raises(Exception, match="not the tenant"):
            await tx.connection.execute(statement, parameters)


async def test_staff_see_what_was_sent_and_why_something_waits(limited: Clinic) -> None:
    await write_down(limited, 4)
    await until(limited, {"sent:": 3, "queued:recipient_limit": 1})
    url = f"/v1/clinics/{limited.tenant_id}/appointments/{limited.booking_id}/messages"
    async with client_of(limited.service) as client:
        for role in ("owner", "front_desk", "practitioner", "auditor"):
            headers = limited.directory.token(limited.tenant_id, role)
            answer = await client.get(url, headers=headers)
            assert answer.status_code == 200, answer.text
        shown = answer.json()
        assert shown["next_cursor"] is None
        assert {(m["kind"], m["template"], m["to"]) for m in shown["data"]} == {
            ("email", Template.MONEY_REFUNDED.value, "patient")
        }
        assert sorted((m["status"], m["reason"]) for m in shown["data"] if m["reason"]) == [
            ("queued", "recipient_limit")
        ]
        assert limited.patient not in answer.text
        first = (await client.get(url, params={"limit": 3}, headers=headers)).json()
        rest = (await client.get(url, params={"cursor": first["next_cursor"]}, headers=headers)).json()
        assert [m["id"] for m in first["data"] + rest["data"]] == [m["id"] for m in shown["data"]]


async def test_nobody_else_sees_what_was_sent(clinic: Clinic) -> None:
    await write_down(clinic, 1)
    url = f"/v1/clinics/{clinic.tenant_id}/appointments/{clinic.booking_id}/messages"
    async with client_of(clinic.service) as client:
        assert (await client.get(url)).status_code == 401
        assert (await client.get(url, headers={"Authorization": "Bearer manage-token"})).status_code == 401
        assert (await client.get(url, headers=clinic.directory.token(clinic.tenant_id, None))).status_code == 404
        assert (await client.get(url, headers=clinic.directory.token(new_id(), "owner"))).status_code == 404
        headers = clinic.directory.token(clinic.tenant_id, "owner")
        assert (
            await client.get(url.replace(str(clinic.booking_id), str(new_id())), headers=headers)
        ).status_code == 404
