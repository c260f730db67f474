"""The .ics that goes with a message (RFC 5545, and RFC 5546 for its methods)."""

from datetime import datetime
from typing import Literal

from icalendar import Calendar, Event, vCalAddress, vText

from notification.providers.shapes import Attachment
from notification.repository import Booking

Method = Literal["REQUEST", "CANCEL"]


def calendar_file(
    booking: Booking,
    method: Method,
    *,
    sequence: int,
    stamp: datetime,
    summary: str,
    description: str,
    url: str,
    organizer: str,
    organizer_name: str,
    attendee: str,
) -> Attachment:
    """The visit as one event: its UID is the booking's id, so that a later file changes or removes the same entry;
    `sequence` is the booking's version, which only grows."""
    event = Event()
    event.add("uid", str(booking.id))
    event.add("sequence", sequence)
    event.add("dtstamp", stamp)
    event.add("dtstart", booking.start_at)
    event.add("dtend", booking.end_at)
    event.add("summary", summary)
    event.add("description", description)
    event.add("url", url)
    event.add("status", "CANCELLED" if method == "CANCEL" else "CONFIRMED")
    event.add("transp", "TRANSPARENT" if method == "CANCEL" else "OPAQUE")
    host = vCalAddress(f"mailto:{organizer}")
    host.params["CN"] = vText(organizer_name)
    event.add("organizer", host)
    guest = vCalAddress(f"mailto:{attendee}")
    guest.params["PARTSTAT"] = vText("ACCEPTED")
    guest.params["RSVP"] = vText("FALSE")
    event.add("attendee", guest)
    calendar = Calendar()
    calendar.add("prodid", "-//Holdfast//Notification//EN")
    calendar.add("version", "2.0")
    calendar.add("method", method)
    calendar.add_component(event)
    return Attachment("visit.ics", "text/calendar", calendar.to_ical(), {"method": method, "charset": "utf-8"})
