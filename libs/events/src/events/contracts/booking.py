"""What booking says: facts about holds, appointments and slots, and the state of occupancy."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from events.base import Event, Instant, Money, State, declare
from events.topics import BOOKING, OCCUPANCY

PaymentMode = Literal["free", "full", "deposit", "authorize"]
Actor = Literal["patient", "staff", "system"]
ConflictCause = Literal["external_event", "time_off", "schedule", "deactivated"]


class Visit(BaseModel):
    """What was booked: when, what, with whom and where. `start`–`end` is what the patient sees, without buffers."""

    model_config = ConfigDict(frozen=True)

    slot_id: UUID
    offering_id: UUID
    provider_id: UUID | None = Field(description="the practitioner's resource, if one is needed")
    resource_ids: list[UUID]
    start: Instant
    end: Instant
    seats: int = Field(ge=1, examples=[1])


class BookingFact(Event):
    """A fact about one booking: a hold and the appointment it becomes share the id."""

    booking_id: UUID


class AppointmentFact(BookingFact):
    """A fact about a booking that has a patient. The contact's data is fetched from identity by its id."""

    visit: Visit
    person_id: UUID
    contact_id: UUID
    locale: str = Field(examples=["pl"])
    manage: str | None = Field(
        None,
        examples=["AQEB"],
        description="the token of the patient's link, sealed for whoever sends messages (key purpose: links)",
    )


@declare("booking.hold_created.v1", topic=BOOKING, key="booking_id")
class HoldCreated(BookingFact):
    """A time is kept for somebody until `expires_at`."""

    visit: Visit
    expires_at: Instant


@declare("booking.hold_renewed.v1", topic=BOOKING, key="booking_id")
class HoldRenewed(BookingFact):
    """The hold lasts longer: a Checkout that is open for it may too."""

    expires_at: Instant


@declare("booking.hold_expired.v1", topic=BOOKING, key="booking_id")
class HoldExpired(BookingFact):
    """The hold ran out, with or without an appointment that was waiting for its payment."""

    visit: Visit
    requested: bool = Field(description="whether an appointment was waiting for its payment")
    contact_id: UUID | None = None
    locale: str | None = None


@declare("booking.hold_released.v1", topic=BOOKING, key="booking_id")
class HoldReleased(BookingFact):
    """The hold was given up before it became an appointment."""

    visit: Visit


@declare("booking.appointment_requested.v1", topic=BOOKING, key="booking_id")
class AppointmentRequested(AppointmentFact):
    """The patient said who they are; what is due has to be paid or authorized before `expires_at`."""

    mode: PaymentMode
    price: Money
    amount_due: Money
    expires_at: Instant


@declare("booking.approval_requested.v1", topic=BOOKING, key="booking_id")
class ApprovalRequested(AppointmentFact):
    """Paid for or authorized as far as needed; the clinic decides until `deadline`."""

    price: Money
    deadline: Instant


@declare("booking.booking_confirmed.v1", topic=BOOKING, key="booking_id")
class BookingConfirmed(AppointmentFact):
    """The appointment stands. `payment_id` is the payment it stands on, None when nothing was due."""

    mode: PaymentMode
    price: Money
    amount_due: Money
    payment_id: UUID | None = None


@declare("booking.booking_rejected.v1", topic=BOOKING, key="booking_id")
class BookingRejected(AppointmentFact):
    """The clinic said no, or said nothing until the deadline: everything goes back."""

    reason: Literal["rejected", "deadline"]


@declare("booking.booking_unfulfillable.v1", topic=BOOKING, key="booking_id")
class BookingUnfulfillable(AppointmentFact):
    """Paid for too late and the time is gone: the money of `payment_id` goes back."""

    payment_id: UUID
    reason: str = Field(examples=["taken"], description="taken | past | blocked | inactive | stale | duplicate")


@declare("booking.payment_unwanted.v1", topic=BOOKING, key="booking_id")
class PaymentUnwanted(BookingFact):
    """A payment nothing can stand on (a second one, or one for what is already over): it goes back in full."""

    payment_id: UUID
    reason: str = Field(examples=["already_paid"])
    appointment_id: UUID | None = Field(
        None, description="of a difference that was paid to move an appointment: that appointment"
    )


@declare("booking.booking_cancelled.v1", topic=BOOKING, key="booking_id")
class BookingCancelled(AppointmentFact):
    """The appointment was called off. Of what was paid, all but `fee` goes back."""

    by: Actor
    fee: Money
    was_confirmed: bool


