"""What the consumer promises, on every broker."""

import asyncio
import random
import time
from typing import Any

import pytest
from sqlalchemy import text

from events import Retry, Transaction, parking
from events.consumer import Consumer
from events.envelope import Record
from events.errors import Flooded


async def test_state_outgoing_events_and_inbox_mark_are_one_transaction(toy: Any) -> None:
    tries = 0

    async def react(event: Any, tx: Transaction) -> None:
        nonlocal tries
        await toy.store(event, tx)
        if event.subject == "cause":
            await tx.emit(toy.event("effect", 7))
            tries += 1
            if tries == 1:
                seen.append(await counts())
                raise RuntimeError("after everything was written")

    async def counts() -> tuple[int, int, int]:
        (row,) = await toy.rows(
            "SELECT (SELECT count(*) FROM handled), (SELECT count(*) FROM outbox), (SELECT count(*) FROM inbox)"
        )
        return tuple(row)  # type: ignore[return-value]

    seen: list[tuple[int, int, int]] = []
    async with toy.consuming(react), toy.relaying():
        await toy.publish(("cause", 1))
        await toy.until_handled(2)
    assert tries == 2
    assert seen == [(0, 0, 0)]  # what another connection saw before the first try rolled back
    assert await toy.handled() == [1, 7]
    assert [row.status for row in await toy.rows("SELECT status FROM inbox")] == ["done", "done"]
    cause, effect = sorted(await toy.log_of(toy.topic), key=lambda m: m.key)
    assert effect.header("causationid") == cause.header("ce_id")
    assert effect.header("correlationid") == cause.header("correlationid")


async def test_a_duplicate_does_nothing(toy: Any) -> None:
    async with toy.consuming():
        records = await toy.publish(("a", 1), ("b", 1))
        await toy.broker.publish(records, 10)
        await toy.publish(("a", 2), ("b", 2))
        await toy.until_handled(4)
    assert await toy.handled("a") == [1, 2]
    assert await toy.handled("b") == [1, 2]


