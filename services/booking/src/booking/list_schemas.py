"""HTTP shapes of series, the waitlist and conflicts."""

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, model_validator

from booking.schemas import AppointmentStatus, AppointmentView, Strict
from events.base import Instant

Scope = Literal["this", "following", "all"]


class OccurrenceIn(Strict):
    """One visit of a series as availability found it; the gateway asks it."""

    start: Instant
    slot_id: str | None = Field(None, max_length=8000)
    alternatives: list[dict[str, Any]] = Field(default_factory=list, max_length=10)
    appointment_id: UUID | None = None


class SeriesCreate(Strict):
    """Visits that come back at the same local time."""

    slot_id: str = Field(min_length=1, max_length=8000, description="the first visit")
    rrule: str = Field(min_length=1, max_length=500, examples=["FREQ=WEEKLY;COUNT=6"])
    customer_token: str = Field(description="the request's `customer`, as identity signed it for the gateway")
    pay: Literal["online", "desk"] | None = Field(None, description="staff: `desk` takes the money there")
    occurrences: list[OccurrenceIn] = Field(min_length=1, max_length=104, description="the gateway's")


class OccurrenceView(BaseModel):
    """What became of one visit."""

    start: Instant
    status: Literal["booked", "refused"]
    appointment_id: UUID | None = None
    appointment_status: AppointmentStatus | None = None
    alternatives: list[dict[str, Any]] | None = None
    slot_id: str | None = None
    reason: str | None = None


class SeriesView(BaseModel):
    """A series and its visits. `manage_token` is told once."""

    id: UUID
    status: Literal["active", "cancelled"]
    offering_id: UUID
    rrule: str
    occurrences: list[OccurrenceView]
    manage_token: str | None = None
    created_at: Instant
    updated_at: Instant


class SeriesCard(BaseModel):
    """A series in a list."""

    id: UUID
    status: Literal["active", "cancelled"]
    offering_id: UUID
    rrule: str
    created_at: Instant
    updated_at: Instant


class SeriesPage(BaseModel):
    """A page."""

    data: list[SeriesCard]
    next_cursor: str | None


class SeriesCancellation(Strict):
    """Which visits are called off."""

    scope: Scope
    appointment_id: UUID | None = Field(None, description="the visit that `this` and `following` mean")

    @model_validator(mode="after")
    def _named(self) -> "SeriesCancellation":
        if self.appointment_id is None and self.scope != "all":
            raise ValueError("appointment_id is required unless the scope is all")
        return self


class SeriesRescheduling(Strict):
    """Which visits move, and where to; the others by the same difference on the clock."""

    scope: Scope
    appointment_id: UUID
    slot_id: str = Field(min_length=1, max_length=8000)
    occurrences: list[OccurrenceIn] = Field(min_length=1, max_length=104, description="the gateway's")


class SeriesMove(BaseModel):
    """For the gateway: which visits are to move, from when."""

    from_start: Instant
    starts: list[Instant]
    appointment_ids: list[UUID]


class WaitlistCreate(Strict):
    """A window of time in which somebody wants a visit."""

    offering_id: UUID
    provider_id: UUID | None = None
    start: Instant = Field(alias="from")
    end: Instant = Field(alias="to")
    seats: int = Field(1, ge=1, le=1000)
    customer_token: str = Field(description="the request's `customer`, as identity signed it for the gateway")


class WaitlistView(BaseModel):
    """A place in the line. `manage_token` is told once; `hold_id` and `offer_until` while it is offered a time."""

    id: UUID
    status: Literal["waiting", "offered", "taken", "passed"]
    offering_id: UUID
    provider_id: UUID | None
    start: Instant = Field(serialization_alias="from")
    end: Instant = Field(serialization_alias="to")
    seats: int
    hold_id: UUID | None = None
    offer_until: Instant | None = None
    manage_token: str | None = None
    created_at: Instant
    updated_at: Instant


class WaitlistPage(BaseModel):
    """A page."""

    data: list[WaitlistView]
    next_cursor: str | None


class ConflictView(BaseModel):
    """A conflict. `repair` is for the gateway, which makes `options` of it."""

    id: UUID
    appointment_id: UUID
    cause: Literal["external_event", "time_off", "schedule", "deactivated"]
    status: Literal["open", "resolved"]
    resource_id: UUID
    start: Instant
    end: Instant
    resolution: Literal["reschedule", "substitute", "waitlist", "keep", "gone"] | None = None
    created_at: Instant
    resolved_at: Instant | None = None
    repair: dict[str, Any] | None = None


class ConflictPage(BaseModel):
    """A page."""

    data: list[ConflictView]
    next_cursor: str | None


class Resolution(Strict):
    """The id of one of the conflict's options."""

    option: str = Field(min_length=1, max_length=8100)


class ResolvedView(BaseModel):
    """What the clinic decided, and the appointment as it is now."""

    id: UUID
    status: Literal["resolved"]
    resolution: Literal["reschedule", "substitute", "waitlist", "keep"]
    appointment: AppointmentView
