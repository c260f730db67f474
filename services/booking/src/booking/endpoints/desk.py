"""What the front desk does with appointments and sessions."""

from typing import Any
from uuid import UUID

from booking import endings, sessions
from booking.edge import Composed, present, public
from booking.schemas import AppointmentView, Rejection, SessionCancellation, SessionView
from servicekit.edge import Asking, TenantTx

router = public()
_SHOWN: dict[str, Any] = {"response_model": AppointmentView, "response_model_exclude_unset": True}


@router.post("/appointments/{booking_id}/approve", **_SHOWN)
async def approve_appointment(clinic: UUID, booking_id: UUID, asking: Asking, service: Composed) -> Any:
    """The clinic says yes."""
    async with service.database.transaction(clinic) as tx:
        booking = await endings.approve(tx, booking_id, asking)
    return await present(service, clinic, booking, staff=True)


@router.post("/appointments/{booking_id}/reject", **_SHOWN)
async def reject_appointment(
    clinic: UUID, booking_id: UUID, asking: Asking, service: Composed, body: Rejection | None = None
) -> Any:
    """The clinic says no."""
    async with service.database.transaction(clinic) as tx:
        booking = await endings.reject(tx, booking_id, asking, why=body.reason if body else None)
    return await present(service, clinic, booking, staff=True)


@router.post("/appointments/{booking_id}/complete", **_SHOWN)
async def complete_appointment(clinic: UUID, booking_id: UUID, asking: Asking, service: Composed) -> Any:
    """The visit took place."""
    async with service.database.transaction(clinic) as tx:
        booking = await endings.complete(tx, booking_id, asking)
    return await present(service, clinic, booking, staff=True)


@router.post("/appointments/{booking_id}/no-show", **_SHOWN)
async def miss_appointment(clinic: UUID, booking_id: UUID, asking: Asking, service: Composed) -> Any:
    """Nobody came."""
    async with service.database.transaction(clinic) as tx:
        booking = await endings.miss(tx, booking_id, asking)
    return await present(service, clinic, booking, staff=True)


@router.put("/appointments/{booking_id}/arrive", **_SHOWN)
async def arrive(clinic: UUID, booking_id: UUID, asking: Asking, service: Composed) -> Any:
    """The patient is here."""
    async with service.database.transaction(clinic) as tx:
        booking = await endings.arrive(tx, booking_id, asking, arrived=True)
    return await present(service, clinic, booking, staff=True)


@router.delete("/appointments/{booking_id}/arrive", **_SHOWN)
async def undo_arrival(clinic: UUID, booking_id: UUID, asking: Asking, service: Composed) -> Any:
    """The patient is not here after all."""
    async with service.database.transaction(clinic) as tx:
        booking = await endings.arrive(tx, booking_id, asking, arrived=False)
    return await present(service, clinic, booking, staff=True)


@router.post("/sessions/cancel", response_model=SessionView)
async def cancel_session(body: SessionCancellation, asking: Asking, tx: TenantTx) -> Any:
    """A class falls out: everybody is told and gets everything back."""
    gone = await sessions.cancel(tx, asking, body.offering_id, body.provider_id, body.start, body.reason)
    return body.model_dump(exclude={"reason"}) | {"status": "cancelled", "appointment_ids": gone}
