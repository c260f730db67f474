"""Between services."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from booking import saga, series
from booking.edge import Composed, Limit, present
from booking.list_schemas import Scope, SeriesMove
from booking.repository import audit, bookings
from booking.schemas import AuditEntry, PaymentFactIn, Settle
from events import Money
from servicekit.capabilities import Settlement
from servicekit.edge import Asking, CallingService, TenantTx
from servicekit.problems import ValidationFailed
from servicekit.signing import Expired, Forged

_MAY_AUDIT = frozenset(("owner", "auditor"))

router = APIRouter(prefix="/internal/tenants/{clinic}", include_in_schema=False)


@router.post("/appointments/{booking_id}/settle")
async def settle(clinic: UUID, booking_id: UUID, body: Settle, service: Composed, _: CallingService) -> Any:
    """Payment says, by way of the gateway, that nothing is due: confirmed in this request."""
    try:
        said = service.signer("settlements").verify(body.settlement, Settlement, leeway=30)
    except (Forged, Expired) as error:
        raise ValidationFailed.of("settlement", "is not one of ours, or is over") from error
    if said.tenant_id != clinic or said.booking_id != booking_id:
        raise ValidationFailed.of("settlement", "is for another appointment")
    async with service.database.transaction(clinic) as tx:
        booking = await bookings.find(tx, booking_id)
        nothing = Money(amount=0, currency=booking.currency if booking else "eur")
        booking = await saga.take_money(tx, booking_id, said.payment_id, nothing, status="paid")
    return await present(service, clinic, booking, staff=False)


@router.post("/appointments/{booking_id}/payments")
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


@router.get("/series/{series_id}/occurrences", response_model=SeriesMove)
async def series_to_move(series_id: UUID, scope: Scope, appointment_id: UUID, asking: Asking, tx: TenantTx) -> Any:
    """Which visits of a series a move means, for whoever may see the series."""
    row = await series.visible(tx, series_id, asking)
    anchor, found = await series.to_move(tx, row, scope, appointment_id)
    return {
        "from_start": anchor.start_at,
        "starts": [booking.start_at for booking in found],
        "appointment_ids": [booking.id for booking in found],
    }


@router.get("/audit", response_model=dict[str, list[AuditEntry]])
async def read_audit(
    clinic: UUID,
    asking: Asking,
    tx: TenantTx,
    before: Annotated[AwareDatetime | None, Query()] = None,
    limit: Limit = 50,
) -> Any:
    """Booking's part of the audit, newest first."""
    asking.require_role(clinic, _MAY_AUDIT)
    rows = await audit.read(tx, before, limit)
    data = [
        {
            "id": f"booking-{row['id']}",
            "at": row["at"],
            "actor": {"user_id": row["actor"]},
            "action": row["action"],
            "subject": row["subject"],
            "detail": row["detail"],
        }
        for row in rows
    ]
    return {"data": data}
