"""HTTP shapes of providers, availability and alternatives."""

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


class Providers(BaseModel):
    """A page."""

    data: list[ProviderOut]
    next_cursor: str | None


class AlternativesBody(Strict):
    """A refused slot_id."""

    slot_id: str = Field(max_length=20_000)
    limit: int = Field(5, ge=1, le=5)


class Alternatives(BaseModel):
    """Slots that can be held as they are."""

    alternatives: list[SlotOut]
