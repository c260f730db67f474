"""Many who want one time: refusals are shared, answers are not, and nobody is refused by what was said before they
asked."""

import asyncio
from typing import Any

import httpx
import pytest

from gateway.alternatives import is_taken
from gateway.main import Gateway
from gateway.upstream import Answer
from servicekit.problems import Unavailable
from servicekit.rushes import CROWD, Rush, Rushes

from .conftest import TENANT, Services, problem

TAKEN = Answer(409, [(b"content-type", b"application/problem+json")], b'{"type":"https://x/slot-taken"}')
HELD = Answer(201, [], b"{}")


class Booking:
    """Answers what it is told to, when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[Answer]] = []

    async def __call__(self) -> Answer:
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        return await future


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_refusal_is_shared_with_those_who_asked_before_its_request_was_sent_only() -> None:
    booking, rush = Booking(), Rush(is_taken)
    first = asyncio.create_task(rush.answer(booking))
    await settled()
    later = [asyncio.create_task(rush.answer(booking)) for _ in range(5)]
    await settled()
    assert len(booking.waiting) == 1
    booking.waiting[0].set_result(TAKEN)
    await settled()
    assert first.done()
    assert not any(task.done() for task in later)  # they asked after it was sent: one asks for all of them
    assert len(booking.waiting) == 2
    booking.waiting[1].set_result(TAKEN)
    assert await asyncio.gather(*later) == [TAKEN] * 5
    assert len(booking.waiting) == 2


async def test_who_gets_the_time_shares_it_with_nobody() -> None:
    booking, rush = Booking(), Rush(is_taken)
    tasks = [asyncio.create_task(rush.answer(booking)) for _ in range(4)]
    await settled()
    booking.waiting[0].set_result(TAKEN)
    await settled()
    booking.waiting[1].set_result(HELD)  # given back meanwhile, and taken by the one who asked for the others
    await settled()
    assert len(booking.waiting) == 4  # the others ask themselves
    for future in booking.waiting[2:]:
        future.set_result(TAKEN)
    assert [answer.status for answer in await asyncio.gather(*tasks)] == [409, 201, 409, 409]


async def test_a_failure_is_nobody_elses_either() -> None:
    booking, rush = Booking(), Rush(is_taken)
    tasks = [asyncio.create_task(rush.answer(booking)) for _ in range(3)]
    await settled()
    booking.waiting[0].set_result(TAKEN)
    await settled()
    booking.waiting[1].set_exception(Unavailable("away"))
    await settled()
    booking.waiting[2].set_result(TAKEN)
    first, second, third = await asyncio.gather(*tasks, return_exceptions=True)
    assert (first, third) == (TAKEN, TAKEN)
    assert isinstance(second, Unavailable)
    after = asyncio.create_task(rush.answer(booking))
    await settled()
    booking.waiting[3].set_result(HELD)
    assert await after == HELD


async def test_whoever_gives_up_while_waiting_leaves_nobody_behind() -> None:
    booking, rush = Booking(), Rush(is_taken)
    tasks = [asyncio.create_task(rush.answer(booking)) for _ in range(3)]
    await settled()
    tasks[1].cancel()
    await settled()
    booking.waiting[0].set_result(TAKEN)
    await settled()
    booking.waiting[1].set_result(TAKEN)
    assert await tasks[0] == await tasks[2] == TAKEN


async def test_a_rush_begins_with_a_refusal_and_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("servicekit.rushes.LASTS_SECONDS", 0.05)
    booking, rushes = Booking(), Rushes(is_taken)
    calm = [asyncio.create_task(rushes.answer("a", booking)) for _ in range(3)]
    await settled()
    assert len(booking.waiting) == 3  # nobody was refused yet: all are sent
    for future in booking.waiting:
        future.set_result(TAKEN)
    await asyncio.gather(*calm)
    crowd = [asyncio.create_task(rushes.answer("a", booking)) for _ in range(3)]
    other = asyncio.create_task(rushes.answer("b", booking))
    await settled()
    assert len(booking.waiting) == 5  # one of the crowd, and the one who wants something else
    for _ in range(3):
        for future in booking.waiting:
            if not future.done():
                future.set_result(HELD)
        await settled()
    await asyncio.gather(*crowd, other)
    await asyncio.sleep(0.15)
    assert not rushes._rushes


async def test_a_crowd_is_a_rush_before_anybody_was_refused() -> None:
    booking, rushes = Booking(), Rushes(is_taken)
    tasks = [asyncio.create_task(rushes.answer("a", booking)) for _ in range(50)]
    await settled()
    assert len(booking.waiting) == CROWD + 1  # the last asks for all who came later than it
    booking.waiting[0].set_result(HELD)
    for future in booking.waiting[1:]:
        future.set_result(TAKEN)
    await settled()
    booking.waiting[-1].set_result(TAKEN)
    statuses = [answer.status for answer in await asyncio.gather(*tasks)]
    assert sorted(statuses) == [201] + [409] * 49
    assert len(booking.waiting) == CROWD + 2
    assert not rushes._under_way


async def test_a_crowd_costs_few_requests_and_one_of_it_wins(
    gateway: tuple[Gateway, httpx.AsyncClient], services: Services
) -> None:
    _, client = gateway
    path = f"/v1/clinics/{TENANT}/holds"
    free = True

    async def hold(_: Any) -> tuple[int, Any]:
        nonlocal free
        won, free = free, False
        await asyncio.sleep(0.01)
        return (201, {"id": "1"}) if won else (409, problem(409, "slot-taken", alternatives=[]))

    services.answers["POST", path] = hold
    services.answers["POST", f"/internal/tenants/{TENANT}/alternatives"] = (200, {"alternatives": [{"slot_id": "b"}]})
    before = services.count(path)
    statuses = []
    for _ in range(5):
        answers = await asyncio.gather(*(client.post(path, json={"slot_id": "rushed"}) for _ in range(40)))
        statuses += [answer.status_code for answer in answers]
    assert sorted(statuses) == [201] + [409] * 199
    assert services.count(path) - before < 100
    # A key of one's own may be the repetition of the request that won: it is asked itself.
    before = services.count(path)
    keyed = {"Idempotency-Key": "0190a0a0-0000-7000-8000-00000000000b"}
    await asyncio.gather(*(client.post(path, json={"slot_id": "rushed"}, headers=keyed) for _ in range(10)))
    assert services.count(path) - before == 10
