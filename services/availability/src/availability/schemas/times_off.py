"""HTTP shapes of time off."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, ValidationInfo, field_validator

from availability.schemas.common import Printable, Strict
from events.base import Instant

LONGEST = timedelta(days=366)
_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def _of_our_time(value: datetime) -> datetime:
    if not _FIRST <= value <= _LAST:
        raise ValueError("has to lie between the years 2000 and 2200")
    return value


OurTime = Annotated[Instant, AfterValidator(_of_our_time)]


class TimeOffBody(Strict):
    """A stretch of time in which a resource is away, once or again and again."""

    start: OurTime
    end: OurTime
    reason: Annotated[str, Field(max_length=500), Printable] | None = None
    rrule: Annotated[str, Field(min_length=1, max_length=500), Printable] | None = Field(
        None,
        description="RFC 5545, with COUNT or UNTIL; comes back at the same local time of the resource's zone",
        examples=["FREQ=WEEKLY;BYDAY=MO;COUNT=10"],
    )

    @field_validator("end")
    @classmethod
    def _after_start(cls, end: datetime, info: ValidationInfo) -> datetime:
        start = info.data.get("start")
        if start is not None and end <= start:
            raise ValueError("has to be after start")
        if start is not None and end - start > LONGEST:
            raise ValueError(f"is more than {LONGEST.days} days after start; enter a longer absence in parts")
        return end


class TimeOffOut(BaseModel):
    """Time off, for staff."""

    id: UUID
    resource_id: UUID
    start: Instant
    end: Instant
    reason: str | None
    rrule: str | None
    created_at: Instant


class TimesOff(BaseModel):
    """A page."""

    data: list[TimeOffOut]
    next_cursor: str | None
