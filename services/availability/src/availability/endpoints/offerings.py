"""HTTP in: offerings."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response

from availability import catalogue, offerings, schemas
from availability.edge import (
    CLINIC,
    TENANT,
    Clinic,
    Cursor,
    IfMatch,
    Limit,
    Managing,
    OwnDatabase,
    Patch,
    Searching,
    SortBy,
    UpdatedSince,
)
from availability.presenting import shown, tagged
from servicekit.edge import Asking, CallingService, TenantTx
from servicekit.idempotency import IdempotentRoute

router = APIRouter(route_class=IdempotentRoute)
internal = APIRouter(include_in_schema=False)


def _saved(saved: offerings.Saved, response: Response) -> dict[str, Any]:
    return tagged(saved.row, schemas.OfferingOut, response, staff=True) | {"warnings": saved.warnings}


@router.get(f"{CLINIC}/offerings", response_model=schemas.Offerings, response_model_exclude_unset=True)
async def list_offerings(
    clinic: UUID,
    asking: Asking,
    database: OwnDatabase,
    searching: Searching,
    external_ref: Annotated[schemas.Printed | None, Query(max_length=255)] = None,
    include: Annotated[
        Literal["next_slot"] | None, Query(description="`next_slot`: each with its first free start, null for none")
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    updated_since: UpdatedSince = None,
    sort: SortBy = "created_at",
) -> Any:
    """What can be booked; staff also see what is not active."""
    staff = asking.is_staff(clinic)
    page = offerings.Page(
        {"external_ref": external_ref, "active": None if staff else True}, limit, cursor, updated_since, sort
    )
    listed = await offerings.listed(database, clinic, page, searching if include else None)
    data = [shown(row, schemas.OfferingOut, staff=staff) | listed.next_slot(row["id"]) for row in listed.rows]
    return {"data": data, "next_cursor": listed.following}


@router.post(f"{CLINIC}/offerings", status_code=201, response_model=schemas.SavedOffering)
async def create_offering(
    _: Managing, body: schemas.OfferingBody, card: Clinic, tx: TenantTx, response: Response
) -> Any:
    """A new offering."""
    return _saved(await offerings.create(tx, body, card), response)


@router.get(f"{CLINIC}/offerings/{{id}}", response_model=schemas.OfferingOut, response_model_exclude_unset=True)
async def get_offering(clinic: UUID, id: str, asking: Asking, tx: TenantTx, response: Response) -> Any:
    """One offering."""
    staff = asking.is_staff(clinic)
    return tagged(await catalogue.get(tx, "offering", id, staff=staff), schemas.OfferingOut, response, staff=staff)


@router.patch(f"{CLINIC}/offerings/{{id}}", response_model=schemas.SavedOffering)
async def change_offering(
    _: Managing, id: str, body: Patch, card: Clinic, tx: TenantTx, response: Response, if_match: IfMatch = None
) -> Any:
    """Changes what the patch names; offers that are out keep their price."""
    return _saved(await offerings.patch(tx, id, body, if_match, card), response)


@router.delete(f"{CLINIC}/offerings/{{id}}", status_code=204)
async def delete_offering(_: Managing, id: str, tx: TenantTx, if_match: IfMatch = None) -> None:
    """Takes the offering out of the catalogue; what is booked stays booked."""
    await offerings.delete(tx, id, if_match)


@internal.put(f"{TENANT}/offerings/{{id}}", response_model=schemas.OfferingOut)
async def seed_offering(
    _: CallingService, id: UUID, body: schemas.OfferingBody, card: Clinic, tx: TenantTx, response: Response
) -> Any:
    """Makes or changes the offering with this id."""
    return tagged(await offerings.seed(tx, id, body, card), schemas.OfferingOut, response, staff=True)
