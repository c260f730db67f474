"""Appointments: what people ask for. What money does to them is in saga.py."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from booking import catalogue, holds, repository, saga
from booking.domain import Action, CancellationTerms, State, Trigger, cancellation_fee, decide
from booking.errors import Hoarding, HoldExpired, HoldUsed, IllegalTransition
from booking.holds import by_whom
from booking.model import Booking, vacated
from booking.schemas import Cancellation
from events import Transaction
from events.contracts.availability import OfferingState
from events.contracts.booking import AppointmentRequested, BookingCancelled, BookingRejected
from servicekit import copies
from servicekit.auth import DESK, Principal, hash_token, new_manage_token
from servicekit.capabilities import CustomerToken, PaymentRequest
from servicekit.problems import Forbidden, NotFound, ValidationFailed
from servicekit.sealing import Sealer
from servicekit.signing import Signer

PAYMENT_REQUEST_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Refund:
    """What goes back when an appointment is cancelled, in the smallest unit."""

    amount: int
    fee: int
    status: str


async def request(
    tx: Transaction,
    hold: Booking,
    customer: CustomerToken,
    *,
    asking: Principal,
    details: dict[str, Any],
    external_ref: str | None,
    most_unverified: int,
    sealer: Sealer,
) -> tuple[Booking, str]:
    """Turns a locked hold into an appointment; confirmed at once where nothing is due and nobody must approve.
    Returns it with its manage token."""
    action = decide(hold.state, Trigger.REQUEST)
    if action is not Action.CONVERT:
        if hold.is_appointment:
            raise HoldUsed("This hold has become an appointment already. Nothing was booked again.")
        raise HoldExpired("The hold has run out. Nothing was booked; hold a time again.")
    verified = customer.verified or asking.is_staff(tx.tenant_id)
    if not verified and await repository.live_appointments(tx, customer.person_id) >= most_unverified:
        raise Hoarding(
            f"This address has {most_unverified} coming appointments here and was never verified. Nothing was booked;"
            " sign in with a verified address, or cancel one of them.",
            retry_after=3600,
        )
    token = new_manage_token()
    booking = await repository.update(
        tx,
        hold,
        status=State.PENDING_PAYMENT.value,
        manage_token=hash_token(token),
        manage_sealed=sealer.seal(token, str(hold.id)),
        person_id=customer.person_id,
        contact_id=customer.contact_id,
        user_id=customer.user_id or (hold.user_id if not asking.is_staff(tx.tenant_id) else None),
        locale=customer.locale,
        payment_status="pending" if hold.amount_due else "none",
        details=details,
        external_ref=external_ref,
    )
    await repository.note(tx, booking.id, "requested", by_whom(asking, booking))
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
    offering = await repository_offering(tx, booking)
    expires = min(int(time.time()) + PAYMENT_REQUEST_SECONDS, int(booking.expires_at.timestamp()) + 1)
    assert booking.person_id is not None
    assert booking.contact_id is not None
    return signer.sign(
        PaymentRequest(
            expires=expires,
            tenant_id=booking.tenant_id,
            booking_id=booking.id,
            booking_version=booking.version,
            mode=booking.mode,
            capture=booking.mode != "authorize" and not booking.needs_approval,
            amount=booking.amount_due,
            currency=booking.currency,
            price=booking.price,
            hold_ends=int(booking.expires_at.timestamp()),
            contact_id=booking.contact_id,
            person_id=booking.person_id,
            locale=booking.locale or "en",
            slot_id=booking.slot_id,
            offering_id=booking.offering_id,
            offering_name=offering.name,
            start=int(booking.start_at.timestamp()),
            return_url=return_url or booking.details.get("return_url"),
            actor_kind="staff" if asking.is_staff(tx.tenant_id) else "user" if asking.user_id else "guest",
            user_id=asking.user_id,
        )
    )


async def repository_offering(tx: Transaction, booking: Booking) -> OfferingState:
    """The booking's offering as it is now."""
    return await copies.expect(tx, OfferingState, f"offering:{booking.offering_id}")


async def checkout(tx: Transaction, booking_id: UUID, asking: Principal) -> Booking:
    """The appointment if it can still be paid for; 410 when its time is over, 409 when nothing is to be paid."""
    booking = await visible(tx, booking_id, asking)
    in_grace = booking.status is State.PENDING_PAYMENT and booking.expires_at <= datetime.now(UTC)
    if booking.state is State.EXPIRED or in_grace:
        raise HoldExpired("The time to pay is over and the time was released. Nothing was charged; book again.")
    if decide(booking.state, Trigger.CHECKOUT) is not Action.PAY_AGAIN or booking.amount_due == 0:
        raise IllegalTransition("Nothing is to be paid for this appointment now. It was not changed.")
    return booking


