"""A request that is sent again is answered again, not carried out again."""

import asyncio
import uuid
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from servicekit import idempotency
from servicekit.service import Service


def key() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid.uuid4())}


async def things(client: httpx.AsyncClient, clinic: str) -> list[str]:
    found: list[str] = (await client.get(f"/v1/clinics/{clinic}/things")).json()
    return found


async def post(client: httpx.AsyncClient, clinic: str, headers: dict[str, str], **body: Any) -> httpx.Response:
    return await client.post(f"/v1/clinics/{clinic}/things", json=body, headers=headers)


async def test_the_same_key_and_body_is_answered_with_the_stored_answer(client: httpx.AsyncClient, clinic: str) -> None:
    headers = key()
    first = await post(client, clinic, headers, name="one")
    again = await post(client, clinic, headers, name="one")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["content-type"] == first.headers["content-type"]
    assert await things(client, clinic) == ["one"]


async def test_another_body_or_key_or_clinic_or_credential_is_another_request(
    client: httpx.AsyncClient, clinic: str
) -> None:
    headers = key()
    await post(client, clinic, headers, name="one")
    mismatch = await post(client, clinic, headers, name="two")
    assert (mismatch.status_code, mismatch.json()["type"].rsplit("/", 1)[1]) == (422, "idempotency-mismatch")
    assert (await post(client, clinic, key(), name="one")).status_code == 201
    assert (await post(client, clinic, headers | {"Authorization": "Bearer other"}, name="one")).status_code == 201
    assert (await post(client, str(uuid.uuid4()), headers, name="one")).status_code == 201
    assert await things(client, clinic) == ["one"] * 3


async def test_while_the_first_is_running_the_second_is_refused(client: httpx.AsyncClient, clinic: str) -> None:
    from toyshop.endpoints import HELD

    HELD.clear()
    headers = key()
    running = asyncio.create_task(post(client, clinic, headers, name="slow"))
    await asyncio.sleep(0.3)
    second = await post(client, clinic, headers, name="slow")
    assert (second.status_code, second.json()["type"].rsplit("/", 1)[1]) == (409, "idempotency-in-flight")
    HELD.set()
    assert (await running).status_code == 201
    assert (await post(client, clinic, headers, name="slow")).headers["Idempotent-Replayed"] == "true"
    assert await things(client, clinic) == ["slow"]


async def test_of_many_at_once_one_is_carried_out(client: httpx.AsyncClient, clinic: str) -> None:
    headers = key()
    answers = await asyncio.gather(*(post(client, clinic, headers, name="one") for _ in range(8)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    assert await things(client, clinic) == ["one"]


async def test_control_without_the_key_all_are_carried_out(client: httpx.AsyncClient, clinic: str) -> None:
    await asyncio.gather(*(post(client, clinic, {}, name="one") for _ in range(3)))
    assert await things(client, clinic) == ["one"] * 3


async def test_a_refusal_is_stored(client: httpx.AsyncClient, clinic: str) -> None:
    headers = key()
    first = await post(client, clinic, headers, name="refused")
    again = await post(client, clinic, headers, name="refused")
    assert first.status_code == again.status_code == 422
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["content-type"] == "application/problem+json"
    assert await things(client, clinic) == []


@pytest.mark.parametrize(("name", "status"), [("taken", 409), ("broken", 500)])
async def test_what_may_go_otherwise_next_time_is_not_stored(
    client: httpx.AsyncClient, clinic: str, name: str, status: int
) -> None:
    headers = key()
    for _ in range(2):
        answer = await post(client, clinic, headers, name=name)
        assert answer.status_code == status
        assert "Idempotent-Replayed" not in answer.headers
    assert await things(client, clinic) == []


async def test_the_answer_is_stored_if_and_only_if_its_effect_is(client: httpx.AsyncClient, clinic: str) -> None:
    code = uuid.uuid4().hex
    assert (await post(client, clinic, {}, name="first", code=code)).status_code == 201
    headers = key()
    for _ in range(2):  # the constraint is checked at the commit, after the answer was stored in the transaction
        answer = await post(client, clinic, headers, name="second", code=code)
        assert answer.status_code == 500
        assert "Idempotent-Replayed" not in answer.headers
    assert await things(client, clinic) == ["first"]


async def test_answers_are_sealed_and_forgotten_after_a_day(
    client: httpx.AsyncClient, toyshop: Service, clinic: str
) -> None:
    headers = key()
    await post(client, clinic, headers, name="secret-name")
    async with toyshop.database.transaction() as tx:
        rows = (await tx.connection.execute(text("SELECT scope, request_hash, answer FROM idempotency"))).all()
        assert all(b"secret-name" not in bytes(part) for row in rows for part in row if part is not None)
        await tx.connection.execute(text("UPDATE idempotency SET created_at = now() - interval '25 h'"))
    assert "Idempotent-Replayed" not in (await post(client, clinic, headers, name="secret-name")).headers
    async with toyshop.database.transaction() as tx:
        await tx.connection.execute(text("UPDATE idempotency SET created_at = now() - interval '25 h'"))
        await idempotency.purge(tx)
        assert (await tx.connection.execute(text("SELECT count(*) FROM idempotency"))).scalar_one() == 0


async def test_a_claim_whose_process_died_is_taken_over_after_a_minute(
    client: httpx.AsyncClient, toyshop: Service, clinic: str
) -> None:
    headers = key()
    await post(client, clinic, headers, name="one")
    async with toyshop.database.transaction() as tx:
        await tx.connection.execute(text("UPDATE idempotency SET status = NULL, answer = NULL"))
    assert (await post(client, clinic, headers, name="one")).status_code == 409
    async with toyshop.database.transaction() as tx:
        await tx.connection.execute(text("UPDATE idempotency SET created_at = now() - interval '61 s'"))
    assert (await post(client, clinic, headers, name="one")).status_code == 201


@pytest.mark.parametrize("bad", ["short", "x" * 256, "sixteen-and-more-but-no-uuid"])
async def test_keys_that_cannot_be_one_are_refused(client: httpx.AsyncClient, clinic: str, bad: str) -> None:
    answer = await post(client, clinic, {"Idempotency-Key": bad}, name="one")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert await things(client, clinic) == []


async def test_a_request_hash_that_is_none_is_refused(client: httpx.AsyncClient, clinic: str) -> None:
    assert (await post(client, clinic, key() | {"X-Request-Hash": "zz"}, name="one")).status_code == 422
