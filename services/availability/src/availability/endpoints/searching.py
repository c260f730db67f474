"""HTTP in: providers, availability, and what other services ask of it."""

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Response

from availability import schemas, slots
from availability.edge import CLINIC, TENANT, Clinic, Searching
from events.base import Instant
from servicekit.edge import CallingService

router = APIRouter()
internal = APIRouter(include_in_schema=False)


@router.get(f"{CLINIC}/providers", response_model=schemas.Providers)
async def list_providers(
    card: Clinic, searching: Searching, offering: str | None = None, location: str | None = None
) -> Any:
    """The practitioners (of one offering or at one location, if given), with what they offer and their next free
    start."""
    return {"data": await searching.providers(card, offering, location), "next_cursor": None}


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


@internal.post(f"{TENANT}/alternatives")
async def find_alternatives(
    clinic: UUID, _: CallingService, body: schemas.AlternativesBody, searching: Searching
) -> Response:
    """Slots near one that was refused."""
    found = await searching.alternatives(clinic, body.slot_id, body.limit)
    return Response(msgspec.json.encode({"alternatives": found}), media_type="application/json")
