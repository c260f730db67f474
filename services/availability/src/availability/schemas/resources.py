"""HTTP shapes of resources and their working hours."""

from datetime import date
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from availability.schemas.common import Buffer, Metadata, Name, Printable, Slug, Strict, Zone
from events.base import Instant
from events.contracts.availability import ResourceType


class Override(Strict):
    """The hours of one date, in place of its weekday's; no ranges: closed."""

    date: date
    ranges: list[list[str]]


class Holidays(Strict):
    """Whose public holidays close the day, unless an override says otherwise."""

    country: str = Field(examples=["PL"], description="ISO 3166-1 alpha-2")
    region: str | None = Field(None, examples=["BY"], description="the part after the hyphen in ISO 3166-2")


class Schedule(Strict):
    """A resource's working hours, local in `time_zone`."""

    time_zone: Zone | None = Field(None, description="the resource's unless given")
    weekly: dict[str, list[list[str]]] = Field(examples=[{"mon": [["09:00", "12:30"], ["13:00", "17:00"]]}])
    overrides: list[Override] = Field(default_factory=list, max_length=1000)
    valid_from: date | None = None
    valid_until: date | None = None
    holidays: Holidays | None = None


class ResourceBody(Strict):
    """What POST takes; PATCH is a merge patch of it."""

    slug: Slug | None = Field(None, description="made of the name unless given")
    type: ResourceType
    name: Name
    location_id: UUID | None = None
    time_zone: Zone | None = Field(None, description="the location's, else the clinic's, unless given")
    bio: Annotated[str, Field(max_length=2000), Printable] | None = Field(None, description="of a practitioner")
    buffer_before_minutes: Buffer = 0
    buffer_after_minutes: Buffer = 0
    approval_required: bool = False
    active: bool = True
    user_id: UUID | None = None
    metadata: Metadata = Field(default_factory=dict)


class SeededResource(ResourceBody):
    """What the internal PUT takes."""

    schedule: Schedule | None = None


class ResourceOut(BaseModel):
    """A resource; `user_id` and `metadata` are for staff only."""

    id: UUID
    slug: str
    type: ResourceType
    name: str
    location_id: UUID | None
    time_zone: str
    bio: str | None
    buffer_before_minutes: int
    buffer_after_minutes: int
    approval_required: bool
    active: bool
    user_id: UUID | None = None
    metadata: dict[str, str] | None = None
    created_at: Instant
    updated_at: Instant


class Resources(BaseModel):
    """A page."""

    data: list[ResourceOut]
    next_cursor: str | None
