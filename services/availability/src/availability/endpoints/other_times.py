"""HTTP in, between services: other times than one that was offered, refused or lost."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from availability import schemas
from availability.alternatives import Alternatives
from availability.edge import TENANT
from availability.hot import HotRoute, encoded, json_response, read_body
from availability.repairs import Broken, Repairs
from servicekit.auth import calling_service
from servicekit.problems import ValidationFailed

hot = APIRouter(route_class=HotRoute, include_in_schema=False)


async def _tenant(request: Request) -> UUID:
    """The tenant of the path, for services; 401 for everyone else."""
    await calling_service(request)
    try:
        return UUID(request.path_params["clinic"])
    except ValueError as error:
        raise ValidationFailed.of("clinic", "is not a UUID") from error


@hot.post(f"{TENANT}/alternatives")
async def find_alternatives(request: Request) -> Response:
    """Slots near one that was refused."""
    tenant_id = await _tenant(request)
    body = await read_body(request, schemas.AlternativesBody)
    found = await request.app.state.service.get(Alternatives).near(tenant_id, body.slot_id, body.limit)
    return json_response(b'{"alternatives":[' + b",".join(found) + b"]}")


@hot.post(f"{TENANT}/occurrences")
async def find_occurrences(request: Request) -> Response:
    """An offer for every occurrence of a rule."""
    tenant_id = await _tenant(request)
    body = await read_body(request, schemas.OccurrencesBody)
    found = await request.app.state.service.get(Alternatives).occurrences(tenant_id, body.slot_id, body.rrule)
    return json_response(encoded({"occurrences": found}))


@hot.post(f"{TENANT}/shifted")
async def find_shifted(request: Request) -> Response:
    """An offer for every visit of a series that moves."""
    tenant_id = await _tenant(request)
    body = await read_body(request, schemas.ShiftedBody)
    alternatives = request.app.state.service.get(Alternatives)
    found = await alternatives.shifted(tenant_id, body.slot_id, body.from_start, body.starts)
    return json_response(encoded({"occurrences": found}))


@hot.post(f"{TENANT}/repairs")
async def find_repairs(request: Request) -> Response:
    """What can be done for a visit that lost a resource."""
    tenant_id = await _tenant(request)
    body = await read_body(request, schemas.RepairsBody)
    found = await request.app.state.service.get(Repairs).of(tenant_id, Broken(**dict(body)))
    return json_response(encoded(found))
