"""The waitlist."""

from typing import Any, Literal
from uuid import UUID

from booking import cursors, holds, waitlist
from booking.edge import Composed, Cursor, Customer, Limit, Settings, public
from booking.list_schemas import WaitlistCreate, WaitlistPage, WaitlistView
from booking.repository import waitlist as entries
from booking.repository.waitlist import Entry
from servicekit.auth import STAFF
from servicekit.edge import Asking, TenantTx

router = public()


def _view(entry: Entry, token: str | None = None) -> dict[str, Any]:
    view = {
        name: getattr(entry, name)
        for name in ("id", "status", "offering_id", "provider_id", "start", "end", "seats", "created_at", "updated_at")
    }
    if entry.offer_until is not None:
        view |= {"hold_id": entry.hold_id, "offer_until": entry.offer_until}
    return view | ({"manage_token": token} if token else {})


@router.post("/waitlist", status_code=201, response_model=WaitlistView, response_model_exclude_unset=True)
async def join_waitlist(
    clinic: UUID,
    body: WaitlistCreate,
    asking: Asking,
    service: Composed,
    settings: Settings,
    customer: Customer,
    tx: TenantTx,
) -> Any:
    """Wait for a time; the first in line gets it as a hold when one comes free."""
    window = waitlist.Window(body.offering_id, body.provider_id, body.start, body.end, body.seats)
    entry, token = await waitlist.join(
        tx,
        window,
        customer[0],
        service.sealer("links"),
        staff=asking.is_staff(clinic),
        most_unverified=settings.max_unverified_appointments,
    )
    return _view(entry, token)


@router.get("/waitlist", response_model=WaitlistPage, response_model_exclude_unset=True)
async def list_waitlist(
    clinic: UUID,
    asking: Asking,
    tx: TenantTx,
    offering: UUID | None = None,
    status: Literal["waiting", "offered", "taken", "passed"] | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Any:
    """Staff's list, in the order of the line."""
    asking.require_role(clinic, STAFF)
    after = cursors.read(cursor)
    found = await entries.page(
        tx, offering_id=offering, status=status, after=after[1] if after else None, limit=limit + 1
    )
    last = found[limit - 1] if len(found) > limit else None
    return {
        "data": [_view(entry) for entry in found[:limit]],
        "next_cursor": cursors.write(last.created_at, last.id) if last else None,
    }


@router.get("/waitlist/{entry_id}", response_model=WaitlistView, response_model_exclude_unset=True)
async def get_place(entry_id: UUID, asking: Asking, tx: TenantTx) -> Any:
    """One's place, and what is offered."""
    return _view(await waitlist.visible(tx, entry_id, asking))


@router.delete("/waitlist/{entry_id}", status_code=204)
async def leave_waitlist(entry_id: UUID, asking: Asking, tx: TenantTx) -> None:
    """Wait no more; what is offered goes to the next in line."""
    await holds.leave_waitlist(tx, entry_id, asking)
