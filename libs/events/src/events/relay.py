"""The relay: sends a service's outbox to Kafka, in order, and deletes what was acknowledged."""

import asyncio
from contextlib import suppress

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from events.brokers import Broker
from events.envelope import Record, as_headers
from events.errors import BrokerUnavailable
from events.metrics import RELAY_FAILED, RELAYED
from events.reaction import AWAY, describe

log = structlog.get_logger(__name__)

BATCH = 500
ANSWER_SECONDS = 5.0  # bounds the transaction that holds the deleted rows
# Behind the waking: what is committed here says so at once, so the idle poll is for what came another way.
BUSY_PAUSE, IDLE_PAUSE = 0.005, 1.0

# RETURNING has no order: the rows are sorted here, by the id that the row lock of their aggregate ordered.
TAKE = text(
    "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox ORDER BY id LIMIT :batch)"
    " RETURNING id, topic, key, headers, payload"
)
LOCK = text("SELECT pg_try_advisory_lock(hashtextextended('relay:' || current_schema(), 0))")


class Relay:
    """One a service: replicas compete for an advisory lock, and the one that has it sends."""

    def __init__(
        self, engine: AsyncEngine, broker: Broker, service: str, *, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        self._engine = engine
        self._broker = broker
        self._service = service
        self._answer_seconds = answer_seconds
        self._woken = asyncio.Event()
        self.broker_away = False

    def wake(self) -> None:
        """Says that a transaction with events was committed, so that they go out at once."""
        self._woken.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Sends until `stop` is set, then once more for what was committed meanwhile."""
        while not stop.is_set():
            try:
                async with self._engine.connect() as connection:
                    try:
                        await self._hold(connection, stop)
                    finally:
                        # The advisory lock is the session's: back in the pool it would keep every relay out.
                        await connection.invalidate()
            except (DBAPIError, *AWAY) as error:
                log.warning("the relay lost its database and tries again", error=describe(error))
                await self._sleep(1.0, stop)

    async def _hold(self, connection: AsyncConnection, stop: asyncio.Event) -> None:
        while not (await connection.execute(LOCK)).scalar_one():
            await connection.commit()
            # Woken or not: another relay sends what was committed here.
            self._woken.clear()
            await self._sleep(1.0, stop)
            if stop.is_set():
                return
        await connection.commit()
        pause = BUSY_PAUSE
        while not stop.is_set():
            self._woken.clear()
            try:
                sent = await self._send_batch(connection)
            except BrokerUnavailable as error:
                if not self.broker_away:
                    log.warning("the outbox waits for Kafka", service=self._service, error=str(error))
                self.broker_away = True
                RELAY_FAILED.labels(self._service).inc()
                await self._sleep(0.5, stop)
                continue
            if self.broker_away:
                log.info("Kafka is back; the outbox goes on", service=self._service)
                self.broker_away = False
            if sent < BATCH:
                pause = BUSY_PAUSE if sent else min(pause * 2, IDLE_PAUSE)
                await self._sleep(pause, stop)
        with suppress(BrokerUnavailable):  # what could not be sent now is sent by the next relay
            await self._send_batch(connection)

    async def _send_batch(self, connection: AsyncConnection) -> int:
        async with connection.begin():
            rows = sorted((await connection.execute(TAKE, {"batch": BATCH})).all(), key=lambda row: row.id)
            if not rows:
                return 0
            records = [
                Record(
                    row.topic,
                    row.key,
                    row.payload.encode() if row.payload is not None else None,
                    as_headers(row.headers.items()),
                )
                for row in rows
            ]
            await self._broker.publish(records, self._answer_seconds)
        for record in records:
            RELAYED.labels(self._service, record.topic).inc()
        return len(rows)

    async def _sleep(self, seconds: float, stop: asyncio.Event) -> None:
        """Until woken, stopped, or the time is over."""
        stopping = asyncio.ensure_future(stop.wait())
        waking = asyncio.ensure_future(self._woken.wait())
        try:
            await asyncio.wait({stopping, waking}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            waking.cancel()
