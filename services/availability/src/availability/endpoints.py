"""HTTP in: the catalogue, schedules, providers and availability."""

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Body, Query, Response

from availability import catalogue, offerings, resources, schemas, slots
from availability.edge import Clinic, Cursor, IfMatch, Limit, Managing, Searching, SortBy, UpdatedSince
from availability.repository import Row
from events.base import Instant
from events.contracts.availability import ResourceType
from servicekit.edge import Asking, CallingService, TenantTx
from servicekit.idempotency import IdempotentRoute

router = APIRouter(route_class=IdempotentRoute)
internal = APIRouter(include_in_schema=False)

CLINIC = "/v1/clinics/{clinic}"
TENANT = "/internal/tenants/{clinic}"
Patch = Annotated[dict[str, Any], Body(description="JSON Merge Patch (RFC 7396)")]
_PRIVATE = {"user_id", "metadata", "external_ref"}


def _resource(row: Row, response: Response, *, staff: bool) -> dict[str, Any]:
    response.headers["ETag"] = catalogue.etag(row)
    return _shown(row, schemas.ResourceOut, staff=staff)


def _offering(row: Row, response: Response, *, staff: bool) -> dict[str, Any]:
    response.headers["ETag"] = catalogue.etag(row)
    return _shown(row, schemas.OfferingOut, staff=staff)


def _shown(row: Row, model: type[schemas.ResourceOut] | type[schemas.OfferingOut], *, staff: bool) -> dict[str, Any]:
    hidden = set() if staff else _PRIVATE
    shown = {name: row[name] for name in model.model_fields if name not in hidden}
    if "slot_step_minutes" in shown:
        shown["slot_step_minutes"] = row["slot_step_minutes"] or row["duration_minutes"]
    return shown


# -- resources -----------------------------------------------------------------------------------------------------


@router.get(f"{CLINIC}/resources", response_model=schemas.Resources, response_model_exclude_unset=True)
async def list_resources(
    clinic: UUID,
    asking: Asking,
    tx: TenantTx,
    type: ResourceType | None = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    updated_since: UpdatedSince = None,
    sort: SortBy = "created_at",
) -> Any:
    """Practitioners, rooms, equipment and virtual places; staff also see what is not active."""
    staff = asking.is_staff(clinic)
    filters = {"type": type, "active": None if staff else True}
    rows, following = await catalogue.page(
        tx, "resource", filters=filters, limit=limit, cursor=cursor, updated_since=updated_since, sort=sort
    )
    shown = [_shown(row, schemas.ResourceOut, staff=staff) for row in rows]
    return {"data": shown, "next_cursor": following}


@router.post(f"{CLINIC}/resources", status_code=201, response_model=schemas.ResourceOut)
async def create_resource(
    _: Managing, body: schemas.ResourceBody, card: Clinic, tx: TenantTx, response: Response
) -> Any:
    """A new resource, without working hours."""
    return _resource(await resources.create(tx, body, card), response, staff=True)


@router.get(f"{CLINIC}/resources/{{id}}", response_model=schemas.ResourceOut, response_model_exclude_unset=True)
async def get_resource(clinic: UUID, id: str, asking: Asking, tx: TenantTx, response: Response) -> Any:
    """One resource."""
    staff = asking.is_staff(clinic)
    return _resource(await catalogue.get(tx, "resource", id, staff=staff), response, staff=staff)


@router.patch(f"{CLINIC}/resources/{{id}}", response_model=schemas.ResourceOut)
async def change_resource(
    _: Managing, id: str, body: Patch, card: Clinic, tx: TenantTx, response: Response, if_match: IfMatch = None
) -> Any:
    """Changes what the patch names."""
    return _resource(await resources.patch(tx, id, body, if_match, card), response, staff=True)


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


# -- time off ------------------------------------------------------------------------------------------------------


def _time_off(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "resource_id": row["resource_id"],
        "start": row["start_at"],
        "end": row["end_at"],
        "reason": row["reason"],
        "created_at": row["created_at"],
    }


@router.post(f"{CLINIC}/resources/{{id}}/time-off", status_code=201, response_model=schemas.TimeOffOut)
async def add_time_off(id: str, body: schemas.TimeOffBody, asking: Asking, tx: TenantTx) -> Any:
    """The resource is away for that time."""
    return _time_off(await resources.add_time_off(tx, id, body, asking))


@router.get(f"{CLINIC}/resources/{{id}}/time-off", response_model=schemas.TimesOff)
async def list_time_off(id: str, asking: Asking, tx: TenantTx, limit: Limit = 50, cursor: Cursor = None) -> Any:
    """A resource's time off, in the order it was entered."""
    rows, following = await resources.times_off(tx, id, asking, cursor, limit)
    return {"data": [_time_off(row) for row in rows], "next_cursor": following}


@router.delete(f"{CLINIC}/resources/{{id}}/time-off/{{time_off_id}}", status_code=204)
async def delete_time_off(id: str, time_off_id: UUID, asking: Asking, tx: TenantTx) -> None:
    """The resource is there after all."""
    await resources.delete_time_off(tx, id, time_off_id, asking)


