"""The public API as one OpenAPI document: what the services say of themselves, less what is not reachable from outside,
plus what the gateway does (composed calls, the live socket, errors)."""

import asyncio
import copy
import re
from collections.abc import Iterator
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from fastapi.responses import HTMLResponse

from gateway import pages, table
from gateway.openapi_composed import PROBLEM, REF, compose

Json = dict[str, Any]

SERVICES = ("identity", "availability", "booking", "payment", "calendar-sync", "notification")
_METHODS = ("get", "put", "post", "patch", "delete")
_CLINIC = "/v1/clinics/{clinic}"
# What FastAPI says of its own refusals; ours are problems.
_FRAMEWORK = ("HTTPValidationError", "ValidationError")

_DESCRIPTION = """\
A time is found, held, and turned into an appointment:

1. `GET /v1/clinics/{clinic}/providers/any/availability` lists free starts, each with a signed `slot_id`.
2. `POST …/holds` holds one; nobody else can take it until `expires_at`.
3. `POST …/appointments` turns the hold into an appointment. Where something is to be paid, send the patient to
   `payment.checkout_url`; the appointment is `confirmed` when the money is there.

Times are RFC 3339 in UTC, money is an integer in the currency's smallest unit. A clinic, resource or offering may be
named by id or by slug. Failures are `application/problem+json`; `Idempotency-Key` on a POST makes repeating it safe."""

_SCHEMAS: Json = {
    "Problem": {
        "type": "object",
        "description": "RFC 9457: what is wrong, what was not changed, what to do. Some kinds add fields of their own.",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string", "format": "uri", "examples": ["https://holdfast.dev/problems/slot-taken"]},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "errors": {
                "type": "array",
                "description": "with validation-failed",
                "items": {
                    "type": "object",
                    "required": ["field", "message"],
                    "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
                },
            },
        },
    },
    "Customer": {
        "type": "object",
        "description": "Who comes. Staff may give a phone without an e-mail address.",
        "required": ["name", "email"],
        "properties": {
            "name": {"type": "string", "examples": ["Maria Nowak"]},
            "email": {"type": "string", "format": "email", "examples": ["maria@example.com"]},
            "phone": {"type": "string", "examples": ["+48600700800"]},
            "locale": {"type": "string", "enum": list(pages.LANGUAGES)},
            "time_zone": {"type": "string", "examples": ["Europe/Warsaw"]},
        },
    },
}

_LIVE: Json = {
    "tags": ["live"],
    "summary": "The live socket",
    "operationId": "live",
    "description": (
        'A WebSocket; a plain GET answers 426. Frames are `{"seq": n, "type": …}`: `hello` (`viewers`, `resume`), '
        "`slot_taken` (`provider_id`, `start`, `end`, for classes also `offering_id`, `remaining`), `slot_freed`, "
        "`schedule_changed` (`provider_id`, `from`, `to`), `viewers` (`provider_id`, `count`), `heartbeat`, and "
        "`reset` when what was missed is too long ago: search again."
    ),
    "parameters": [
        {"name": name, "in": "query", "required": False, "schema": {"type": "string"}, "description": said}
        for name, said in (
            ("offering", "id or slug; without it and `provider`, the whole clinic"),
            ("provider", "id or slug"),
            ("resume", "a cursor from an availability answer or `hello`: what was missed since is sent first"),
        )
    ],
    "responses": {"426": {"description": "Open a WebSocket at this address.", "content": PROBLEM}},
}


class Reader(Protocol):
    """Where the services' own documents come from."""

    async def get_json(self, service: str, path: str) -> Json:
        """A service's answer; `NotFound`, `Unavailable`."""


_documents: WeakKeyDictionary[Reader, Json] = WeakKeyDictionary()


async def document(upstreams: Reader) -> Json:
    """The public API's OpenAPI 3.1 document; kept once it is complete. `Unavailable` while a service is away."""
    if upstreams not in _documents:
        found = await asyncio.gather(*(upstreams.get_json(service, "/openapi.json") for service in SERVICES))
        _documents[upstreams] = merged(dict(zip(SERVICES, found, strict=True)))
    return _documents[upstreams]


