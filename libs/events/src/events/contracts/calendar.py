"""What calendar-sync says: external calendars, and the busy times in them. Never what an event is about."""

from uuid import UUID

from pydantic import Field

from events.base import Event, Instant, State, declare
from events.topics import BUSY, CALENDAR


@declare("busy.row.v1", topic=BUSY, key=lambda row: f"{row.connection_id}:{row.external_key}")
class Busy(State):
    """One external event that makes a resource busy, within one generation of the connection's mirror."""

    connection_id: UUID
    resource_id: UUID
    external_key: str = Field(examples=["6d1f"], description="a hash of the provider's event id")
    generation: int = Field(examples=[1])
    start: Instant
    end: Instant


@declare("calendar.external_busy_changed.v1", topic=CALENDAR, key="connection_id")
class ExternalBusyChanged(Event):
    """A read of an external calendar found changes."""

    connection_id: UUID
    resource_id: UUID
    added: int = Field(examples=[1])
    removed: int = Field(examples=[0])


@declare("calendar.calendar_event_written.v1", topic=CALENDAR, key="connection_id")
class CalendarEventWritten(Event):
    """The calendar of the provider shows the booking as it is now."""

    connection_id: UUID
    booking_id: UUID
    deleted: bool = Field(description="true: the event was taken out again")


@declare("calendar.calendar_connection_degraded.v1", topic=CALENDAR, key="connection_id")
class CalendarConnectionDegraded(Event):
    """The calendar's truth is not known since `since`: what it last said stays busy. `recovered` ends that."""

    connection_id: UUID
    resource_id: UUID
    since: Instant
    recovered: bool = False
    reason: str = Field(examples=["unauthorized"])
