"""HTTP in: resources and their working hours."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response

from availability import catalogue, resources, schemas
from availability.edge import CLINIC, TENANT, Clinic, Cursor, IfMatch, Limit, Managing, Patch, SortBy, UpdatedSince
from availability.presenting import shown, tagged
from events.contracts.availability import ResourceType
from servicekit.edge import Asking, CallingService, TenantTx
from servicekit.idempotency import IdempotentRoute

router = APIRouter(route_class=IdempotentRoute)
internal = APIRouter(include_in_schema=False)


@router.get(f"{CLINIC}/resources", response_model=schemas.Resources, response_model_exclude_unset=True)
async def list_resources(
    clinic: UUID,
    asking: Asking,
    tx: TenantTx,
    type: ResourceType | None = None,
    location: Annotated[str | None, Query(description="its id or slug")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    updated_since: UpdatedSince = None,
    sort: SortBy = "created_at",
) -> Any:
    """Practitioners, rooms, equipment and virtual places; staff also see what is not active."""
    staff = asking.is_staff(clinic)
    place = await catalogue.get(tx, "location", location) if location is not None else None
    filters = {"type": type, "location_id": place and place["id"], "active": None if staff else True}
    rows, following = await catalogue.page(
        tx, "resource", filters=filters, limit=limit, cursor=cursor, updated_since=updated_since, sort=sort
    )
    data = [shown(row, schemas.ResourceOut, staff=staff) for row in rows]
    return {"data": data, "next_cursor": following}


@router.post(f"{CLINIC}/resources", status_code=201, response_model=schemas.ResourceOut)
async def create_resource(
    _: Managing, body: schemas.ResourceBody, card: Clinic, tx: TenantTx, response: Response
) -> Any:
    """A new resource, without working hours."""
    return tagged(await resources.create(tx, body, card), schemas.ResourceOut, response, staff=True)


@router.get(f"{CLINIC}/resources/{{id}}", response_model=schemas.ResourceOut, response_model_exclude_unset=True)
async def get_resource(clinic: UUID, id: str, asking: Asking, tx: TenantTx, response: Response) -> Any:
    """One resource."""
    staff = asking.is_staff(clinic)
    return tagged(await catalogue.get(tx, "resource", id, staff=staff), schemas.ResourceOut, response, staff=staff)


@router.patch(f"{CLINIC}/resources/{{id}}", response_model=schemas.ResourceOut)
async def change_resource(
    _: Managing, id: str, body: Patch, card: Clinic, tx: TenantTx, response: Response, if_match: IfMatch = None
) -> Any:
    """Changes what the patch names."""
    return tagged(await resources.patch(tx, id, body, if_match, card), schemas.ResourceOut, response, staff=True)


@router.delete(f"{CLINIC}/resources/{{id}}", status_code=204)
async def delete_resource(_: Managing, id: str, tx: TenantTx, if_match: IfMatch = None) -> None:
    """Takes the resource out of the catalogue; what is booked stays booked."""
    await resources.delete(tx, id, if_match)


@router.put(f"{CLINIC}/resources/{{id}}/schedule", response_model=dict[str, Any])
async def put_schedule(
    _: Managing, id: str, body: schemas.Schedule, tx: TenantTx, response: Response, if_match: IfMatch = None
) -> Any:
    """Sets the working hours."""
    row = await resources.put_schedule(tx, id, body, if_match)
    response.headers["ETag"] = catalogue.etag(row)
    return row["schedule"]


@router.get(f"{CLINIC}/resources/{{id}}/schedule", response_model=dict[str, Any])
async def get_schedule(clinic: UUID, id: str, asking: Asking, tx: TenantTx, response: Response) -> Any:
    """The working hours; 404 while there are none."""
    row = await resources.schedule_of(tx, id, staff=asking.is_staff(clinic))
    response.headers["ETag"] = catalogue.etag(row)
    return row["schedule"]


@internal.put(f"{TENANT}/resources/{{id}}", response_model=schemas.ResourceOut)
async def seed_resource(
    _: CallingService, id: UUID, body: schemas.SeededResource, card: Clinic, tx: TenantTx, response: Response
) -> Any:
    """Makes or changes the resource with this id."""
    return tagged(await resources.seed(tx, id, body, card), schemas.ResourceOut, response, staff=True)
