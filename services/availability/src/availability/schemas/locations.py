"""HTTP shapes of locations."""

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from availability.schemas.common import Metadata, Name, Printable, Slug, Strict, Zone
from events.base import Instant
from scheduling.reading import InvalidSchedule
from scheduling.templates import Weekly


def _hours(value: dict[str, list[list[str]]]) -> dict[str, list[list[str]]]:
    try:
        return Weekly.parse(value, "opening_hours").to_json()
    except InvalidSchedule as error:
        raise ValueError(str(error)) from error


Hours = Annotated[dict[str, list[list[str]]], AfterValidator(_hours)]


class LocationBody(Strict):
    """What POST takes; PATCH is a merge patch of it."""

    slug: Slug | None = Field(None, description="made of the name unless given")
    name: Name
    address: Annotated[str, Field(min_length=1, max_length=500), Printable] | None = None
    phone: Annotated[str, Field(pattern=r"^\+?[0-9][0-9 ()./-]{2,39}$", examples=["+48 22 123 45 67"])] | None = None
    time_zone: Zone | None = Field(None, description="the clinic's unless given")
    opening_hours: Hours = Field(default_factory=dict, examples=[{"mon": [["08:00", "18:00"]]}])
    metadata: Metadata = Field(default_factory=dict)


class LocationOut(BaseModel):
    """A place where visits happen; `metadata` is for staff only."""

    id: UUID
    slug: str
    name: str
    address: str | None
    phone: str | None
    time_zone: str
    opening_hours: dict[str, list[list[str]]]
    metadata: dict[str, str] | None = None
    created_at: Instant
    updated_at: Instant


class Locations(BaseModel):
    """A page."""

    data: list[LocationOut]
    next_cursor: str | None
