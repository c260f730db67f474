"""Inbox and parked table: what was handled, and what cannot be handled now. All SQL of the consumer runtime."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import text

from events.envelope import Message, as_headers
from events.tables import outbox
from events.topics import dead_letters
from events.transaction import Transaction

Kind = Literal["early", "behind", "dead"]
Mark = Literal["new", "seen", "blocked"]

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

_PARK = text("""
WITH marked AS (
  INSERT INTO inbox (consumer, event_id, status) VALUES (:consumer, :event_id, 'parked')
  ON CONFLICT (consumer, event_id) DO UPDATE SET status = 'parked')
INSERT INTO parked (consumer, topic, key, event_id, partition, "offset", headers, payload, kind, reason, due_at)
VALUES (:consumer, :topic, :key, :event_id, :partition, :offset, CAST(:headers AS jsonb), :payload, :kind, :reason,
        now() + interval '50 ms')
ON CONFLICT (consumer, event_id) DO NOTHING
""")

# The first parked event of each key, unless it is dead: that one waits for a person.
_DUE = text("""
SELECT seq FROM parked p
WHERE consumer = :consumer AND kind <> 'dead' AND due_at <= now()
  AND NOT EXISTS (SELECT FROM parked q WHERE q.consumer = p.consumer AND q.topic = p.topic AND q.key = p.key
                                         AND q.seq < p.seq)
ORDER BY seq LIMIT 100
""")

_TAKE = text("SELECT * FROM parked WHERE seq = :seq FOR UPDATE SKIP LOCKED")
_DONE = text("""
WITH gone AS (DELETE FROM parked WHERE seq = :seq RETURNING consumer, event_id)
UPDATE inbox SET status = 'done', handled_at = now() FROM gone
WHERE inbox.consumer = gone.consumer AND inbox.event_id = gone.event_id
""")
_AGAIN = text("""
UPDATE parked SET attempts = attempts + 1, reason = :reason, kind = 'early',
  due_at = now() + least(interval '50 ms' * power(2, least(attempts, 10)), interval '1 s')
WHERE seq = :seq
""")
_DEAD = text("UPDATE parked SET kind = 'dead', reason = :reason, attempts = attempts + 1 WHERE seq = :seq")
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


async def park(tx: Transaction, consumer: str, message: Message, event_id: UUID, kind: Kind, reason: str) -> None:
    """Puts the event aside; a dead one is also copied to the dead-letter topic, for people."""
    await tx.connection.execute(
        _PARK,
        {
            "consumer": consumer,
            "topic": message.topic,
            "key": message.key,
            "event_id": event_id,
            "partition": message.partition,
            "offset": message.offset,
            "headers": json.dumps(_header_map(message)),
            "payload": message.value,
            "kind": kind,
            "reason": reason[:2000],
        },
    )
    if kind == "dead":
        await _copy_to_dead_letters(tx, consumer, message, reason)


async def _copy_to_dead_letters(tx: Transaction, consumer: str, message: Message, reason: str) -> None:
    origin = {
        "deadreason": reason[:2000],
        "deadconsumer": consumer,
        "deadorigin": f"{message.topic}/{message.partition}/{message.offset}",
    }
    await tx.connection.execute(
        outbox.insert(),
        {
            "topic": dead_letters(consumer),
            "key": message.key,
            "headers": _header_map(message) | origin,
            # A copy to be read: what is not text is shown escaped. The parked row has the bytes.
            "payload": message.value.decode(errors="backslashreplace").replace("\x00", "\\x00")
            if message.value is not None
            else None,
        },
    )
    tx.wake("relay")


async def due(tx: Transaction, consumer: str) -> list[int]:
    """The parked events that may be tried now, each the first of its key."""
    return list((await tx.connection.execute(_DUE, {"consumer": consumer})).scalars())


async def take(tx: Transaction, seq: int) -> ParkedMessage | None:
    """Locks a parked event; None when another replica has it or it is gone."""
    row = (await tx.connection.execute(_TAKE, {"seq": seq})).one_or_none()
    if row is None:
        return None
    message = Message(
        topic=row.topic,
        key=row.key,
        value=row.payload,
        headers=as_headers(row.headers.items()),
        partition=row.partition,
        offset=row.offset,
    )
    return ParkedMessage(row.seq, row.attempts, message)


async def done(tx: Transaction, seq: int) -> None:
    """The parked event was handled: the row goes, the inbox says done, in the handler's transaction."""
    await tx.connection.execute(_DONE, {"seq": seq})


async def again(tx: Transaction, seq: int, reason: str) -> None:
    """Still too early: tried again after 50 ms, doubling up to a second."""
    await tx.connection.execute(_AGAIN, {"seq": seq, "reason": reason[:2000]})


async def bury(tx: Transaction, consumer: str, parked: ParkedMessage, reason: str) -> None:
    """A parked event failed for good."""
    await tx.connection.execute(_DEAD, {"seq": parked.seq, "reason": reason[:2000]})
    await _copy_to_dead_letters(tx, consumer, parked.message, reason)


async def count(tx: Transaction, consumer: str) -> Mapping[str, tuple[int, float]]:
    """Number and age in seconds of the oldest, by kind."""
    rows = (await tx.connection.execute(_COUNT, {"consumer": consumer})).all()
    return {row.kind: (row.n, float(row.oldest)) for row in rows}


def _header_map(message: Message) -> dict[str, str]:
    return {key: value.decode(errors="backslashreplace").replace("\x00", "") for key, value in message.headers}
