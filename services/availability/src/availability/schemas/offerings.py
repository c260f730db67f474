"""HTTP shapes of offerings."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from availability.schemas.common import Buffer, Length, Metadata, Name, Price, Printable, Slug, Strict, distinct
from events.base import Instant
from events.contracts.availability import ResourceType, Rule
from events.contracts.booking import PaymentMode
from scheduling.reading import InvalidSchedule
from scheduling.templates import Starts


def _starts(value: dict[str, list[str]]) -> dict[str, list[str]]:
    try:
        return Starts.parse(value).to_json()
    except InvalidSchedule as error:
        raise ValueError(str(error)) from error


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


Weight = Annotated[int, Field(ge=-1000, le=1000)]


class Requirement(Strict):
    """One resource that a visit needs: any of those named, or any of its type. An optional one is taken where one is
    free."""

    type: ResourceType
    any_of: Annotated[list[UUID], Field(min_length=1, max_length=200), AfterValidator(distinct)] | Literal["all"] = (
        "all"
    )
    optional: bool = False
    preferences: dict[UUID, Weight] = Field(
        default_factory=dict, max_length=200, description="weights by resource id; the highest is taken first, 0 else"
    )


def _any_practitioner() -> list[Requirement]:
    return [Requirement(type="practitioner")]


def _some_needed(value: list[Requirement]) -> list[Requirement]:
    if value and all(requirement.optional for requirement in value):
        raise ValueError("at least one must not be optional")
    return value


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
    reminders_minutes: Annotated[list[Annotated[int, Field(ge=1, le=1_051_200)]], AfterValidator(distinct)] = Field(
        default_factory=lambda: [1440, 60], max_length=10
    )
    requirements: Annotated[list[Requirement], AfterValidator(_some_needed)] = Field(
        default_factory=_any_practitioner, min_length=1, max_length=10
    )
    rules: list[Rule] = Field(default_factory=list, max_length=20)
    members_only: bool = False
    external_ref: Annotated[str, Field(min_length=1, max_length=255), Printable] | None = None
    metadata: Metadata = Field(default_factory=dict)
    active: bool = True


class NextSlot(BaseModel):
    """An offering's first free start, and with whom."""

    start: Instant
    provider_id: UUID | None


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
    rules: list[Rule]
    members_only: bool
    active: bool
    external_ref: str | None = None
    metadata: dict[str, str] | None = None
    created_at: Instant
    updated_at: Instant


class SavedOffering(OfferingOut):
    """What POST and PATCH answer: the offering, and why nobody could book it as it is."""

    warnings: list[str] = Field(default_factory=list)


class ListedOffering(OfferingOut):
    """With `include=next_slot` its first free start within a month, null for none."""

    next_slot: NextSlot | None = None


class Offerings(BaseModel):
    """A page."""

    data: list[ListedOffering]
    next_cursor: str | None
