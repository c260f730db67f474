"""The signed texts that pass between services by way of the gateway, so that neither has to call the other."""

from uuid import UUID

import msgspec

from servicekit.signing import Signed


class OfferedResource(msgspec.Struct, array_like=True, frozen=True):
    """One resource of a candidate assignment and the range it would claim (buffers included), in epoch seconds."""

    resource_id: UUID
    claim_start: int
    claim_end: int
    kind: str  # p: practitioner, r: room, e: equipment, v: virtual
    schedule_version: int
    approval: bool


class Offer(Signed, frozen=True):
    """A slot that availability found, as a capability to hold it: `slot_id` in the public API.

    Candidates are in order of preference; a hold takes the first that is free. Times are epoch seconds.
    """

    tenant_id: UUID
    offering_id: UUID
    offering_version: int
    start: int
    end: int
    amount: int
    currency: str
    hold_seconds: float
    capacity: int
    provider_chosen: bool  # the patient asked for this practitioner, not for any
    time_zone: str
    candidates: list[list[OfferedResource]]
    override: bool = False  # breaks a rule of the offering: only staff may hold it, saying why


class CustomerToken(Signed, frozen=True):
    """The `customer` of a request, turned into a person by identity."""

    tenant_id: UUID
    person_id: UUID
    contact_id: UUID
    locale: str
    user_id: UUID | None
    verified: bool


class PaymentRequest(Signed, frozen=True):
    """What is to be paid for a booking: booking signs it, payment opens a Checkout for exactly this."""

    tenant_id: UUID
    booking_id: UUID
    booking_version: int
    mode: str  # full | deposit | authorize
    capture: bool  # False: authorize only
    amount: int
    currency: str
    price: int
    hold_ends: int  # epoch seconds
    contact_id: UUID
    person_id: UUID
    locale: str
    slot_id: UUID
    offering_id: UUID
    offering_name: str
    start: int
    return_url: str | None
    actor_kind: str
    user_id: UUID | None


class Settlement(Signed, frozen=True):
    """Payment says that nothing is due for the booking: the gateway posts it back to booking."""

    tenant_id: UUID
    booking_id: UUID
    payment_id: UUID


class ServiceToken(Signed, frozen=True):
    """A call from one service to an internal route of another."""

    service: str
