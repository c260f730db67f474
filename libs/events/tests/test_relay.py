"""What the relay promises: everything committed goes out, each key in order, once where the broker answers."""

import asyncio
from typing import Any

from sqlalchemy import event

from events.relay import LOCK, Relay


async def until_sent(toy: Any, seconds: float = 15) -> None:
    async def empty() -> bool:
        return not await toy.rows("SELECT FROM outbox LIMIT 1")

    await toy.until(empty, "an empty outbox", seconds)


async def test_rows_go_out_in_their_order_and_are_deleted(toy: Any) -> None:
    for start in range(0, 1500, 100):
        await toy.emit(*[(f"key-{n % 7}", n) for n in range(start, start + 100)])
    async with toy.relaying():
        await until_sent(toy)
        await toy.emit(("key-0", 1500))
        await until_sent(toy)
    log = await toy.log_of(toy.topic)
    numbers: dict[str, list[int]] = {}
    for message in log:
        numbers.setdefault(message.key, []).append(toy.Counted.model_validate_json(message.value).n)
    assert len(log) == 1501
    assert all(found == sorted(found) for found in numbers.values())


async def test_what_is_rolled_back_never_goes_out(toy: Any) -> None:
    async with toy.relaying():
        try:
            async with toy.database.transaction() as tx:
                await tx.emit(toy.event("a", 1))
                raise RuntimeError("changed its mind")
        except RuntimeError:
            await toy.emit(("b", 1))
        await until_sent(toy)
    assert [message.key for message in await toy.log_of(toy.topic)] == ["b"]


async def test_what_is_committed_while_it_stops_still_goes_out(toy: Any) -> None:
    async with toy.relaying():
        await asyncio.sleep(0.3)
        await toy.emit(("a", 1))
    assert [message.key for message in await toy.log_of(toy.topic)] == ["a"]


async def test_one_relay_sends_and_the_next_takes_over_when_it_ends(toy: Any) -> None:
    async with toy.relaying() as first:
        await toy.emit(("a", 1))
        await until_sent(toy)
        stop = asyncio.Event()
        second = asyncio.create_task(Relay(toy.engine, toy.broker, toy.name).run(stop))
        await asyncio.sleep(0.2)
        assert await lock_is_held(toy)
        first.wake()
    await toy.emit(("a", 2))
    await until_sent(toy)
    stop.set()
    await second
    assert not await lock_is_held(toy)
    assert len(await toy.log_of(toy.topic)) == 2


async def test_a_relay_that_waits_for_its_turn_does_so_calmly_also_when_it_was_woken(toy: Any) -> None:
    async with toy.relaying():
        await toy.emit(("a", 1))
        await until_sent(toy)
        stop = asyncio.Event()
        waiting = Relay(toy.engine, toy.broker, toy.name)
        second = asyncio.create_task(waiting.run(stop))
        await asyncio.sleep(0.2)
        waiting.wake()
        asked = 0

        def count(*_: Any) -> None:
            nonlocal asked
            asked += 1

        event.listen(toy.engine.sync_engine, "before_cursor_execute", count)
        try:
            await asyncio.sleep(0.5)
        finally:
            event.remove(toy.engine.sync_engine, "before_cursor_execute", count)
        stop.set()
        await second
    # The relay that has its turn polls some times as well.
    assert asked < 30


async def lock_is_held(toy: Any) -> bool:
    async with toy.engine.connect() as connection:
        got = (await connection.execute(LOCK)).scalar_one()
        await connection.invalidate()
    return not got


async def test_a_relay_that_lost_its_connection_goes_on(toy: Any) -> None:
    async with toy.relaying():
        await toy.emit(("a", 1))
        await until_sent(toy)
        await toy.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE application_name = 'holdfast-{toy.name}' AND pid <> pg_backend_pid()"
        )
        await toy.emit(("a", 2))
        await until_sent(toy)
    assert len(await toy.log_of(toy.topic)) == 2


async def test_a_lost_answer_sends_twice_and_is_handled_once(memory_toy: Any) -> None:
    toy = memory_toy
    toy.broker.lose_answers = 2
    async with toy.consuming(), toy.relaying():
        await toy.emit(("a", 1), ("a", 2), ("b", 1))
        await until_sent(toy)
        await toy.emit(("a", 3))
        await toy.until_handled(4)
    assert len(await toy.log_of(toy.topic)) == 3 * 3 + 1
    assert await toy.handled("a") == [1, 2, 3]
    assert await toy.handled("b") == [1]
