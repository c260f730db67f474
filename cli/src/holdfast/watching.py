"""Events as they pass: reads topics without a group, so that nobody's position moves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from events.brokers import kafka as _quiet  # noqa: F401  (the client's own log is a flood while a broker is away)
from events.envelope import legible, legible_key

from .errors import HoldfastError


@dataclass(frozen=True, slots=True)
class Seen:
    """One message. `arrived` is `time.perf_counter()` when it was read, `time` when it was said."""

    topic: str
    partition: int
    offset: int
    key: str
    headers: dict[str, str]
    payload: Any
    timestamp: datetime
    arrived: float = field(default_factory=time.perf_counter)

    @property
    def type(self) -> str:
        """The CloudEvents type."""
        return self.headers.get("ce_type", "")

    @property
    def time(self) -> datetime:
        """When it was said; the broker's time where the message does not tell."""
        said = self.headers.get("ce_time")
        try:
            return datetime.fromisoformat(said) if said else self.timestamp
        except ValueError:
            return self.timestamp

    @property
    def place(self) -> str:
        """`topic/partition@offset`."""
        return f"{self.topic}/{self.partition}@{self.offset}"

    def is_about(self, booking_id: str) -> bool:
        """Whether it belongs to the journey of this booking."""
        named = self.payload.get("booking_id") if isinstance(self.payload, dict) else None
        return booking_id in (self.key, self.headers.get("correlationid"), named)

    def document(self) -> dict[str, Any]:
        """For programs."""
        return {
            "time": self.time.isoformat().replace("+00:00", "Z"),
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "type": self.type,
            "key": self.key,
            "headers": self.headers,
            "payload": self.payload,
        }


def read(record: Any) -> Seen:
    """A record of the client as what it says; bytes that are no JSON are shown as text."""
    return Seen(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=legible_key(record.key or b""),
        headers={name: legible(value or b"") for name, value in record.headers},
        payload=_decoded(record.value),
        timestamp=datetime.fromtimestamp(record.timestamp / 1000, UTC),
    )


def _decoded(value: bytes | None) -> Any:
    if value is None:
        return None
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return legible(value)


@asynccontextmanager
async def reading(
    bootstrap: str, topics: Sequence[str], since: datetime | None = None
) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer placed at the end of every partition, or at the first message since an instant."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, fetch_max_wait_ms=100, enable_auto_commit=False)
    try:
        await consumer.start()
        await consumer._client.force_metadata_update()
        partitions = [
            TopicPartition(topic, number)
            for topic in topics
            for number in sorted(consumer.partitions_for_topic(topic) or ())
        ]
        if not partitions:
            raise HoldfastError(f"None of the topics {', '.join(topics)} exists at {bootstrap}; nothing was read.")
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        starts: dict[Any, Any] = {}
        if since is not None:
            instant = int(since.timestamp() * 1000)
            starts = await consumer.offsets_for_times(dict.fromkeys(partitions, instant))
        for partition in partitions:
            found = starts.get(partition)
            consumer.seek(partition, found.offset if found else ends[partition])
        yield consumer
    except KafkaError as error:
        raise HoldfastError(f"Kafka at {bootstrap} could not be read ({error!r}).") from error
    finally:
        await consumer.stop()


async def backlog(consumer: AIOKafkaConsumer) -> AsyncIterator[Seen]:
    """Everything from where the consumer stands to what is the end now."""
    ends = await consumer.end_offsets(consumer.assignment())
    while any([await consumer.position(partition) < end for partition, end in ends.items()]):
        for records in (await consumer.getmany(timeout_ms=500)).values():
            for record in records:
                yield read(record)


class Watch:
    """Everything that passes from now on, kept; waiting for what is to come."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self._news = asyncio.Condition()

    async def run(self, consumer: AIOKafkaConsumer) -> None:
        """Reads until it is cancelled."""
        async for record in consumer:
            async with self._news:
                self.seen.append(read(record))
                self._news.notify_all()

    async def until(self, fits: Callable[[Seen], bool], within: float) -> Seen | None:
        """The first that fits, seen already or yet to come; None when there is none in time."""
        index = 0
        try:
            async with asyncio.timeout(within), self._news:
                while True:
                    while index < len(self.seen):
                        if fits(self.seen[index]):
                            return self.seen[index]
                        index += 1
                    await self._news.wait()
        except TimeoutError:
            return None


@asynccontextmanager
async def watching(bootstrap: str, topics: Sequence[str]) -> AsyncIterator[Watch]:
    """A `Watch` that runs in the background."""
    watch = Watch()
    async with reading(bootstrap, topics) as consumer:
        task = asyncio.create_task(watch.run(consumer))
        try:
            yield watch
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
