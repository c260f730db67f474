"""The database or the broker goes away for a while: everything waits, nothing is lost, order is kept."""

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from embedded import Kafka
from events.brokers import kafka
from events.brokers.kafka import KafkaBroker
from events.brokers.memory import MemoryBroker
from servicekit.testing import free_port


@pytest.fixture
async def own_toy(toy: Any, postgres_url: str, toy_database: str) -> AsyncIterator[tuple[Any, Callable[[bool], None]]]:
    """A toy, and a switch for its database."""
    name = toy_database.rsplit("/", 1)[1]

    def allow(connections: bool) -> None:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(
                sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(sql.Identifier(name), sql.Literal(connections))
            )
            if not connections:
                connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])

    yield toy, allow
    allow(True)


async def test_while_the_database_is_away_events_wait_in_place(own_toy: tuple[Any, Callable[[bool], None]]) -> None:
    toy, allow = own_toy
    pairs = [(f"key-{n % 5}", n) for n in range(60)]
    async with toy.consuming() as consumer, toy.relaying():
        await toy.emit(*pairs[:20])
        await toy.until_handled(20)
        allow(False)
        await toy.publish(*pairs[20:40])
        await asyncio.sleep(0.6)
        assert not consumer.stalled
        allow(True)
        await toy.emit(*pairs[40:])
        await toy.until_handled(60)
    for number in range(5):
        assert await toy.handled(f"key-{number}") == list(range(number, 60, 5))
    assert await toy.parked() == []


@pytest.fixture(scope="module")
def own_kafka(data_dir: Path) -> Iterator[Kafka]:
    """A Kafka that a test may freeze and restart."""
    server = Kafka(data_dir / f"kafka-{uuid.uuid4().hex[:6]}", free_port(), free_port())
    server.start()
    server.wait_ready(60)
    yield server
    server.stop()


@asynccontextmanager
async def frozen(server: Kafka) -> AsyncIterator[None]:
    """The broker answers nothing, as behind a broken network."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


@asynccontextmanager
async def stopped(server: Kafka) -> AsyncIterator[None]:
    """The broker is gone, and comes back on the same data."""
    await asyncio.to_thread(server.stop)
    yield
    await asyncio.to_thread(server.start)
    await asyncio.to_thread(server.wait_ready, 60)


Away = Callable[[], Any]
OnBroker = tuple[Any, Away]


@pytest.fixture(params=["memory", "frozen", "stopped"])
async def shaky_toy(request: pytest.FixtureRequest, make_toy: Callable[[Any, str | None], Awaitable[Any]]) -> OnBroker:
    """A toy, and a way to take its broker away for a while."""
    if request.param == "memory":
        broker = MemoryBroker(3)

        @asynccontextmanager
        async def gone() -> AsyncIterator[None]:
            broker.away = True
            yield
            broker.away = False

        return await make_toy(broker, None), gone
    server: Kafka = request.getfixturevalue("own_kafka")
    toy = await make_toy(KafkaBroker(server.bootstrap, "outage"), server.bootstrap)
    away = frozen if request.param == "frozen" else stopped
    return toy, lambda: away(server)


async def test_while_the_broker_is_away_the_outbox_waits_and_nothing_is_lost(shaky_toy: OnBroker) -> None:
    toy, away = shaky_toy
    pairs = [(f"key-{n % 5}", n) for n in range(90)]
    async with toy.consuming(), toy.relaying(answer_seconds=0.4) as relay:
        await toy.emit(*pairs[:30])
        await toy.until_handled(30)
        async with away():
            await toy.emit(*pairs[30:60])
            await asyncio.sleep(1.5)
            assert relay.broker_away
            assert len(await toy.rows("SELECT FROM outbox")) == 30
        await toy.emit(*pairs[60:])
        await toy.until_handled(90, None)
        assert not relay.broker_away
    for number in range(5):
        assert await toy.handled(f"key-{number}") == list(range(number, 90, 5))


@pytest.mark.long
async def test_a_consumer_starts_before_its_broker(
    make_toy: Callable[[Any, str | None], Awaitable[Any]], own_kafka: Kafka
) -> None:
    toy = await make_toy(KafkaBroker(own_kafka.bootstrap, "early"), own_kafka.bootstrap)
    await toy.publish(("a", 1))
    async with stopped(own_kafka):
        stop = asyncio.Event()
        running = asyncio.create_task(toy.consumer().run(stop))
        await asyncio.sleep(0.5)
        assert not running.done()
    await toy.until_handled(1)
    stop.set()
    await asyncio.wait_for(running, 20)


async def test_a_stop_does_not_wait_for_a_broker_that_is_away(
    make_toy: Callable[[Any, str | None], Awaitable[Any]], own_kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "COMMIT_SECONDS", 1.0)
    monkeypatch.setattr(kafka, "LEAVE_SECONDS", 1.0)
    toy = await make_toy(KafkaBroker(own_kafka.bootstrap, "stopping"), own_kafka.bootstrap)
    stop = asyncio.Event()
    running = asyncio.create_task(toy.consumer().run(stop))
    await toy.publish(("a", 1))
    await toy.until_handled(1)
    async with frozen(own_kafka):
        stop.set()
        await asyncio.wait_for(running, 15)
