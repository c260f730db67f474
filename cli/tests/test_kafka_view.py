"""What `topics`, `lag` and `tail` say, on a real Kafka."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from events.topics import TOPICS
from holdfast.errors import HoldfastError
from holdfast.kafka_view import begin_of, chosen_topics, lag_rows, short, topic_rows
from holdfast.watching import backlog, reading, watching

TOPIC = "holdfast.notification"


def test_topics_are_named_with_and_without_their_prefix() -> None:
    assert chosen_topics(["booking", "holdfast.payment"]) == ["holdfast.booking", "holdfast.payment"]
    assert len(chosen_topics(None)) == len(TOPICS)
    with pytest.raises(HoldfastError, match=r"no topic holdfast\.bookings"):
        chosen_topics(["bookings"])


def test_since_is_a_span_or_an_instant() -> None:
    now = datetime(2026, 12, 1, 12, tzinfo=UTC)
    assert begin_of("10m", now) == now - timedelta(minutes=10)
    assert begin_of("2d", now) == now - timedelta(days=2)
    assert begin_of("2026-11-30T08:00:00Z", now) == datetime(2026, 11, 30, 8, tzinfo=UTC)
    assert begin_of(None) is None
    with pytest.raises(HoldfastError, match="neither a span"):
        begin_of("yesterday")


def test_payloads_are_shown_on_one_line_without_the_tenant() -> None:
    assert short({"tenant_id": "t", "amount": 1}, 80) == '{"amount": 1}'
    assert short(None, 80) == "(gone)"
    assert short("x" * 100, 10) == "x" * 9 + "…"


async def test_topics_are_shown_as_the_broker_has_them(kafka_bootstrap: str) -> None:
    rows = {row["name"]: row for row in await topic_rows(kafka_bootstrap)}
    assert set(rows) == {topic.name for topic in TOPICS}
    assert rows["holdfast.catalog"]["configs"]["cleanup.policy"] == "compact"
    assert rows["holdfast.booking"]["partitions"] == 6
    assert all(row["exists"] for row in rows.values())


async def test_a_watch_sees_what_comes_after_it_began_and_lag_counts_what_a_group_left(kafka_bootstrap: str) -> None:
    booking, group = str(uuid4()), f"test-{uuid4().hex[:8]}"
    headers = [("ce_type", b"notification.message_sent.v1"), ("correlationid", booking.encode())]
    producer = AIOKafkaProducer(bootstrap_servers=kafka_bootstrap)
    await producer.start()
    async with watching(kafka_bootstrap, [TOPIC]) as watch:
        placed = await producer.send_and_wait(TOPIC, b'{"a": 1}', key=b"k", headers=headers)
        seen = await watch.until(lambda one: one.is_about(booking), 10)
        assert await watch.until(lambda one: one.is_about("nobody"), 0.1) is None
    await producer.send_and_wait(TOPIC, b"no json \xff", key=b"k", partition=placed.partition)
    await producer.stop()
    assert seen is not None
    begun = seen.timestamp - timedelta(milliseconds=1)
    async with reading(kafka_bootstrap, [TOPIC], begun) as past:
        told = [one.payload async for one in backlog(past) if one.key == "k"]
    assert told == [{"a": 1}, "no json \\xff"]
    assert (seen.partition, seen.offset, seen.payload) == (placed.partition, placed.offset, {"a": 1})

    consumer = AIOKafkaConsumer(bootstrap_servers=kafka_bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    consumer.assign([place := TopicPartition(TOPIC, placed.partition)])
    await consumer.commit({place: placed.offset})
    await consumer.stop()
    rows = [row for row in await lag_rows(kafka_bootstrap) if row["group"] == group]
    assert rows == [{"group": group, "topic": TOPIC, "partition": placed.partition, "lag": 2}]
