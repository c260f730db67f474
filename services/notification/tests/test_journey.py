"""What people get, and when: events in, messages at the providers."""

import time
from datetime import timedelta

from icalendar import Calendar

from events.contracts.notification import MessageSent

from .conftest import NEXT_WEEK, Clinic, attachment, eventually


async def test_a_confirmation_reaches_everyone_within_a_second(clinic: Clinic) -> None:
    await clinic.tell(*clinic.catalogue())
    began = time.monotonic()
    await clinic.tell(clinic.confirmed())
    (mail,) = await clinic.inbox(clinic.patient)
    took = time.monotonic() - began
    assert mail["subject"].startswith("Confirmed: ")
    assert "Whitening" in mail["subject"]
    for part in (mail["text"], mail["html"]):
        for told in ("Klinika Alfa", "Anna Nowak", "Warsaw", f"https://book.test/manage/{clinic.booking_id}", "200"):
            assert told in part
        assert "cancel for free until" in part
    assert took < 2.0
    (sms,) = await clinic.inbox(clinic.phone)
    assert sms["text"].startswith("Klinika Alfa: Confirmed: ")
    assert "Jan Żuk" in (await clinic.inbox(clinic.alerts))[0]["text"]
    assert (await clinic.inbox(clinic.practitioner))[0]["subject"].startswith("Nowa rezerwacja: ")

    async def all_told() -> bool:
        return len([event for event in clinic.said() if isinstance(event, MessageSent)]) == 4

    await eventually(all_told)


async def test_the_calendar_file_has_the_right_instants_and_is_taken_back(clinic: Clinic) -> None:
    await clinic.tell(*clinic.catalogue(), clinic.confirmed(3))
    (mail,) = await clinic.inbox(clinic.patient)
    calendar = Calendar.from_ical(attachment(mail))
    (event,) = calendar.events
    assert (calendar["METHOD"], event["UID"], event["SEQUENCE"]) == ("REQUEST", str(clinic.booking_id), 3)
    assert (event.start, event.end) == (NEXT_WEEK, NEXT_WEEK + timedelta(hours=1))
    assert f"DTSTART:{NEXT_WEEK:%Y%m%dT%H%M%SZ}".encode() in attachment(mail)

    await clinic.tell(clinic.cancelled(5))
    mail = (await clinic.inbox(clinic.patient, 2))[1]
    calendar = Calendar.from_ical(attachment(mail))
    (event,) = calendar.events
    assert (calendar["METHOD"], event["STATUS"], event["UID"]) == ("CANCEL", "CANCELLED", str(clinic.booking_id))
    assert event["SEQUENCE"] == 5
    assert "Kept as a fee: PLN50" in mail["text"]
    assert (await clinic.inbox(clinic.alerts, 2))[1]["subject"].startswith("Cancelled: ")
