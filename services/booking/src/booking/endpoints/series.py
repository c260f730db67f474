"""Series of visits."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends

from booking import cursors, series
from booking.appointments import Request, require_desk_words
from booking.edge import Composed, Cursor, Customer, Limit, Settings, public
from booking.list_schemas import (
    OccurrenceIn,
    SeriesCancellation,
    SeriesCreate,
    SeriesPage,
    SeriesRescheduling,
    SeriesView,
)
from booking.repository import series as rows
from booking.repository.series import Series
from booking.series import Booker, Occurrence
from servicekit.auth import STAFF
from servicekit.edge import Asking, TenantTx

router = public()


def _booker(asking: Asking, service: Composed, settings: Settings) -> Booker:
    return Booker(service.database, service.signer("offers"), service.sealer("links"), settings, asking)


Booking = Annotated[Booker, Depends(_booker)]


def _occurrences(given: list[OccurrenceIn]) -> list[Occurrence]:
    return [Occurrence(one.start, one.slot_id, one.alternatives, one.appointment_id) for one in given]


def _view(row: Series, occurrences: list[dict[str, Any]], token: str | None = None) -> dict[str, Any]:
    view = {
        "id": row.id,
        "status": row.status,
        "offering_id": row.offering_id,
        "rrule": row.rrule,
        "occurrences": occurrences,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }
    return view | ({"manage_token": token} if token else {})


@router.post("/series", status_code=201, response_model=SeriesView, response_model_exclude_unset=True)
async def create_series(clinic: UUID, body: SeriesCreate, customer: Customer, booker: Booking) -> Any:
    """Book visits that come back at the same local time; what cannot be had comes back with alternatives."""
    require_desk_words(clinic, booker.asking, pay=body.pay, override=False, reason=None)
    asked = Request(customer=customer[0], details={"pay": body.pay}, at_the_desk=body.pay == "desk")
    row, token, answers = await series.create(
        booker, clinic, body.rrule, body.slot_id, _occurrences(body.occurrences), asked
    )
    return _view(row, answers, token)


@router.get("/series", response_model=SeriesPage)
async def list_series(clinic: UUID, asking: Asking, tx: TenantTx, limit: Limit = 50, cursor: Cursor = None) -> Any:
    """Staff's list of series."""
    asking.require_role(clinic, STAFF)
    found = await rows.page(tx, cursors.read(cursor), limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    return {
        "data": [_view(row, []) for row in found[:limit]],
        "next_cursor": cursors.write(last.created_at, last.id) if last else None,
    }


@router.get("/series/{series_id}", response_model=SeriesView, response_model_exclude_unset=True)
async def get_series(series_id: UUID, asking: Asking, tx: TenantTx) -> Any:
    """A series and what became of its visits."""
    row = await series.visible(tx, series_id, asking)
    return _view(row, await series.shown(tx, row))


@router.put("/series/{series_id}/cancel", response_model=SeriesView, response_model_exclude_unset=True)
async def cancel_series(
    clinic: UUID, series_id: UUID, body: SeriesCancellation, asking: Asking, service: Composed
) -> Any:
    """Call off this one, this and the following, or all."""
    row = await series.cancel(service.database, clinic, series_id, asking, body.scope, body.appointment_id)
    async with service.database.transaction(clinic) as tx:
        return _view(row, await series.shown(tx, row))


@router.put("/series/{series_id}/reschedule", response_model=SeriesView, response_model_exclude_unset=True)
async def reschedule_series(clinic: UUID, series_id: UUID, body: SeriesRescheduling, booker: Booking) -> Any:
    """Move this one, this and the following, or all; what cannot be had is kept as it is."""
    row, answers = await series.reschedule(booker, clinic, series_id, _occurrences(body.occurrences))
    return _view(row, answers)
