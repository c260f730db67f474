"""What cannot be handled now or ever: it stops its own key and nothing else, and nothing is lost."""

import asyncio
from typing import Any

from events import Early, Invalid, Transaction, dead_letters, parking
from events.envelope import Envelope


async def test_early_is_parked_and_released_in_its_keys_order(toy: Any) -> None:
    arrived = False

    async def react(event: Any, tx: Transaction) -> None:
        if event.subject == "a" and not arrived:
            raise Early("what it needs has not come")
        await toy.store(event, tx)

    async with toy.consuming(react):
        await toy.publish(("a", 1), ("b", 1), ("a", 2), ("a", 3), ("b", 2))
        await toy.until_handled(2, "b")
        await toy.until_parked(3)
        assert await toy.parked() == [("a", 1, "early"), ("a", 2, "behind"), ("a", 3, "behind")]
        arrived = True
        await toy.publish(("a", 4))
        await toy.until_handled(6)
        await toy.publish(("a", 5))
        await toy.until_handled(7)
    assert await toy.handled("a") == [1, 2, 3, 4, 5]
    assert await toy.parked() == []
    assert {row.status for row in await toy.rows("SELECT status FROM inbox")} == {"done"}


async def test_parked_events_let_the_offset_move_on_and_survive_a_restart(toy: Any) -> None:
    async def react(event: Any, tx: Transaction) -> None:
        raise Early("not now")

    async with toy.consuming(react):
        await toy.publish(("a", 1), ("a", 2))
        await toy.until_parked(2)
    assert sum((await toy.committed()).values()) == 2
    async with toy.consuming():
        await toy.until_handled(2)
    assert await toy.handled("a") == [1, 2]


async def test_unknown_failures_end_dead_with_a_copy_for_people(toy: Any) -> None:
    tries = 0

    async def react(event: Any, tx: Transaction) -> None:
        nonlocal tries
        if (event.subject, event.n) == ("a", 1):
            tries += 1
            raise ZeroDivisionError("a bug")
        await toy.store(event, tx)

    async with toy.consuming(react), toy.relaying():
        await toy.publish(("a", 1), ("a", 2), ("b", 1), ("c", 1))
        await toy.until_handled(2)
        await toy.until_parked(2)
        assert await toy.parked() == [("a", 1, "dead"), ("a", 2, "behind")]

        async def copied() -> bool:
            return bool(await toy.log_of(toy.dead_topic))

        await toy.until(copied, "a copy on the dead-letter topic")
    assert tries == 5
    (copy,) = await toy.log_of(toy.dead_topic)
    assert copy.header("deadreason") == "ZeroDivisionError: a bug"
    original = next(m for m in await toy.log_of(toy.topic) if Envelope.of(m).id == Envelope.of(copy).id)
    assert copy.value == original.value
    assert copy.header("deadorigin") == f"{toy.topic}/{original.partition}/{original.offset}"


async def test_a_replay_handles_a_dead_event_once_and_those_behind_it_in_order(toy: Any) -> None:
    mended = False

    async def react(event: Any, tx: Transaction) -> None:
        if (event.subject, event.n) == ("a", 1) and not mended:
            raise Invalid("contradicts itself")
        await toy.store(event, tx)

    async with toy.consuming(react):
        records = await toy.publish(("a", 1), ("a", 2), ("a", 3))
        await toy.until_parked(3)
        async with toy.database.transaction() as tx:
            (dead,) = await dead_letters.listed(tx)
            assert (dead.type, dead.key, dead.reason) == (toy.Counted.TYPE, "a", "contradicts itself")
            assert len(await dead_letters.listed(tx, kinds=("behind", "early"))) == 2
            assert await dead_letters.find(tx, dead.event_id) == dead
        mended = True
        await asyncio.sleep(0.3)
        assert await toy.handled() == []  # a dead one waits for a person
        async with toy.database.transaction() as tx:
            assert await dead_letters.replay(tx, dead.event_id)
        await toy.until_handled(3)
        async with toy.database.transaction() as tx:
            assert not await dead_letters.replay(tx, dead.event_id)
            assert await dead_letters.find(tx, dead.event_id) is None
        await toy.broker.publish(records, 10)  # the broker brings all of them again
        await toy.publish(("a", 4))
        await toy.until_handled(4)
    assert await toy.handled("a") == [1, 2, 3, 4]


async def test_a_discarded_event_is_never_handled_and_the_others_go_on(toy: Any) -> None:
    async def react(event: Any, tx: Transaction) -> None:
        if event.n == 1:
            raise Invalid("never")
        await toy.store(event, tx)

    async with toy.consuming(react):
        records = await toy.publish(("a", 1), ("a", 2))
        await toy.until_parked(2)
        async with toy.database.transaction() as tx:
            (dead,) = await dead_letters.listed(tx)
            assert await dead_letters.discard(tx, dead.event_id)
            assert not await dead_letters.discard(tx, dead.event_id)
        await toy.until_handled(1)
        await toy.broker.publish(records, 10)
        await toy.publish(("a", 3))
        await toy.until_handled(2)
    assert await toy.handled("a") == [2, 3]
    assert await toy.parked() == []


async def test_a_replayed_event_that_fails_again_is_dead_again(memory_toy: Any) -> None:
    toy = memory_toy
    tries = 0

    async def react(event: Any, tx: Transaction) -> None:
        nonlocal tries
        tries += 1
        raise ZeroDivisionError("a bug")

    async with toy.consuming(react):
        await toy.publish(("a", 1))
        await toy.until_parked(1)
        async with toy.database.transaction() as tx:
            (dead,) = await dead_letters.listed(tx)
            await dead_letters.replay(tx, dead.event_id)

        async def dead_again() -> bool:
            return tries == 10 and await toy.parked() == [("a", 1, "dead")]

        await toy.until(dead_again, "death after five more tries")
    copies = await toy.rows(f"SELECT id FROM outbox WHERE topic = '{toy.dead_topic}'")
    assert len(copies) == 2


async def test_two_replicas_replay_a_parked_event_once(memory_toy: Any) -> None:
    toy = memory_toy
    arrived = False

    async def react(event: Any, tx: Transaction) -> None:
        if not arrived:
            raise Early("not now")
        await asyncio.sleep(0.01)
        await toy.store(event, tx)

    async with toy.consuming(react, member="one"), toy.consuming(react, member="two"):
        await toy.publish(*[(f"key-{n % 4}", n) for n in range(40)])
        await toy.until_parked(40)
        arrived = True
        await toy.until_handled(40)
    for number in range(4):
        assert await toy.handled(f"key-{number}") == list(range(number, 40, 4))


async def test_what_another_replica_handled_meanwhile_is_not_parked(memory_toy: Any) -> None:
    toy = memory_toy
    async with toy.consuming():
        await toy.publish(("a", 1))
        await toy.until_handled(1)
    (message,) = await toy.log_of(toy.topic)
    async with toy.database.transaction() as tx:
        await parking.park(tx, toy.name, message, Envelope.of(message).id, "dead", "too late")
    assert await toy.parked() == []
    assert await toy.rows("SELECT id FROM outbox") == []


async def test_only_what_can_become_due_keeps_the_replayer_awake(memory_toy: Any) -> None:
    toy = memory_toy

    async def react(event: Any, tx: Transaction) -> None:
        raise Invalid("never")

    async with toy.consuming(react):
        await toy.publish(("a", 1), ("a", 2))
        await toy.until_parked(2)
    async with toy.database.transaction() as tx:
        assert await parking.due(tx, toy.name) == []
        assert await parking.due_in(tx, toy.name) == float("inf")
