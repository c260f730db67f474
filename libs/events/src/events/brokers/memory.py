"""A broker in memory with partitions, groups, offsets and rebalances, for tests of what runs on a broker."""

import asyncio
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from events.brokers import Partition, Revoked
from events.envelope import Message, Record
from events.errors import BrokerUnavailable


class MemoryBroker:
    """All topics exist with `partitions` partitions each. `away = True` plays a broker that does not answer."""

    def __init__(self, partitions: int = 3) -> None:
        self.partitions = partitions
        self.logs: dict[Partition, list[Message]] = defaultdict(list)
        self.committed: dict[tuple[str, Partition], int] = {}
        self.away = False
        self._groups: dict[str, list[MemorySubscription]] = defaultdict(list)
        self.arrived = asyncio.Condition()

    async def publish(self, records: Sequence[Record], timeout: float) -> None:
        """See `Broker`."""
        if self.away:
            await asyncio.sleep(timeout)
            raise BrokerUnavailable("the broker is away")
        async with self.arrived:
            for record in records:
                partition = Partition(record.topic, zlib.crc32(record.key.encode()) % self.partitions)
                log = self.logs[partition]
                log.append(
                    Message(
                        topic=record.topic,
                        key=record.key,
                        value=record.value,
                        headers=record.headers,
                        partition=partition.number,
                        offset=len(log),
                    )
                )
            self.arrived.notify_all()

    def subscribe(self, group: str, topics: Sequence[str], member: str) -> "MemorySubscription":
        """See `Broker`."""
        return MemorySubscription(self, group, topics)

    async def rebalance(self, group: str) -> None:
        """Deals the partitions out again, as a joining or leaving member makes Kafka do."""
        members = list(self._groups[group])
        for member in members:
            await member.give_up()
        topics = sorted({topic for member in members for topic in member.topics})
        every = [Partition(topic, number) for topic in topics for number in range(self.partitions)]
        for index, partition in enumerate(every):
            if members:
                members[index % len(members)].take(partition)

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

    async def start(self, on_revoked: Revoked) -> None:
        """See `Subscription`."""
        self._on_revoked = on_revoked
        await self._broker.join(self)

    async def give_up(self) -> None:
        """Loses all partitions."""
        if self._positions and self._on_revoked:
            await self._on_revoked(frozenset(self._positions))
        self._positions.clear()
        self._paused.clear()

    def take(self, partition: Partition) -> None:
        """Gets one, from where the group is."""
        self._positions[partition] = self._broker.committed.get((self.group, partition), 0)

    async def poll(self, timeout: float) -> Mapping[Partition, Sequence[Message]]:
        """See `Subscription`."""
        try:
            async with asyncio.timeout(timeout), self._broker.arrived:
                await self._broker.arrived.wait_for(lambda: not self._broker.away and bool(self._ready()))
                found = self._ready()
        except TimeoutError:
            return {}
        for partition, messages in found.items():
            self._positions[partition] += len(messages)
        return found

    def _ready(self) -> dict[Partition, list[Message]]:
        return {
            partition: messages
            for partition, position in self._positions.items()
            if partition not in self._paused and (messages := self._broker.logs[partition][position:][:100])
        }

    def pause(self, partitions: Iterable[Partition]) -> None:
        """See `Subscription`."""
        self._paused.update(partitions)

    def resume(self, partitions: Iterable[Partition]) -> None:
        """See `Subscription`."""
        self._paused.difference_update(partitions)

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """See `Subscription`."""
        for partition, offset in offsets.items():
            if partition in self._positions:
                self._broker.committed[self.group, partition] = offset

    def assigned(self) -> frozenset[Partition]:
        """See `Subscription`."""
        return frozenset(self._positions)

    def end(self, partition: Partition) -> int | None:
        """See `Subscription`."""
        return len(self._broker.logs[partition])

    async def stop(self) -> None:
        """See `Subscription`."""
        await self._broker.leave(self)
