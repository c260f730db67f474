"""Kafka through aiokafka, with the settings and ways round its pitfalls that were measured."""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaConnectionError, KafkaError

from events.brokers import Partition, Revoked
from events.envelope import Message, Record, legible_key
from events.errors import BrokerUnavailable

# While a broker is away the client logs some 50 errors a second; our own health and metrics say it once.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)

COMMIT_SECONDS, LEAVE_SECONDS = 5.0, 5.0
DISCARD_SECONDS = 1.0


class KafkaBroker:
    """One producer for the process, and consumers as they are asked for."""

    def __init__(self, bootstrap: str, client_id: str) -> None:
        self._bootstrap = bootstrap
        self._client_id = client_id
        self._producer: AIOKafkaProducer | None = None

    async def publish(self, records: Sequence[Record], timeout: float) -> None:
        """Sends in order. A send that Kafka does not answer never fails by itself, so the wait is bounded here;
        the producer is then thrown away with whatever it still held, and the next call makes a new one."""
        try:
            async with asyncio.timeout(timeout):
                producer = await self._started()
                futures = [
                    await producer.send(
                        record.topic,
                        key=record.key.encode(),
                        value=record.value,
                        headers=list(record.headers),
                    )
                    for record in records
                ]
                await asyncio.gather(*futures)
        except (TimeoutError, KafkaError) as error:
            await self._discard()
            raise BrokerUnavailable(f"Kafka did not acknowledge {len(records)} records: {error!r}") from error

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap,
                client_id=self._client_id,
                acks="all",
                enable_idempotence=True,
                linger_ms=1,
            )
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer

    async def _discard(self) -> None:
        """Throws the producer away. Its own stop() waits for answers, which may take for ever: the connections are
        closed under it, so that what is under way fails at once."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        producer._closed = True
        sending = producer._sender.sender_task
        if sending is not None:
            sending.cancel()
        try:
            async with asyncio.timeout(DISCARD_SECONDS):
                await producer.client.close()
                await asyncio.gather(*filter(None, [sending]), return_exceptions=True)
        except TimeoutError:
            return  # a socket that takes nothing more; it ends with the process

    def subscribe(self, group: str, topics: Sequence[str], member: str) -> "KafkaSubscription":
        """A static member of the group: a restart of the same replica within 6 s moves nothing."""
        return KafkaSubscription(self._bootstrap, group, topics, member)

    async def close(self) -> None:
        """Ends the producer. Nothing is under way: `publish` returns when all was acknowledged."""
        await self._discard()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, on_revoked: Revoked) -> None:
        self._on_revoked = on_revoked

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._on_revoked(frozenset(Partition(tp.topic, tp.partition) for tp in revoked))

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        return None


class KafkaSubscription:
    """A consumer with manual commits."""

    def __init__(self, bootstrap: str, group: str, topics: Sequence[str], member: str) -> None:
        self._arguments = {
            "bootstrap_servers": bootstrap,
            "client_id": member,
            "group_id": group,
            "group_instance_id": member,
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "isolation_level": "read_committed",
            "session_timeout_ms": 6_000,
            "heartbeat_interval_ms": 1_500,
            "rebalance_timeout_ms": 20_000,
            "max_poll_interval_ms": 300_000,
            "fetch_max_wait_ms": 500,
            "max_partition_fetch_bytes": 262_144,
            "partition_assignment_strategy": [StickyPartitionAssignor],
        }
        self._topics = list(topics)
        self._consumer: AIOKafkaConsumer | None = None

    @property
    def _client(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise RuntimeError("the subscription was not started")
        return self._consumer

    async def start(self, on_revoked: Revoked) -> None:
        """Waits for the broker for as long as it takes: a service may well start before it."""
        pause = 0.2
        while True:
            consumer = AIOKafkaConsumer(**self._arguments)
            consumer.subscribe(topics=self._topics, listener=_Listener(on_revoked))
            try:
                await consumer.start()
            except KafkaConnectionError:
                await consumer.stop()
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)
            except BaseException:
                await consumer.stop()
                raise
            else:
                self._consumer = consumer
                return

    async def poll(self, timeout: float) -> Mapping[Partition, Sequence[Message]]:
        """At most 500 messages; fairness between partitions is the runtime's business."""
        batches = await self._client.getmany(timeout_ms=int(timeout * 1000), max_records=500)
        return {
            Partition(tp.topic, tp.partition): [
                Message(
                    topic=raw.topic,
                    key=legible_key(raw.key or b""),
                    value=raw.value,
                    headers=tuple((name, value or b"") for name, value in raw.headers),
                    partition=raw.partition,
                    offset=raw.offset,
                )
                for raw in batch
            ]
            for tp, batch in batches.items()
        }

    def pause(self, partitions: Iterable[Partition]) -> None:
        """See `Subscription`."""
        self._client.pause(*(TopicPartition(*p) for p in partitions))

    def resume(self, partitions: Iterable[Partition]) -> None:
        """See `Subscription`."""
        self._client.resume(*(TopicPartition(*p) for p in partitions))

    async def commit(self, offsets: Mapping[Partition, int]) -> bool:
        """See `Subscription`. IllegalStateError: the partition was taken away meanwhile."""
        try:
            async with asyncio.timeout(COMMIT_SECONDS):
                await self._client.commit({TopicPartition(*p): offset for p, offset in offsets.items()})
        except (KafkaError, TimeoutError):
            return False
        return True

    def assigned(self) -> frozenset[Partition]:
        """See `Subscription`."""
        return frozenset(Partition(tp.topic, tp.partition) for tp in self._client.assignment())

    def end(self, partition: Partition) -> int | None:
        """See `Subscription`."""
        end: int | None = self._client.highwater(TopicPartition(*partition))
        return end

    async def stop(self) -> None:
        """Leaves; a static member's partitions wait for it until its session ends."""
        if self._consumer is not None:
            try:
                async with asyncio.timeout(LEAVE_SECONDS):
                    await self._consumer.stop()
            except (TimeoutError, KafkaError):
                return
