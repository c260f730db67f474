"""Appointments: what patients and staff do with one."""

from typing import Annotated, Any
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Query, Response
from pydantic import AwareDatetime

from booking import access, appointments, calendar, cursors, differences, endings, holds, presenting
from booking.appointments import Request
from booking.edge import Composed, Cursor, Customer, Limit, Settings, present, present_all, public
from booking.repository import bookings
from booking.schemas import (
    Agenda,
    AppointmentCreate,
    AppointmentStatus,
    AppointmentView,
    Cancellation,
    Rescheduling,
)
from servicekit.auth import Principal
from servicekit.edge import Asking, TenantTx
from servicekit.problems import NotFound

router = public()


@router.post("/appointments", status_code=201, response_model=AppointmentView, response_model_exclude_unset=True)
async def request_appointment(
    clinic: UUID,
    body: AppointmentCreate,
    asking: Asking,
    service: Composed,
    settings: Settings,
    customer: Customer,
    tx: TenantTx,
) -> Any:
    """Turn a hold into an appointment."""
    token, contact = customer
    appointments.require_desk_words(clinic, asking, pay=body.pay, override=body.override, reason=body.reason)
    await appointments.check_return_url(tx, service.settings.public_url, body.return_url)
    if body.slot_id is not None:
        wanted = holds.wish(
            service.signer("offers"),
            settings,
            tenant_id=clinic,
            slot_id=body.slot_id,
            seats=body.seats,
            asking=asking,
            origin=None,
            override=body.override,
        )
        hold = await holds.make(tx, wanted)
    else:
        assert body.hold_id is not None
        bearer = Principal(asking.user_id, asking.roles, asking.operator, asking.verified, body.hold_token)
        hold = await holds.locked(tx, body.hold_id, bearer)
    asked = Request(
        customer=token,
        details=body.model_dump(include={"metadata", "notes", "consents", "return_url", "pay"}),
        external_ref=body.external_ref,
        at_the_desk=body.pay == "desk",
        override=body.reason if body.override else None,
    )
    booking, manage_token = await appointments.request(
        tx,
        hold,
        asked,
        asking=asking,
        most_unverified=settings.max_unverified_appointments,
        sealer=service.sealer("links"),
    )
    due = await appointments.payment_request(
        tx, service.signer("payment_requests"), booking, asking, return_url=body.return_url
    )
    staff = asking.is_staff(clinic)
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
    offering: UUID | None = None,
    status: AppointmentStatus | None = None,
    external_ref: Annotated[str | None, Query(max_length=255)] = None,
    updated_since: AwareDatetime | None = None,
    q: Annotated[str | None, Query(min_length=1, max_length=200, description="of the customer")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Any:
    """Staff's agenda, by start."""
    asking.require_user()
    if not asking.is_staff(clinic):
        raise NotFound("There is no such clinic, or its agenda is not yours to see.")
    conditions = {
        "since": since,
        "until": until,
        "provider": provider,
        "offering": offering,
        "status": status,
        "external_ref": external_ref,
        "updated_since": updated_since,
        "people": await service.people.search(clinic, q) if q is not None else None,
    }
    async with service.database.transaction(clinic) as tx:
        conditions["providers"] = await access.own_providers(tx, asking)
        found = await bookings.agenda(tx, conditions=conditions, after=cursors.read(cursor), limit=limit + 1)
    page = found[:limit]
    last = page[-1] if len(found) > limit else None
    return {
        "data": await present_all(service, clinic, page, staff=True),
        "next_cursor": cursors.write(last.start_at, last.id) if last else None,
    }


@router.get("/appointments/{booking_id}", response_model=AppointmentView, response_model_exclude_unset=True)
async def get_appointment(clinic: UUID, booking_id: UUID, asking: Asking, service: Composed) -> Any:
    """The appointment; staff also see its history."""
    async with service.database.transaction(clinic) as tx:
        booking = await access.visible(tx, booking_id, asking)
    return await present(service, clinic, booking, staff=asking.is_staff(clinic))


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
    body = body or Cancellation()
    async with service.database.transaction(clinic) as tx:
        booking, refund = await endings.cancel(
            tx, booking_id, asking, reason=body.reason, charge_fee=body.charge_fee, preview=preview
        )
    return await present(service, clinic, booking, staff=asking.is_staff(clinic), refund=refund)


@router.put("/appointments/{booking_id}/reschedule", response_model=AppointmentView, response_model_exclude_unset=True)
async def reschedule_appointment(
    clinic: UUID, booking_id: UUID, body: Rescheduling, asking: Asking, service: Composed, settings: Settings
) -> Any:
    """Another time in exchange for this one, or 409 and nothing changes. A dearer one is held (`move`) until the
    difference is paid; the old one is kept as long."""
    async with service.database.transaction(clinic) as tx:
        booking, kept = await differences.reschedule(
            tx, service.signer("offers"), settings, booking_id, body.slot_id, asking
        )
        due = await appointments.difference_request(tx, service.signer("payment_requests"), booking, kept, asking)
    staff = asking.is_staff(clinic)
    return await present(service, clinic, booking, staff=staff, move=kept, payment_request=due)


@router.post("/appointments/{booking_id}/checkout", response_model=AppointmentView, response_model_exclude_unset=True)
async def open_checkout(clinic: UUID, booking_id: UUID, asking: Asking, service: Composed) -> Any:
    """Another try to pay, while the hold lives."""
    async with service.database.transaction(clinic) as tx:
        booking = await appointments.checkout(tx, booking_id, asking)
        due = await appointments.payment_request(
            tx, service.signer("payment_requests"), booking, asking, return_url=None
        )
    return await present(service, clinic, booking, staff=asking.is_staff(clinic), payment_request=due)


@router.get(
    "/appointments/{booking_id}/calendar.ics",
    response_class=Response,
    responses={200: {"content": {"text/calendar": {}}}},
)
async def get_calendar_file(booking_id: UUID, asking: Asking, service: Composed, tx: TenantTx) -> Response:
    """The visit for a calendar; a later file of the same visit replaces it there."""
    booking = await access.visible(tx, booking_id, asking)
    host = urlsplit(service.settings.public_url).hostname or "localhost"
    content = await calendar.file_of(tx, booking, service.settings.public_url, host)
    headers = {"Content-Disposition": 'attachment; filename="visit.ics"', "Cache-Control": "no-store"}
    return Response(content, media_type="text/calendar; charset=utf-8", headers=headers)
