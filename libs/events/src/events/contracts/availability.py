"""What availability says: the catalogue as state, and what became taken or free."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from events.base import Event, Instant, Money, State, declare
from events.contracts.booking import PaymentMode
from events.topics import AVAILABILITY, CATALOG

ResourceType = Literal["practitioner", "room", "equipment", "virtual"]


class CancellationPolicy(BaseModel):
    """Fees are a percentage of the price, never more than was paid, rounded in the patient's favour."""

    model_config = ConfigDict(frozen=True)

    free_until_minutes: int = Field(0, ge=0, examples=[1440], description="before the start")
    fee_percent: int = Field(0, ge=0, le=100, examples=[50])
    no_show_fee_percent: int = Field(0, ge=0, le=100, examples=[100])
    late_move_fee_percent: int = Field(0, ge=0, le=100, examples=[0])


class GapRule(BaseModel):
    """A visit of this offering may not begin sooner than `minutes` after one of `after_offering` has ended, with the
    same practitioner or in the same room. Judged from both sides: whichever of the two is booked later."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["gap"]
    after_offering: UUID
    minutes: int = Field(ge=5, le=1440, multiple_of=5, examples=[30])
    of: Literal["practitioner", "room"] = "practitioner"


class MaxRule(BaseModel):
    """At most `count` visits of this offering a day or a week (Monday to Sunday, in the clinic's zone), for one
    practitioner (a class counts once) or for one patient."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["max"]
    of: Literal["practitioner", "patient"]
    per: Literal["day", "week"]
    count: int = Field(ge=1, le=1000, examples=[8])


class NoOverlapRule(BaseModel):
    """The patient has no other live appointment in the clinic that overlaps the visit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["no_overlap"]
    of: Literal["patient"] = "patient"


Rule = Annotated[GapRule | MaxRule | NoOverlapRule, Field(discriminator="kind")]


class Requirement(BaseModel):
    """One resource that a visit needs: any of those named, or any of its type. An optional one is taken where one is
    free. `preferences`: weights by resource id; the highest is taken first."""

    model_config = ConfigDict(frozen=True)

    type: ResourceType
    any_of: list[UUID] | Literal["all"] = "all"
    optional: bool = False
    preferences: dict[UUID, int] = Field(default_factory=dict)


class Change(BaseModel):
    """One change on a provider's calendar as a stranger may see it."""

    model_config = ConfigDict(frozen=True)

    type: Literal["slot_taken", "slot_freed", "schedule_changed"]
    start: Instant
    end: Instant
    offering_id: UUID | None = Field(None, description="for classes")
    remaining: int | None = Field(None, description="for classes")


@declare("availability.availability_changed.v1", topic=AVAILABILITY, key="resource_id")
class AvailabilityChanged(Event):
    """Times of a resource became taken or free. Emitted in the transaction that updated the read model, so an
    availability answer given after this event agrees with it."""

    resource_id: UUID
    resource_type: ResourceType
    changes: list[Change]


@declare("availability.waitlist_matched.v1", topic=AVAILABILITY, key="entry_id")
class WaitlistMatched(Event):
    """A time came free that somebody waits for, the oldest entry first. `slot_id` is an offer that can be held as it
    is, for as long as any offer; the version counts the times that were found for the entry. Emitted again when that
    one was taken meanwhile and another comes free."""

    entry_id: UUID
    slot_id: str = Field(examples=["AZ…"])
    start: Instant


@declare("catalog.offering.v1", topic=CATALOG, key=lambda row: f"offering:{row.offering_id}")
class OfferingState(State):
    """What can be booked, as it is now."""

    offering_id: UUID
    slug: str = Field(examples=["checkup"])
    name: str = Field(examples=["Check-up"])
    active: bool
    duration_minutes: int = Field(examples=[30])
    capacity: int = Field(examples=[1])
    price: Money
    mode: PaymentMode
    deposit_amount: int | None = None
    hold_seconds: float = Field(examples=[600])
    min_notice_minutes: int = Field(examples=[60])
    cancellation: CancellationPolicy
    reminders_minutes: list[int] = Field(examples=[[1440, 60]])
    buffer_before_minutes: int = 0
    buffer_after_minutes: int = 0
    window_days: int = Field(365, examples=[365])
    requirements: list[Requirement] = Field(default_factory=list, examples=[[]])
    rules: list[Rule] = Field(default_factory=list, examples=[[]])
    members_only: bool = False


@declare("catalog.resource.v1", topic=CATALOG, key=lambda row: f"resource:{row.resource_id}")
class ResourceState(State):
    """A practitioner, room, piece of equipment or virtual place, as it is now."""

    resource_id: UUID
    type: ResourceType
    slug: str = Field(examples=["anna"])
    name: str = Field(examples=["Room 1"])
    active: bool
    time_zone: str = Field(examples=["Europe/Warsaw"])
    approval_required: bool
    user_id: UUID | None = Field(None, description="the account of the practitioner")
    schedule_version: int = Field(examples=[1], description="of the weekly template; offers name it")
    location_id: UUID | None = None
    buffer_before_minutes: int = 0
    buffer_after_minutes: int = 0
    schedule: dict[str, Any] | None = Field(
        None, examples=[None], description="the working hours as `scheduling.templates.Template.parse` reads them"
    )


@declare("catalog.time_off.v1", topic=CATALOG, key=lambda row: f"time_off:{row.time_off_id}")
class TimeOffState(State):
    """A stretch in which a resource is away; with `rrule` it comes back at the same local time in `time_zone`."""

    time_off_id: UUID
    resource_id: UUID
    start: Instant
    end: Instant
    rrule: str | None = Field(None, examples=["FREQ=WEEKLY;COUNT=10"])
    time_zone: str = Field(examples=["Europe/Warsaw"])
