"""A broker in memory with partitions, groups, offsets and rebalances, for tests of what runs on a broker."""

import asyncio
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from events.brokers import Partition, Revoked
from events.envelope import Message, Record, legible_key
from events.errors import BrokerUnavailable

BATCH = 100


class MemoryBroker:
    """All topics exist with `partitions` partitions each. `away = True` plays a broker that does not answer, and
    `lose_answers` counts how many times what was published arrives although the publisher hears nothing."""

    def __init__(self, partitions: int = 3) -> None:
        self.partitions = partitions
        self.logs: dict[Partition, list[Message]] = defaultdict(list)
        self.committed: dict[tuple[str, Partition], int] = {}
        self.lose_answers = 0
        self._here = asyncio.Event()
        self._here.set()
        self.arrived = asyncio.Condition()
        self._groups: dict[str, list[MemorySubscription]] = defaultdict(list)
        self._dealing = asyncio.Lock()

    @property
    def away(self) -> bool:
        """Whether nothing answers."""
        return not self._here.is_set()

    @away.setter
    def away(self, away: bool) -> None:
        if away:
            self._here.clear()
        else:
            self._here.set()

    async def here(self) -> None:
        """Returns when the broker answers."""
        await self._here.wait()

    async def publish(self, records: Sequence[Record], timeout: float) -> None:
        """See `Broker`."""
        try:
            async with asyncio.timeout(timeout):
                await self._here.wait()
        except TimeoutError as error:
            raise BrokerUnavailable(f"no broker took {len(records)} records within {timeout} s") from error
        async with self.arrived:
            for record in records:
                self._append(record)
            self.arrived.notify_all()
        if self.lose_answers:
            self.lose_answers -= 1
            raise BrokerUnavailable("the answer was lost")

    def _append(self, record: Record) -> None:
        partition = Partition(record.topic, zlib.crc32(record.key.encode()) % self.partitions)
        log = self.logs[partition]
        log.append(
            Message(
                topic=record.topic,
                key=legible_key(record.key.encode()),
                value=record.value,
                headers=record.headers,
                partition=partition.number,
                offset=len(log),
            )
        )

    def subscribe(self, group: str, topics: Sequence[str], member: str) -> "MemorySubscription":
        """See `Broker`."""
        return MemorySubscription(self, group, topics)

    async def rebalance(self, group: str) -> None:
        """Deals the partitions out again, as a joining or leaving member makes Kafka do."""
        async with self._dealing:
            members = list(self._groups[group])
            await asyncio.gather(*(member.give_up() for member in members))
            topics = sorted({topic for member in members for topic in member.topics})
            every = [Partition(topic, number) for topic in topics for number in range(self.partitions)]
            for index, partition in enumerate(every if members else []):
                members[index % len(members)].take(partition)
        async with self.arrived:
            self.arrived.notify_all()

    async def join(self, subscription: "MemorySubscription") -> None:
        """Adds a member."""
        self._groups[subscription.group].append(subscription)
        await self.rebalance(subscription.group)

    async def leave(self, subscription: "MemorySubscription") -> None:
        """Removes a member."""
        self._groups[subscription.group].remove(subscription)
        await self.rebalance(subscription.group)

    async def close(self) -> None:
        """Nothing to end."""


class MemorySubscription:
    """See `Subscription`."""

    def __init__(self, broker: MemoryBroker, group: str, topics: Sequence[str]) -> None:
        self.group = group
        self.topics = list(topics)
        self._broker = broker
        self._positions: dict[Partition, int] = {}
        self._paused: set[Partition] = set()
        self._on_revoked: Revoked | None = None
        self._giving_up = False

    async def start(self, on_revoked: Revoked) -> None:
        """See `Subscription`."""
        self._on_revoked = on_revoked
        await self._broker.join(self)

    async def give_up(self) -> None:
        """Loses all partitions. Like Kafka's, the client delivers nothing meanwhile but still takes commits."""
        self._giving_up = True
        try:
            if self._positions and self._on_revoked:
                await self._on_revoked(frozenset(self._positions))
        finally:
            self._positions.clear()
            self._paused.clear()
            self._giving_up = False

    def take(self, partition: Partition) -> None:
        """Gets one, from where the group is."""
        self._positions[partition] = self._broker.committed.get((self.group, partition), 0)

    async def poll(self, timeout: float) -> Mapping[Partition, Sequence[Message]]:
        """See `Subscription`."""
        found: dict[Partition, list[Message]] = {}
        try:
            async with asyncio.timeout(timeout):
                while not (found := self._ready()):
                    await self._broker.here()
                    async with self._broker.arrived:
                        if not self._ready():
                            await self._broker.arrived.wait()
        except TimeoutError:
            return {}
        for partition, messages in found.items():
            self._positions[partition] += len(messages)
        return found

    def _ready(self) -> dict[Partition, list[Message]]:
        if self._broker.away or self._giving_up:
            return {}
        return {
            partition: messages
            for partition, position in self._positions.items()
            if partition not in self._paused and (messages := self._broker.logs[partition][position : position + BATCH])
        }

    def pause(self, partitions: Iterable[Partition]) -> None:
        """See `Subscription`."""
        self._paused.update(partitions)

    def resume(self, partitions: Iterable[Partition]) -> None:
        """See `Subscription`."""
        self._paused.difference_update(partitions)

    async def commit(self, offsets: Mapping[Partition, int]) -> bool:
        """See `Subscription`."""
        if self._broker.away or not offsets.keys() <= self._positions.keys():
            return False
        for partition, offset in offsets.items():
            self._broker.committed[self.group, partition] = offset
        return True

    def assigned(self) -> frozenset[Partition]:
        """See `Subscription`."""
        return frozenset(self._positions)

    def end(self, partition: Partition) -> int | None:
        """See `Subscription`."""
        return len(self._broker.logs[partition])

    async def stop(self) -> None:
        """See `Subscription`."""
        await self._broker.leave(self)
