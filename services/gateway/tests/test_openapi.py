"""The public document, merged of what tiny services say of themselves."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from fastapi import APIRouter, FastAPI, Header
from pydantic import BaseModel

from gateway import openapi
from gateway.upstream import Upstreams
from servicekit import keys
from servicekit.problems import Unavailable
from servicekit.signing import Signer

CLINIC = "/v1/clinics/{clinic}"


class Price(BaseModel):
    """Both services have one, and they differ."""

    amount: int


class SlotOut(BaseModel):
    """A free start."""

    slot_id: str
    price: Price


class Found(BaseModel):
    """What a search answers."""

    slots: list[SlotOut]


class Hold(BaseModel):
    """A hold."""

    id: UUID


class Wanted(BaseModel):
    """What booking takes."""

    hold_id: UUID
    customer_token: str


def _booking() -> FastAPI:
    class Price(BaseModel):
        """Booking's own."""

        cents: int

    class Appointment(BaseModel):
        """What booking answers."""

        id: UUID
        price: Price
        payment_request: str | None = None

    app, router = FastAPI(), APIRouter()

    @router.post(f"{CLINIC}/holds", status_code=201, response_model=Hold)
    async def place(clinic: UUID, x_origin_hash: Annotated[str | None, Header(include_in_schema=False)] = None) -> None:
        """Hold a time."""

    @router.post(f"{CLINIC}/appointments", status_code=201, response_model=Appointment)
    async def request(clinic: UUID, body: Wanted) -> None:
        """Turn a hold into an appointment."""

    @router.post("/internal/tenants/{clinic}/appointments/{id}/settle", response_model=Appointment)
    async def settle(clinic: UUID, id: UUID) -> None:
        """Between services."""

    @router.get(f"{CLINIC}/secrets")
    async def secrets(clinic: UUID) -> None:
        """Under /v1, but the gateway does not pass it on."""

    app.include_router(router)
    app.include_router(_core())
    return app


def _core() -> APIRouter:
    """Booking's further routes, as far as the gateway composes them."""

    class Occurrence(BaseModel):
        start: str
        slot_id: str | None = None

    class NewSeries(BaseModel):
        slot_id: str
        rrule: str
        customer_token: str
        occurrences: list[Occurrence]

    class Series(BaseModel):
        id: UUID
        occurrences: list[Occurrence]

    class SeriesMove(BaseModel):
        scope: str
        occurrences: list[Occurrence]

    class NewEntry(BaseModel):
        offering_id: UUID
        customer_token: str

    class Rescheduling(BaseModel):
        slot_id: str

    class Conflict(BaseModel):
        id: UUID
        repair: dict[str, Any] | None = None

    class Conflicts(BaseModel):
        data: list[Conflict]

    router = APIRouter()

    @router.put(f"{CLINIC}/appointments/{{booking_id}}/reschedule", response_model=Hold)
    async def reschedule(clinic: UUID, booking_id: UUID, body: Rescheduling) -> None:
        """Another time."""

    @router.post(f"{CLINIC}/series", status_code=201, response_model=Series)
    async def series(clinic: UUID, body: NewSeries) -> None:
        """Visits that come back."""

    @router.put(f"{CLINIC}/series/{{series_id}}/reschedule", response_model=Series)
    async def move(clinic: UUID, series_id: UUID, body: SeriesMove) -> None:
        """Other times."""

    @router.post(f"{CLINIC}/waitlist", status_code=201, response_model=Hold)
    async def wait(clinic: UUID, body: NewEntry) -> None:
        """Wait for a time."""

    @router.get(f"{CLINIC}/conflicts", response_model=Conflicts)
    async def conflicts(clinic: UUID, limit: int = 20) -> None:
        """What something has landed on."""

    @router.get(f"{CLINIC}/appointments/{{booking_id}}/calendar.ics")
    async def calendar(clinic: UUID, booking_id: UUID) -> None:
        """The visit for a calendar."""

    return router


