"""`python -m events.docs [--check] docs/events.md`: topics, events, and who reacts to what, from the code itself."""

import argparse
import importlib
import importlib.util
import inspect
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from pydantic.fields import FieldInfo

from events.base import Event, State
from events.handlers import handlers_of
from events.schemas import contracts
from events.topics import BY_NAME, TOPICS

SERVICES = ("identity", "availability", "booking", "payment", "calendar_sync", "notification", "insight")
PLAIN: dict[Any, str] = {str: "text", int: "integer", float: "number", bool: "true or false", datetime: "instant"}


class _Names:
    """Stands for an event when its key is to be read as a formula."""

    def __getattr__(self, name: str) -> str:
        return f"<{name}>"


def import_handlers() -> None:
    """Imports the handlers of every service that is installed and has some."""
    for service in SERVICES:
        if importlib.util.find_spec(service) and importlib.util.find_spec(f"{service}.handlers"):
            importlib.import_module(f"{service}.handlers")


def reactions() -> dict[str, list[str]]:
    """`service: function` for each event type, in the services' order."""
    found: dict[str, list[str]] = defaultdict(list)
    for service in SERVICES:
        for (name, deleted), handler in sorted(handlers_of(service).items()):
            found[name].append(f"{service}: `{handler.name}`" + (" (when it is deleted)" if deleted else ""))
    return found


def page() -> str:
    """The whole document."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# Events"
    yield ""
    yield "Written by `python -m events.docs docs/events.md` from the contracts in `libs/events`, the topic registry"
    yield "and the services' handlers. Each event carries `tenant_id` and its aggregate's `version`; the envelope"
    yield "(CloudEvents 1.0 headers) is described in `events/envelope.py`, the JSON Schemas are in"
    yield "`libs/events/schemas`."
    yield ""
    yield "## Topics"
    yield ""
    yield "| topic | owner | kind | partitions | about | settings |"
    yield "|---|---|---|---|---|---|"
    for topic in TOPICS:
        settings = ", ".join(f"`{name}={value}`" for name, value in sorted(topic.configs.items()))
        about = f"{topic.name} | {topic.owner} | {topic.kind} | {topic.partitions} | {topic.about} | {settings}"
        yield f"| {about} |"
    found = reactions()
    by_topic: dict[str, list[type[Event]]] = defaultdict(list)
    for cls in contracts().values():
        by_topic[cls.TOPIC].append(cls)
    for topic in TOPICS:
        if topic.name not in by_topic:
            continue
        yield ""
        yield f"## {topic.name}"
        for cls in by_topic[topic.name]:
            yield from _event(cls, found[cls.TYPE])


def _event(cls: type[Event], handlers: list[str]) -> Iterator[str]:
    yield ""
    yield f"### {cls.__name__}"
    yield ""
    yield " ".join(inspect.cleandoc(cls.__doc__ or "").split())
    yield ""
    yield f"- type: `{cls.TYPE}`" + (" (state: the whole row, a tombstone ends it)" if issubclass(cls, State) else "")
    yield f"- producer: {BY_NAME[cls.TOPIC].owner}"
    yield f"- key: `{_key(cls)}`"
    yield f"- handlers: {', '.join(handlers) if handlers else 'none'}"
    yield "- fields: " + ", ".join(
        _field(name, field) for name, field in cls.model_fields.items() if name not in Event.model_fields
    )


def _key(cls: type[Event]) -> str:
    formula = cls.KEY(_Names())  # type: ignore[arg-type]
    return formula[1:-1] if formula[1:-1] in cls.model_fields else formula


def _field(name: str, field: FieldInfo) -> str:
    text = f"`{name}`: {_type_name(field.annotation)}"
    if not field.is_required():
        text += ", optional"
    return text + (f" ({field.description})" if field.description else "")


def _type_name(annotation: Any) -> str:
    arguments = get_args(annotation)
    if annotation is type(None):
        return "null"
    if not arguments:
        return PLAIN.get(annotation) or str(getattr(annotation, "__name__", annotation))
    if getattr(annotation, "__origin__", None) is list:
        return f"list of {_type_name(arguments[0])}"
    if all(isinstance(argument, str) for argument in arguments):
        return " / ".join(f"`{argument}`" for argument in arguments)
    if hasattr(annotation, "__metadata__"):
        return _type_name(arguments[0])
    return " or ".join(_type_name(argument) for argument in arguments)


def main(arguments: list[str] | None = None) -> int:
    """Writes the file, or checks it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m events.docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the file is out of date")
    parser.add_argument("file", type=Path)
    options = parser.parse_args(arguments)
    import_handlers()
    text = page()
    path: Path = options.file
    if options.check:
        if path.exists() and path.read_text() == text:
            return 0
        print(f"{path} is out of date. Run `python -m events.docs {path}` and commit it.", file=sys.stderr)
        return 1
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
