"""A visit as a calendar file (RFC 5545, and RFC 5546 for its methods). Pure: facts in, bytes out."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from icalendar import Calendar, Event, vCalAddress, vText

Method = Literal["REQUEST", "CANCEL", "PUBLISH"]
"""REQUEST and CANCEL go by mail to the patient; PUBLISH is what a page offers to download."""

CONTENT_TYPE = "text/calendar"
FILENAME = "visit.ics"


@dataclass(frozen=True, slots=True)
class CalendarEntry:
    """What the entry in somebody's calendar says.

    `booking_id` is the entry's UID, so that a later file changes or removes the same entry; `sequence` is the booking's
    version, which only grows; `stamp` is when this was said. `attendee` is an address, and None where nobody is
    invited (PUBLISH has no attendees: RFC 5546, 3.2.1).
    """

    booking_id: UUID
    sequence: int
    stamp: datetime
    start: datetime
    end: datetime
    summary: str
    description: str
    url: str
    organizer: str
    organizer_name: str
    attendee: str | None = None


def calendar_file(entry: CalendarEntry, method: Method) -> bytes:
    """The file. Times are in UTC, which every calendar shows in its own zone."""
    gone = method == "CANCEL"
    event = Event()
    event.add("uid", str(entry.booking_id))
    event.add("sequence", entry.sequence)
    event.add("dtstamp", entry.stamp)
    event.add("dtstart", entry.start)
    event.add("dtend", entry.end)
    event.add("summary", entry.summary)
    event.add("description", entry.description)
    event.add("url", entry.url)
    event.add("status", "CANCELLED" if gone else "CONFIRMED")
    event.add("transp", "TRANSPARENT" if gone else "OPAQUE")
    host = vCalAddress(f"mailto:{entry.organizer}")
    host.params["CN"] = vText(entry.organizer_name)
    event.add("organizer", host)
    if entry.attendee is not None and method != "PUBLISH":
        guest = vCalAddress(f"mailto:{entry.attendee}")
        guest.params["PARTSTAT"] = vText("ACCEPTED")
        guest.params["RSVP"] = vText("FALSE")
        event.add("attendee", guest)
    calendar = Calendar()
    calendar.add("prodid", "-//Holdfast//Appointments//EN")
    calendar.add("version", "2.0")
    calendar.add("method", method)
    calendar.add_component(event)
    return bytes(calendar.to_ical())
