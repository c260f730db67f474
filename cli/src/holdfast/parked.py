"""Parked events of every service, by the superuser's address of the ready file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from events import Transaction, dead_letters
from events.dead_letters import ParkedEvent
from events.envelope import legible
from servicekit.database import engine_for

from .errors import HoldfastError
from .system import load_ready

_SCHEMAS = text("SELECT table_schema FROM information_schema.tables WHERE table_name = 'parked' ORDER BY table_schema")
_PATH = text("SELECT set_config('search_path', :schema, true)")


@asynccontextmanager
async def schemas(ready_file: Path | None, consumer: str | None = None) -> AsyncIterator[list[tuple[str, Transaction]]]:
    """A transaction in the schema of each service that has parked events, or of the one named; committed together
    at the end."""
    engine = engine_for(load_ready(ready_file).postgres, name="cli", pool_size=1)
    try:
        async with engine.connect() as connection, connection.begin():
            names = [*(await connection.execute(_SCHEMAS)).scalars()]
            if consumer is not None:
                wanted = consumer.replace("-", "_")
                if wanted not in names:
                    raise HoldfastError(f"There is no service {consumer}; there are {', '.join(names)}.")
                names = [wanted]
            yield [(name, Transaction(connection, service=name, tenant_id=None)) for name in names]
    except DBAPIError as error:
        raise HoldfastError(f"PostgreSQL refused: {str(error.orig).strip()}. Nothing was changed.") from error
    finally:
        await engine.dispose()


async def _in(name: str, tx: Transaction) -> Transaction:
    await tx.connection.execute(_PATH, {"schema": name})
    return tx


async def listed(ready_file: Path | None, consumer: str | None, *, waiting: bool) -> list[ParkedEvent]:
    """The dead ones (with `waiting` also the early and those behind them), oldest first."""
    kinds: tuple[Any, ...] = ("dead", "early", "behind") if waiting else ("dead",)
    async with schemas(ready_file, consumer) as places:
        rows = [row for name, tx in places for row in await dead_letters.listed(await _in(name, tx), kinds=kinds)]
    return sorted(rows, key=lambda row: row.parked_at)


async def found(ready_file: Path | None, event_id: UUID, consumer: str | None) -> list[ParkedEvent]:
    """The event where it is parked: mostly in one service."""
    async with schemas(ready_file, consumer) as places:
        rows = [await dead_letters.find(await _in(name, tx), event_id) for name, tx in places]
    events = [row for row in rows if row is not None]
    if not events:
        raise HoldfastError(f"No parked event has the id {event_id}: `holdfast dead-letters list --all` shows them.")
    return events


async def replay(ready_file: Path | None, event_id: UUID, consumer: str | None) -> list[str]:
    """Makes it due again; the services that take it."""
    return await _each(ready_file, event_id, consumer, dead_letters.replay)


async def discard(ready_file: Path | None, event_id: UUID, consumer: str | None) -> list[str]:
    """Gives it up; the services that let go."""
    return await _each(ready_file, event_id, consumer, dead_letters.discard)


async def _each(
    ready_file: Path | None,
    event_id: UUID,
    consumer: str | None,
    act: Callable[[Transaction, UUID], Awaitable[bool]],
) -> list[str]:
    async with schemas(ready_file, consumer) as places:
        services = [name for name, tx in places if await act(await _in(name, tx), event_id)]
    if not services:
        raise HoldfastError(f"No dead event has the id {event_id}; nothing was changed.")
    return services


def age(event: ParkedEvent, now: datetime | None = None) -> str:
    """How long it has been parked, in the largest unit that fits."""
    seconds = ((now or datetime.now(UTC)) - event.parked_at).total_seconds()
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} old"
    return f"{seconds:.0f} s old"


def document(event: ParkedEvent, *, whole: bool = False) -> dict[str, Any]:
    """For programs; `whole` with headers and payload."""
    row: dict[str, Any] = {
        "event_id": str(event.event_id),
        "consumer": event.consumer,
        "kind": event.kind,
        "type": event.type,
        "topic": event.topic,
        "partition": event.partition,
        "offset": event.offset,
        "key": event.key,
        "reason": event.reason,
        "attempts": event.attempts,
        "parked_at": event.parked_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
    }
    if whole:
        payload = legible(event.payload) if event.payload is not None else None
        row |= {"headers": event.headers, "payload": payload}
    return row
