"""A toy service in a schema of its own a test, on the real PostgreSQL and on each broker in turn."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from aiokafka import AIOKafkaConsumer
from psycopg import sql
from sqlalchemy import text

from events import Event, Transaction, replaying
from events.admin import ensure_topics
from events.base import declare
from events.brokers import Broker
from events.brokers.kafka import KafkaBroker
from events.brokers.memory import MemoryBroker
from events.consumer import Consumer
from events.envelope import Message, Record, seal
from events.handlers import Handler
from events.relay import Relay
from events.tables import MESSAGING_DDL
from events.topics import Topic, dead_letters
from servicekit.database import Database, engine_for

PARTITIONS = 3
TENANT = uuid.uuid4()
React = Callable[[Any, Transaction], Awaitable[None]]


class Toy:
    """One toy service: it emits `Counted(subject, n)` and writes what it handles into the table `handled`."""

    def __init__(self, url: str, schema: str, broker: Broker, bootstrap: str | None) -> None:
        self.name = schema
        self.broker = broker
        self.bootstrap = bootstrap
        self.topic = f"toy.{schema}"
        self.dead_topic = dead_letters(schema)
        self.relay_woken: list[Relay] = []
        self.engine = engine_for(f"{url}?options=-csearch_path%3D{schema}", name=schema, pool_size=10)
        self.database = Database(self.engine, schema, self._wake)

        @declare(f"{schema}.counted.v1", topic=self.topic, key="subject")
        class Counted(Event):
            subject: str
            n: int

        self.Counted = Counted

    def _wake(self, worker: str) -> None:
        for relay in self.relay_woken:
            relay.wake()

    # -- producing ---------------------------------------------------------------------------------------------

    def event(self, subject: str, n: int) -> Any:
        return self.Counted(tenant_id=TENANT, version=n + 1, subject=subject, n=n)  # type: ignore[call-arg]

    def record(self, subject: str, n: int) -> Record:
        return seal(self.event(subject, n), source=self.name)[1]

    async def publish(self, *pairs: tuple[str, int]) -> list[Record]:
        """Straight to the broker, as another service's relay would."""
        records = [self.record(subject, n) for subject, n in pairs]
        await self.broker.publish(records, 10)
        return records

    async def emit(self, *pairs: tuple[str, int]) -> None:
        """Into the outbox, in one transaction."""
        async with self.database.transaction(TENANT) as tx:
            await tx.emit(*(self.event(subject, n) for subject, n in pairs))

    @asynccontextmanager
    async def relaying(self, **options: Any) -> AsyncIterator[Relay]:
        relay, stop = Relay(self.engine, self.broker, self.name, **options), asyncio.Event()
        self.relay_woken.append(relay)
        task = asyncio.create_task(relay.run(stop))
        try:
            yield relay
        finally:
            stop.set()
            await asyncio.wait_for(task, 20)

    # -- consuming ---------------------------------------------------------------------------------------------

    async def store(self, event: Any, tx: Transaction) -> None:
        """What a handler does when all is well."""
        await tx.connection.execute(
            text("INSERT INTO handled (subject, n) VALUES (:subject, :n)"), {"subject": event.subject, "n": event.n}
        )

    def consumer(self, react: React | None = None, *, member: str = "one", **options: Any) -> Consumer:
        handler = Handler(self.name, self.Counted, react or self.store)
        handlers = {(self.Counted.TYPE, False): handler}
        member = f"{self.name}-{member}"
        return Consumer(self.name, self.broker, self.database.transaction, handlers, member=member, **options)

    @asynccontextmanager
    async def consuming(self, react: React | None = None, **options: Any) -> AsyncIterator[Consumer]:
        consumer, stop = self.consumer(react, **options), asyncio.Event()
        task = asyncio.create_task(consumer.run(stop))
        try:
            yield consumer
        finally:
            stop.set()
            await asyncio.wait_for(task, 30)

    # -- looking -----------------------------------------------------------------------------------------------

    async def rows(self, query: str) -> list[Any]:
        async with self.engine.connect() as connection:
            return list((await connection.execute(text(query))).all())

    async def handled(self, subject: str | None = None) -> list[int]:
        """The numbers handled, in the order of their transactions."""
        where = f"WHERE subject = '{subject}'" if subject else ""
        return [row.n for row in await self.rows(f"SELECT n FROM handled {where} ORDER BY id")]

    async def parked(self) -> list[tuple[str, int, str]]:
        rows = await self.rows(
            "SELECT key, convert_from(payload, 'UTF8')::jsonb->'n' AS n, kind FROM parked ORDER BY seq"
        )
        return [(row.key, row.n, row.kind) for row in rows]

    async def until(self, condition: Callable[[], Awaitable[Any]], what: str, seconds: float = 15) -> None:
        deadline = time.monotonic() + seconds
        while not await condition():
            assert time.monotonic() < deadline, f"{what} did not happen; handled {await self.handled()}"
            await asyncio.sleep(0.02)

    async def until_handled(self, count: int, subject: str | None = None) -> None:
        async def enough() -> bool:
            return len(await self.handled(subject)) >= count

        await self.until(enough, f"{count} handled")

    async def until_parked(self, count: int) -> None:
        async def enough() -> bool:
            return len(await self.rows("SELECT seq FROM parked")) == count

        await self.until(enough, f"{count} parked")

    async def log_of(self, topic: str) -> list[Message]:
        """Everything on a topic, each partition in its order."""
        if isinstance(self.broker, MemoryBroker):
            logs = self.broker.logs.items()
            return [m for partition, log in logs if partition.topic == topic for m in log]
        async with AIOKafkaConsumer(topic, bootstrap_servers=self.bootstrap, auto_offset_reset="earliest") as reader:
            ends = await reader.end_offsets(list(reader.assignment()))
            found: list[Message] = []
            while len(found) < sum(ends.values()):
                for batch in (await reader.getmany(timeout_ms=500)).values():
                    found += [
                        Message(r.topic, (r.key or b"").decode(), r.value, tuple(r.headers), r.partition, r.offset)
                        for r in batch
                    ]
            return found

    async def committed(self) -> dict[int, int]:
        """The group's offsets by partition."""
        if isinstance(self.broker, MemoryBroker):
            committed = self.broker.committed.items()
            return {p.number: offset for (group, p), offset in committed if group == self.name}
        from aiokafka.admin import AIOKafkaAdminClient

        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            found = await admin.list_consumer_group_offsets(self.name)
            return {tp.partition: meta.offset for tp, meta in found.items()}
        finally:
            await admin.close()


