"""`python -m events.schemas [--check] DIR`: one file an event type, with its JSON Schema and examples.

What was committed once is a promise: a change that events already in Kafka, or consumers already running, would not
survive is refused. Examples are only ever added, and each one has to decode for ever.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from pydantic import ValidationError

import events.contracts  # noqa: F401  declares the types
from events.base import TYPES, Event

Document = dict[str, Any]
BASELINE = "main"
EXAMPLE_INSTANT = "2026-12-01T08:00:00Z"
CONSTRAINTS = (
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    "minLength", "maxLength", "pattern", "minItems", "maxItems",
)  # fmt: skip


def contracts() -> dict[str, type[Event]]:
    """The declared contracts by type name, sorted: what tests and tools declare beside them is not one."""
    return {name: cls for name, cls in sorted(TYPES.items()) if cls.__module__.startswith("events.contracts.")}


# -- making ------------------------------------------------------------------------------------------------------


def document_of(cls: type[Event], committed: Document | None = None) -> Document:
    """The file of a type: its schema, and the committed examples followed by those of its present fields."""
    schema = cls.model_json_schema(mode="validation")
    examples: list[Document] = list(committed["examples"]) if committed else []
    for optional in (True, False):
        value = _example(schema, schema.get("$defs", {}), cls.__name__, optional=optional)
        event = cls.model_validate(value)
        # As it goes over the wire, which is what must be readable later.
        example = {"key": event.key(), "value": json.loads(event.model_dump_json())}
        if example not in examples:
            examples.append(example)
    return {"type": cls.TYPE, "topic": cls.TOPIC, "schema": schema, "examples": examples}


def _example(schema: Document, defs: Document, name: str, *, optional: bool) -> Any:
    """A value that fits the schema, the same on every machine."""
    if "$ref" in schema:
        return _example(defs[schema["$ref"].rsplit("/", 1)[1]], defs, name, optional=optional)
    if "examples" in schema:
        return schema["examples"][0]
    if "anyOf" in schema:
        return _example(schema["anyOf"][0 if optional else -1], defs, name, optional=optional)
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    if schema.get("type") == "object":
        required = schema.get("required", [])
        return {
            field: _example(part, defs, field, optional=optional)
            for field, part in schema.get("properties", {}).items()
            if optional or field in required
        }
    if schema.get("type") == "array":
        return [_example(schema["items"], defs, name, optional=optional)]
    if schema.get("format") == "uuid":
        return str(uuid5(NAMESPACE_URL, name))
    if schema.get("format") == "date-time":
        return EXAMPLE_INSTANT
    plain = {"boolean": True, "integer": 1, "number": 1.5, "string": name, "null": None}
    return plain[schema["type"]]


def text_of(document: Document) -> str:
    """The file's content."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


# -- comparing ---------------------------------------------------------------------------------------------------


def objections(old: Document, new: Document) -> Iterator[str]:
    """What makes the new document of a type incompatible with the old one, a sentence each."""
    if old["topic"] != new["topic"]:
        yield _refusal(old["type"], f"the topic {old['topic']} became {new['topic']}, which loses the order of keys")
    for path, what in _differences(old["schema"], new["schema"], old["schema"], new["schema"], ""):
        yield _refusal(old["type"], f"the field {path.lstrip('.')} {what}")


def _refusal(name: str, what: str) -> str:
    stem, version = name.rsplit(".v", 1)
    successor = f"{stem}.v{int(version) + 1}"
    return f"{name}: {what}. Keep it as it is and declare {successor} with an upcaster (events.handlers.upcast)."


