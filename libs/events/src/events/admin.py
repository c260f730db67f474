"""Topics and groups as the command line and the tests need them."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import for_code

from events.topics import TOPICS, Topic

TOPIC_EXISTS = 36


@dataclass(frozen=True, slots=True)
class GroupLag:
    """How far one group is behind on one partition, in messages."""

    group: str
    topic: str
    partition: int
    lag: int


async def ensure_topics(bootstrap: str, replication_factor: int = 1, *, topics: Sequence[Topic] = TOPICS) -> list[str]:
    """Creates those of the registry's topics (or of others) that are missing; returns their names. Existing ones are
    left as they are."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        missing = [topic for topic in topics if topic.name not in existing]
        if missing:
            answer = await admin.create_topics(
                [
                    NewTopic(topic.name, topic.partitions, replication_factor, topic_configs=topic.configs)
                    for topic in missing
                ]
            )
            for name, code, *_ in answer.topic_errors:
                if code not in (0, TOPIC_EXISTS):
                    raise for_code(code)(f"the topic {name} could not be created")
        return [topic.name for topic in missing]
    finally:
        await admin.close()


async def existing_topics(bootstrap: str) -> set[str]:
    """The names of all topics that exist."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        return set(await admin.list_topics())
    finally:
        await admin.close()


async def group_lag(bootstrap: str, groups: list[str]) -> list[GroupLag]:
    """The lag of each group on each partition it has committed an offset for."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await admin.start()
    await consumer.start()
    try:
        offsets = {group: await admin.list_consumer_group_offsets(group) for group in groups}
        partitions = {partition for found in offsets.values() for partition in found}
        ends = await consumer.end_offsets([TopicPartition(*partition) for partition in partitions])
        return sorted(
            (
                GroupLag(group, partition.topic, partition.partition, max(0, ends[partition] - position.offset))
                for group, found in offsets.items()
                for partition, position in found.items()
            ),
            key=lambda row: (row.group, row.topic, row.partition),
        )
    finally:
        await consumer.stop()
        await admin.close()