def merged(documents: dict[str, Json]) -> Json:
    """The services' documents, by name, as one."""
    schemas: Json = copy.deepcopy(_SCHEMAS)
    paths: Json = {}
    for service, own in documents.items():
        own = _renamed(copy.deepcopy(own), service, schemas)
        for path, item in own["paths"].items():
            for method in _METHODS:
                if method in item and _is_public(method, path, service):
                    paths.setdefault(path, {})[method] = _public(item[method], method, path)
        schemas |= own.get("components", {}).get("schemas", {})
    compose(paths, schemas)
    paths[f"{_CLINIC}/live"] = {"get": copy.deepcopy(_LIVE)}
    _name_clinics(paths)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Holdfast", "version": "1", "description": _DESCRIPTION},
        "tags": [{"name": name} for name in sorted({op["tags"][0] for _, _, op in _operations(paths)})],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": _reachable(paths, schemas),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An access token, or the `manage_token` of one's own hold or appointment.",
                }
            },
        },
    }


def _is_public(method: str, path: str, service: str) -> bool:
    """Whether the gateway passes it on, and to this service."""
    route, _ = table.find(method.upper(), path)
    return route is not None and route.service == service


def _renamed(own: Json, service: str, taken: Json) -> Json:
    """A service's document in which no schema has the name of another service's different one."""
    schemas = own.get("components", {}).get("schemas", {})
    for name in _FRAMEWORK:
        schemas.pop(name, None)
    prefix = "".join(part.capitalize() for part in service.split("-"))
    names = {name: prefix + name if name in taken and taken[name] != schemas[name] else name for name in schemas}
    for holder in _references(own):
        name = holder["$ref"].removeprefix(REF)
        holder["$ref"] = REF + names.get(name, name)
    own["components"] = {"schemas": {names[name]: schema for name, schema in schemas.items()}}
    return own


def _public(operation: Json, method: str, path: str) -> Json:
    """An operation with a tag, a summary, our error answers, `Idempotency-Key`, and who may call it."""
    parts = [part for part in path.removeprefix("/v1/").split("/") if not part.startswith("{")]
    tag = parts[1] if parts[0] == "clinics" and len(parts) > 1 else parts[0]
    operation["tags"] = [tag]
    operation["operationId"] = "_".join([method, *re.findall(r"[a-z]+", path.removeprefix("/v1/"))])
    said, _, more = operation.get("description", "").partition("\n")
    if said:  # the sentence that the service wrote, rather than a title made of its function's name
        operation["summary"] = said.rstrip(".")
        operation["description"] = more.strip() or said
    answers = {status: answer for status, answer in operation["responses"].items() if status != "422"}
    answers["default"] = {"description": "A problem: what is wrong and what to do.", "content": PROBLEM}
    operation["responses"] = answers
    route, _ = table.find(method.upper(), path)
    # `{}` says that no credential is needed: who sends one may see more.
    operation["security"] = [{"bearer": []}, *([{}] if route and route.open else [])]
    if method == "post" and tag not in ("auth", "payments"):
        operation.setdefault("parameters", []).append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "schema": {"type": "string", "minLength": 16, "maxLength": 255},
                "description": "Repeating the request with the same key and body gives the stored answer; a UUID.",
            }
        )
    return operation


def _name_clinics(paths: Json) -> None:
    """Services take the clinic's id; the gateway takes either name."""
    said = {
        "name": "clinic",
        "in": "path",
        "required": True,
        "description": "The clinic's id or slug.",
        "schema": {"type": "string", "examples": ["alfa"]},
    }
    for path, _, operation in _operations(paths):
        if "{clinic}" in path:
            others = [one for one in operation.get("parameters", []) if one["name"] != "clinic"]
            operation["parameters"] = [said, *others]


def _operations(paths: Json) -> Iterator[tuple[str, str, Json]]:
    for path, item in paths.items():
        for method, operation in item.items():
            yield path, method, operation


def _references(node: Any) -> Iterator[Json]:
    """Every object that is a reference, anywhere below."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _reachable(paths: Json, schemas: Json) -> Json:
    """The schemas that the paths speak of, directly or by others: internal ones fall out."""
    found: set[str] = set()
    waiting = [holder["$ref"].removeprefix(REF) for holder in _references(paths)]
    while waiting:
        name = waiting.pop()
        if name in schemas and name not in found:
            found.add(name)
            waiting.extend(holder["$ref"].removeprefix(REF) for holder in _references(schemas[name]))
    return {name: schemas[name] for name in sorted(found)}


def docs_page() -> HTMLResponse:
    """The document for people: a page whose script reads /openapi.json."""
    return pages.still_page("docs.html")
