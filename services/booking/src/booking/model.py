"""A booking and a slot as the rest of the service sees them, and what is said about them in events."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from booking.domain import State
from events import Deleted, Event, Money
from events.contracts.booking import Occupancy, SlotBlocked, SlotReleased, Visit

NO_PROVIDER = UUID(int=0)
"""How a slot that needs no practitioner is stored: the row's unique key has no NULL."""


@dataclass(frozen=True, slots=True)
class ClaimedResource:
    """A resource of a booking and the range that it claims, buffers included."""

    id: UUID
    claim_start: datetime
    claim_end: datetime


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot row after a change. `was_full` is how it was before."""

    id: UUID
    tenant_id: UUID
    offering_id: UUID
    provider_id: UUID | None
    start: datetime
    end: datetime
    capacity: int
    reserved: int
    version: int
    was_full: bool
    status: str = "open"
    resources: Sequence[ClaimedResource] = ()
    """A class's, which all of its bookings share."""
    called_off: Sequence[UUID] = ()
    """The appointments that a cancelled session had."""

    @property
    def full(self) -> bool:
        """Whether every seat is held or sold."""
        return self.reserved == self.capacity

    def change(self) -> list[Event]:
        """SlotBlocked when the last seat went, SlotReleased when a full one has a seat again."""
        if self.full == self.was_full or self.status == "cancelled":
            return []
        kind = SlotBlocked if self.full else SlotReleased
        return [
            kind(
                tenant_id=self.tenant_id,
                version=self.version,
                slot_id=self.id,
                offering_id=self.offering_id,
                provider_id=self.provider_id,
                start=self.start,
                end=self.end,
            )
        ]


@dataclass(frozen=True, slots=True)
class Booking:
    """One row of `booking`: a hold, or the appointment it became. Money is in the smallest unit."""

    id: UUID
    tenant_id: UUID
    slot_id: UUID
    offering_id: UUID
    provider_id: UUID | None
    status: State
    version: int
    seats: int
    seated: bool
    start_at: datetime
    end_at: datetime
    time_zone: str
    resources: list[ClaimedResource]
    offer: str
    price: int
    currency: str
    mode: str
    amount_due: int
    terms: dict[str, Any]
    needs_approval: bool
    expires_at: datetime
    claim_until: datetime
    renewed: bool
    hold_token: bytes
    manage_token: bytes | None
    manage_sealed: str | None
    person_id: UUID | None
    contact_id: UUID | None
    user_id: UUID | None
    locale: str | None
    payment_status: str
    payment_id: UUID | None
    session_id: str | None
    paid: int
    refunded: int
    fee: int
    details: dict[str, Any]
    external_ref: str | None
    held_by: str
    verified: bool
    arrived_at: datetime | None
    moved_by_clinic: bool
    move_fee: int
    remind_at: datetime | None
    series_id: UUID | None
    moves: UUID | None
    entry_id: UUID | None
    created_at: datetime
    updated_at: datetime
    overdue: bool  # by the database's clock: what it waited for did not come in time

    @property
    def is_appointment(self) -> bool:
        """Whether somebody said who they are: the hold was converted."""
        return self.contact_id is not None

    @property
    def state(self) -> State:
        """The state as it truly is: a hold whose time is over is expired before the job has said so."""
        if self.overdue and self.status in (State.HELD, State.PENDING_PAYMENT):
            return State.EXPIRED
        return self.status

    def visit(self) -> Visit:
        """What was booked, for events."""
        return Visit(
            slot_id=self.slot_id,
            offering_id=self.offering_id,
            provider_id=self.provider_id,
            resource_ids=[resource.id for resource in self.resources],
            start=self.start_at,
            end=self.end_at,
            seats=self.seats,
        )

    def fact(self) -> dict[str, Any]:
        """The fields that every BookingFact has."""
        return {"tenant_id": self.tenant_id, "version": self.version, "booking_id": self.id}

    def appointment_fact(self) -> dict[str, Any]:
        """The fields that every AppointmentFact has."""
        return self.fact() | {
            "visit": self.visit(),
            "person_id": self.person_id,
            "contact_id": self.contact_id,
            "locale": self.locale,
            "manage": self.manage_sealed,
        }

    def money(self, amount: int) -> Money:
        """An amount in the booking's currency."""
        return Money(amount=amount, currency=self.currency)


def occupied(booking: Booking, slot: Slot) -> list[Event | Deleted]:
    """The occupancy rows as they are now that the booking has its seats: its own, or those of its class."""
    alone = slot.capacity == 1
    return [
        Occupancy(
            tenant_id=booking.tenant_id,
            version=booking.version if alone else slot.version,
            owner_id=booking.id if alone else slot.id,
            resource_id=resource.id,
            slot_id=slot.id,
            offering_id=booking.offering_id,
            provider_id=booking.provider_id,
            claim_start=resource.claim_start,
            claim_end=resource.claim_end,
            start=booking.start_at,
            end=booking.end_at,
            expires_at=booking.claim_until if alone and booking.claim_until.year < 9999 else None,
            capacity=slot.capacity,
            reserved=slot.reserved,
        )
        for resource in booking.resources
    ]


def vacated(booking: Booking, slot: Slot) -> list[Event | Deleted]:
    """The occupancy rows now that the booking gave its seats back: gone, unless a class has others in it."""
    if slot.capacity > 1 and slot.status == "cancelled":
        return []  # the session's own rows say all there is to say: they stay
    if slot.capacity > 1 and slot.reserved > 0:
        return occupied(booking, slot)
    alone = slot.capacity == 1
    owner, version = (booking.id, booking.version) if alone else (slot.id, slot.version)
    return [
        Deleted(Occupancy.TYPE, f"{owner}:{resource.id}", booking.tenant_id, version) for resource in booking.resources
    ]


def left_behind(before: Booking, old: Slot, now: Booking, new: Slot) -> list[Event | Deleted]:
    """The occupancy rows that a move leaves: those of the old slot which the new one does not replace by its own."""
    by_the_same = old.id == new.id or old.capacity == new.capacity == 1
    kept = {resource.id for resource in now.resources} if by_the_same else set()
    gone = replace(before, version=now.version, resources=[r for r in before.resources if r.id not in kept])
    if old.id == new.id:  # it changed its resources: nobody else is in it
        return vacated(gone, replace(new, reserved=0))
    return vacated(gone, old)
