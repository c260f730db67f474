"""Checks JSON against the discovery document that google-api-python-client brings along; no other fields allowed."""

import functools
import json
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "array": (list,),
    "object": (dict,),
}  # fmt: skip
FORMATS = {
    "date-time": re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})"),
    "date": re.compile(r"\d{4}-\d{2}-\d{2}"),
    "int64": re.compile(r"-?\d+"),
}


@functools.cache
def document() -> dict[str, Any]:
    """Calendar v3."""
    path = files("googleapiclient") / "discovery_cache" / "documents" / "calendar.v3.json"
    return dict(json.loads(path.read_text()))


def mistakes(value: Any, schema: str) -> list[str]:
    """What is wrong with an answer that should be of the schema, empty when nothing is."""
    return list(_check(value, {"$ref": schema}, schema))


def _check(value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    if "$ref" in schema:
        schema = document()["schemas"][schema["$ref"]]
    kind = schema.get("type", "object")
    if not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        yield f"{path}: {value!r} is no {kind}"
        return
    if kind == "string" and (form := FORMATS.get(schema.get("format", ""))) and not form.fullmatch(value):
        yield f"{path}: {value!r} is no {schema['format']}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is none of {schema['enum']}"
    if path.endswith(".kind") and "default" in schema and value != schema["default"]:
        yield f"{path}: {value!r} is not {schema['default']}"
    if kind == "array":
        for index, entry in enumerate(value):
            yield from _check(entry, schema["items"], f"{path}[{index}]")
    if kind == "object":
        known, others = schema.get("properties", {}), schema.get("additionalProperties")
        for name, entry in value.items():
            if name in known or others:
                yield from _check(entry, known.get(name) or others, f"{path}.{name}")
            else:
                yield f"{path}.{name}: there is no such field"