async def test_control_without_the_inbox_mark_a_duplicate_is_handled_twice(
    memory_toy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_mark(*_: object) -> str:
        return "new"

    monkeypatch.setattr(parking, "mark", no_mark)
    async with memory_toy.consuming():
        records = await memory_toy.publish(("a", 1))
        await memory_toy.broker.publish(records, 10)
        await memory_toy.publish(("a", 2))
        await memory_toy.until_handled(3)
    assert await memory_toy.handled("a") == [1, 1, 2]


async def test_keys_run_side_by_side_and_each_in_order(toy: Any) -> None:
    running = most = 0

    async def react(event: Any, tx: Transaction) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(random.uniform(0, 0.01))
        await toy.store(event, tx)
        running -= 1

    pairs = [(f"key-{n % 10}", n) for n in range(200)]
    async with toy.consuming(react, at_once=4):
        await toy.publish(*pairs)
        await toy.until_handled(200)
    for number in range(10):
        assert await toy.handled(f"key-{number}") == list(range(number, 200, 10))
    assert 2 < most <= 4  # a backlog leaves connections to requests


async def test_control_without_lanes_in_turn_keys_get_out_of_order(
    memory_toy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_turn = Consumer._in_turn

    async def at_once(self: Consumer, before: Any, flow: Any, message: Any) -> bool:
        return await in_turn(self, None, flow, message)

    async def react(event: Any, tx: Transaction) -> None:
        await asyncio.sleep(random.uniform(0, 0.05))
        await memory_toy.store(event, tx)

    monkeypatch.setattr(Consumer, "_in_turn", at_once)
    async with memory_toy.consuming(react):
        await memory_toy.publish(*[("a", n) for n in range(30)])
        await memory_toy.until_handled(30)
    assert await memory_toy.handled("a") != list(range(30))


async def crash(consumer: Consumer, running: "asyncio.Task[None]") -> None:
    """Ends a consumer as kill -9 would: nothing is finished, nothing is committed."""
    for flow in consumer._flows.values():
        for task in flow.tasks:
            task.cancel()
    consumer._flows.clear()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_crash_behind_an_unfinished_event_loses_nothing(toy: Any) -> None:
    stuck = asyncio.Event()

    async def react(event: Any, tx: Transaction) -> None:
        if event.subject == "slow":
            await stuck.wait()
        await toy.store(event, tx)

    others = [(f"fast-{n}", n) for n in range(40)]
    consumer = toy.consumer(react)
    running = asyncio.create_task(consumer.run(asyncio.Event()))
    await toy.publish(*others[:20], ("slow", 99), *others[20:])
    await toy.until_handled(40)
    await asyncio.sleep(0.8)  # more than a commit's turn
    slow = next(m for m in await toy.log_of(toy.topic) if m.key == "slow")
    assert (await toy.committed()).get(slow.partition, 0) <= slow.offset
    await crash(consumer, running)

    stuck.set()
    async with toy.consuming(react):
        await toy.until_handled(41)
    assert sorted(await toy.handled()) == sorted([*range(40), 99])


async def test_retry_waits_in_place_in_order_and_parks_nothing(toy: Any) -> None:
    away = True

    async def react(event: Any, tx: Transaction) -> None:
        if event.subject == "a" and away:
            raise Retry("the provider is away")
        await toy.store(event, tx)

    async with toy.consuming(react):
        await toy.publish(("a", 1), ("a", 2), ("b", 1), ("c", 1), ("d", 1))
        await toy.until_handled(3)
        assert await toy.handled("a") == []
        away = False
        await toy.until_handled(5)
    assert await toy.handled("a") == [1, 2]
    assert await toy.parked() == []


async def test_a_stop_does_not_wait_for_what_only_waits_to_be_tried_again(toy: Any) -> None:
    async def react(event: Any, tx: Transaction) -> None:
        raise Retry("the provider is away")

    async with toy.consuming(react):
        await toy.publish(("a", 1), ("a", 2))
        await asyncio.sleep(0.5)
        stopped_at = time.monotonic()
    assert time.monotonic() - stopped_at < 3
    async with toy.consuming():
        await toy.until_handled(2)
    assert await toy.handled("a") == [1, 2]


async def test_a_stop_finishes_and_commits_what_was_taken(toy: Any) -> None:
    begun = asyncio.Event()

    async def react(event: Any, tx: Transaction) -> None:
        begun.set()
        await asyncio.sleep(0.05)
        await toy.store(event, tx)

    async with toy.consuming(react):
        await toy.publish(*[("a", n) for n in range(10)])
        await begun.wait()
    handled = await toy.handled("a")
    assert handled
    assert handled == list(range(len(handled)))
    assert sum((await toy.committed()).values()) == len(handled)


async def test_poison_is_put_aside_and_what_follows_is_handled(toy: Any) -> None:
    good = toy.record("same-key", 1)
    headers = dict(good.headers)
    poison = [
        Record(toy.topic, "same-key-2", b"\xff\x00\xfe", good.headers),  # no JSON, no text
        Record(toy.topic, "p1", b"{}", ()),  # no headers at all
        Record(toy.topic, "p2", b"{}", tuple((headers | {"ce_id": b"\xff\x00"}).items())),
        Record(toy.topic, "p3", b"{}", tuple((headers | {"ce_type": b"\xff\xfe"}).items())),  # not a type of ours
        Record(toy.topic, "p4", b'{"n": "no number"}', tuple((headers | {"ce_time": b"yesterday"}).items())),
        Record(toy.topic, "p\x005", b"\x00", ()),
        Record(toy.topic, "x" * 5000, b"{}", ()),
        Record(toy.topic, "p6", None, good.headers),  # a tombstone where none can be: not ours to handle
        Record(toy.topic, "p7", b"{}", tuple((headers | {"ce_type": b"stranger.event.v1"}).items())),
    ]
    async with toy.consuming(), toy.relaying():
        await toy.broker.publish(poison, 10)
        await toy.publish(("a", 1), ("b", 2), ("c", 3), ("d", 4))
        await toy.until_handled(4)
        await toy.until_parked(6)

        async def all_copied() -> bool:
            return len(await toy.log_of(toy.dead_topic)) == 6

        await toy.until(all_copied, "six copies on the dead-letter topic")
    rows = await toy.rows("SELECT key, kind, reason, payload FROM parked")
    assert {row.kind for row in rows} == {"dead"}
    assert {row.key for row in rows} >= {"same-key-2", "p1", "p2", "p4"}
    assert all(row.reason for row in rows)
    copies = await toy.log_of(toy.dead_topic)
    assert {copy.header("deadconsumer") for copy in copies} == {toy.name}
    assert all(copy.header("deadorigin").startswith(f"{toy.topic}/") for copy in copies)


async def test_a_flood_of_failures_stops_the_consumer_and_skips_nothing(toy: Any) -> None:
    async def react(event: Any, tx: Transaction) -> None:
        await tx.connection.execute(text("SELECT 1 / 0"))

    consumer = toy.consumer(react, flood_limit=5)
    running = asyncio.create_task(consumer.run(asyncio.Event()))
    await toy.publish(*[(f"key-{n}", n) for n in range(40)])
    with pytest.raises(Flooded, match="nothing was skipped"):
        await asyncio.wait_for(running, 30)
    dead = {n for _, n, kind in await toy.parked() if kind == "dead"}
    assert 5 <= len(dead) < 40
    async with toy.consuming():
        await toy.until_handled(40 - len(dead))
    assert set(await toy.handled()) == set(range(40)) - dead


async def test_a_rebalance_loses_nothing_and_keeps_every_keys_order(toy: Any) -> None:
    async def react(event: Any, tx: Transaction) -> None:
        await asyncio.sleep(0.01)
        await toy.store(event, tx)

    pairs = [(f"key-{n % 12}", n) for n in range(480)]
    async with toy.consuming(react, member="one") as one:
        await toy.publish(*pairs[:240])
        await toy.until_handled(20)
        async with toy.consuming(react, member="two") as two:
            await toy.publish(*pairs[240:])

            async def shared() -> bool:
                return all(c._subscription is not None and c._subscription.assigned() for c in (one, two))

            await toy.until(shared, "both members having partitions")
            await toy.until_handled(480)
    for number in range(12):
        assert await toy.handled(f"key-{number}") == list(range(number, 480, 12))


async def test_a_busy_partition_is_held_back(memory_toy: Any) -> None:
    go = asyncio.Event()

    async def react(event: Any, tx: Transaction) -> None:
        await go.wait()
        await memory_toy.store(event, tx)

    async with memory_toy.consuming(react) as consumer:
        await memory_toy.publish(*[("a", n) for n in range(400)])
        await asyncio.sleep(0.5)
        assert sum(flow.in_flight for flow in consumer._flows.values()) <= 200
        assert consumer.lag() >= 200
        go.set()
        await memory_toy.until_handled(400)
    assert await memory_toy.handled("a") == list(range(400))


async def test_who_is_behind_and_does_not_move_is_stalled(memory_toy: Any) -> None:
    go = asyncio.Event()

    async def react(event: Any, tx: Transaction) -> None:
        await go.wait()

    async with memory_toy.consuming(react) as consumer:
        await asyncio.sleep(0.3)
        consumer._last_progress -= 61
        await asyncio.sleep(0.4)
        assert not consumer.stalled  # idle is not stalled
        await memory_toy.publish(("a", 1))
        await asyncio.sleep(0.3)
        consumer._last_progress -= 61
        assert consumer.stalled
        go.set()
        await asyncio.sleep(0.3)
        assert not consumer.stalled
