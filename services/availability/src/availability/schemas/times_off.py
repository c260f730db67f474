"""HTTP shapes of time off."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from availability.schemas.common import Printable, Strict
from events.base import Instant


class TimeOffBody(Strict):
    """A stretch of time in which a resource is away."""

    start: Instant
    end: Instant
    reason: Annotated[str, Field(max_length=500), Printable] | None = None


class TimeOffOut(BaseModel):
    """Time off, for staff."""

    id: UUID
    resource_id: UUID
    start: Instant
    end: Instant
    reason: str | None
    created_at: Instant


class TimesOff(BaseModel):
    """A page."""

    data: list[TimeOffOut]
    next_cursor: str | None
