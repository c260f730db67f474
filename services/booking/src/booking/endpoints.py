"""HTTP in. The clinic of a path is its id: the gateway has turned the slug into it."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import AwareDatetime

from booking import appointments, holds, presenting, repository, saga
from booking.model import Booking
from booking.schemas import (
    Agenda,
    AppointmentCreate,
    AppointmentStatus,
    AppointmentView,
    Cancellation,
    HoldCreate,
    HoldView,
    PaymentFactIn,
    Rejection,
    Settle,
)
from events import Money
from servicekit.auth import Principal
from servicekit.capabilities import CustomerToken, Settlement
from servicekit.edge import Asking, CallingService, TenantTx, service_of
from servicekit.idempotency import IdempotentRoute
from servicekit.people import Contact
from servicekit.problems import Malformed, NotFound, ValidationFailed
from servicekit.service import Service
from servicekit.signing import Expired, Forged

router = APIRouter(prefix="/v1/clinics/{clinic}", route_class=IdempotentRoute)
internal = APIRouter(prefix="/internal/tenants/{clinic}", include_in_schema=False)

Composed = Annotated[Service, Depends(service_of)]
OriginHash = Annotated[str | None, Header(include_in_schema=False, pattern="^[0-9a-f]{16,64}$")]


@router.post("/holds", status_code=201, response_model=HoldView)
async def place_hold(
    body: HoldCreate,
    asking: Asking,
    service: Composed,
    tx: TenantTx,
    response: Response,
    x_origin_hash: OriginHash = None,
) -> Any:
    """Hold a time."""
    booking, token = await holds.place(
        tx,
        service.signer("offers"),
        service.settings,  # type: ignore[arg-type]
        slot_id=body.slot_id,
        seats=body.seats,
        asking=asking,
        origin=bytes.fromhex(x_origin_hash) if x_origin_hash else None,
    )
    response.headers["Cache-Control"] = "no-store"
    return await presenting.hold(tx, booking, token)


@router.get("/holds/{hold_id}", response_model=HoldView, response_model_exclude_unset=True)
async def get_hold(hold_id: UUID, asking: Asking, tx: TenantTx) -> Any:
    """The hold, also after its end."""
    return await presenting.hold(tx, await holds.visible(tx, hold_id, asking))


@router.post("/holds/{hold_id}/renew", response_model=HoldView, response_model_exclude_unset=True)
async def renew_hold(hold_id: UUID, asking: Asking, tx: TenantTx) -> Any:
    """Once, for its length more."""
    return await presenting.hold(tx, await holds.renew(tx, hold_id, asking))


@router.delete("/holds/{hold_id}", status_code=204)
async def release_hold(hold_id: UUID, asking: Asking, tx: TenantTx) -> None:
    """Give it up."""
    await holds.release(tx, hold_id, asking)


async def customer_of(request: Request, clinic: UUID, service: Composed) -> tuple[CustomerToken, Contact]:
    """The person of the request, verified, with the contact data: fetched before the transaction begins."""
    try:
        text = (await request.json())["customer_token"]
    except ValueError as error:
        raise Malformed("The body is not valid JSON. Nothing was stored.") from error
    except (KeyError, TypeError) as error:
        raise ValidationFailed.of("customer", "is missing") from error
    try:
        token = service.signer("customers").verify(str(text), CustomerToken, leeway=30)
    except (Forged, Expired) as error:
        raise ValidationFailed.of("customer", "could not be verified; send the request again") from error
    if token.tenant_id != clinic:
        raise ValidationFailed.of("customer", "belongs to another clinic")
    return token, await service.people.contact(clinic, token.contact_id)


@router.post("/appointments", status_code=201, response_model=AppointmentView, response_model_exclude_unset=True)
async def request_appointment(
    body: AppointmentCreate,
    asking: Asking,
    service: Composed,
    customer: Annotated[tuple[CustomerToken, Contact], Depends(customer_of)],
    tx: TenantTx,
) -> Any:
    """Turn a hold into an appointment."""
    token, contact = customer
    await appointments.check_return_url(tx, service.settings.public_url, body.return_url)
    if body.slot_id is not None:
        hold, _ = await holds.place(
            tx,
            service.signer("offers"),
            service.settings,  # type: ignore[arg-type]
            slot_id=body.slot_id,
            seats=body.seats,
            asking=asking,
            origin=None,
        )
    else:
        assert body.hold_id is not None
        bearer = Principal(asking.user_id, asking.roles, asking.operator, asking.verified, body.hold_token)
        hold = await holds.locked(tx, body.hold_id, bearer)
    details = {
        "metadata": body.metadata,
        "notes": body.notes,
        "consents": body.consents,
        "return_url": body.return_url,
    }
    booking, manage_token = await appointments.request(
        tx,
        hold,
        token,
        asking=asking,
        details=details,
        external_ref=body.external_ref,
        most_unverified=service.settings.max_unverified_appointments,  # type: ignore[attr-defined]
        sealer=service.sealer("links"),
    )
    due = await appointments.payment_request(
        tx, service.signer("payment_requests"), booking, asking, return_url=body.return_url
    )
    staff = asking.is_staff(booking.tenant_id)
    return await presenting.appointment(
        tx, service, booking, contact, staff=staff, token=manage_token, payment_request=due
    )


@router.get("/appointments", response_model=Agenda)
async def list_appointments(
    clinic: UUID,
    asking: Asking,
    service: Composed,
    since: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    until: Annotated[AwareDatetime | None, Query(alias="to")] = None,
    provider: UUID | None = None,
    status: AppointmentStatus | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Any:
    """Staff's agenda, by start."""
    asking.require_user()
    if not asking.is_staff(clinic):
        raise NotFound("There is no such clinic, or its agenda is not yours to see.")
    async with service.database.transaction(clinic) as tx:
        found = await repository.agenda(
            tx,
            since=since,
            until=until,
            provider_id=provider,
            status=status,
            after=_read_cursor(cursor),
            limit=limit + 1,
        )
    page = found[:limit]
    data = [await _present(service, clinic, booking, staff=True) for booking in page]
    last = page[-1] if len(found) > limit else None
    return {"data": data, "next_cursor": _cursor(last) if last else None}


