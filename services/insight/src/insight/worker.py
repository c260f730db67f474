"""The Faust app: one agent a fact topic, each message handled once, by the position that Postgres has.

Faust acknowledges an event whatever its agent does, also when it is cancelled half way, so Kafka's offsets are taken
as a hint only: whenever partitions are assigned, reading begins where the last committed transaction ended.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import faust
import structlog
from faust.contrib.asgi import faust_app_running
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.types import TP

from events import Transaction
from events.envelope import Message, legible_key
from events.handlers import handlers_of
from events.handling import Handling
from events.reaction import insist
from events.replaying import Replayer
from events.topics import TOPICS
from insight import repository
from insight.settings import InsightSettings
from servicekit.database import Database

log = structlog.get_logger(__name__)

STOP_SECONDS = 10.0
PARTITIONS = max(topic.partitions for topic in TOPICS)

Positions = Callable[[], Awaitable[Mapping[tuple[str, int], int]]]


class Worker:
    """Runs the agents beside the health routes."""

    def __init__(self, database: Database, settings: InsightSettings) -> None:
        self._database = database
        self._settings = settings
        self._ready = False
        self._failure: Exception | None = None
        handlers = handlers_of("insight")
        self._replayer = Replayer("insight", database.transaction, handlers)
        self._handling = Handling(
            "insight", database.transaction, handlers, on_parked=self._replayer.wake, note=_advance
        )

    def is_ready(self) -> bool:
        """Whether the agents have their partitions."""
        return self._ready

    async def run(self, stop: asyncio.Event) -> None:
        """Reads until `stop`. Raises what the Faust app crashed with: the process then ends and is started again."""
        app = build_app(self._settings, self._take, self._positions)
        replaying = asyncio.create_task(self._replayer.run(stop))
        try:
            async with faust_app_running(app, discover=False, stop_timeout=STOP_SECONDS):
                while not stop.is_set():
                    self._ready = not app.rebalancing and bool(app.consumer.assignment())
                    if app.crashed:
                        raise RuntimeError("the Faust app crashed") from app.crash_reason
                    if self._failure is not None:
                        raise self._failure
                    if replaying.done():
                        await replaying
                    await _until(stop, 0.25)
        finally:
            self._ready = False
            replaying.cancel()
            await asyncio.gather(replaying, return_exceptions=True)

    async def _take(self, raw: Any) -> None:
        """One message of an agent. It returns when the message is settled, however long that takes: what an agent
        raises costs it its event."""
        message = Message(
            topic=raw.topic,
            key=legible_key(raw.key or b""),
            value=raw.value,
            headers=tuple((name, value or b"") for name, value in _pairs(raw.headers)),
            partition=raw.partition,
            offset=raw.offset,
        )
        if not self._handling.knows(message):
            return
        try:
            await self._handling.handle(message, asyncio.sleep, lambda: None)
        except Exception as error:  # the edge: nothing may be settled after this one, so the process ends
            log.exception("a message can neither be handled nor parked")
            self._failure = error
            await asyncio.Event().wait()

    async def _positions(self) -> Mapping[tuple[str, int], int]:
        found: dict[tuple[str, int], int] = {}

        async def read() -> None:
            async with self._database.transaction() as tx:
                found.update(await repository.positions(tx))

        await insist("insight", read, asyncio.sleep, lambda: None)
        return found


async def _advance(tx: Transaction, message: Message) -> None:
    await repository.advance(tx, message.topic, message.partition, message.offset + 1)


async def _until(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


def _pairs(headers: Any) -> list[tuple[str, bytes]]:
    return list(headers.items() if isinstance(headers, Mapping) else headers or ())


def build_app(settings: InsightSettings, take: Callable[[Any], Awaitable[None]], positions: Positions) -> faust.App:
    """The app with an agent a fact topic. One replica, one event at a time in each agent: with more, Faust commits
    past what is unfinished."""
    app = faust.App(
        settings.group,
        broker=f"kafka://{settings.kafka_bootstrap.replace(',', ';kafka://')}",
        TableManager=_table_manager(positions),
        store="memory://",
        datadir=str(settings.data_dir),
        web_enabled=False,
        topic_disable_leader=True,
        topic_partitions=PARTITIONS,
        table_standby_replicas=0,
        processing_guarantee="at_least_once",
        consumer_group_instance_id=f"insight-{settings.replica}",
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=10,
        broker_heartbeat_interval=2,
        broker_rebalance_timeout=20,
        broker_commit_interval=1.0,
        broker_max_poll_records=200,
        stream_buffer_maxsize=256,
        stream_wait_empty=True,
    )
    for topic in TOPICS:
        if topic.kind == "facts":
            _add_agent(app, topic.name, take)
    return app


def _add_agent(app: faust.App, name: str, take: Callable[[Any], Awaitable[None]]) -> None:
    channel = app.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    async def agent(stream: Any) -> None:
        async for event in stream.events():
            await take(event.message)

    app.agent(channel, name=f"insight.{name}", concurrency=1)(agent)


def _table_manager(positions: Positions) -> type[TableManager]:
    class SafeRecovery(Recovery):
        """Nothing may be fetched between the end of a recovery and the seek: the stock one loses what is."""

        async def on_recovery_completed(self, generation_id: int = 0) -> None:
            self._hold_still()
            await super().on_recovery_completed(generation_id)

        async def _resume_streams(self, generation_id: int = 0) -> None:
            # What happens instead while there is no table to recover.
            self._hold_still()
            await super()._resume_streams(generation_id)

        def _hold_still(self) -> None:
            consumer = self.app.consumer
            consumer.stop_flow()
            setattr(consumer, "perform_seek", _seek_to(consumer, positions))  # noqa: B010  (a method of theirs)

    class SafeTableManager(TableManager):
        @property
        def recovery(self) -> Recovery:
            if self._recovery is None:
                self._recovery = SafeRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
            return self._recovery

    return SafeTableManager


def _seek_to(consumer: Any, positions: Positions) -> Callable[[], Awaitable[None]]:
    seek_to_committed = type(consumer).perform_seek

    async def perform_seek() -> None:
        await seek_to_committed(consumer)
        assigned = consumer.assignment()
        for (topic, partition), offset in (await positions()).items():
            if TP(topic, partition) in assigned:
                await consumer.seek(TP(topic, partition), offset)

    return perform_seek
