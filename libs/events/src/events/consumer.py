"""The consumer runtime: at least once from the broker, exactly once into the database.

Order is kept per key. Offsets are committed after the database, contiguously. On a rebalance or a stop, what was
dispatched is finished first. What cannot be handled is parked in the database, so that one bad event stops its own
key and nothing else.
"""

import asyncio
import random
import sys
import time
import zlib
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Protocol
from uuid import NAMESPACE_URL, UUID, uuid5

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from events import parking
from events.base import Deleted
from events.brokers import Broker, Partition, Subscription
from events.envelope import Envelope, Message, unseal
from events.errors import Early, Flooded, Invalid, Retry
from events.handlers import Handler
from events.metrics import DELAY, HANDLED, PARKED, PARKED_AGE
from events.transaction import Transaction, traceparent

log = structlog.get_logger(__name__)

LANES = 16
PAUSE_AT, RESUME_AT = 100, 25
COMMIT_SECONDS = 0.5
DRAIN_SECONDS = 8.0
UNKNOWN_FAILURE_TRIES = 5
FLOOD_LIMIT, FLOOD_SECONDS = 100, 60.0
STALLED_SECONDS = 60.0
# Serialization failure, deadlock, lock not available: the same work done again succeeds.
RETRIED_SQLSTATES = {"40001", "40P01", "55P03", "57014", "25006"}


class Transactions(Protocol):
    """Opens a transaction of the service in a tenant, caused by an event."""

    def __call__(
        self, tenant_id: UUID | None, *, cause: Envelope | None = None
    ) -> AbstractAsyncContextManager[Transaction]: ...


class _Flow:
    """One assigned partition: what was dispatched, in order, and the last task of each lane."""

    def __init__(self) -> None:
        self.dispatched: deque[int] = deque()
        self.finished: set[int] = set()
        self.tails: dict[int, asyncio.Task[None]] = {}
        self.position: int | None = None
        self.committed: int | None = None
        self.paused = False

    @property
    def in_flight(self) -> int:
        return len(self.dispatched) - len(self.finished)

    def finish(self, offset: int) -> None:
        """Moves the position over every finished offset that has no unfinished one before it."""
        self.finished.add(offset)
        while self.dispatched and self.dispatched[0] in self.finished:
            done = self.dispatched.popleft()
            self.finished.discard(done)
            self.position = done + 1


