"""What people get, and when: events in, messages at the providers."""

import time
from datetime import UTC, datetime, timedelta

from icalendar import Calendar

from events import Money, new_id
from events.contracts.booking import ApprovalRequested, BookingRejected, BookingUnfulfillable, HoldExpired
from events.contracts.notification import MessageSent
from events.contracts.payment import PaymentFailed, PaymentVoided, RefundFailed, RefundIssued
from servicekit.testing import eventually

from .conftest import NEXT_WEEK, PLN_200, Clinic, attachment


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


async def test_the_same_news_again_sends_nothing_twice(clinic: Clinic) -> None:
    await clinic.tell(*clinic.catalogue(), clinic.confirmed(3), clinic.confirmed(3))
    await clinic.tell(clinic.confirmed(3))
    refund = RefundIssued(
        tenant_id=clinic.tenant_id, version=7, booking_id=clinic.booking_id, payment_id=new_id(), refund_id=new_id(),
        amount=PLN_200, total_refunded=PLN_200, reason="staff",
    )  # fmt: skip
    await clinic.tell(refund, refund)
    await clinic.inbox(clinic.patient, 2)
    await clinic.tell(clinic.cancelled(4), clinic.cancelled(4))
    await clinic.inbox(clinic.patient, 3)
    await clinic.inbox(clinic.alerts, 2)
    subjects = sorted(subject.split(":")[0] for subject in await clinic.arrived(clinic.patient))
    assert subjects == ["Cancelled", "Confirmed", "Refund of PLN200 from Klinika Alfa"]
    assert len(await clinic.arrived(clinic.phone)) == 1


async def test_a_confirmation_that_comes_after_the_cancellation_says_nothing(clinic: Clinic) -> None:
    await clinic.tell(*clinic.catalogue(), clinic.requested(2), clinic.cancelled(4), clinic.confirmed(3))
    await clinic.inbox(clinic.patient)
    await clinic.tell(clinic.confirmed(3))
    await clinic.inbox(clinic.alerts)
    assert [str(message.template) for message in await clinic.messages()].count("booking_confirmed") == 0


async def test_money_that_is_told_of_before_its_booking_waits_for_it(clinic: Clinic) -> None:
    money = {"tenant_id": clinic.tenant_id, "version": 1, "booking_id": clinic.booking_id}
    await clinic.tell(*clinic.catalogue())
    await clinic.tell(PaymentVoided(**money, payment_id=new_id(), amount=PLN_200))
    await clinic.tell(PaymentVoided(**money, payment_id=new_id(), amount=Money(amount=0, currency="pln")))
    assert await clinic.arrived(clinic.patient) == []
    await clinic.tell(clinic.requested())
    (mail,) = await clinic.inbox(clinic.patient)
    assert mail["subject"] == "Released: PLN200 for Klinika Alfa"
    assert len(await clinic.messages()) == 1


async def test_a_declined_card_is_told_once_a_checkout_while_the_booking_waits(clinic: Clinic) -> None:
    def declined() -> PaymentFailed:
        return PaymentFailed(
            tenant_id=clinic.tenant_id, version=1, booking_id=clinic.booking_id, payment_id=payment,
            reason="card_declined",
        )  # fmt: skip

    payment = new_id()
    await clinic.tell(*clinic.catalogue(), clinic.requested())
    await clinic.tell(declined(), declined())
    (mail,) = await clinic.inbox(clinic.patient)
    assert mail["subject"].startswith("Your payment did not go through: ")
    await clinic.tell(clinic.confirmed())
    await clinic.inbox(clinic.patient, 2)
    payment = new_id()
    await clinic.tell(declined())

    async def dropped() -> bool:
        return any(message.reason == "booking_confirmed" for message in await clinic.messages())

    await eventually(dropped)
    assert len(await clinic.arrived(clinic.patient)) == 2


async def test_approval_is_asked_of_the_clinic_and_its_answer_told(clinic: Clinic) -> None:
    deadline = datetime.now(UTC) + timedelta(days=1)
    await clinic.tell(*clinic.catalogue())
    await clinic.tell(ApprovalRequested(**clinic.about(3), price=PLN_200, deadline=deadline))
    assert (await clinic.inbox(clinic.alerts))[0]["subject"].startswith("Please decide: ")
    assert (await clinic.inbox(clinic.patient))[0]["subject"].startswith("Request received: ")
    await clinic.tell(BookingRejected(**clinic.about(4), reason="deadline"))
    assert (await clinic.inbox(clinic.patient, 2))[1]["subject"].startswith("Not accepted: ")


async def test_late_money_and_a_hold_that_ran_out_are_told(clinic: Clinic) -> None:
    await clinic.tell(*clinic.catalogue(), clinic.requested(2))
    expired = HoldExpired(
        tenant_id=clinic.tenant_id, version=3, booking_id=clinic.booking_id, visit=clinic.visit(), requested=True
    )
    await clinic.tell(expired)
    assert (await clinic.inbox(clinic.patient))[0]["subject"].startswith("Not booked: ")
    await clinic.tell(BookingUnfulfillable(**clinic.about(4), payment_id=new_id(), reason="taken"))
    assert "money comes back" in (await clinic.inbox(clinic.patient, 2))[1]["subject"]
    assert await clinic.arrived(clinic.alerts) == []


async def test_a_hold_that_nobody_began_to_pay_for_is_nobodys_news(clinic: Clinic) -> None:
    expired = HoldExpired(
        tenant_id=clinic.tenant_id, version=3, booking_id=clinic.booking_id, visit=clinic.visit(), requested=False
    )
    await clinic.tell(*clinic.catalogue(), expired, clinic.confirmed(4))
    await clinic.inbox(clinic.patient)
    assert len(await clinic.arrived(clinic.patient)) == 1


async def test_a_refund_that_fails_is_the_clinics_to_see_to(clinic: Clinic) -> None:
    await clinic.tell(*clinic.catalogue(), clinic.requested())
    failed = RefundFailed(
        tenant_id=clinic.tenant_id, version=9, booking_id=clinic.booking_id, payment_id=new_id(), refund_id=new_id(),
        amount=PLN_200, reason="card_closed",
    )  # fmt: skip
    await clinic.tell(failed, failed)
    assert [mail["subject"] for mail in await clinic.inbox(clinic.alerts)] == ["A refund of PLN200 failed"]
    assert await clinic.arrived(clinic.patient) == []


async def test_who_left_only_a_phone_number_is_told_by_it(clinic: Clinic) -> None:
    clinic.people(email=False)
    await clinic.tell(*clinic.catalogue(), clinic.confirmed(3))
    await clinic.inbox(clinic.phone)
    await clinic.tell(clinic.cancelled(4))
    texts = [sms["text"] for sms in await clinic.inbox(clinic.phone, 2)]
    assert texts[1].startswith("Klinika Alfa: Cancelled: ")
    assert f"https://book.test/manage/{clinic.booking_id}?clinic=" in texts[1]


async def test_times_are_the_patients_own_and_in_their_language(clinic: Clinic) -> None:
    clinic.people(time_zone="America/New_York")
    clinic.locale = "es"
    clinic.start = datetime(NEXT_WEEK.year + 1, 1, 15, 15, 0, tzinfo=UTC)
    await clinic.tell(*clinic.catalogue(), clinic.confirmed())
    (mail,) = await clinic.inbox(clinic.patient)
    assert mail["subject"].startswith("Confirmada: ")
    assert "10:00–11:00" in mail["text"]
    assert "Nueva York (EST)" in mail["text"]
    assert "16:00" in (await clinic.inbox(clinic.practitioner))[0]["text"]
