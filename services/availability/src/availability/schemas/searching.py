"""HTTP shapes of providers, availability and alternatives."""

from datetime import date
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from availability.schemas.common import Price, Strict
from events.base import Instant


class ProviderOut(BaseModel):
    """A practitioner as patients see them."""

    id: UUID
    slug: str
    name: str
    bio: str | None
    location_id: UUID | None
    time_zone: str
    offerings: list[UUID]
    next_available: Instant | None


class SlotOut(BaseModel):
    """A free start; `capacity` and `held` with `include=full` only, and then without a `slot_id` where it is full."""

    slot_id: str | None = None
    start: Instant
    end: Instant
    local_start: str = Field(examples=["2026-12-01T09:00:00+01:00"])
    zone_abbreviation: str = Field(examples=["CET"])
    provider_id: UUID | None
    provider_ids: list[UUID]
    offering_id: UUID
    remaining: int
    price: Price
    capacity: int | None = None
    held: int | None = None


class Degraded(BaseModel):
    """A calendar whose truth is not known since then."""

    provider_id: UUID
    since: Instant


class AvailabilityOut(BaseModel):
    """Free starts, and the cursor to open the live socket with."""

    time_zone: str
    generated_at: Instant
    degraded: list[Degraded]
    resume: str
    slots: list[SlotOut]
    reason: Literal["closed", "full", "holiday", "no_resources", "outside_window"] | None = Field(
        None, description="why there are no slots; only then"
    )


class DayOut(BaseModel):
    """A date of the asked zone: how many starts are free, the first of them, or why there is none."""

    date: date
    free: int
    first_start: Instant | None
    reason: Literal["closed", "full", "holiday"] | None = None


class DaysOut(BaseModel):
    """Every asked date."""

    data: list[DayOut]
    time_zone: str


class Providers(BaseModel):
    """A page."""

    data: list[ProviderOut]
    next_cursor: str | None


class AlternativesBody(Strict):
    """A refused slot_id."""

    slot_id: str = Field(max_length=20_000)
    limit: int = Field(5, ge=1, le=5)


class OccurrencesBody(Strict):
    """A slot_id and the rule by which its visit comes back."""

    slot_id: str = Field(max_length=20_000)
    rrule: str = Field(min_length=1, max_length=500)


class ShiftedBody(Strict):
    """A slot_id that one visit of a series moves to, from `from_start`, and the starts of all that move with it."""

    slot_id: str = Field(max_length=20_000)
    from_start: Instant
    starts: list[Instant] = Field(min_length=1, max_length=104)


class RepairsBody(Strict):
    """A visit and the resource that cannot serve it any more."""

    offering_id: UUID
    start: Instant
    end: Instant
    resource_ids: list[UUID] = Field(max_length=20)
    broken_resource_id: UUID
    provider_id: UUID | None
    booking_id: UUID
    limit: int = Field(5, ge=1, le=20)
