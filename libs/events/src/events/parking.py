"""Inbox and parked table: what was handled, and what cannot be handled now. All SQL of the consumer runtime.

What people do about parked events is in `events.dead_letters`."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import text

from events.envelope import Message, as_headers, legible
from events.tables import outbox
from events.topics import dead_letters
from events.transaction import Transaction

Kind = Literal["early", "behind", "dead"]
Mark = Literal["new", "seen", "blocked"]

COPIED_BYTES = 100_000

# One statement: is the key blocked by an earlier parked event, and is this event new? The mark is `parked` at once
# when it is blocked, since only a replay from the parked table may then handle it.
_MARK = text("""
WITH blocked AS (SELECT EXISTS (
  SELECT FROM parked WHERE consumer = :consumer AND topic = :topic AND key = :key) AS is),
marked AS (
  INSERT INTO inbox (consumer, event_id, status)
  SELECT :consumer, :event_id, CASE WHEN blocked.is THEN 'parked' ELSE 'done' END FROM blocked
  ON CONFLICT DO NOTHING RETURNING 1)
SELECT blocked.is AS blocked, EXISTS (SELECT FROM marked) AS new FROM blocked
""")

# The first mark wins: what another replica handled meanwhile, or what was parked before, is not parked again.
_MARK_PARKED = text("""
INSERT INTO inbox (consumer, event_id, status) VALUES (:consumer, :event_id, 'parked')
ON CONFLICT DO NOTHING RETURNING 1
""")
_PARK = text("""
INSERT INTO parked (consumer, topic, key, event_id, partition, "offset", headers, payload, kind, reason, due_at)
VALUES (:consumer, :topic, :key, :event_id, :partition, :offset, CAST(:headers AS jsonb), :payload, :kind, :reason,
        clock_timestamp() + interval '50 ms')
""")

# The first parked event of each key, unless it is dead: that one waits for a person.
_DUE = text("""
SELECT seq FROM parked p
WHERE consumer = :consumer AND kind <> 'dead' AND due_at <= clock_timestamp()
  AND NOT EXISTS (SELECT FROM parked q WHERE q.consumer = p.consumer AND q.topic = p.topic AND q.key = p.key
                                         AND q.seq < p.seq)
ORDER BY seq LIMIT 100
""")

_DUE_IN = text("""
SELECT extract(epoch FROM min(due_at) - clock_timestamp()) FROM parked p
WHERE consumer = :consumer AND kind <> 'dead'
  AND NOT EXISTS (SELECT FROM parked q WHERE q.consumer = p.consumer AND q.topic = p.topic AND q.key = p.key
                                         AND q.seq < p.seq)
""")
_TAKE = text("SELECT * FROM parked WHERE seq = :seq AND kind <> 'dead' FOR UPDATE SKIP LOCKED")
_DONE = text("""
WITH gone AS (DELETE FROM parked WHERE seq = :seq RETURNING consumer, event_id)
UPDATE inbox SET status = 'done', handled_at = now() FROM gone
WHERE inbox.consumer = gone.consumer AND inbox.event_id = gone.event_id
""")
_AGAIN = text("""
UPDATE parked SET attempts = attempts + 1, reason = :reason, kind = 'early',
  due_at = clock_timestamp() + least(interval '50 ms' * power(2, least(attempts, 10)), interval '1 s')
