"""`holdfast dead-letters`: events that a service could not handle, over all services."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated
from uuid import UUID

import typer

from ..options import AsJson, ReadyFile

EventId = Annotated[UUID, typer.Argument(help="The event's id, as `list` shows it.")]
Consumer = Annotated[str | None, typer.Option(help="Only this service's.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Events that a service could not handle.", no_args_is_help=True)
    group.command("list")(list_)
    group.command()(show)
    group.command()(replay)
    group.command()(discard)
    app.add_typer(group, name="dead-letters")


def list_(
    waiting: Annotated[bool, typer.Option("--all", help="Also those that only wait for something.")] = False,
    consumer: Consumer = None,
    ready_file: ReadyFile = None,
    as_json: AsJson = False,
) -> None:
    """What is dead, oldest first: service, key, reason, age."""
    from ..parked import age, document, listed

    found = asyncio.run(listed(ready_file, consumer, waiting=waiting))
    if as_json:
        typer.echo(json.dumps({"data": [document(event) for event in found]}))
        return
    if not found:
        typer.echo("Nothing is dead." if not waiting else "Nothing is parked.")
        return
    for event in found:
        typer.echo(
            f"{event.event_id}  {event.consumer}  {event.kind}  {event.type or '?'}  key {event.key}  "
            f"{age(event)}\n  {event.reason}"
        )


def show(event_id: EventId, consumer: Consumer = None, ready_file: ReadyFile = None, as_json: AsJson = False) -> None:
    """All of one event: where it is from, why it is parked, its headers and payload."""
    from ..parked import document, found

    documents = [document(event, whole=True) for event in asyncio.run(found(ready_file, event_id, consumer))]
    if as_json:
        typer.echo(json.dumps({"data": documents}))
        return
    for one in documents:
        for name, value in one.items():
            typer.echo(f"{name:<10} {value if isinstance(value, str | int) else json.dumps(value, ensure_ascii=False)}")


def replay(event_id: EventId, consumer: Consumer = None, ready_file: ReadyFile = None, as_json: AsJson = False) -> None:
    """Have it handled again by the service that could not; what queues behind it follows."""
    from ..parked import replay

    services = asyncio.run(replay(ready_file, event_id, consumer))
    _done(event_id, services, "is handled again by", as_json)


def discard(
    event_id: EventId, consumer: Consumer = None, ready_file: ReadyFile = None, as_json: AsJson = False
) -> None:
    """Give it up: it is never handled, and what queues behind it goes on."""
    from ..parked import discard

    services = asyncio.run(discard(ready_file, event_id, consumer))
    _done(event_id, services, "was given up for", as_json)


def _done(event_id: UUID, services: list[str], what: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"event_id": str(event_id), "consumers": services}))
    else:
        typer.echo(f"{event_id} {what} {', '.join(services)}.")
