"""HTTP in: providers and availability."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import TypeAdapter

from availability import asking, schemas
from availability.edge import CLINIC, Clinic, Searching
from availability.hot import HotRoute, json_response, value_of
from availability.slots import Slots
from events.base import Instant
from servicekit.auth import DESK, principal
from servicekit.problems import ValidationFailed

router = APIRouter()
hot = APIRouter(route_class=HotRoute)

# Who may look for times that break a rule: those who may hold them.
OVERRIDING = DESK | {"practitioner"}
_CLINIC: TypeAdapter[UUID] = TypeAdapter(UUID)
_LIMIT: TypeAdapter[int] = TypeAdapter(Annotated[int, Query(ge=1, le=10_000)])
_AFTER: TypeAdapter[Any] = TypeAdapter(Instant)
_FLAGS = {"true": True, "false": False}


def describe(
    clinic: UUID,
    provider: str,
    offering: str,
    first: Annotated[str | None, Query(alias="from", description="a local date; today unless given")] = None,
    last: Annotated[str | None, Query(alias="to", description="the last local date, 61 days later at most")] = None,
    tz: Annotated[str | None, Query(description="the clinic's unless given")] = None,
    override: Annotated[
        bool, Query(description="for staff: also what breaks notice, window, preferences or rules")
    ] = False,
) -> None:
    """The parameters of a search."""


def describe_page(
    limit: Annotated[int | None, Query(ge=1, le=10_000)] = None,
    after: Annotated[Instant | None, Query(description="only starts after this instant")] = None,
    include: Annotated[Literal["full"] | None, Query(description="also what is full")] = None,
) -> None:
    """The parameters of a page of slots."""


@hot.get(
    f"{CLINIC}/providers/{{provider}}/availability",
    responses={200: {"model": schemas.AvailabilityOut}},
    response_class=Response,
    dependencies=[Depends(describe), Depends(describe_page)],
)
async def get_availability(request: Request) -> Response:
    """Free starts of one provider or of any."""
    clinic, query = await _asked(request)
    return json_response(await request.app.state.service.get(Slots).availability(clinic, query))


@hot.get(
    f"{CLINIC}/providers/{{provider}}/availability/days",
    responses={200: {"model": schemas.DaysOut}},
    response_class=Response,
    dependencies=[Depends(describe)],
)
async def get_days(request: Request) -> Response:
    """How many free starts each of the dates has, and why it has none."""
    clinic, query = await _asked(request)
    return json_response(await request.app.state.service.get(Slots).days(clinic, query))


async def _asked(request: Request) -> tuple[UUID, asking.Query]:
    clinic = value_of(_CLINIC, "clinic", request.path_params["clinic"])
    given = request.query_params
    offering = given.get("offering")
    if offering is None:
        raise ValidationFailed.of("offering", "Field required")
    include, override = given.get("include"), given.get("override", "false")
    if include not in (None, "full"):
        raise ValidationFailed.of("include", "has to be full, or left out")
    if override not in _FLAGS:
        raise ValidationFailed.of("override", "has to be true or false")
    if _FLAGS[override]:
        (await principal(request)).require_role(clinic, OVERRIDING)
    limit, after = given.get("limit"), given.get("after")
    query = asking.Query(
        provider=request.path_params["provider"],
        offering=offering,
        first=given.get("from"),
        last=given.get("to"),
        tz=given.get("tz"),
        limit=value_of(_LIMIT, "limit", limit) if limit is not None else None,
        after=value_of(_AFTER, "after", after) if after is not None else None,
        full=include == "full",
        override=_FLAGS[override],
    )
    return clinic, query


@router.get(f"{CLINIC}/providers", response_model=schemas.Providers)
async def list_providers(
    card: Clinic,
    searching: Searching,
    offering: str | None = None,
    location: str | None = None,
    date: Annotated[str | None, Query(description="only who has a free start on this date of the clinic")] = None,
) -> Any:
    """The practitioners (of one offering, if given), with what they offer and their next free start."""
    return {"data": await searching.providers(card.tenant_id, offering, location, date), "next_cursor": None}
