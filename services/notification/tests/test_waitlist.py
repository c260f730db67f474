"""The waiting list by message."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from events import new_id
from events.contracts.booking import HoldExpired, WaitlistJoined, WaitlistOffered
from servicekit.testing import eventually

from .conftest import NEXT_WEEK, Clinic


def joined(clinic: Clinic, entry_id: UUID) -> WaitlistJoined:
    sealed = clinic.service.sealer("links").seal("entry-token", str(entry_id))
    return WaitlistJoined(
        tenant_id=clinic.tenant_id, version=1, entry_id=entry_id, offering_id=clinic.offering_id, provider_id=None,
        start=NEXT_WEEK, end=NEXT_WEEK + timedelta(days=3), person_id=new_id(), contact_id=clinic.contact_id,
        locale="en", manage=sealed,
    )  # fmt: skip


def offered(clinic: Clinic, *, minutes: float = 30) -> WaitlistOffered:
    sealed = clinic.service.sealer("links").seal("hold-token", str(clinic.booking_id))
    return WaitlistOffered(
        tenant_id=clinic.tenant_id, version=1, booking_id=clinic.booking_id, entry_id=new_id(), visit=clinic.visit(),
        offer_until=datetime.now(UTC) + timedelta(minutes=minutes), person_id=new_id(), contact_id=clinic.contact_id,
        locale="en", manage=sealed,
    )  # fmt: skip


def link(mail: dict[str, Any]) -> str:
    return next(line for line in mail["text"].splitlines() if line.startswith("https://book.test/"))


async def test_whoever_joins_is_told_what_they_wait_for(clinic: Clinic) -> None:
    clinic.booking_id = new_id()
    event = joined(clinic, clinic.booking_id)
    await clinic.tell(*clinic.catalogue([]), event, event)
    (mail,) = await clinic.inbox(clinic.patient)
    assert mail["subject"] == "You are on the waiting list: Whitening"
    assert link(mail) == f"https://book.test/alfa?waitlist={event.entry_id}#token=entry-token"
    await clinic.settled("waitlist_joined")
    assert await clinic.arrived(clinic.phone) == []
    assert await clinic.arrived(clinic.alerts) == []


async def test_the_first_in_line_gets_the_link_to_the_hold_by_mail_and_sms(clinic: Clinic) -> None:
    await clinic.tell(*clinic.catalogue([]), offered(clinic))
    (mail,) = await clinic.inbox(clinic.patient)
    assert mail["subject"].startswith("Free for you until ")
    assert "Anna Nowak" in mail["text"]
    address = urlsplit(link(mail))
    assert (address.netloc, address.path) == ("book.test", "/alfa")
    assert parse_qs(address.query) == {"hold": [str(clinic.booking_id)], "token": ["hold-token"]}
    (sms,) = await clinic.inbox(clinic.phone)
    assert sms["text"].endswith(link(mail))


async def test_an_offer_that_is_taken_becomes_an_appointment_like_any_other(clinic: Clinic) -> None:
    await clinic.tell(*clinic.catalogue([60]), offered(clinic))
    await clinic.inbox(clinic.patient)
    await clinic.tell(clinic.requested(2), clinic.confirmed(3))
    mail = (await clinic.inbox(clinic.patient, 2))[1]
    assert mail["subject"].startswith("Confirmed: ")
    assert "hold-token" not in mail["text"]


async def test_an_offer_that_is_over_is_not_sent_any_more(clinic: Clinic) -> None:
    clinic.directory.away = True
    await clinic.tell(*clinic.catalogue([]), offered(clinic, minutes=0.02))

    async def waits() -> bool:
        return any(message.reason == "identity_away" for message in await clinic.messages())

    await eventually(waits)
    await asyncio.sleep(1.3)
    clinic.directory.away = False
    message = await clinic.settled("waitlist_offered")
    assert (message.status, message.reason) == ("dropped", "offer_over")


async def test_an_offer_that_was_passed_on_is_not_sent_nor_said_to_have_run_out(clinic: Clinic) -> None:
    clinic.directory.away = True
    await clinic.tell(*clinic.catalogue([]), offered(clinic))

    async def waits() -> bool:
        return any(message.reason == "identity_away" for message in await clinic.messages())

    await eventually(waits)
    common = {"tenant_id": clinic.tenant_id, "version": 2, "booking_id": clinic.booking_id}
    await clinic.tell(HoldExpired(**common, visit=clinic.visit(), requested=False))
    message = await clinic.settled("waitlist_offered")
    assert (message.status, message.reason) == ("dropped", "booking_expired")
    clinic.directory.away = False
    assert await clinic.arrived(clinic.patient) == []
