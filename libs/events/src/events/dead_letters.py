"""What people do about parked events: look at them, have them handled again, or give them up.

The transaction may be the service's own or a superuser's with `search_path` set to the service's schema.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, text

from events.parking import Kind
from events.transaction import Transaction

_COLUMNS = 'consumer, event_id, kind, topic, key, partition, "offset", reason, attempts, parked_at, headers, payload'
_LIST = text(f"SELECT {_COLUMNS} FROM parked WHERE kind IN :kinds ORDER BY seq LIMIT :limit").bindparams(
    bindparam("kinds", expanding=True)
)
_SHOW = text(f"SELECT {_COLUMNS} FROM parked WHERE event_id = :event_id")
_REPLAY = text("""
UPDATE parked SET kind = 'early', attempts = 0, due_at = clock_timestamp()
WHERE event_id = :event_id AND kind = 'dead' RETURNING 1
""")
_DISCARD = text("""
WITH gone AS (DELETE FROM parked WHERE event_id = :event_id AND kind = 'dead' RETURNING consumer, event_id)
UPDATE inbox SET status = 'done', handled_at = now() FROM gone
WHERE inbox.consumer = gone.consumer AND inbox.event_id = gone.event_id RETURNING 1
""")


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """A parked event as people see it. `kind`: early (waits for something), behind (an earlier event of its key is
    parked), dead (failed for good)."""

    consumer: str
    event_id: UUID
    kind: Kind
    topic: str
    key: str
    partition: int
    offset: int
    reason: str
    attempts: int
    parked_at: datetime
    headers: dict[str, str]
    payload: bytes | None

    @property
    def type(self) -> str:
        """The CloudEvents type, empty when the message had none."""
        return self.headers.get("ce_type", "")


async def listed(tx: Transaction, *, kinds: tuple[Kind, ...] = ("dead",), limit: int = 100) -> list[ParkedEvent]:
    """The parked events of these kinds, oldest first."""
    rows = await tx.connection.execute(_LIST, {"kinds": kinds, "limit": limit})
    return [_event(row) for row in rows]


async def find(tx: Transaction, event_id: UUID) -> ParkedEvent | None:
    """The parked event with this id, None when there is none here."""
    row = (await tx.connection.execute(_SHOW, {"event_id": event_id})).one_or_none()
    return _event(row) if row is not None else None


async def replay(tx: Transaction, event_id: UUID) -> bool:
    """Makes a dead event due again: the running consumer handles it within a second, then what queues behind it.
    False when no dead event has this id."""
    return (await tx.connection.execute(_REPLAY, {"event_id": event_id})).scalar_one_or_none() is not None


async def discard(tx: Transaction, event_id: UUID) -> bool:
    """Gives a dead event up: it is never handled, and what queues behind it goes on. False when no dead event has
    this id."""
    return (await tx.connection.execute(_DISCARD, {"event_id": event_id})).scalar_one_or_none() is not None


def _event(row: Any) -> ParkedEvent:
    return ParkedEvent(**row._mapping)