def _identity() -> FastAPI:
    class Audit(BaseModel):
        data: list[str]

    app = FastAPI()

    @app.get(f"{CLINIC}/audit", response_model=Audit)
    async def audit(clinic: UUID, before: str | None = None, limit: int = 50) -> None:
        """Who did what."""

    return app


def _availability() -> FastAPI:
    app = FastAPI()

    @app.get(f"{CLINIC}/providers/{{provider}}/availability", response_model=Found)
    async def search(clinic: UUID, provider: str, offering: str) -> None:
        """Free starts."""

    return app


DOCUMENTS = {name: FastAPI().openapi() for name in openapi.SERVICES} | {
    "availability": _availability().openapi(),
    "booking": _booking().openapi(),
    "identity": _identity().openapi(),
}


@pytest.fixture
async def upstreams(keys_path: Path) -> AsyncIterator[tuple[Upstreams, set[str], list[str]]]:
    """The services' documents over HTTP; the set names who is away, the list who was asked."""
    away: set[str] = set()
    asked: list[str] = []

    def serving(name: str) -> TestServer:
        async def own(_: web.Request) -> web.Response:
            asked.append(name)
            return web.json_response(DOCUMENTS[name], status=503 if name in away else 200)

        app = web.Application()
        app.router.add_get("/openapi.json", own)
        return TestServer(app)

    servers = {name: serving(name) for name in openapi.SERVICES}
    for server in servers.values():
        await server.start_server()
    urls = {name: str(server.make_url("")).rstrip("/") for name, server in servers.items()}
    made = Upstreams(urls, Signer(keys.load(keys_path).of("services"), "services"))
    yield made, away, asked
    await made.close()
    for server in servers.values():
        await server.close()


def _merged() -> dict[str, Any]:
    return openapi.merged(DOCUMENTS)


def test_only_what_the_gateway_passes_on_is_documented() -> None:
    paths = _merged()["paths"]
    assert set(paths) == {
        f"{CLINIC}/holds",
        f"{CLINIC}/appointments",
        f"{CLINIC}/providers/{{provider}}/availability",
        f"{CLINIC}/live",
        f"{CLINIC}/appointments/{{booking_id}}/reschedule",
        f"{CLINIC}/appointments/{{booking_id}}/calendar.ics",
        f"{CLINIC}/series",
        f"{CLINIC}/series/{{series_id}}/reschedule",
        f"{CLINIC}/waitlist",
        f"{CLINIC}/conflicts",
        f"{CLINIC}/audit",
    }
    assert "x-origin-hash" not in str(paths)


def test_a_clinic_is_named_by_id_or_slug_everywhere() -> None:
    for item in _merged()["paths"].values():
        for operation in item.values():
            (clinic,) = (one for one in operation["parameters"] if one["name"] == "clinic")
            assert clinic["description"] == "The clinic's id or slug."
            assert clinic["schema"]["type"] == "string"
            assert "format" not in clinic["schema"]


def test_an_appointment_takes_the_customer_and_shows_nothing_internal() -> None:
    document = _merged()
    body = document["components"]["schemas"]["Wanted"]
    assert "customer_token" not in body["properties"]
    assert body["required"] == ["hold_id", "customer"]
    customer = document["components"]["schemas"]["Customer"]
    assert set(customer["properties"]) == {"name", "email", "phone", "locale", "time_zone"}
    assert "payment_request" not in str(document)


def test_what_passes_between_services_alone_is_not_in_it() -> None:
    document = _merged()
    shapes = document["components"]["schemas"]
    assert "customer_token" not in str(document)
    assert "repair" not in str(document)
    assert shapes["NewSeries"]["required"] == ["slot_id", "rrule", "customer"]
    assert set(shapes["NewSeries"]["properties"]) == {"slot_id", "rrule", "customer"}
    assert set(shapes["SeriesMove"]["properties"]) == {"scope"}
    assert set(shapes["NewEntry"]["properties"]) == {"offering_id", "customer"}
    assert set(shapes["Occurrence"]["properties"]) == {"start"}
    assert set(shapes["Series"]["properties"]) == {"id", "occurrences"}
    audit = document["paths"][f"{CLINIC}/audit"]["get"]
    assert [one["name"] for one in audit["parameters"]] == ["clinic", "limit", "cursor"]


