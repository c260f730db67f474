"""HTTP shapes of resources and their working hours."""

from datetime import date
from uuid import UUID

from pydantic import BaseModel, Field

from availability.schemas.common import Buffer, Metadata, Name, Slug, Strict, Zone
from events.base import Instant
from events.contracts.availability import ResourceType


class Override(Strict):
    """The hours of one date, in place of its weekday's; no ranges: closed."""

    date: date
    ranges: list[list[str]]


class Schedule(Strict):
    """A resource's working hours, local in `time_zone`."""

    time_zone: Zone | None = Field(None, description="the resource's unless given")
    weekly: dict[str, list[list[str]]] = Field(examples=[{"mon": [["09:00", "12:30"], ["13:00", "17:00"]]}])
    overrides: list[Override] = Field(default_factory=list, max_length=1000)
    valid_from: date | None = None
    valid_until: date | None = None


class ResourceBody(Strict):
    """What POST takes; PATCH is a merge patch of it."""

    slug: Slug | None = Field(None, description="made of the name unless given")
    type: ResourceType
    name: Name
    time_zone: Zone | None = Field(None, description="the clinic's unless given")
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
    time_zone: str
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
