"""Appointments: what people ask for. What money does to them is in saga.py, how they end in endings.py."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from booking import access, catalogue, offers, rules, saga, waitlist
from booking.domain import Action, State, Trigger, decide
from booking.errors import Hoarding, HoldExpired, HoldUsed, IllegalTransition
from booking.holds import by_whom
from booking.model import Booking
from booking.repository import audit, bookings
from events import Transaction
from events.contracts.booking import AppointmentRequested
from servicekit.auth import DESK, Principal, hash_token, new_manage_token
from servicekit.capabilities import CustomerToken, PaymentRequest
from servicekit.problems import ValidationFailed
from servicekit.sealing import Sealer
from servicekit.signing import Signer

PAYMENT_REQUEST_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks for besides the time: who it is for, and what only staff may say."""

    customer: CustomerToken
    details: dict[str, Any]
    external_ref: str | None = None
    at_the_desk: bool = False
    override: str | None = None
    """Why a rule of the clinic is broken."""
    series_id: UUID | None = None


def require_desk_words(
    tenant_id: UUID, asking: Principal, *, pay: str | None, override: bool, reason: str | None
) -> None:
    """403 for those who may not say `pay: desk` or `override`; 422 for an override without a reason."""
    if pay == "desk" or override:
        asking.require_role(tenant_id, DESK)
    if override and not reason:
        raise ValidationFailed.of("reason", "is required with override: it goes into the audit")


async def request(
    tx: Transaction, hold: Booking, asked: Request, *, asking: Principal, most_unverified: int, sealer: Sealer
) -> tuple[Booking, str]:
    """Turns a locked hold into an appointment; confirmed at once where nothing is due and nobody must approve.
    Returns it with its manage token."""
    if decide(hold.state, Trigger.REQUEST) is not Action.CONVERT or hold.moves is not None:
        if hold.is_appointment or hold.moves is not None:
            raise HoldUsed("This hold has become an appointment already. Nothing was booked again.")
        raise HoldExpired("The hold has run out. Nothing was booked; hold a time again.")
    customer = asked.customer
    staff = asking.is_staff(tx.tenant_id)
    if not (customer.verified or staff) and (
        await bookings.live_appointments(tx, customer.person_id) >= most_unverified
    ):
        raise Hoarding(
            f"This address has {most_unverified} coming appointments here and was never verified. Nothing was booked;"
            " sign in with a verified address, or cancel one of them.",
            retry_after=3600,
        )
    verified = customer.verified or staff
    if asked.override is None:
        if offers.read_again(hold.offer).override:
            raise ValidationFailed.of("override", "is needed, with a reason: this time was offered against a rule")
        offering, tenant = await catalogue.offering(tx, hold.offering_id), await catalogue.tenant(tx)
        await rules.check_patient(
            tx, hold, offering.rules, customer.person_id, verified=verified, time_zone=tenant.time_zone
        )
    else:
        await audit.write(tx, asking.user_id, "override", hold.id, asked.override)
    amount_due = 0 if asked.at_the_desk else hold.amount_due
    token = new_manage_token()
    booking = await bookings.update(
        tx,
        hold,
        status=State.PENDING_PAYMENT.value,
        manage_token=hash_token(token),
        manage_sealed=sealer.seal(token, str(hold.id)),
        person_id=customer.person_id,
        contact_id=customer.contact_id,
        user_id=customer.user_id or (hold.user_id if not staff else None),
        locale=customer.locale,
        verified=verified,
        amount_due=amount_due,
        payment_status="pending" if amount_due else "none",
        details=asked.details,
        external_ref=asked.external_ref,
        series_id=asked.series_id,
    )
    await bookings.note(tx, booking.id, "requested", by_whom(asking, tx.tenant_id))
    await waitlist.taken(tx, booking)
    await tx.emit(
        AppointmentRequested(
            **booking.appointment_fact(),
            mode=booking.mode,
            price=booking.money(booking.price),
            amount_due=booking.money(booking.amount_due),
            expires_at=booking.expires_at,
        ),
        correlation_id=booking.id,
    )
    if booking.amount_due == 0:
        booking = await saga.accept(tx, booking, payment_id=None)
    return booking, token


async def check_return_url(tx: Transaction, public_url: str, return_url: str | None) -> None:
    """Patients are sent back to our own pages, or to an origin that the clinic allows; 422 otherwise."""
    if return_url is None:
        return
    tenant = await catalogue.tenant(tx)
    if _origin(return_url) not in {_origin(url) for url in (public_url, *tenant.settings.allowed_origins)}:
        raise ValidationFailed.of("return_url", "its origin is not one of the clinic's allowed_origins")


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


async def payment_request(
    tx: Transaction, signer: Signer, booking: Booking, asking: Principal, *, return_url: str | None
) -> str | None:
    """What the gateway hands to payment, signed; None when nothing is to be paid now."""
    if booking.state is not State.PENDING_PAYMENT or booking.amount_due == 0:
        return None
    return await _signed(tx, signer, booking, booking, asking, return_url)


async def difference_request(
    tx: Transaction, signer: Signer, booking: Booking, kept: Booking | None, asking: Principal
) -> str | None:
    """The same for the difference to a dearer time, which is held by a booking of its own."""
    return await _signed(tx, signer, kept, booking, asking, None) if kept is not None else None


async def _signed(
    tx: Transaction, signer: Signer, due: Booking, patient: Booking, asking: Principal, return_url: str | None
) -> str:
    """`due` is what is paid for, `patient` the appointment that knows whom to ask."""
    offering = await catalogue.offering(tx, due.offering_id)
    expires = min(int(time.time()) + PAYMENT_REQUEST_SECONDS, int(due.expires_at.timestamp()) + 1)
    assert patient.person_id is not None
    assert patient.contact_id is not None
    return signer.sign(
        PaymentRequest(
            expires=expires,
            tenant_id=due.tenant_id,
            booking_id=due.id,
            booking_version=due.version,
            mode=due.mode,
            capture=due.mode != "authorize" and not due.needs_approval,
            amount=due.amount_due,
            currency=due.currency,
            price=due.price,
            hold_ends=int(due.expires_at.timestamp()),
            contact_id=patient.contact_id,
            person_id=patient.person_id,
            locale=patient.locale or "en",
            slot_id=due.slot_id,
            offering_id=due.offering_id,
            offering_name=offering.name,
            start=int(due.start_at.timestamp()),
            return_url=return_url or patient.details.get("return_url"),
            actor_kind="staff" if asking.is_staff(tx.tenant_id) else "user" if asking.user_id else "guest",
            user_id=asking.user_id,
        )
    )


async def checkout(tx: Transaction, booking_id: UUID, asking: Principal) -> Booking:
    """The appointment if it can still be paid for; 410 when its time is over, 409 when nothing is to be paid."""
    booking = await access.visible(tx, booking_id, asking)
    in_grace = booking.status is State.PENDING_PAYMENT and booking.expires_at <= datetime.now(UTC)
    if booking.state is State.EXPIRED or in_grace:
        raise HoldExpired("The time to pay is over and the time was released. Nothing was charged; book again.")
    if decide(booking.state, Trigger.CHECKOUT) is not Action.PAY_AGAIN or booking.amount_due == 0:
        raise IllegalTransition("Nothing is to be paid for this appointment now. It was not changed.")
    return booking