def _cursor(booking: Booking) -> str:
    return urlsafe_b64encode(f"{booking.start_at.isoformat()} {booking.id}".encode()).decode()


def _read_cursor(cursor: str | None) -> tuple[datetime, UUID] | None:
    if cursor is None:
        return None
    try:
        start, _, booking_id = urlsafe_b64decode(cursor).decode().partition(" ")
        return datetime.fromisoformat(start), UUID(booking_id)
    except ValueError as error:
        raise ValidationFailed.of("cursor", "is not one of ours") from error


@router.get("/appointments/{booking_id}", response_model=AppointmentView, response_model_exclude_unset=True)
async def get_appointment(clinic: UUID, booking_id: UUID, asking: Asking, service: Composed) -> Any:
    """The appointment; staff also see its history."""
    async with service.database.transaction(clinic) as tx:
        booking = await appointments.visible(tx, booking_id, asking)
    return await _present(service, clinic, booking, staff=asking.is_staff(clinic))


@router.put("/appointments/{booking_id}/cancel", response_model=AppointmentView, response_model_exclude_unset=True)
async def cancel_appointment(
    clinic: UUID,
    booking_id: UUID,
    asking: Asking,
    service: Composed,
    body: Cancellation | None = None,
    preview: bool = False,
) -> Any:
    """Call it off; `preview` only tells what would go back."""
    async with service.database.transaction(clinic) as tx:
        booking, refund = await appointments.cancel(tx, booking_id, asking, body or Cancellation(), preview=preview)
    return await _present(service, clinic, booking, staff=asking.is_staff(clinic), refund=refund)


@router.post("/appointments/{booking_id}/approve", response_model=AppointmentView, response_model_exclude_unset=True)
async def approve_appointment(clinic: UUID, booking_id: UUID, asking: Asking, service: Composed) -> Any:
    """The clinic says yes."""
    async with service.database.transaction(clinic) as tx:
        booking = await appointments.approve(tx, booking_id, asking)
    return await _present(service, clinic, booking, staff=True)


@router.post("/appointments/{booking_id}/reject", response_model=AppointmentView, response_model_exclude_unset=True)
async def reject_appointment(
    clinic: UUID, booking_id: UUID, asking: Asking, service: Composed, body: Rejection | None = None
) -> Any:
    """The clinic says no."""
    async with service.database.transaction(clinic) as tx:
        booking = await appointments.reject(tx, booking_id, asking, why=body.reason if body else None)
    return await _present(service, clinic, booking, staff=True)


@router.post("/appointments/{booking_id}/checkout", response_model=AppointmentView, response_model_exclude_unset=True)
async def open_checkout(clinic: UUID, booking_id: UUID, asking: Asking, service: Composed) -> Any:
    """Another try to pay, while the hold lives."""
    async with service.database.transaction(clinic) as tx:
        booking = await appointments.checkout(tx, booking_id, asking)
        due = await appointments.payment_request(
            tx, service.signer("payment_requests"), booking, asking, return_url=None
        )
    return await _present(service, clinic, booking, staff=asking.is_staff(clinic), payment_request=due)


@internal.post("/appointments/{booking_id}/settle")
async def settle(clinic: UUID, booking_id: UUID, body: Settle, service: Composed, _: CallingService) -> Any:
    """Payment says, by way of the gateway, that nothing is due: confirmed in this request."""
    try:
        said = service.signer("settlements").verify(body.settlement, Settlement, leeway=30)
    except (Forged, Expired) as error:
        raise ValidationFailed.of("settlement", "is not one of ours, or is over") from error
    if said.tenant_id != clinic or said.booking_id != booking_id:
        raise ValidationFailed.of("settlement", "is for another appointment")
    async with service.database.transaction(clinic) as tx:
        booking = await repository.find(tx, booking_id)
        nothing = Money(amount=0, currency=booking.currency if booking else "eur")
        booking = await saga.take_money(tx, booking_id, said.payment_id, nothing, status="paid")
    return await _present(service, clinic, booking, staff=False)


@internal.post("/appointments/{booking_id}/payments")
async def take_payment(
    clinic: UUID, booking_id: UUID, body: PaymentFactIn, service: Composed, _: CallingService
) -> dict[str, str]:
    """Payment's last resort, when no answer came by events: confirm or give up now."""
    status = "paid" if body.kind == "succeeded" else "authorized"
    async with service.database.transaction(clinic) as tx:
        booking = await saga.take_money(
            tx,
            booking_id,
            body.payment_id,
            Money(amount=body.amount, currency=body.currency),
            status=status,
        )
    stands = booking.payment_id == body.payment_id and booking.status in ("confirmed", "pending_approval", "completed")
    return {"outcome": booking.status.value if stands else "returned"}


async def _present(service: Service, clinic: UUID, booking: Booking, **more: Any) -> dict[str, Any]:
    contact = await presenting.contact_of(service, clinic, booking)
    async with service.database.transaction(clinic) as tx:
        return await presenting.appointment(tx, service, booking, contact, **more)
