"""What a service knows of another's data: its own copy of the latest version, fed by events."""

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from sqlalchemy import text

from events import Deleted, Event, Transaction
from servicekit.problems import Unavailable

if TYPE_CHECKING:
    from servicekit.database import Database

E = TypeVar("E", bound=Event)

WAIT_SECONDS = 2.0

_KEEP = text("""
INSERT INTO copy AS c (tenant_id, type, key, version, document) VALUES (:tenant, :type, :key, :version, :document)
ON CONFLICT (tenant_id, type, key) DO UPDATE SET version = :version, document = :document
  WHERE c.version < :version
RETURNING 1
""")
_DROP = text("DELETE FROM copy WHERE tenant_id = :tenant AND type = :type AND key = :key AND version <= :version")
_GET = text("SELECT document FROM copy WHERE tenant_id = :tenant AND type = :type AND key = :key")
_ALL = text("SELECT document FROM copy WHERE tenant_id = :tenant AND type = :type ORDER BY key")


async def keep(tx: Transaction, event: Event) -> bool:
    """Stores the event's content unless a newer version is here; returns whether it was newer."""
    parameters = {
        "tenant": event.tenant_id,
        "type": event.TYPE,
        "key": event.key(),
        "version": event.version,
        "document": event.model_dump_json(),
    }
    return (await tx.connection.execute(_KEEP, parameters)).scalar_one_or_none() is not None


async def drop(tx: Transaction, deleted: Deleted) -> None:
    """Forgets what was deleted."""
    await tx.connection.execute(
        _DROP,
        {"tenant": deleted.tenant_id, "type": deleted.type, "key": deleted.key, "version": deleted.version},
    )


async def find(tx: Transaction, kind: type[E], key: str) -> E | None:
    """The copy with the event's key (as `Event.key()` says it), None when nothing has come yet."""
    parameters = {"tenant": tx.tenant_id, "type": kind.TYPE, "key": key}
    document = (await tx.connection.execute(_GET, parameters)).scalar_one_or_none()
    return kind.model_validate_json(document) if document is not None else None


async def every(tx: Transaction, kind: type[E]) -> list[E]:
    """All copies of this kind in the tenant."""
    rows = await tx.connection.execute(_ALL, {"tenant": tx.tenant_id, "type": kind.TYPE})
    return [kind.model_validate_json(document) for document in rows.scalars()]


async def await_copy(database: "Database", tenant_id: UUID, kind: type[E], key: str, *, version: int = 1) -> E:
    """The copy in at least this version, waiting for it for up to 2 s: a client may be faster than Kafka.

    Raises `Unavailable` when it does not come. Call it outside a transaction.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        async with database.transaction(tenant_id) as tx:
            found = await find(tx, kind, key)
        if found is not None and found.version >= version:
            return found
        if time.monotonic() >= deadline:
            raise _not_here_yet(key)
        await asyncio.sleep(0.02)


async def expect(tx: Transaction, kind: type[E], key: str, *, version: int = 1) -> E:
    """The same within a transaction that holds no lock yet: each look sees what was committed meanwhile."""
    deadline = time.monotonic() + WAIT_SECONDS
    while (found := await find(tx, kind, key)) is None or found.version < version:
        if time.monotonic() >= deadline:
            raise _not_here_yet(key)
        await asyncio.sleep(0.02)
    return found


def _not_here_yet(key: str) -> Unavailable:
    return Unavailable(
        f"What was just changed ({key}) has not arrived here yet. Nothing was stored; try again in a moment."
    )
