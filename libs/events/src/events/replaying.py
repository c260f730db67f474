"""Parked events are tried again: the first of each key, until it is handled or dead."""

import asyncio
from collections import Counter

import structlog
from sqlalchemy.exc import DBAPIError

from events import parking
from events.envelope import Envelope
from events.errors import Early, Invalid, Retry
from events.handlers import Handler
from events.metrics import HANDLED, PARKED, PARKED_AGE
from events.reaction import AWAY, UNKNOWN_FAILURE_TRIES, Transactions, describe, is_transient, react
from events.transaction import traceparent

log = structlog.get_logger(__name__)

IDLE_SECONDS = 1.0  # how soon a person's replay, or another replica's parked event, is noticed
SHORTEST_SECONDS = 0.02


class Replayer:
    """Runs beside the consumer in every replica; rows are taken by lock, so none is handled twice."""

    def __init__(self, name: str, transactions: Transactions, handlers: dict[tuple[str, bool], Handler]) -> None:
        self._name = name
        self._transactions = transactions
        self._handlers = handlers
        self._parked = asyncio.Event()
        self._failures: Counter[int] = Counter()

    def wake(self) -> None:
        """Says that something was parked."""
        self._parked.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Replays what is due until `stop`."""
        while not stop.is_set():
            self._parked.clear()
            try:
                seconds = await self._replay_due()
            except (DBAPIError, *AWAY) as error:
                if isinstance(error, DBAPIError) and not is_transient(error):
                    raise
                log.warning("parked events wait for the database", consumer=self._name, error=describe(error))
                seconds = IDLE_SECONDS
            try:
                async with asyncio.timeout(max(seconds, SHORTEST_SECONDS)):
                    await self._parked.wait()
            except TimeoutError:
                continue

    async def _replay_due(self) -> float:
        """Handles what is due; returns the seconds until something is due again, a second at most."""
        async with self._transactions(None) as tx:
            due = await parking.due(tx, self._name)
            counts = await parking.count(tx, self._name)
        for kind in ("early", "behind", "dead"):
            number, oldest = counts.get(kind, (0, 0.0))
            PARKED.labels(self._name, kind).set(number)
            PARKED_AGE.labels(self._name, kind).set(oldest)
        for seq in due:
            await self._replay(seq)
        if not counts:
            return IDLE_SECONDS
        async with self._transactions(None) as tx:
            return min(await parking.due_in(tx, self._name), IDLE_SECONDS)

    async def _replay(self, seq: int) -> None:
        try:
            await self._attempt(seq)
        except Early as early:
            await self._again(seq, str(early))
        except (Retry, *AWAY) as error:
            log.warning("a parked event waits for a dependency", consumer=self._name, error=describe(error))
            await self._again(seq, describe(error))
        except Invalid as invalid:
            await self._bury(seq, str(invalid))
        except DBAPIError as error:
            if is_transient(error):
                raise
            await self._failed(seq, describe(error))
        except Exception as error:  # the edge: whatever a handler raises decides only about its own event
            log.exception("a handler failed on a parked event", consumer=self._name)
            await self._failed(seq, describe(error))
        else:
            self._failures.pop(seq, None)

    async def _attempt(self, seq: int) -> None:
        async with self._transactions(None) as tx:
            parked = await parking.take(tx, seq)
        if parked is None:
            return
        message = parked.message
        envelope = Envelope.of(message)
        handler = self._handlers.get((message.type, message.value is None))
        if handler is None:
            raise Invalid(f"{self._name} has no handler for {message.type!r}")
        traceparent.set(envelope.traceparent)
        async with self._transactions(envelope.tenant_id, cause=envelope) as tx:
            if await parking.take(tx, seq) is None:
                return  # another replica was faster
            await react(handler, message, tx)
            await parking.done(tx, seq)
        HANDLED.labels(self._name, message.type, "replayed").inc()

    async def _failed(self, seq: int, reason: str) -> None:
        self._failures[seq] += 1
        if self._failures[seq] >= UNKNOWN_FAILURE_TRIES:
            await self._bury(seq, reason)
        else:
            await self._again(seq, reason)

    async def _again(self, seq: int, reason: str) -> None:
        async with self._transactions(None) as tx:
            await parking.again(tx, seq, reason)

    async def _bury(self, seq: int, reason: str) -> None:
        self._failures.pop(seq, None)
        async with self._transactions(None) as tx:
            await parking.bury(tx, self._name, seq, reason)
