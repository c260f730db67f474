"""What the runtime needs of a broker; Kafka and an in-memory one pass the same behaviour suite."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from events.envelope import Message, Record


class Partition(NamedTuple):
    """One partition of one topic."""

    topic: str
    number: int


Revoked = Callable[[frozenset[Partition]], Awaitable[None]]


class Subscription(Protocol):
    """A member of a consumer group."""

    async def start(self, on_revoked: Revoked) -> None:
        """Joins the group; `on_revoked` is awaited before partitions go to another member."""

    async def poll(self, timeout: float) -> Mapping[Partition, Sequence[Message]]:
        """What has come, in each partition's order; empty after `timeout` seconds."""

    def pause(self, partitions: Iterable[Partition]) -> None:
        """Fetches no more from these until `resume`."""

    def resume(self, partitions: Iterable[Partition]) -> None:
        """Fetches from these again."""

    async def commit(self, offsets: Mapping[Partition, int]) -> bool:
        """Stores the next offset to read. False when the group refused or the broker is away: what is read again
        then is recognised by the inbox."""

    def assigned(self) -> frozenset[Partition]:
        """The partitions that this member has now."""

    def end(self, partition: Partition) -> int | None:
        """The offset that the partition's next message will get, as far as known."""

    async def stop(self) -> None:
        """Leaves the group."""


class Broker(Protocol):
    """Publishes records and hands out subscriptions."""

    async def publish(self, records: Sequence[Record], timeout: float) -> None:
        """Sends records in order; `BrokerUnavailable` when not all were acknowledged within `timeout` seconds:
        some may then have arrived all the same, so whoever sends again sends duplicates."""

    def subscribe(self, group: str, topics: Sequence[str], member: str) -> Subscription:
        """A member of the group; `member` names this replica and must be unique among the living."""

    async def close(self) -> None:
        """Ends the connections."""
