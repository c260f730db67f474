"""What availability says: the catalogue as state, and what became taken or free."""

from typing import Literal
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