WHERE seq = :seq AND kind <> 'dead'
""")
_DEAD = text("""
UPDATE parked SET kind = 'dead', reason = :reason, attempts = attempts + 1 WHERE seq = :seq AND kind <> 'dead'
RETURNING *
""")
_COUNT = text("""
SELECT kind, count(*) AS n, extract(epoch FROM now() - min(parked_at)) AS oldest
FROM parked WHERE consumer = :consumer GROUP BY kind
""")


@dataclass(frozen=True, slots=True)
class ParkedMessage:
    """A row of the parked table as the message it was."""

    seq: int
    attempts: int
    message: Message


async def mark(tx: Transaction, consumer: str, message: Message, event_id: UUID) -> Mark:
    """Marks the event as handled in this transaction, or says that it was seen before, or must queue."""
    row = (
        await tx.connection.execute(
            _MARK, {"consumer": consumer, "topic": message.topic, "key": message.key, "event_id": event_id}
        )
    ).one()
    if not row.new:
        return "seen"
    return "blocked" if row.blocked else "new"


async def queue(tx: Transaction, consumer: str, message: Message, event_id: UUID) -> None:
    """Puts an event that `mark` called blocked behind the parked one of its key."""
    await _insert(tx, consumer, message, event_id, "behind", "an earlier event of this key is parked")


async def park(tx: Transaction, consumer: str, message: Message, event_id: UUID, kind: Kind, reason: str) -> None:
    """Puts the event aside, unless it was handled or parked before; a dead one is also copied to the dead-letter
    topic, for people."""
    marked = await tx.connection.execute(_MARK_PARKED, {"consumer": consumer, "event_id": event_id})
    if marked.scalar_one_or_none() is None:
        return
    await _insert(tx, consumer, message, event_id, kind, reason)
    if kind == "dead":
        await _copy_to_dead_letters(tx, consumer, message, reason)


async def _insert(tx: Transaction, consumer: str, message: Message, event_id: UUID, kind: Kind, reason: str) -> None:
    await tx.connection.execute(
        _PARK,
        {
            "consumer": consumer,
            "topic": message.topic,
            "key": message.key,
            "event_id": event_id,
            "partition": message.partition,
            "offset": message.offset,
            "headers": json.dumps(header_texts(message)),
            "payload": message.value,
            "kind": kind,
            "reason": _storable(reason),
        },
    )


async def _copy_to_dead_letters(tx: Transaction, consumer: str, message: Message, reason: str) -> None:
    origin = {
        "deadreason": _storable(reason),
        "deadconsumer": consumer,
        "deadorigin": f"{message.topic}/{message.partition}/{message.offset}",
    }
    await tx.connection.execute(
        outbox.insert(),
        {
            "topic": dead_letters(consumer),
            "key": message.key,
            "headers": header_texts(message) | origin,
            # A copy to be read, and small enough to be sent: the parked row has all the bytes.
            "payload": legible(message.value[:COPIED_BYTES]) if message.value is not None else None,
        },
    )
    tx.wake("relay")


async def due(tx: Transaction, consumer: str) -> list[int]:
    """The parked events that may be tried now, each the first of its key."""
    return [*(await tx.connection.execute(_DUE, {"consumer": consumer})).scalars()]


async def due_in(tx: Transaction, consumer: str) -> float:
    """Seconds until the next one may be tried; infinite when none is waiting for anything but a person."""
    seconds = (await tx.connection.execute(_DUE_IN, {"consumer": consumer})).scalar_one()
    return float(seconds) if seconds is not None else math.inf


async def take(tx: Transaction, seq: int) -> ParkedMessage | None:
    """Locks a parked event; None when another replica has it, or it is gone, or dead."""
    row = (await tx.connection.execute(_TAKE, {"seq": seq})).one_or_none()
    return ParkedMessage(row.seq, row.attempts, _message(row)) if row is not None else None


async def done(tx: Transaction, seq: int) -> None:
    """The parked event was handled: the row goes, the inbox says done, in the handler's transaction."""
    await tx.connection.execute(_DONE, {"seq": seq})


async def again(tx: Transaction, seq: int, reason: str) -> None:
    """Still too early: tried again after 50 ms, doubling up to a second."""
    await tx.connection.execute(_AGAIN, {"seq": seq, "reason": _storable(reason)})


async def bury(tx: Transaction, consumer: str, seq: int, reason: str) -> None:
    """A parked event failed for good."""
    row = (await tx.connection.execute(_DEAD, {"seq": seq, "reason": _storable(reason)})).one_or_none()
    if row is not None:
        await _copy_to_dead_letters(tx, consumer, _message(row), reason)


async def count(tx: Transaction, consumer: str) -> Mapping[str, tuple[int, float]]:
    """Number and age in seconds of the oldest, by kind."""
    rows = (await tx.connection.execute(_COUNT, {"consumer": consumer})).all()
    return {row.kind: (row.n, float(row.oldest)) for row in rows}


def header_texts(message: Message) -> dict[str, str]:
    """The headers as text that PostgreSQL can store."""
    return {legible(key.encode()): legible(value) for key, value in message.headers}


def _message(row: Any) -> Message:
    return Message(
        topic=row.topic,
        key=row.key,
        value=row.payload,
        headers=as_headers(row.headers.items()),
        partition=row.partition,
        offset=row.offset,
    )


def _storable(reason: str) -> str:
    return legible(reason.encode(errors="backslashreplace"))[:2000]