async def cancel(
    tx: Transaction, booking_id: UUID, asking: Principal, body: Cancellation, *, preview: bool
) -> tuple[Booking, Refund]:
    """Calls the appointment off, or only says what that would give back. Again: as the first time."""
    booking = await locked(tx, booking_id, asking)
    by_staff = asking.is_staff(tx.tenant_id)
    if by_staff and not asking.is_staff(tx.tenant_id, DESK):
        raise Forbidden("Cancelling needs the front desk, a manager or the owner. Nothing was changed.")
    action = decide(booking.state, Trigger.CANCEL)
    if action is Action.SAME_ANSWER:
        return booking, _refund(booking, booking.fee)
    if action is not Action.CALL_OFF:
        raise IllegalTransition(f"An appointment that is {booking.state} cannot be cancelled. It was not changed.")
    fee = 0
    if booking.status is State.CONFIRMED and (body.charge_fee or not by_staff):
        terms = CancellationTerms(booking.terms["free_until_minutes"], booking.terms["fee_percent"])
        fee = cancellation_fee(
            terms, price=booking.price, paid=booking.paid, start=booking.start_at, now=datetime.now(UTC)
        )
    if preview:
        return booking, _refund(booking, fee)
    was_confirmed = booking.status is State.CONFIRMED
    slot = await repository.free(tx, booking)
    booking = await repository.update(
        tx,
        booking,
        status=State.CANCELLED.value,
        seated=False,
        fee=fee,
        details=booking.details | {"reason": body.reason},
    )
    await repository.note(tx, booking.id, "cancelled", by_whom(asking, booking))
    await tx.emit(
        BookingCancelled(
            **booking.appointment_fact(),
            by="staff" if by_staff else "patient",
            fee=booking.money(fee),
            was_confirmed=was_confirmed,
        ),
        *vacated(booking, slot),
        *slot.change(),
        correlation_id=booking.id,
    )
    return booking, _refund(booking, fee)


def _refund(booking: Booking, fee: int) -> Refund:
    if booking.payment_status == "voided":
        return Refund(booking.paid, fee, "voided")
    if booking.payment_status in ("refunded", "partially_refunded"):
        return Refund(booking.refunded, fee, "succeeded")
    amount = max(0, booking.paid - fee)
    return Refund(amount, fee, "pending" if amount else "none")


async def approve(tx: Transaction, booking_id: UUID, asking: Principal) -> Booking:
    """The clinic says yes."""
    booking = await _for_desk(tx, booking_id, asking)
    action = decide(booking.state, Trigger.APPROVE)
    if action is Action.SAME_ANSWER:
        return booking
    if action is not Action.CONFIRM:
        raise IllegalTransition(f"An appointment that is {booking.state} cannot be approved. It was not changed.")
    return await saga.confirm(tx, booking, payment_id=booking.payment_id, by=by_whom(asking, booking))


async def reject(tx: Transaction, booking_id: UUID, asking: Principal, *, why: str | None) -> Booking:
    """The clinic says no: the time is free, everything goes back."""
    booking = await _for_desk(tx, booking_id, asking)
    action = decide(booking.state, Trigger.REJECT)
    if action is Action.SAME_ANSWER:
        return booking
    if action is not Action.TURN_DOWN:
        raise IllegalTransition(f"An appointment that is {booking.state} cannot be rejected. It was not changed.")
    return await turn_down(tx, booking, reason="rejected", by=by_whom(asking, booking), why=why)


async def turn_down(tx: Transaction, booking: Booking, *, reason: str, by: str, why: str | None = None) -> Booking:
    """Ends a locked booking that waited for approval."""
    slot = await repository.free(tx, booking)
    booking = await repository.update(
        tx, booking, status=State.REJECTED.value, seated=False, details=booking.details | {"reason": why}
    )
    await repository.note(tx, booking.id, "rejected", by)
    await tx.emit(
        BookingRejected(**booking.appointment_fact(), reason=reason),
        *vacated(booking, slot),
        *slot.change(),
        correlation_id=booking.id,
    )
    return booking


async def end_overdue(tx: Transaction, booking_id: UUID) -> None:
    """The job's part: what waited too long is ended. Nothing when somebody was faster."""
    booking = await repository.lock(tx, booking_id)
    if booking is None or not booking.overdue:
        return
    action = decide(booking.status, Trigger.TIME_RAN_OUT)
    if action is Action.FREE:
        await holds.expire(tx, booking)
    elif action is Action.TURN_DOWN:
        await turn_down(tx, booking, reason="deadline", by="system")


async def visible(tx: Transaction, booking_id: UUID, asking: Principal) -> Booking:
    """The appointment if it is the asker's to see, else 404."""
    return _mine(tx, await repository.find(tx, booking_id), asking)


async def locked(tx: Transaction, booking_id: UUID, asking: Principal) -> Booking:
    """The same, locked."""
    return _mine(tx, await repository.lock(tx, booking_id), asking)


async def _for_desk(tx: Transaction, booking_id: UUID, asking: Principal) -> Booking:
    booking = await locked(tx, booking_id, asking)
    asking.require_role(tx.tenant_id, DESK)
    return booking


def _mine(tx: Transaction, booking: Booking | None, asking: Principal) -> Booking:
    if booking is None or not booking.is_appointment:
        raise NotFound("There is no such appointment, or it is not yours to see.")
    asking.require_visible(tx.tenant_id, owner=booking.user_id, token_hash=booking.manage_token, what="appointment")
    return booking