# -- offerings -----------------------------------------------------------------------------------------------------


@router.get(f"{CLINIC}/offerings", response_model=schemas.Offerings, response_model_exclude_unset=True)
async def list_offerings(
    clinic: UUID,
    asking: Asking,
    tx: TenantTx,
    external_ref: Annotated[schemas.Printed | None, Query(max_length=255)] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    updated_since: UpdatedSince = None,
    sort: SortBy = "created_at",
) -> Any:
    """What can be booked; staff also see what is not active."""
    staff = asking.is_staff(clinic)
    filters = {"external_ref": external_ref, "active": None if staff else True}
    rows, following = await catalogue.page(
        tx, "offering", filters=filters, limit=limit, cursor=cursor, updated_since=updated_since, sort=sort
    )
    shown = [_shown(row, schemas.OfferingOut, staff=staff) for row in rows]
    return {"data": shown, "next_cursor": following}


@router.post(f"{CLINIC}/offerings", status_code=201, response_model=schemas.OfferingOut)
async def create_offering(
    _: Managing, body: schemas.OfferingBody, card: Clinic, tx: TenantTx, response: Response
) -> Any:
    """A new offering."""
    return _offering(await offerings.create(tx, body, card), response, staff=True)


@router.get(f"{CLINIC}/offerings/{{id}}", response_model=schemas.OfferingOut, response_model_exclude_unset=True)
async def get_offering(clinic: UUID, id: str, asking: Asking, tx: TenantTx, response: Response) -> Any:
    """One offering."""
    staff = asking.is_staff(clinic)
    return _offering(await catalogue.get(tx, "offering", id, staff=staff), response, staff=staff)


@router.patch(f"{CLINIC}/offerings/{{id}}", response_model=schemas.OfferingOut)
async def change_offering(
    _: Managing, id: str, body: Patch, card: Clinic, tx: TenantTx, response: Response, if_match: IfMatch = None
) -> Any:
    """Changes what the patch names; offers that are out keep their price."""
    return _offering(await offerings.patch(tx, id, body, if_match, card), response, staff=True)


@router.delete(f"{CLINIC}/offerings/{{id}}", status_code=204)
async def delete_offering(_: Managing, id: str, tx: TenantTx, if_match: IfMatch = None) -> None:
    """Takes the offering out of the catalogue; what is booked stays booked."""
    await offerings.delete(tx, id, if_match)


# -- searching -----------------------------------------------------------------------------------------------------


@router.get(f"{CLINIC}/providers", response_model=schemas.Providers)
async def list_providers(card: Clinic, searching: Searching, offering: str | None = None) -> Any:
    """The practitioners (of one offering, if given), with what they offer and their next free start."""
    return {"data": await searching.providers(card, offering), "next_cursor": None}


@router.get(
    f"{CLINIC}/providers/{{provider}}/availability",
    responses={200: {"model": schemas.AvailabilityOut}},
    response_class=Response,
)
async def get_availability(
    clinic: UUID,
    provider: str,
    searching: Searching,
    offering: str,
    first: Annotated[str | None, Query(alias="from", description="a local date; today unless given")] = None,
    last: Annotated[str | None, Query(alias="to", description="the last local date, 61 days later at most")] = None,
    tz: Annotated[str | None, Query(description="the clinic's unless given")] = None,
    limit: Annotated[int | None, Query(ge=1, le=10_000)] = None,
    after: Annotated[Instant | None, Query(description="only starts after this instant")] = None,
    include: Literal["full"] | None = None,
) -> Response:
    """Free starts of one provider or of any."""
    asked = slots.Query(provider, offering, first, last, tz, limit, after, include == "full")
    answer = await searching.availability(clinic, asked)
    return Response(msgspec.json.encode(answer), media_type="application/json", headers={"Cache-Control": "no-store"})


# -- between services ----------------------------------------------------------------------------------------------


@internal.post(f"{TENANT}/alternatives")
async def find_alternatives(
    clinic: UUID, _: CallingService, body: schemas.AlternativesBody, searching: Searching
) -> Response:
    """Slots near one that was refused."""
    found = await searching.alternatives(clinic, body.slot_id, body.limit)
    return Response(msgspec.json.encode({"alternatives": found}), media_type="application/json")


@internal.put(f"{TENANT}/resources/{{id}}", response_model=schemas.ResourceOut)
async def seed_resource(
    _: CallingService, id: UUID, body: schemas.SeededResource, card: Clinic, tx: TenantTx, response: Response
) -> Any:
    """Makes or changes the resource with this id."""
    return _resource(await resources.seed(tx, id, body, card), response, staff=True)


@internal.put(f"{TENANT}/offerings/{{id}}", response_model=schemas.OfferingOut)
async def seed_offering(
    _: CallingService, id: UUID, body: schemas.OfferingBody, card: Clinic, tx: TenantTx, response: Response
) -> Any:
    """Makes or changes the offering with this id."""
    return _offering(await offerings.seed(tx, id, body, card), response, staff=True)