@pytest.fixture(scope="session")
def toy_database(postgres_url: str) -> str:
    """The superuser's URL of a database for toys."""
    name = f"test_toy_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return postgres_url.rsplit("/", 1)[0] + f"/{name}"


@pytest.fixture(autouse=True)
def _quick_to_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person's replay is noticed within 0.2 s instead of a second."""
    monkeypatch.setattr(replaying, "IDLE_SECONDS", 0.2)


MakeToy = Callable[[Broker, str | None], Awaitable[Toy]]


@pytest.fixture
async def make_toy(toy_database: str) -> AsyncIterator[MakeToy]:
    """Makes a toy on a broker, with its schema and topics."""
    made: list[Toy] = []

    async def make(broker: Broker, bootstrap: str | None) -> Toy:
        schema = f"toy_{uuid.uuid4().hex[:8]}"
        with psycopg.connect(toy_database, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
            connection.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(schema)))
            for statement in MESSAGING_DDL:
                connection.execute(statement.encode())
            connection.execute(
                "CREATE TABLE handled (id bigint GENERATED ALWAYS AS IDENTITY, subject text NOT NULL, n int NOT NULL)"
            )
        toy = Toy(toy_database, schema, broker, bootstrap)
        if bootstrap:
            topics = [
                Topic(toy.topic, schema, "facts", "toys", PARTITIONS),
                Topic(toy.dead_topic, schema, "dead", "dead toys", 1),
            ]
            await ensure_topics(bootstrap, topics=topics)
        made.append(toy)
        return toy

    yield make
    for toy in made:
        await toy.broker.close()
        await toy.engine.dispose()


@pytest.fixture(params=["memory", "kafka"])
async def toy(request: pytest.FixtureRequest, make_toy: MakeToy) -> Toy:
    """A toy on each broker in turn: what holds on one holds on the other."""
    if request.param == "memory":
        return await make_toy(MemoryBroker(PARTITIONS), None)
    bootstrap = request.getfixturevalue("kafka_bootstrap")
    return await make_toy(KafkaBroker(bootstrap, f"test-{uuid.uuid4().hex[:6]}"), bootstrap)


@pytest.fixture
async def memory_toy(make_toy: MakeToy) -> Toy:
    """A toy for what only the broker in memory can play."""
    return await make_toy(MemoryBroker(PARTITIONS), None)
