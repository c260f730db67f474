"""What people hear when a visit moves, is missed, or something lands on it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from icalendar import Calendar

from events import Money, new_id
from events.base import rfc3339
from events.contracts.availability import ResourceState
from events.contracts.booking import (
    ApprovalDue,
    ApprovalRequested,
    BookingCompleted,
    BookingNoShow,
    BookingRejected,
    ConflictDetected,
    ConflictResolved,
    DifferencePaid,
    PaymentUnwanted,
)
from events.contracts.payment import PaymentFailed, RefundIssued
from events.envelope import Record, as_headers, seal
from servicekit.testing import eventually

from .conftest import NEXT_WEEK, PLN_200, Clinic, attachment

DAY = timedelta(days=1)


async def reminders(clinic: Clinic, status: str = "queued") -> set[datetime]:
    return {m.due_at for m in await clinic.messages() if m.template == "reminder" and m.status == status}


async def confirmed(clinic: Clinic) -> None:
    await clinic.tell(*clinic.catalogue([1440, 60]), clinic.confirmed(3))
    for address in (clinic.patient, clinic.phone, clinic.alerts, clinic.practitioner):
        await clinic.inbox(address)


def colleague(clinic: Clinic) -> ResourceState:
    """Another practitioner, with an account."""
    user_id = new_id()
    clinic.directory.users[user_id] = clinic.directory.users[clinic.user_id] | {
        "email": f"piotr-{clinic.tenant_id.hex}@example.test"
    }
    return ResourceState(
        tenant_id=clinic.tenant_id, version=1, resource_id=new_id(), type="practitioner", slug="piotr",
        name="Piotr Lis", active=True, time_zone="Europe/Warsaw", approval_required=False, user_id=user_id,
        schedule_version=1,
    )  # fmt: skip


async def test_a_move_is_told_with_a_file_that_changes_the_same_entry(clinic: Clinic) -> None:
    await confirmed(clinic)
    await clinic.tell(clinic.rescheduled(5, NEXT_WEEK + DAY))
    first, mail = await clinic.inbox(clinic.patient, 2)
    assert mail["subject"].startswith("New time: ")
    assert "It was " in mail["text"]
    before, after = (Calendar.from_ical(attachment(each)) for each in (first, mail))
    (old,), (new,) = before.events, after.events
    assert (after["METHOD"], new["UID"], new["SEQUENCE"]) == ("REQUEST", old["UID"], 5)
    assert new["SEQUENCE"] > old["SEQUENCE"]
    assert (new.start, new.end) == (NEXT_WEEK + DAY, NEXT_WEEK + DAY + timedelta(hours=1))
    sms = await clinic.inbox(clinic.phone, 2)
    assert sms[1]["text"].startswith("Klinika Alfa: New time: ")
    assert (await clinic.inbox(clinic.alerts, 2))[1]["subject"].startswith("Moved: ")
    assert (await clinic.inbox(clinic.practitioner, 2))[1]["subject"].startswith("Przeniesione: ")


async def test_whom_the_clinic_moved_may_cancel_for_free(clinic: Clinic) -> None:
    await confirmed(clinic)
    await clinic.tell(clinic.rescheduled(4, NEXT_WEEK + DAY, by="staff"))
    mail = (await clinic.inbox(clinic.patient, 2))[1]
    assert "Klinika Alfa made this change. If it does not suit you, you can cancel for free" in mail["text"]


async def test_reminders_move_along_and_those_of_the_former_time_are_not_sent(clinic: Clinic) -> None:
    await confirmed(clinic)
    before = {NEXT_WEEK - DAY, NEXT_WEEK - timedelta(hours=1)}
    assert await reminders(clinic) == before
    await clinic.tell(clinic.rescheduled(4, NEXT_WEEK + 2 * DAY))
    await clinic.inbox(clinic.patient, 2)
    assert await reminders(clinic) == {moment + 2 * DAY for moment in before}
    assert await reminders(clinic, "dropped") == before
    # There and back again: the former time's are planned anew.
    await clinic.tell(clinic.rescheduled(5, NEXT_WEEK))
    await clinic.inbox(clinic.patient, 3)
    assert await reminders(clinic) == before


async def test_a_reminder_whose_time_has_passed_at_the_move_is_skipped(clinic: Clinic) -> None:
    await confirmed(clinic)
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=3)
    await clinic.tell(clinic.rescheduled(4, soon))
    await clinic.inbox(clinic.patient, 2)
    assert await reminders(clinic) == {soon - timedelta(hours=1)}


async def test_a_reminder_goes_out_once_at_the_new_time_only(clinic: Clinic) -> None:
    clinic.start = datetime.now(UTC) + timedelta(minutes=1, seconds=1.5)
    await clinic.tell(*clinic.catalogue([1]), clinic.confirmed(3))
    await clinic.inbox(clinic.patient)
    await clinic.tell(clinic.rescheduled(4, clinic.start + timedelta(seconds=1.5)))
    mails = await clinic.inbox(clinic.patient, 3)
    await asyncio.sleep(1.2)
    assert [mail["subject"].split(":")[0] for mail in mails] == ["Confirmed", "New time", "Reminder"]
    assert len(await clinic.arrived(clinic.patient)) == 3


async def test_another_practitioner_at_the_same_time_is_told_to_all_three(clinic: Clinic) -> None:
    await confirmed(clinic)
    piotr = colleague(clinic)
    planned = await reminders(clinic)
    await clinic.tell(piotr, clinic.rescheduled(4, NEXT_WEEK, by="staff", provider_id=piotr.resource_id))
    mail = (await clinic.inbox(clinic.patient, 2))[1]
    assert mail["subject"].startswith("Changed: ")
    for told in ("Piotr Lis", "Anna Nowak", "you can cancel for free"):
        assert told in mail["text"]
    (event,) = Calendar.from_ical(attachment(mail)).events
    assert (event["SEQUENCE"], event.start) == (4, NEXT_WEEK)
    for practitioner, count in ((clinic.practitioner, 2), (f"piotr-{clinic.tenant_id.hex}@example.test", 1)):
        assert (await clinic.inbox(practitioner, count))[-1]["subject"].startswith("Przeniesione: ")
    assert await reminders(clinic) == planned


async def test_another_room_is_nobodys_news(clinic: Clinic) -> None:
    await confirmed(clinic)
    await clinic.tell(clinic.rescheduled(4, NEXT_WEEK, by="staff"), clinic.cancelled(5))
    await clinic.inbox(clinic.patient, 2)
    assert [m.template for m in await clinic.messages() if m.template.endswith(("rescheduled", "changed"))] == []


async def test_of_two_moves_only_the_newest_is_told_when_the_first_was_held_up(clinic: Clinic) -> None:
    await confirmed(clinic)
    clinic.directory.away = True
    clinic.service.people._cache.clear()
    await clinic.tell(clinic.rescheduled(4, NEXT_WEEK + DAY), clinic.rescheduled(5, NEXT_WEEK + 2 * DAY))

    async def both() -> bool:
        return len([m for m in await clinic.messages() if m.template == "booking_rescheduled"]) == 4

    await eventually(both)
    clinic.directory.away = False
    mail = (await clinic.inbox(clinic.patient, 2))[1]
    assert f"{(NEXT_WEEK + 2 * DAY):%Y%m%dT%H%M%SZ}".encode() in attachment(mail)

    async def dropped() -> bool:
        return any(m.reason == "visit_moved" for m in await clinic.messages() if m.template == "booking_rescheduled")

    await eventually(dropped)
    assert len(await clinic.arrived(clinic.patient)) == 2


async def test_a_request_that_moves_has_no_reminders_nor_calendar_file_before_it_is_approved(clinic: Clinic) -> None:
    deadline = datetime.now(UTC) + DAY
    await clinic.tell(*clinic.catalogue([60]), ApprovalRequested(**clinic.about(3), price=PLN_200, deadline=deadline))
    await clinic.inbox(clinic.patient)
    await clinic.tell(clinic.rescheduled(4, NEXT_WEEK + DAY))
    mail = (await clinic.inbox(clinic.patient, 2))[1]
    assert mail["subject"].startswith("New time: ")
    assert mail["attachments"] == []
    assert await reminders(clinic) == set()
    assert await clinic.arrived(clinic.practitioner) == []
    await clinic.tell(clinic.confirmed(5))
    await clinic.inbox(clinic.patient, 3)
    assert await reminders(clinic) == {NEXT_WEEK + DAY - timedelta(hours=1)}


async def test_a_move_that_needs_approval_plans_its_reminders_once(clinic: Clinic) -> None:
    await confirmed(clinic)
    move = clinic.rescheduled(4, NEXT_WEEK + DAY)
    asked = ApprovalRequested(**clinic.about(5), price=PLN_200, deadline=datetime.now(UTC) + DAY)
    await clinic.tell(move, asked, clinic.confirmed(6))
    await clinic.settled("booking_confirmed", "sms")

    async def planned() -> bool:
        queued = [m for m in await clinic.messages() if m.template == "reminder" and m.status == "queued"]
        return len(queued) == 4 and len(await clinic.arrived(clinic.patient)) >= 3

    await eventually(planned)


async def test_a_move_that_the_clinic_refuses_takes_the_visit_out_of_the_calendar(clinic: Clinic) -> None:
    await confirmed(clinic)
    move = clinic.rescheduled(4, NEXT_WEEK + DAY)
    asked = ApprovalRequested(**clinic.about(5), price=PLN_200, deadline=datetime.now(UTC) + DAY)
    await clinic.tell(move, asked, BookingRejected(**clinic.about(6), reason="rejected"))

    async def rejected() -> bytes | None:
        found = (await clinic.sandbox.get("/_sandbox/messages", params={"to": clinic.patient})).json()["data"]
        return next((attachment(mail) for mail in found if mail["subject"].startswith("Not accepted: ")), None)

    file = await eventually(rejected)
    assert file is not None
    assert b"METHOD:CANCEL" in file
    assert await reminders(clinic) == set()


async def test_whoever_did_not_come_is_told_what_is_kept_and_what_goes_back(clinic: Clinic) -> None:
    await confirmed(clinic)
    await clinic.tell(BookingNoShow(**clinic.about(4), fee=Money(amount=15000, currency="pln")))
    mail = (await clinic.inbox(clinic.patient, 2))[1]
    assert mail["subject"].startswith("Missed: ")
    assert "Kept as a fee: PLN150" in mail["text"]
    assert "Goes back to you: PLN50" in mail["text"]
    assert await reminders(clinic) == set()
    assert await clinic.arrived(clinic.alerts) == [(await clinic.inbox(clinic.alerts))[0]["subject"]]


async def test_what_went_back_before_does_not_go_back_again_in_words(clinic: Clinic) -> None:
    await clinic.tell(*clinic.catalogue([]))
    confirmation = clinic.confirmed(3)
    assert confirmation.payment_id is not None
    gone = Money(amount=8000, currency="pln")
    common = {"tenant_id": clinic.tenant_id, "version": 5, "booking_id": clinic.booking_id, "refund_id": new_id()}
    surplus = RefundIssued(
        **common, payment_id=new_id(), amount=PLN_200, total_refunded=PLN_200, reason="surplus"
    )  # of another payment
    by_staff = RefundIssued(
        **common | {"refund_id": new_id()}, payment_id=confirmation.payment_id, amount=gone, total_refunded=gone,
        reason="staff",
    )  # fmt: skip
    await clinic.tell(confirmation)
    await clinic.inbox(clinic.patient)
    await clinic.tell(surplus, by_staff)
    await clinic.inbox(clinic.patient, 3)
    await clinic.tell(BookingNoShow(**clinic.about(6), fee=Money(amount=10000, currency="pln")))
    mail = (await clinic.inbox(clinic.patient, 4))[3]
    assert "Kept as a fee: PLN100" in mail["text"]
    assert "Goes back to you: PLN20" in mail["text"]


def of_hold(clinic: Clinic, hold_id: UUID, version: int = 3) -> dict[str, Any]:
    return {"tenant_id": clinic.tenant_id, "version": version, "booking_id": hold_id}


def refund_of_difference(clinic: Clinic, hold_id: UUID, payment_id: UUID) -> RefundIssued:
    amount = Money(amount=6000, currency="pln")
    return RefundIssued(
        **of_hold(clinic, hold_id), payment_id=payment_id, refund_id=new_id(), amount=amount, total_refunded=amount,
        reason="surplus",
    )  # fmt: skip


async def test_a_difference_that_goes_back_is_told_as_the_appointments(clinic: Clinic) -> None:
    await clinic.tell(*clinic.catalogue([]), clinic.confirmed(3))
    await clinic.inbox(clinic.patient)
    hold_id, payment_id = new_id(), new_id()
    await clinic.tell(refund_of_difference(clinic, hold_id, payment_id))  # its topic may be ahead
    await asyncio.sleep(0.2)
    assert len(await clinic.arrived(clinic.patient)) == 1
    unwanted = PaymentUnwanted(
        **of_hold(clinic, hold_id), payment_id=payment_id, reason="booking_expired", appointment_id=clinic.booking_id
    )
    await clinic.tell(unwanted)
    mail = (await clinic.inbox(clinic.patient, 2))[1]
    assert mail["subject"] == "Refund of PLN60 from Klinika Alfa"
    assert f"/manage/{clinic.booking_id}" in mail["text"]


async def test_who_did_not_come_after_a_dearer_move_gets_the_difference_back_in_words_too(clinic: Clinic) -> None:
    await clinic.tell(*clinic.catalogue([]), clinic.confirmed(3))
    await clinic.inbox(clinic.patient)
    hold_id = new_id()
    moved = clinic.rescheduled(4, NEXT_WEEK + DAY, price=26000)
    paid = DifferencePaid(**of_hold(clinic, hold_id), payment_id=new_id(), appointment_id=clinic.booking_id)
    await clinic.tell(moved, moved, paid)
    assert "Paid: PLN260" in (await clinic.inbox(clinic.patient, 2))[1]["text"]
    await clinic.tell(BookingNoShow(**clinic.about(5), fee=Money(amount=13000, currency="pln")))
    mail = (await clinic.inbox(clinic.patient, 3))[2]
    assert "Kept as a fee: PLN130" in mail["text"]
    assert "Goes back to you: PLN130" in mail["text"]


async def test_a_card_declined_for_a_difference_is_nobodys_news_and_holds_up_nothing(clinic: Clinic) -> None:
    hold_id, payment_id = new_id(), new_id()
    await clinic.tell(*clinic.catalogue([]), clinic.confirmed(3))
    await clinic.inbox(clinic.patient)
    declined = PaymentFailed(**of_hold(clinic, hold_id), payment_id=payment_id, reason="card_declined")
    envelope, record = seal(declined, source="test")
    headers = envelope.headers() | {"ce_time": rfc3339(datetime.now(UTC) - timedelta(minutes=6))}
    old = Record(record.topic, record.key, record.value, as_headers(headers.items()))
    await clinic.broker.publish([old], 1)
    unwanted = PaymentUnwanted(
        **of_hold(clinic, hold_id), payment_id=payment_id, reason="booking_expired", appointment_id=clinic.booking_id
    )
    await clinic.tell(unwanted, refund_of_difference(clinic, hold_id, payment_id))
    mail = (await clinic.inbox(clinic.patient, 2))[1]
    assert mail["subject"].startswith("Refund of PLN60")


async def test_a_missed_visit_that_nobody_paid_for_has_no_sums(clinic: Clinic) -> None:
    free = Money(amount=0, currency="pln")
    confirmation = clinic.confirmed(3).model_copy(update={"payment_id": None, "price": free, "amount_due": free})
    await clinic.tell(*clinic.catalogue([]), confirmation)
    await clinic.inbox(clinic.patient)
    await clinic.tell(BookingNoShow(**clinic.about(4), fee=free))
    mail = (await clinic.inbox(clinic.patient, 2))[1]
    assert "Kept" not in mail["text"]
    assert "Goes back" not in mail["text"]


async def test_a_completed_visit_is_not_reminded_of(clinic: Clinic) -> None:
    await confirmed(clinic)
    await clinic.tell(BookingCompleted(**clinic.about(4), by="staff"))

    async def none_left() -> bool:
        return await reminders(clinic) == set()

    await eventually(none_left)
    assert {m.reason for m in await clinic.messages() if m.template == "reminder"} == {"booking_completed"}


async def test_the_clinic_is_reminded_of_a_decision_while_it_is_due(clinic: Clinic) -> None:
    deadline = datetime.now(UTC) + DAY
    await clinic.tell(*clinic.catalogue([]), ApprovalRequested(**clinic.about(3), price=PLN_200, deadline=deadline))
    await clinic.inbox(clinic.alerts)
    await clinic.tell(ApprovalDue(**clinic.about(3), deadline=deadline))
    mail = (await clinic.inbox(clinic.alerts, 2))[1]
    assert mail["subject"].startswith("Still waiting for your decision: ")
    assert "Answer by: " in mail["text"]
    assert len(await clinic.arrived(clinic.patient)) == 1


async def test_a_conflict_is_the_clinics_to_decide_and_not_the_patients_news(clinic: Clinic) -> None:
    await confirmed(clinic)
    conflict = ConflictDetected(
        **clinic.about(4), conflict_id=new_id(), cause="external_event", resource_id=clinic.provider_id
    )
    await clinic.tell(conflict, conflict)
    mail = (await clinic.inbox(clinic.alerts, 2))[1]
    assert mail["subject"].startswith("Conflict: ")
    for told in ("An event in an outside calendar", "Affected: Anna Nowak", "Patient: Jan Żuk", "Open the desk"):
        assert told in mail["text"]
    assert f"https://book.test/desk?clinic=alfa&appointment={clinic.booking_id}" in mail["text"]
    await asyncio.sleep(0.2)
    assert len(await clinic.arrived(clinic.alerts)) == 2
    assert len(await clinic.arrived(clinic.patient)) == 1
    assert len(await reminders(clinic)) == 2, "it may still take place"


async def test_an_alert_of_a_conflict_that_is_over_is_not_sent(clinic: Clinic) -> None:
    await confirmed(clinic)
    clinic.directory.away = True
    clinic.service.people._cache.clear()
    conflict_id = new_id()
    about = clinic.about(4)
    await clinic.tell(
        ConflictDetected(**about, conflict_id=conflict_id, cause="time_off", resource_id=clinic.provider_id)
    )

    async def waits() -> bool:
        return any(m.reason == "identity_away" for m in await clinic.messages())

    await eventually(waits)
    common = {"tenant_id": clinic.tenant_id, "version": 5, "booking_id": clinic.booking_id}
    await clinic.tell(ConflictResolved(**common, conflict_id=conflict_id, resolution="gone"))
    message = await clinic.settled("clinic_conflict", recipient="clinic")
    assert (message.status, message.reason) == ("dropped", "conflict_resolved")