def _differences(
    old: Document, new: Document, old_root: Document, new_root: Document, path: str
) -> Iterator[tuple[str, str]]:
    old, new = _resolved(old, old_root), _resolved(new, new_root)
    if _kind(old) != _kind(new):
        yield path, f"changed its type from {_kind(old)} to {_kind(new)}"
        return
    gone = [value for value in _values(old) if value not in _values(new)]
    if gone:
        yield path, f"no longer takes {', '.join(map(str, gone))}"
    for constraint in CONSTRAINTS:
        if constraint in new and new[constraint] != old.get(constraint):
            yield path, f"changed its constraint {constraint} from {old.get(constraint)} to {new[constraint]}"
    before, after = old.get("properties", {}), new.get("properties", {})
    for field, part in before.items():
        if field not in after:
            yield f"{path}.{field}", "was removed or renamed"
        else:
            yield from _differences(part, after[field], old_root, new_root, f"{path}.{field}")
    for field in new.get("required", []):
        if field not in before:
            yield f"{path}.{field}", "is new and required: events in Kafka do not have it"
        elif field not in old.get("required", []):
            yield f"{path}.{field}", "became required: events in Kafka may not have it"
    if "items" in old and "items" in new:
        yield from _differences(old["items"], new["items"], old_root, new_root, f"{path}[]")
    for one, other in zip(old.get("anyOf", []), new.get("anyOf", []), strict=False):
        yield from _differences(one, other, old_root, new_root, path)


def _resolved(schema: Document, root: Document) -> Document:
    if "$ref" in schema:
        found: Document = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
        return found
    return schema


def _kind(schema: Document) -> str:
    if "anyOf" in schema:
        return " or ".join(_kind(part) for part in schema["anyOf"])
    if "$ref" in schema:
        return "object"
    plain = str(schema.get("type", "anything"))
    return f"{plain} ({schema['format']})" if "format" in schema else plain


def _values(schema: Document) -> list[Any]:
    values: list[Any] = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return values


# -- what was committed --------------------------------------------------------------------------------------------


def committed_in(folder: Path) -> dict[str, Document]:
    """The documents that lie in the folder, by type."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def committed_on(branch: str, folder: Path) -> dict[str, Document]:
    """The folder's documents on a branch; empty where there is no git, no such branch, or no such folder on it."""
    listed = _git(folder, "ls-tree", "--name-only", branch, "./")
    names = [name for name in listed.split() if name.endswith(".json")]
    return {name.removesuffix(".json"): json.loads(_git(folder, "show", f"{branch}:./{name}")) for name in names}


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    except OSError:
        return ""  # no git here, or no such folder yet: the files themselves are all there is to compare with
    return done.stdout if done.returncode == 0 else ""


def refused(types: Mapping[str, type[Event]], committed: Mapping[str, Document]) -> Iterator[str]:
    """Why the types may not replace what was committed."""
    for name, old in committed.items():
        cls = types.get(name)
        if cls is None:
            yield _refusal(name, "the type was removed, and Kafka still has events of it")
            continue
        yield from objections(old, document_of(cls))
        for number, example in enumerate(old["examples"], 1):
            try:
                event = cls.model_validate(example["value"])
            except ValidationError as error:
                field = ".".join(map(str, error.errors()[0]["loc"]))
                yield _refusal(name, f"example {number} no longer decodes: {field}: {error.errors()[0]['msg']}")
            else:
                if event.key() != example["key"]:
                    yield _refusal(name, f"the key {example['key']} became {event.key()}, which breaks the order")


def main(arguments: list[str] | None = None) -> int:
    """Writes the files, or checks them; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m events.schemas", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is out of date")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    folder: Path = options.folder
    types = contracts()
    present = committed_in(folder)
    complaints = dict.fromkeys([*refused(types, present), *refused(types, committed_on(BASELINE, folder))])
    if complaints:
        print("\n".join(complaints), file=sys.stderr)
        return 1
    texts = {name: text_of(document_of(cls, present.get(name))) for name, cls in types.items()}
    if options.check:
        stale = [n for n, text in texts.items() if n not in present or (folder / f"{n}.json").read_text() != text]
        if stale:
            again = f"python -m events.schemas {folder}"
            print(f"Out of date in {folder}: {', '.join(stale)}. Run `{again}` and commit.", file=sys.stderr)
        return 1 if stale else 0
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.json").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
