"""A visit as a calendar file."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from icalendar import Calendar, Event

from events import new_id
from servicekit.ics import CalendarEntry, Method, calendar_file

START = datetime(2026, 11, 26, 9, 30, tzinfo=UTC)
ENTRY = CalendarEntry(
    booking_id=new_id(), sequence=3, stamp=START - timedelta(days=7), start=START, end=START + timedelta(hours=1),
    summary="Whitening; Klinika, Alfa", description="Bring\nyour card", url="https://book.test/manage/1#token=x",
    organizer="no-reply@book.test", organizer_name="Klinika Alfa", attendee="jan@example.test",
)  # fmt: skip


def read(entry: CalendarEntry, method: Method) -> tuple[Calendar, Event]:
    calendar = Calendar.from_ical(calendar_file(entry, method))
    (event,) = calendar.events
    return calendar, event


def test_a_visit_is_one_event_with_its_instants_in_utc() -> None:
    calendar, event = read(ENTRY, "REQUEST")
    assert (calendar["METHOD"], event["UID"], event["SEQUENCE"]) == ("REQUEST", str(ENTRY.booking_id), 3)
    assert (event.start, event.end) == (ENTRY.start, ENTRY.end)
    assert b"DTSTART:20261126T093000Z" in calendar_file(ENTRY, "REQUEST")
    assert (event["STATUS"], event["TRANSP"], event["ATTENDEE"]) == ("CONFIRMED", "OPAQUE", "mailto:jan@example.test")
    assert (event["SUMMARY"], event["DESCRIPTION"]) == (ENTRY.summary, ENTRY.description)


def test_a_time_in_another_zone_is_the_same_instant() -> None:
    local = ENTRY.start.astimezone(timezone(timedelta(hours=1)))
    _, event = read(replace(ENTRY, start=local.astimezone(UTC)), "REQUEST")
    assert event.start == local


def test_a_later_file_is_about_the_same_entry() -> None:
    _, first = read(ENTRY, "REQUEST")
    _, moved = read(replace(ENTRY, sequence=5, start=START + timedelta(days=1)), "REQUEST")
    _, gone = read(replace(ENTRY, sequence=6), "CANCEL")
    assert first["UID"] == moved["UID"] == gone["UID"]
    assert first["SEQUENCE"] < moved["SEQUENCE"] < gone["SEQUENCE"]
    assert (gone["STATUS"], gone["TRANSP"]) == ("CANCELLED", "TRANSPARENT")


@pytest.mark.parametrize("attendee", [None, "jan@example.test"])
def test_what_is_published_invites_nobody(attendee: str | None) -> None:
    calendar, event = read(replace(ENTRY, attendee=attendee), "PUBLISH")
    assert calendar["METHOD"] == "PUBLISH"
    assert "ATTENDEE" not in event
    assert event["ORGANIZER"] == "mailto:no-reply@book.test"


def test_lines_are_folded_and_end_as_the_format_wants() -> None:
    raw = calendar_file(replace(ENTRY, description="zażółć gęślą jaźń " * 20), "REQUEST")
    assert all(len(line) <= 75 for line in raw.split(b"\r\n"))
    assert b"\n" not in raw.replace(b"\r\n", b"")