def test_conflicts_show_their_options() -> None:
    shapes = _merged()["components"]["schemas"]
    assert shapes["Conflict"]["required"] == ["id", "options"]
    assert set(shapes["Conflict"]["properties"]) == {"id", "options"}
    assert shapes["ConflictOption"]["properties"]["slot"] == {"$ref": "#/components/schemas/SlotOut"}
    kinds = shapes["ConflictOption"]["properties"]["kind"]["enum"]
    assert kinds == ["substitute", "reschedule", "waitlist", "keep"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("post", f"{CLINIC}/appointments"),
        ("post", f"{CLINIC}/series"),
        ("put", f"{CLINIC}/appointments/{{booking_id}}/reschedule"),
    ],
)
def test_whatever_wants_a_time_may_find_it_taken(method: str, path: str) -> None:
    refusal = _merged()["paths"][path][method]["responses"]["409"]
    assert refusal["content"]["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/SlotTaken"}


def test_a_refused_hold_shows_its_alternatives() -> None:
    document = _merged()
    refusal = document["paths"][f"{CLINIC}/holds"]["post"]["responses"]["409"]
    assert refusal["content"]["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/SlotTaken"}
    alternatives = document["components"]["schemas"]["SlotTaken"]["properties"]["alternatives"]
    assert alternatives["items"] == {"$ref": "#/components/schemas/SlotOut"}


def test_every_failure_is_a_problem() -> None:
    document = _merged()
    for item in document["paths"].values():
        for operation in item.values():
            for status, answer in operation["responses"].items():
                if not status.startswith("2"):
                    assert set(answer["content"]) == {"application/problem+json"}
            assert "422" not in operation["responses"]
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_two_services_may_use_one_name_for_different_things() -> None:
    schemas = _merged()["components"]["schemas"]
    assert set(schemas["Price"]["properties"]) == {"amount"}
    assert set(schemas["BookingPrice"]["properties"]) == {"cents"}
    assert schemas["Appointment"]["properties"]["price"] == {"$ref": "#/components/schemas/BookingPrice"}


def test_every_reference_leads_somewhere_and_operations_have_names_of_their_own() -> None:
    document = _merged()
    schemas = document["components"]["schemas"]
    for holder in openapi._references(document):
        assert holder["$ref"].removeprefix("#/components/schemas/") in schemas
    names = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(names) == len(set(names))


def test_the_live_socket_answers_a_plain_get_with_426() -> None:
    live = _merged()["paths"][f"{CLINIC}/live"]["get"]
    assert set(live["responses"]) == {"426"}
    assert {one["name"] for one in live["parameters"]} == {"clinic", "offering", "provider", "resume"}


async def test_the_document_is_asked_for_until_it_is_complete_and_then_kept(
    upstreams: tuple[Upstreams, set[str], list[str]],
) -> None:
    reader, away, asked = upstreams
    away.add("payment")
    with pytest.raises(Unavailable):
        await openapi.document(reader)
    away.clear()
    first = await openapi.document(reader)
    assert f"{CLINIC}/holds" in first["paths"]
    asked.clear()
    assert await openapi.document(reader) is first
    assert asked == []


def test_the_page_for_people_brings_nothing_from_elsewhere() -> None:
    answer = openapi.docs_page()
    assert answer.status_code == 200
    assert b"/assets/docs.js" in answer.body
    assert b"//cdn" not in answer.body
    assert "unsafe" not in answer.headers["content-security-policy"]
