"""The cursor with which a page opens the live socket after an availability answer.

Format: base64url of a JSON object `{"<partition>": <next offset>, …}` over the partitions of `holdfast.availability`,
e.g. `{"0": 17, "1": 4}`: whoever reads each partition from that offset on misses nothing that happened after the
answer. The cursor is taken *before* the answer's snapshot from the newest end offsets that are known. Whatever the
snapshot does not show was committed after it, so it is relayed after it and lies behind the cursor: duplicates are
possible, gaps are not. The JSON is padded with spaces to a multiple of 3 bytes, so that the text never ends in `=`.
"""

import asyncio
import base64
import json
from typing import Protocol

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from events.topics import AVAILABILITY, BY_NAME

log = structlog.get_logger(__name__)

REFRESH_SECONDS = 1.0
PATIENCE_SECONDS = 5.0
_PARTITIONS = [TopicPartition(AVAILABILITY, number) for number in range(BY_NAME[AVAILABILITY].partitions)]


class Ends(Protocol):
    """Where a topic's partitions end."""

    async def read(self) -> dict[int, int]:
        """The offset that each partition's next message will get. `KafkaError` or `TimeoutError` when away."""

    async def close(self) -> None:
        """Ends the connection."""


class KafkaEnds:
    """The end offsets of `holdfast.availability`, asked for by a consumer without a group."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._consumer: AIOKafkaConsumer | None = None

    async def read(self) -> dict[int, int]:
        """See `Ends`."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            consumer = await self._started()
            ends = await consumer.end_offsets(_PARTITIONS)
        return {partition.partition: offset for partition, offset in ends.items()}

    async def _started(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, group_id=None, enable_auto_commit=False)
            try:
                await consumer.start()
            except BaseException:
                await consumer.stop()
                raise
            # Assigned, so that the client keeps the topic's metadata; paused, since nobody reads the messages.
            consumer.assign(_PARTITIONS)
            consumer.pause(*_PARTITIONS)
            self._consumer = consumer
        return self._consumer

    async def close(self) -> None:
        """See `Ends`."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()


class LiveCursor:
    """Keeps the newest known end offsets, so that an answer needs no round trip to Kafka."""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self._offsets: dict[int, int] = {}
        self._away = False
        self.followed = False

    @property
    def known(self) -> bool:
        """Whether any end offset is known."""
        return bool(self._offsets)

    def text(self) -> str:
        """The cursor, as of now. Take it before reading what the answer shows."""
        return encode(self._offsets)

    async def refresh(self) -> None:
        """Asks once. While Kafka is away the former offsets stand: they only mean more duplicates."""
        try:
            self._offsets |= await self._ends.read()
        except (KafkaError, TimeoutError, OSError) as error:
            if not self._away:
                log.warning("the live cursor waits for Kafka", error=repr(error))
            self._away = True
        else:
            self._away = False

    async def run(self, stop: asyncio.Event) -> None:
        """Asks again and again until `stop` is set."""
        self.followed = True
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                await self.refresh()
                await asyncio.wait({stopping}, timeout=REFRESH_SECONDS)
        finally:
            stopping.cancel()
            await self._ends.close()


def encode(offsets: dict[int, int]) -> str:
    """The cursor's text."""
    document = json.dumps({str(number): offsets[number] for number in sorted(offsets)}, separators=(",", ":"))
    return base64.urlsafe_b64encode(document.encode() + b" " * (-len(document) % 3)).decode()
