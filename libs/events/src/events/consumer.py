"""The consumer runtime: at least once from the broker, exactly once into the database.

Order is kept per key. Offsets are committed after the database, contiguously. On a rebalance or a stop, what was
dispatched is finished first. What cannot be handled is parked in the database, so that one bad event stops its own
key and nothing else.
"""

import asyncio
import time
import zlib
from collections import deque
from collections.abc import Awaitable, Mapping, Sequence

import structlog

from events.brokers import Broker, Partition, Subscription
from events.envelope import Message
from events.errors import Flooded
from events.flow import Flow
from events.handlers import Handler
from events.handling import AT_ONCE, Handling
from events.reaction import Transactions
from events.replaying import Replayer

log = structlog.get_logger(__name__)

LANES = 16
PAUSE_AT, RESUME_AT = 100, 25
POLL_SECONDS = 0.5
COMMIT_SECONDS = 0.5
DRAIN_SECONDS, LAST_DRAIN_SECONDS = 8.0, 20.0
FLOOD_LIMIT, FLOOD_SECONDS = 100, 60.0
STALLED_SECONDS = 60.0


class _Left(Exception):
    """The partition goes to another member while this event waits to be tried again: it is tried there."""


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
        at_once: int = AT_ONCE,
        flood_limit: int = FLOOD_LIMIT,
    ) -> None:
        self.name = name
        self._broker = broker
        self._handlers = handlers
        self._member = member
        self._lanes = lanes
        self._flood_limit = flood_limit
        self._flows: dict[Partition, Flow] = {}
        self._subscription: Subscription | None = None
        self._failure: Exception | None = None
        self._ending = asyncio.Event()
        self._deaths: deque[float] = deque()
        self._last_progress = time.monotonic()
        self._replayer = Replayer(name, transactions, handlers)
        self._handling = Handling(name, transactions, handlers, on_parked=self._replayer.wake, at_once=at_once)
        self.started = asyncio.Event()

    # -- health ------------------------------------------------------------------------------------------------

    @property
    def stalled(self) -> bool:
        """Without partitions, or behind, and nothing has moved for a minute (waiting for a dependency is moving)."""
        return time.monotonic() - self._last_progress >= STALLED_SECONDS

    def lag(self) -> int:
        """Messages that were not handled yet, in the partitions this replica has read from."""
        if self._subscription is None:
            return 0
        return sum(
            max(0, (self._subscription.end(partition) or 0) - flow.position)
            for partition, flow in self._flows.items()
            if flow.position is not None
        )

    def _progressed(self) -> None:
        self._last_progress = time.monotonic()

    def _is_idle(self, subscription: Subscription) -> bool:
        in_flight = any(flow.in_flight for flow in self._flows.values())
        return bool(subscription.assigned()) and not in_flight and self.lag() == 0

    # -- the loop ----------------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Handles until `stop` is set, finishes what it took, commits and leaves.

        Raises `Flooded` when too many events fail for good, and whatever else the runtime itself cannot go on with;
        the process should then end and be looked at.
        """
        ending = asyncio.create_task(self._end_with(stop))
        try:
            topics = sorted({handler.event.TOPIC for handler in self._handlers.values()})
            subscription = self._broker.subscribe(self.name, topics, self._member)
            if not await self._unless_ending(subscription.start(self._give_back)):
                return
            self._subscription = subscription
            self._progressed()
            self.started.set()
            await self._work(subscription)
        finally:
            ending.cancel()
        if self._failure is not None:
            raise self._failure

    async def _end_with(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._ending.set()

    async def _unless_ending(self, work: Awaitable[object]) -> bool:
        """Awaits the work, but not beyond the end: a start or a poll may wait for a broker that never comes back."""
        working = asyncio.ensure_future(work)
        ending = asyncio.create_task(self._ending.wait())
        try:
            await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                await working
                return True
            return False
        finally:
            ending.cancel()
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    async def _work(self, subscription: Subscription) -> None:
        replaying = asyncio.create_task(self._replayer.run(self._ending))
        replaying.add_done_callback(self._note_failure)
        try:
            await self._poll(subscription)
        finally:
            replaying.cancel()
            await asyncio.gather(replaying, return_exceptions=True)
            await self._give_back(frozenset(self._flows), seconds=LAST_DRAIN_SECONDS)
            await subscription.stop()

    def _note_failure(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self._ending.set()

    async def _poll(self, subscription: Subscription) -> None:
        committed_at = time.monotonic()

        async def dispatch_next() -> None:
            self._dispatch(await subscription.poll(POLL_SECONDS))

        while await self._unless_ending(dispatch_next()):
            self._hold_back(subscription)
            if time.monotonic() - committed_at >= COMMIT_SECONDS:
                await self._commit(subscription, dict(self._flows))
                committed_at = time.monotonic()
            if self._is_idle(subscription):
                self._progressed()

    def _dispatch(self, batches: Mapping[Partition, Sequence[Message]]) -> None:
        for partition, messages in batches.items():
            flow = self._flows.setdefault(partition, Flow())
            for message in messages:
                flow.dispatch(message.offset)
                if not self._handling.knows(message):
                    flow.finish(message.offset)
                else:
                    lane = zlib.crc32(message.key.encode()) % self._lanes
                    turn = self._in_turn(flow.tails.get(lane), flow, message)
                    flow.run(lane, asyncio.create_task(turn))

    async def _in_turn(self, before: "asyncio.Task[bool] | None", flow: Flow, message: Message) -> bool:
        """Handles one message after the one before it in its lane. False: unfinished, so read again later."""
        if before is not None:
            await asyncio.wait({before})
            if before.cancelled() or not before.result():
                return False
        try:
            await self._handle(flow, message)
        except _Left:
            return False
        except Exception as error:  # the edge: the runtime cannot go on; nothing may be skipped
            log.exception("the consumer stops", consumer=self.name)
            self._fail(error)
            return False
        flow.finish(message.offset)
        self._progressed()
        return True

    def _hold_back(self, subscription: Subscription) -> None:
        assigned = subscription.assigned()
        for partition, flow in self._flows.items():
            if partition not in assigned:
                continue
            if not flow.paused and flow.in_flight >= PAUSE_AT:
                subscription.pause([partition])
                flow.paused = True
            elif flow.paused and flow.in_flight <= RESUME_AT:
                subscription.resume([partition])
                flow.paused = False

    async def _commit(self, subscription: Subscription, flows: Mapping[Partition, Flow]) -> None:
        moved = {
            partition: flow.position
            for partition, flow in flows.items()
            if flow.position is not None and flow.position != flow.committed
        }
        if moved and await subscription.commit(moved):
            for partition, position in moved.items():
                flows[partition].committed = position

    async def _give_back(self, partitions: frozenset[Partition], seconds: float = DRAIN_SECONDS) -> None:
        """Finishes what was dispatched of these partitions, commits, and forgets them."""
        flows = {partition: flow for partition, flow in self._flows.items() if partition in partitions}
        for flow in flows.values():
            flow.leaving.set()
        tasks = {task for flow in flows.values() for task in flow.tasks}
        if tasks:
            _, unfinished = await asyncio.wait(tasks, timeout=seconds)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)
        if self._subscription is not None:
            await self._commit(self._subscription, flows)
        for partition, flow in flows.items():
            if self._flows.get(partition) is flow:
                del self._flows[partition]

    # -- one event ---------------------------------------------------------------------------------------------

    async def _handle(self, flow: Flow, message: Message) -> None:
        """Handles or parks one message, however often it takes. Returns when its offset may be committed."""

        async def pause(seconds: float) -> None:
            try:
                async with asyncio.timeout(seconds):
                    await flow.leaving.wait()
            except TimeoutError:
                return
            raise _Left

        outcome, reason = await self._handling.handle(message, pause, self._progressed)
        if outcome == "dead":
            self._count_death(message, reason)

    def _count_death(self, message: Message, reason: str) -> None:
        now = time.monotonic()
        self._deaths.append(now)
        while self._deaths and self._deaths[0] < now - FLOOD_SECONDS:
            self._deaths.popleft()
        if len(self._deaths) >= self._flood_limit:
            raise Flooded(
                f"{self.name} failed for good on {len(self._deaths)} events within {FLOOD_SECONDS:.0f} s, last on"
                f" {message.topic}/{message.partition}/{message.offset} ({reason}). It stopped; nothing was skipped."
            )
