"""The raw connections of the hot routes."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator

import psycopg
import pytest

from servicekit.hot import HotPool
from servicekit.problems import Unavailable


@pytest.fixture
async def pool(postgres_url: str) -> AsyncIterator[HotPool]:
    made = HotPool(postgres_url, name="test", size=2)
    yield made
    await made.close()


async def _pid(pool: HotPool) -> int:
    return int((await pool.one("SELECT pg_backend_pid()", ()))[0])


async def test_a_connection_is_used_again_and_no_more_are_open_than_there_is_room_for(pool: HotPool) -> None:
    assert await _pid(pool) == await _pid(pool)
    pids = await asyncio.gather(*(pool.one("SELECT pg_backend_pid(), pg_sleep(0.05)", ()) for _ in range(8)))
    assert len({row[0] for row in pids}) == 2


async def test_what_was_undone_by_a_deadlock_is_tried_again(pool: HotPool, postgres_url: str) -> None:
    name = f"tries_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f"CREATE SEQUENCE {name}")
        admin.execute(
            f"CREATE FUNCTION {name}_f() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN"
            f" IF nextval('{name}') < 3 THEN RAISE EXCEPTION 'again' USING ERRCODE = '40P01'; END IF;"
            f" RETURN currval('{name}'); END $$".encode()
        )
    assert await pool.one(f"SELECT {name}_f()", ()) == (3,)


async def test_what_the_database_refuses_leaves_a_connection_that_works(pool: HotPool) -> None:
    pid = await _pid(pool)
    with pytest.raises(psycopg.errors.DivisionByZero):
        await pool.one("SELECT 1 / 0", ())
    assert await _pid(pool) == pid


async def test_a_connection_whose_request_was_given_up_is_not_used_again(pool: HotPool) -> None:
    pid = await _pid(pool)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await pool.one("SELECT pg_sleep(5)", ())
    assert await _pid(pool) != pid


async def test_a_connection_that_the_server_ended_costs_one_answer_at_most(pool: HotPool, postgres_url: str) -> None:
    pid = await _pid(pool)
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s)", [pid])
    await asyncio.sleep(0.1)
    with contextlib.suppress(Unavailable):
        await _pid(pool)
    assert await _pid(pool) != pid


async def test_without_a_database_it_says_that_it_is_away() -> None:
    away = HotPool("postgresql://nobody@127.0.0.1:1/none", name="test", size=1)
    with pytest.raises(Unavailable):
        await away.one("SELECT 1", ())
