"""HTTP shapes of the catalogue. Fields that are not known are refused by name."""

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from availability.domain import RESERVED_SLUGS, SLUG
from events.base import Currency, Instant
from events.contracts.availability import ResourceType
from events.contracts.booking import PaymentMode
from scheduling.reading import InvalidSchedule
from scheduling.templates import Starts
from scheduling.zones import is_zone


def _printable(value: str) -> str:
    if any(character < " " and character not in "\n\t" for character in value):
        raise ValueError("must not contain control characters")
    return value


def _slug(value: str) -> str:
    if not SLUG.fullmatch(value) or not 2 <= len(value) <= 63:
        raise ValueError("has to be 2 to 63 of a-z, 0-9 and single hyphens between them")
    if value in RESERVED_SLUGS:
        raise ValueError(f"{value} is a reserved word")
    try:
        UUID(value)
    except ValueError:
        return value
    raise ValueError("must not be a UUID")


def _zone(value: str) -> str:
    if not is_zone(value):
        raise ValueError('is not an IANA time zone such as "Europe/Warsaw"')
    return value


def _metadata(value: dict[str, str]) -> dict[str, str]:
    if len(value) > 50:
        raise ValueError("takes at most 50 keys")
    return value


def _starts(value: dict[str, list[str]]) -> dict[str, list[str]]:
    try:
        return Starts.parse(value).to_json()
    except InvalidSchedule as error:
        raise ValueError(str(error)) from error


def _distinct(value: list[Any]) -> list[Any]:
    if any(item in value[:index] for index, item in enumerate(value)):
        raise ValueError("lists something twice")
    return value


Printable = AfterValidator(_printable)
Printed = Annotated[str, Printable]
Name = Annotated[str, Field(min_length=1, max_length=200, examples=["Anna"]), Printable]
Slug = Annotated[str, AfterValidator(_slug)]
Zone = Annotated[str, AfterValidator(_zone)]
Buffer = Annotated[int, Field(ge=0, le=120, multiple_of=5, examples=[0])]
Length = Annotated[int, Field(ge=5, le=1200, multiple_of=5, examples=[30])]
Metadata = Annotated[
    dict[Annotated[str, Field(max_length=40), Printable], Annotated[str, Field(max_length=500), Printable]],
    AfterValidator(_metadata),
]


class Strict(BaseModel):
    """A body in which every field is known."""

    model_config = ConfigDict(extra="forbid")


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


class Price(Strict):
    """An amount in the currency's smallest unit."""

    amount: int = Field(ge=0, le=99_999_999, examples=[30000])
    currency: Currency


class Payment(Strict):
    """How an offering is paid for."""

    mode: PaymentMode
    deposit_amount: int | None = Field(None, ge=1, description="with mode deposit only, at most the price")


class Cancellation(Strict):
    """Fees are a percentage of the price."""

    free_until_minutes: int = Field(0, ge=0, le=1_051_200, multiple_of=5, description="before the start")
    fee_percent: int = Field(0, ge=0, le=100)
    no_show_fee_percent: int = Field(0, ge=0, le=100)
    late_move_fee_percent: int = Field(0, ge=0, le=100)


class Requirement(Strict):
    """One resource that a visit needs: any of those named, or any of its type."""

    type: ResourceType
    any_of: Annotated[list[UUID], Field(min_length=1, max_length=200), AfterValidator(_distinct)] | Literal["all"] = (
        "all"
    )


def _any_practitioner() -> list[Requirement]:
    return [Requirement(type="practitioner")]


class OfferingBody(Strict):
    """What POST takes; PATCH is a merge patch of it."""

    slug: Slug | None = Field(None, description="made of the name unless given")
    name: Name
    description: Annotated[str, Field(max_length=5000), Printable] = ""
    duration_minutes: Length
    slot_step_minutes: Annotated[int, Field(ge=5, le=1440, multiple_of=5)] | None = Field(
        None, description="the duration unless given"
    )
    starts: Annotated[dict[str, list[str]], AfterValidator(_starts)] | None = Field(
        None, description="local, then the only starts offered", examples=[{"tue": ["18:00"]}]
    )
    price: Price | None = Field(None, description="nothing unless given")
    capacity: int = Field(1, ge=1, le=10_000)
    buffer_before_minutes: Buffer = 0
    buffer_after_minutes: Buffer = 0
    min_notice_minutes: int = Field(0, ge=0, le=1_051_200, multiple_of=5)
    window_days: int = Field(365, ge=1, le=730)
    hold_minutes: float = Field(10, ge=0.05, le=1440)
    payment: Payment | None = Field(None, description="free without a price, else authorize, unless given")
    cancellation: Cancellation = Field(default_factory=Cancellation)
    reminders_minutes: Annotated[list[Annotated[int, Field(ge=1, le=1_051_200)]], AfterValidator(_distinct)] = Field(
        default_factory=lambda: [1440, 60], max_length=10
    )
    requirements: list[Requirement] = Field(default_factory=_any_practitioner, min_length=1, max_length=10)
    external_ref: Annotated[str, Field(min_length=1, max_length=255), Printable] | None = None
    metadata: Metadata = Field(default_factory=dict)
    active: bool = True


class OfferingOut(BaseModel):
    """An offering; `external_ref` and `metadata` are for staff only."""

    id: UUID
    slug: str
    name: str
    description: str
    duration_minutes: int
    slot_step_minutes: int
    starts: dict[str, list[str]] | None
    price: Price
    capacity: int
    buffer_before_minutes: int
    buffer_after_minutes: int
    min_notice_minutes: int
    window_days: int
    hold_minutes: float
    payment: Payment
    cancellation: Cancellation
    reminders_minutes: list[int]
    requirements: list[Requirement]
    active: bool
    external_ref: str | None = None
    metadata: dict[str, str] | None = None
    created_at: Instant
    updated_at: Instant


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


class ProviderOut(BaseModel):
    """A practitioner as patients see them."""

    id: UUID
    slug: str
    name: str
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


class Resources(BaseModel):
    """A page."""

    data: list[ResourceOut]
    next_cursor: str | None


class Offerings(BaseModel):
    """A page."""

    data: list[OfferingOut]
    next_cursor: str | None


class TimesOff(BaseModel):
    """A page."""

    data: list[TimeOffOut]
    next_cursor: str | None


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