@declare("booking.booking_rescheduled.v1", topic=BOOKING, key="booking_id")
class BookingRescheduled(AppointmentFact):
    """The appointment has another time, or other resources at the same time. `price` is what it costs now; `fee`, for
    moving late, is kept back from whatever is given back later."""

    previous: Visit
    by: Actor
    price: Money
    fee: Money


@declare("booking.difference_paid.v1", topic=BOOKING, key="booking_id")
class DifferencePaid(BookingFact):
    """An appointment has moved to a dearer time: the payment of the difference stands. `booking_id` is the hold that
    kept that time."""

    payment_id: UUID
    appointment_id: UUID


@declare("booking.booking_completed.v1", topic=BOOKING, key="booking_id")
class BookingCompleted(AppointmentFact):
    """The visit took place."""

    by: Actor


@declare("booking.booking_no_show.v1", topic=BOOKING, key="booking_id")
class BookingNoShow(AppointmentFact):
    """The patient did not come. Of what was paid, all but `fee` goes back."""

    fee: Money


@declare("booking.approval_due.v1", topic=BOOKING, key="booking_id")
class ApprovalDue(AppointmentFact):
    """Nobody has decided yet, and half of the time to do so is over: the clinic is reminded."""

    deadline: Instant


@declare("booking.conflict_detected.v1", topic=BOOKING, key="booking_id")
class ConflictDetected(AppointmentFact):
    """Something landed on the appointment: it can no longer be given as it is, and the clinic has to decide."""

    conflict_id: UUID
    cause: ConflictCause
    resource_id: UUID


@declare("booking.conflict_resolved.v1", topic=BOOKING, key="booking_id")
class ConflictResolved(BookingFact):
    """The conflict is over. `gone`: its cause went away, or the appointment ended or moved by itself."""

    conflict_id: UUID
    resolution: Literal["reschedule", "substitute", "waitlist", "keep", "gone"]


@declare("booking.waitlist_joined.v1", topic=BOOKING, key="entry_id")
class WaitlistJoined(Event):
    """Somebody waits for a time."""

    entry_id: UUID
    offering_id: UUID
    provider_id: UUID | None
    start: Instant
    end: Instant
    person_id: UUID
    contact_id: UUID
    locale: str = Field(examples=["pl"])
    manage: str | None = Field(None, examples=["AQEB"], description="sealed like AppointmentFact's")


@declare("booking.waitlist_offered.v1", topic=BOOKING, key="booking_id")
class WaitlistOffered(BookingFact):
    """A time came free and is held for the first in line until `offer_until`. `manage` is the hold's token, sealed."""

    entry_id: UUID
    visit: Visit
    offer_until: Instant
    person_id: UUID
    contact_id: UUID
    locale: str = Field(examples=["pl"])
    manage: str = Field(examples=["AQEB"])


@declare("waitlist.entry.v1", topic=OCCUPANCY, key=lambda row: f"waitlist:{row.entry_id}")
class WaitlistEntry(State):
    """Somebody waits for a time of an offering that begins at `start` or later and ends at `end` or earlier. The row
    ends when they were offered one, gave up, or the window is past."""

    entry_id: UUID
    offering_id: UUID
    provider_id: UUID | None
    start: Instant
    end: Instant
    seats: int = Field(1, ge=1, examples=[1])


@declare("booking.slot_blocked.v1", topic=BOOKING, key="slot_id")
class SlotBlocked(Event):
    """Every seat of the slot is held or sold."""

    slot_id: UUID
    offering_id: UUID
    provider_id: UUID | None
    start: Instant
    end: Instant


@declare("booking.slot_released.v1", topic=BOOKING, key="slot_id")
class SlotReleased(Event):
    """A seat of a full slot came back."""

    slot_id: UUID
    offering_id: UUID
    provider_id: UUID | None
    start: Instant
    end: Instant


@declare("occupancy.row.v1", topic=OCCUPANCY, key=lambda row: f"{row.owner_id}:{row.resource_id}")
class Occupancy(State):
    """One owner (a booking; a slot when its capacity is more than one) occupies one resource.

    `claim_start`–`claim_end` includes the buffers and is what others must keep off; `start`–`end` is the visit.
    """

    owner_id: UUID
    resource_id: UUID
    slot_id: UUID
    offering_id: UUID
    provider_id: UUID | None
    claim_start: Instant
    claim_end: Instant
    start: Instant
    end: Instant
    expires_at: Instant | None = Field(description="when the hold ends by itself; None once it is booked")
    capacity: int = Field(ge=1, examples=[1])
    reserved: int = Field(ge=0, examples=[1], description="seats held or sold")
    cancelled: bool = Field(
        False, description="the session falls out: the resource is free for others, this start is not offered again"
    )
