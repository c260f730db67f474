"""Holds. `POST` without an Idempotency-Key is served by `booking.hot`, with the same answers."""

from typing import Any
from uuid import UUID

from fastapi import Response

from booking import holds, presenting
from booking.edge import Composed, OriginHash, Settings, public
from booking.schemas import HoldCreate, HoldView
from servicekit.edge import Asking, TenantTx

router = public()


@router.post("/holds", status_code=201, response_model=HoldView)
async def place_hold(
    clinic: UUID,
    body: HoldCreate,
    asking: Asking,
    service: Composed,
    settings: Settings,
    tx: TenantTx,
    response: Response,
    x_origin_hash: OriginHash = None,
) -> Any:
    """Hold a time."""
    wanted = holds.wish(
        service.signer("offers"),
        settings,
        tenant_id=clinic,
        slot_id=body.slot_id,
        seats=body.seats,
        asking=asking,
        origin=bytes.fromhex(x_origin_hash) if x_origin_hash else None,
    )
    placed = await holds.place(tx, wanted)
    response.headers["Cache-Control"] = "no-store"
    return presenting.placed_hold(wanted, placed)


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
