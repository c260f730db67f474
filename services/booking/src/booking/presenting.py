"""A booking as the public API shows it."""

from typing import Any
from uuid import UUID

from booking import offers
from booking.domain import State
from booking.endings import Refund
from booking.holds import Wish
from booking.model import Booking
from booking.repository import bookings, known, slots
from booking.repository.slots import Placed
from booking.schemas import (
    AppointmentView,
    CustomerView,
    HistoryEntry,
    HoldView,
    MoveView,
    PaymentView,
    RefundView,
    SlotResource,
    SlotView,
    strip_unset,
)
from events import Money, Transaction
from events.base import rfc3339
from scheduling.zones import zone
from servicekit.people import Contact
from servicekit.service import Service

HOLD_STATUS = {State.HELD: "held", State.RELEASED: "released", State.EXPIRED: "expired"}


async def slot(tx: Transaction, booking: Booking) -> SlotView:
    """The slot with the names of what was taken."""
    named = await known.named(tx, [resource.id for resource in booking.resources])
    local = booking.start_at.astimezone(zone(booking.time_zone))
    offer = offers.read_again(booking.offer)
    row = await slots.of(tx, booking)
    return SlotView(
        slot_id=booking.offer,
        start=booking.start_at,
        end=booking.end_at,
        local_start=local.isoformat(),
        zone_abbreviation=local.tzname() or "",
        provider_id=booking.provider_id,
        provider_ids=offers.providers(offer),
        offering_id=booking.offering_id,
        seats=booking.seats,
        remaining=row.capacity - row.reserved,
        price=Money(amount=offer.amount, currency=booking.currency),
        resources=[
            SlotResource(id=resource.id, type=named[resource.id][0], name=named[resource.id][1])
            for resource in booking.resources
            if resource.id in named
        ],
    )


def placed_hold(wanted: Wish, placed: Placed) -> dict[str, Any]:
    """A hold that was just placed, as `hold` shows it, without another look into the database."""
    offer = wanted.offer
    start, end = offers.instant(offer.start), offers.instant(offer.end)
    local = start.astimezone(zone(offer.time_zone))
    provider = offers.candidate(offer.candidates[placed.chosen]).provider_id
    return {
        "id": wanted.booking_id,
        "status": "held",
        "expires_at": rfc3339(placed.expires_at),
        "slot": {
            "slot_id": wanted.parameters["offer"],
            "start": rfc3339(start),
            "end": rfc3339(end),
            "local_start": local.isoformat(),
            "zone_abbreviation": local.tzname() or "",
            "provider_id": provider,
            "provider_ids": offers.providers(offer),
            "offering_id": offer.offering_id,
            "seats": wanted.seats,
            "remaining": placed.capacity - placed.reserved,
            "price": {"amount": offer.amount, "currency": offer.currency},
            "resources": placed.named,
        },
        "manage_token": wanted.token,
    }


async def hold(tx: Transaction, booking: Booking, token: str | None = None) -> dict[str, Any]:
    """A hold: `converted` once it is an appointment, whatever became of that."""
    status = "converted" if booking.is_appointment else HOLD_STATUS[booking.state]
    view = HoldView(
        id=booking.id,
        status=status,
        expires_at=booking.expires_at,
        slot=await slot(tx, booking),
        manage_token=token,
    )
    return strip_unset(view, "manage_token")


async def appointment(
    tx: Transaction,
    service: Service,
    booking: Booking,
    contact: Contact | None,
    *,
    staff: bool = False,
    token: str | None = None,
    refund: Refund | None = None,
    payment_request: str | None = None,
    move: Booking | None = None,
) -> dict[str, Any]:
    """An appointment. `contact` was fetched outside the transaction; `move` holds a dearer time for it."""
    waiting = booking.state is State.PENDING_PAYMENT
    url = f"{service.settings.public_url}/manage/{booking.id}?clinic={booking.tenant_id}"
    view = AppointmentView(
        id=booking.id,
        status=booking.state.value,
        slot=await slot(tx, booking),
        customer=customer(contact),
        payment=PaymentView(
            status=booking.payment_status,
            amount_due=booking.amount_due,
            currency=booking.currency,
            amount_paid=booking.paid,
            amount_refunded=booking.refunded,
            session_id=booking.session_id,
            expires_at=booking.expires_at if waiting else None,
        ),
        manage_url=f"{url}#token={token}" if token else url,
        manage_token=token,
        external_ref=booking.external_ref,
        metadata=booking.details.get("metadata", {}),
        notes=booking.details.get("notes") if staff else None,
        reason=booking.details.get("reason") if staff else None,
        created_at=booking.created_at,
        updated_at=booking.updated_at,
        arrived_at=booking.arrived_at,
        series_id=booking.series_id,
        pay=booking.details.get("pay"),
        approval_deadline=booking.claim_until if booking.status is State.PENDING_APPROVAL else None,
        history=[HistoryEntry(**entry) for entry in await bookings.history(tx, booking)] if staff else None,
        refund=RefundView(
            amount=refund.amount,
            currency=booking.currency,
            fee=refund.fee,
            status=refund.status,
        )
        if refund
        else None,
        move=MoveView(
            start=move.start_at,
            end=move.end_at,
            amount_due=move.amount_due,
            currency=move.currency,
            expires_at=move.expires_at,
        )
        if move
        else None,
        payment_request=payment_request,
    )
    return strip_unset(
        view,
        "manage_token",
        "history",
        "refund",
        "arrived_at",
        "series_id",
        "pay",
        "approval_deadline",
        "notes",
        "reason",
        "move",
        "payment_request",
    )


def customer(contact: Contact | None) -> CustomerView | None:
    """The contact data."""
    if contact is None:
        return None
    return CustomerView(
        id=contact.person_id, name=contact.name, email=contact.email, phone=contact.phone, locale=contact.locale
    )


async def contact_of(service: Service, tenant_id: UUID, booking: Booking) -> Contact | None:
    """The appointment's contact, from identity. Not inside a transaction."""
    if booking.contact_id is None:
        return None
    return await service.people.contact(tenant_id, booking.contact_id)