class Consumer:
    """Runs a service's handlers on what its topics carry."""

    def __init__(
        self,
        name: str,
        broker: Broker,
        transactions: Transactions,
        handlers: dict[tuple[str, bool], Handler],
        *,
        member: str,
        lanes: int = LANES,
    ) -> None:
        self.name = name
        self._broker = broker
        self._transactions = transactions
        self._handlers = handlers
        self._member = member
        self._lanes = lanes
        self._flows: dict[Partition, _Flow] = {}
        self._subscription: Subscription | None = None
        self._failed: BaseException | None = None
        self._deaths: deque[float] = deque()
        self._last_progress = time.monotonic()
        self._anything_parked = asyncio.Event()
        self.started = asyncio.Event()

    # -- health ------------------------------------------------------------------------------------------------

    @property
    def stalled(self) -> bool:
        """Assigned and behind, or not assigned at all, and nothing has moved for a minute."""
        if time.monotonic() - self._last_progress < STALLED_SECONDS:
            return False
        return not self._flows or any(flow.in_flight for flow in self._flows.values()) or self.lag() > 0

    def lag(self) -> int:
        """Messages that were not handled yet, in the partitions this replica has read from."""
        if self._subscription is None:
            return 0
        return sum(
            max(0, (self._subscription.end(partition) or 0) - flow.position)
            for partition, flow in self._flows.items()
            if flow.position is not None
        )

    # -- the loop ----------------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Handles until `stop` is set, finishes what it took, commits and leaves.

        Raises `Flooded` when too many events fail for good; the process should then end and be looked at.
        """
        topics = sorted({handler.event.TOPIC for handler in self._handlers.values()})
        subscription = self._broker.subscribe(self.name, topics, self._member)
        starting = asyncio.create_task(subscription.start(self._give_back))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            return
        stopping.cancel()
        await starting
        self._subscription = subscription
        self.started.set()
        self._last_progress = time.monotonic()
        replaying = asyncio.create_task(self._replay_parked(stop))
        try:
            await self._poll(subscription, stop)
        finally:
            replaying.cancel()
            await asyncio.gather(replaying, return_exceptions=True)
            await self._give_back(frozenset(self._flows), seconds=20.0)
            await subscription.stop()
        if self._failed:
            raise self._failed

    async def _poll(self, subscription: Subscription, stop: asyncio.Event) -> None:
        committed_at = time.monotonic()
        while not stop.is_set() and self._failed is None:
            for partition, messages in (await subscription.poll(0.2)).items():
                flow = self._flows.setdefault(partition, _Flow())
                for message in messages:
                    self._dispatch(flow, message)
            self._hold_back(subscription)
            if time.monotonic() - committed_at >= COMMIT_SECONDS:
                await self._commit(subscription, list(self._flows))
                committed_at = time.monotonic()
            if not any(flow.in_flight for flow in self._flows.values()):
                self._last_progress = time.monotonic()

    def _dispatch(self, flow: _Flow, message: Message) -> None:
        flow.dispatched.append(message.offset)
        if message.type and (message.type, message.value is None) not in self._handlers:
            flow.finish(message.offset)
            return
        lane = zlib.crc32(message.key.encode()) % self._lanes
        before = flow.tails.get(lane)
        flow.tails[lane] = asyncio.create_task(self._in_turn(before, flow, message))

    async def _in_turn(self, before: asyncio.Task[None] | None, flow: _Flow, message: Message) -> None:
        if before is not None:
            await asyncio.wait({before})
        if self._failed is not None:
            return  # not finished, so not committed: read again by the next process
        try:
            await self._handle(message)
        except Flooded as flooded:
            self._failed = flooded
            return
        flow.finish(message.offset)
        self._last_progress = time.monotonic()

    def _hold_back(self, subscription: Subscription) -> None:
        for partition, flow in self._flows.items():
            if not flow.paused and flow.in_flight >= PAUSE_AT:
                subscription.pause([partition])
                flow.paused = True
            elif flow.paused and flow.in_flight <= RESUME_AT:
                subscription.resume([partition])
                flow.paused = False

    async def _commit(self, subscription: Subscription, partitions: list[Partition]) -> None:
        moved = {
            partition: flow.position
            for partition in partitions
            if (flow := self._flows.get(partition)) and flow.position is not None and flow.position != flow.committed
        }
        if moved:
            await subscription.commit(moved)
            for partition, position in moved.items():
                self._flows[partition].committed = position

    async def _give_back(self, partitions: frozenset[Partition], seconds: float = DRAIN_SECONDS) -> None:
        """Finishes what was dispatched of these partitions, commits, and forgets them."""
        tails = [task for p in partitions if p in self._flows for task in self._flows[p].tails.values()]
        if tails:
            await asyncio.wait(tails, timeout=seconds)
        if self._subscription is not None:
            await self._commit(self._subscription, list(partitions))
        for partition in partitions:
            flow = self._flows.pop(partition, None)
            for task in flow.tails.values() if flow else ():
                task.cancel()

    # -- one event ---------------------------------------------------------------------------------------------

    async def _handle(self, message: Message) -> None:
        """Handles or parks one message, however often it takes. Returns when its offset may be committed."""
        event_id = _event_id(message)

        async def handle() -> str:
            return await self._attempt(message)

        outcome, reason = await self._outcome(handle)
        if outcome in ("early", "dead"):
            kind: parking.Kind = "early" if outcome == "early" else "dead"
            await self._parked(message, event_id, kind, reason)
        HANDLED.labels(self.name, message.type, outcome).inc()

    async def _attempt(self, message: Message) -> str:
        """One transaction: inbox mark, reaction, outgoing events."""
        handler = self._handlers.get((message.type, message.value is None))
        envelope = Envelope.of(message)
        if handler is None:
            raise Invalid("the message has no event type")
        traceparent.set(envelope.traceparent)
        async with self._transactions(envelope.tenant_id, cause=envelope) as tx:
            mark = await parking.mark(tx, self.name, message, envelope.id)
            if mark == "seen":
                return "duplicate"
            if mark == "blocked":
                await parking.park(
                    tx, self.name, message, envelope.id, "behind", "an earlier event of this key is parked"
                )
                self._anything_parked.set()
                return "behind"
            await _react(handler, message, tx)
        DELAY.labels(self.name, message.type).observe((datetime.now(UTC) - envelope.time).total_seconds())
        return "handled"

    async def _outcome(self, attempt: Callable[[], Awaitable[str]]) -> tuple[str, str]:
        """Tries in place while that may help; otherwise says what to do with the event, and why."""
        tries = 0
        pause = 0.05
        while True:
            try:
                return await attempt(), ""
            except Early as early:
                return "early", str(early)
            except Invalid as invalid:
                log.error("an event can never be handled", consumer=self.name, reason=str(invalid))
                return "dead", str(invalid)
            except (Retry, PoolTimeout, OSError) as error:
                log.warning("a dependency is away; the event waits", consumer=self.name, error=str(error))
            except DBAPIError as error:
                if not is_transient(error):
                    tries += 1
                log.warning("the database refused; the event waits", consumer=self.name, error=str(error.orig))
            except Exception:  # the edge: whatever a handler raises decides only about its own event
                tries += 1
                log.exception("a handler failed", consumer=self.name, tries=tries)
                if tries >= UNKNOWN_FAILURE_TRIES:
                    return "dead", _last_error()
            if tries >= UNKNOWN_FAILURE_TRIES:
                return "dead", "the database refuses what the handler does"
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 2, 5.0)

    async def _parked(self, message: Message, event_id: UUID, kind: parking.Kind, reason: str) -> None:
        async def write() -> str:
            async with self._transactions(None) as tx:
                await parking.park(tx, self.name, message, event_id, kind, reason)
            return "parked"

        await self._insist(write)
        self._anything_parked.set()
        if kind == "dead":
            self._count_death(message, reason)

    async def _insist(self, write: Callable[[], Awaitable[str]]) -> None:
        """The runtime's own writes: only the database being away can refuse them, so they wait for it."""
        pause = 0.1
        while True:
            try:
                await write()
                return
            except (DBAPIError, PoolTimeout, OSError) as error:
                log.warning("cannot park yet: the database is away", consumer=self.name, error=str(error))
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)

    def _count_death(self, message: Message, reason: str) -> None:
        now = time.monotonic()
        self._deaths.append(now)
        while self._deaths and self._deaths[0] < now - FLOOD_SECONDS:
            self._deaths.popleft()
        if len(self._deaths) >= FLOOD_LIMIT:
            raise Flooded(
                f"{self.name} failed for good on {len(self._deaths)} events within {FLOOD_SECONDS:.0f} s, last on"
                f" {message.topic}/{message.partition}/{message.offset} ({reason}). It stopped; nothing was skipped."
            )

    # -- parked events -----------------------------------------------------------------------------------------

    async def _replay_parked(self, stop: asyncio.Event) -> None:
        """Tries the first parked event of each key again; a person's replay makes a dead one due."""
        while not stop.is_set():
            try:
                waiting = await self._replay_due()
            except (DBAPIError, PoolTimeout, OSError) as error:
                log.warning("parked events wait for the database", consumer=self.name, error=str(error))
                waiting = False
            self._anything_parked.clear()
            try:
                async with asyncio.timeout(0.05 if waiting else 1.0):
                    await self._anything_parked.wait()
                await asyncio.sleep(0.05)
            except TimeoutError:
                continue

    async def _replay_due(self) -> bool:
        """Handles what is due; returns whether anything alive is still parked."""
        async with self._transactions(None) as tx:
            due = await parking.due(tx, self.name)
            counts = await parking.count(tx, self.name)
        for kind in ("early", "behind", "dead"):
            number, oldest = counts.get(kind, (0, 0.0))
            PARKED.labels(self.name, kind).set(number)
            PARKED_AGE.labels(self.name, kind).set(oldest)
        for seq in due:
            await self._replay(seq)
        return any(counts.get(kind) for kind in ("early", "behind"))

    async def _replay(self, seq: int) -> None:
        async with self._transactions(None) as tx:
            parked = await parking.take(tx, seq)
        if parked is None:
            return
        try:
            await self._replay_in_transaction(seq, parked.message)
        except Early as early:
            async with self._transactions(None) as tx:
                await parking.again(tx, seq, str(early))
        except (Retry, DBAPIError, PoolTimeout, OSError) as error:
            if isinstance(error, DBAPIError) and not is_transient(error):
                await self._bury(parked, str(error.orig))
            else:
                log.warning("a parked event waits for a dependency", consumer=self.name, error=str(error))
        except Invalid as invalid:
            await self._bury(parked, str(invalid))
        except Exception:  # the edge: as in _outcome
            log.exception("a handler failed on a parked event", consumer=self.name)
            if parked.attempts + 1 >= UNKNOWN_FAILURE_TRIES:
                await self._bury(parked, _last_error())
            else:
                async with self._transactions(None) as tx:
                    await parking.again(tx, seq, _last_error())

    async def _replay_in_transaction(self, seq: int, message: Message) -> None:
        envelope = Envelope.of(message)
        handler = self._handlers.get((message.type, message.value is None))
        if handler is None:
            raise Invalid(f"{self.name} has no handler for {message.type!r} any more")
        traceparent.set(envelope.traceparent)
        async with self._transactions(envelope.tenant_id, cause=envelope) as tx:
            if await parking.take(tx, seq) is None:
                return
            await _react(handler, message, tx)
            await parking.done(tx, seq)
        HANDLED.labels(self.name, message.type, "replayed").inc()

    async def _bury(self, parked: parking.ParkedMessage, reason: str) -> None:
        async with self._transactions(None) as tx:
            await parking.bury(tx, self.name, parked, reason)


async def _react(handler: Handler, message: Message, tx: Transaction) -> None:
    event = unseal(message)
    if isinstance(event, Deleted) != handler.deleted:
        raise Invalid("a tombstone and a value were confused")
    await handler.react(event, tx)


def _event_id(message: Message) -> UUID:
    """The event's own id; for a message without a legible envelope, one made of its place in the log."""
    try:
        return Envelope.of(message).id
    except Invalid:
        return uuid5(NAMESPACE_URL, f"{message.topic}/{message.partition}/{message.offset}")


def _last_error() -> str:

    error = sys.exc_info()[1]
    return f"{type(error).__name__}: {error}"


def is_transient(error: DBAPIError) -> bool:
    """Whether the same work may succeed later: the connection broke, or the database asked to try again."""
    if error.connection_invalidated:
        return True
    sqlstate = getattr(error.orig, "sqlstate", None)
    return sqlstate is None or sqlstate in RETRIED_SQLSTATES or sqlstate[:2] in ("08", "53", "57")
