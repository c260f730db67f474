"""HTTP in: locations."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response

from availability import catalogue, locations, schemas
from availability.edge import CLINIC, Clinic, Cursor, IfMatch, Limit, Managing, Patch, SortBy, UpdatedSince
from availability.presenting import shown, tagged
from servicekit.edge import Asking, TenantTx
from servicekit.idempotency import IdempotentRoute

router = APIRouter(route_class=IdempotentRoute)


@router.get(f"{CLINIC}/locations", response_model=schemas.Locations, response_model_exclude_unset=True)
async def list_locations(
    clinic: UUID,
    asking: Asking,
    tx: TenantTx,
    limit: Limit = 50,
    cursor: Cursor = None,
    updated_since: UpdatedSince = None,
    sort: SortBy = "created_at",
) -> Any:
    """Where visits happen."""
    rows, following = await catalogue.page(
        tx, "location", filters={}, limit=limit, cursor=cursor, updated_since=updated_since, sort=sort
    )
    staff = asking.is_staff(clinic)
    return {"data": [shown(row, schemas.LocationOut, staff=staff) for row in rows], "next_cursor": following}


@router.post(f"{CLINIC}/locations", status_code=201, response_model=schemas.LocationOut)
async def create_location(
    _: Managing, body: schemas.LocationBody, card: Clinic, tx: TenantTx, response: Response
) -> Any:
    """A new location."""
    return tagged(await locations.create(tx, body, card), schemas.LocationOut, response, staff=True)


@router.get(f"{CLINIC}/locations/{{id}}", response_model=schemas.LocationOut, response_model_exclude_unset=True)
async def get_location(clinic: UUID, id: str, asking: Asking, tx: TenantTx, response: Response) -> Any:
    """One location."""
    row = await catalogue.get(tx, "location", id)
    return tagged(row, schemas.LocationOut, response, staff=asking.is_staff(clinic))


@router.patch(f"{CLINIC}/locations/{{id}}", response_model=schemas.LocationOut)
async def change_location(
    _: Managing, id: str, body: Patch, card: Clinic, tx: TenantTx, response: Response, if_match: IfMatch = None
) -> Any:
    """Changes what the patch names."""
    row = await locations.patch(tx, id, body, if_match, card)
    return tagged(row, schemas.LocationOut, response, staff=True)


@router.delete(f"{CLINIC}/locations/{{id}}", status_code=204)
async def delete_location(_: Managing, id: str, tx: TenantTx, if_match: IfMatch = None) -> None:
    """Takes the location away; 409 while resources are there."""
    await locations.delete(tx, id, if_match)
