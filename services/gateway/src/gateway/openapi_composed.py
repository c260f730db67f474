"""The calls that the gateway composes of several services, as clients see them: what passes between services alone is
taken out, and what the gateway adds is put in."""

from typing import Any

from gateway.composing.conflicts import PAGE
from gateway.table import CLINIC

Json = dict[str, Any]

REF = "#/components/schemas/"
PROBLEM = {"application/problem+json": {"schema": {"$ref": f"{REF}Problem"}}}

_APPOINTMENT = f"{CLINIC}/appointments/{{id}}"
# Who comes is said as a person; services are told by a signed text.
_WITH_CUSTOMER = (f"{CLINIC}/appointments", f"{CLINIC}/series", f"{CLINIC}/waitlist")
_MAY_BE_TAKEN = (
    ("post", f"{CLINIC}/holds"),
    ("post", f"{CLINIC}/appointments"),
    ("post", f"{CLINIC}/series"),
    ("put", f"{_APPOINTMENT}/reschedule"),
)
# What services tell each other by way of the gateway; no client sends or sees it.
_BETWEEN_SERVICES = ("customer_token", "payment_request", "occurrences", "repair")


def compose(paths: Json, schemas: Json) -> None:
    """Changes the merged document in place."""
    by_shape = {_shape(path): item for path, item in paths.items()}

    def operation(method: str, path: str) -> Json | None:
        found: Json | None = by_shape.get(_shape(path), {}).get(method)
        return found

    for method, path in _MAY_BE_TAKEN:
        if found := operation(method, path):
            _may_be_taken(found, schemas, _slot_of(by_shape))
    for item in by_shape.values():
        for found in item.values():
            _hide(found, schemas)
    for path in _WITH_CUSTOMER:
        if found := operation("post", path):
            body = _body(found, schemas)
            body["properties"]["customer"] = {"$ref": f"{REF}Customer"}
            body["required"] = [*body.get("required", []), "customer"]
    if found := operation("get", f"{CLINIC}/conflicts"):
        _with_options(found, schemas, _slot_of(by_shape))
    if found := operation("get", f"{CLINIC}/audit"):
        _by_cursor(found)


def _shape(path: str) -> tuple[str, ...]:
    """A path without its parameters' names, which are each service's own."""
    return tuple("{}" if part.startswith("{") else part for part in path.split("/"))


def _slot_of(by_shape: dict[tuple[str, ...], Json]) -> Json:
    """What availability lists: a reference to its schema, or any object when it says nothing of it."""
    search = by_shape.get(_shape(f"{CLINIC}/providers/{{id}}/availability"), {}).get("get", {})
    answer = search.get("responses", {}).get("200", {}).get("content", {}).get("application/json", {})
    return {"$ref": f"{REF}SlotOut"} if answer.get("schema", {}).get("$ref") else {"type": "object"}


def _may_be_taken(operation: Json, schemas: Json, slot: Json) -> None:
    schemas["SlotTaken"] = {
        "allOf": [{"$ref": f"{REF}Problem"}],
        "type": "object",
        "required": ["alternatives"],
        "properties": {
            "alternatives": {
                "type": "array",
                "maxItems": 5,
                "description": "slots near it that can be held as they are",
                "items": slot,
            }
        },
    }
    operation["responses"]["409"] = {
        "description": "`slot-taken`: somebody else has the time.",
        "content": {"application/problem+json": {"schema": {"$ref": f"{REF}SlotTaken"}}},
    }
    operation["responses"]["410"] = {
        "description": "`offer-expired`: offered more than ten minutes ago, or the schedule has changed. Search again.",
        "content": PROBLEM,
    }


def _hide(operation: Json, schemas: Json) -> None:
    """Takes out of body and answers what passes between services alone. `occurrences` only where a client would have
    to send them: in an answer they are the series."""
    if "requestBody" in operation:
        _without(_body(operation, schemas), _BETWEEN_SERVICES)
    for answer in operation["responses"].values():
        schema = _resolved(answer.get("content", {}).get("application/json", {}).get("schema", {}), schemas)
        _without(schema, ("payment_request",))
        visits = schema.get("properties", {}).get("occurrences", {}).get("items", {})
        _without(_resolved(visits, schemas), ("slot_id",))


def _with_options(operation: Json, schemas: Json, slot: Json) -> None:
    """Conflicts with what can be done about each."""
    schemas["ConflictOption"] = {
        "type": "object",
        "description": "What can be done; its id is what `resolve` takes.",
        "required": ["id", "kind", "disruption"],
        "properties": {
            "id": {"type": "string"},
            "kind": {"type": "string", "enum": ["substitute", "reschedule", "waitlist", "keep"]},
            "slot": slot,
            "resource": {
                "type": "object",
                "description": "who or what comes instead",
                "properties": {name: {"type": "string"} for name in ("id", "type", "name")},
            },
            "disruption": {
                "type": "integer",
                "description": "minutes that the visit moves; what gives no time comes after all that does",
            },
        },
    }
    for parameter in operation.get("parameters", []):
        if parameter["name"] == "limit":
            parameter["description"] = f"{PAGE} at most are answered"
    page = _answer(operation, schemas)
    items = page.get("properties", {}).get("data", {}).get("items")
    if items is None:
        return
    conflict = _resolved(items, schemas)
    _without(conflict, ("repair",))
    conflict["description"] = "Something landed on an appointment, and what can be done about it."
    options = {"type": "array", "items": {"$ref": f"{REF}ConflictOption"}, "description": "best first"}
    conflict.setdefault("properties", {})["options"] = options
    conflict["required"] = [*conflict.get("required", []), "options"]


def _by_cursor(operation: Json) -> None:
    """The audit is two services' lines, which they page by time and the gateway by a cursor."""
    others = [one for one in operation.get("parameters", []) if one["name"] not in ("before", "limit")]
    limit = {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
    operation["parameters"] = [
        *others,
        {"name": "limit", "in": "query", "required": False, "schema": limit},
        {"name": "cursor", "in": "query", "required": False, "schema": {"type": "string"}},
    ]


def _body(operation: Json, schemas: Json) -> Json:
    return _resolved(operation["requestBody"]["content"].get("application/json", {}).get("schema", {}), schemas)


def _answer(operation: Json, schemas: Json) -> Json:
    return _resolved(operation["responses"]["200"]["content"]["application/json"].get("schema", {}), schemas)


def _without(schema: Json, names: tuple[str, ...]) -> None:
    for name in names:
        schema.get("properties", {}).pop(name, None)
    if "required" in schema:
        schema["required"] = [name for name in schema["required"] if name not in names]


def _resolved(schema: Json, schemas: Json) -> Json:
    found: Json = schemas[schema["$ref"].removeprefix(REF)] if "$ref" in schema else schema
    return found
