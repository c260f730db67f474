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
