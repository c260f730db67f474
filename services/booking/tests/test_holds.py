"""A slot is never sold twice."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text

from booking import endings
from booking.repository import bookings

from .conftest import NEXT_WEEK, Clinic


async def test_a_hold_is_made_and_seen_by_its_token_alone(clinic: Clinic) -> None:
    slot = clinic.offer(await clinic.offering(), [await clinic.resource()])
    held = await clinic.hold(slot)
    assert held.status_code == 201, held.text
    hold = held.json()
    assert hold["status"] == "held"
    assert hold["slot"]["slot_id"] == slot
    assert hold["slot"]["resources"][0]["type"] == "practitioner"
    assert (await clinic.get(hold, "holds"))["status"] == "held"
    stranger = await clinic.client.get(f"{clinic.base}/holds/{hold['id']}")
    assert stranger.status_code == 404
    assert [kind for kind, _ in await clinic.outbox()] == [
        "booking.hold_created.v1",
        "occupancy.row.v1",
        "booking.slot_blocked.v1",
    ]


async def test_of_two_hundred_at_one_slot_one_wins(clinic: Clinic) -> None:
    slot = clinic.offer(await clinic.offering(), [await clinic.resource()])
    answers = await asyncio.gather(*(clinic.hold(slot) for _ in range(200)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 199
    assert {answer.json().get("type", "").rsplit("/", 1)[-1] for answer in answers} == {"", "slot-taken"}
    assert len(await clinic.said("booking.hold_created.v1")) == 1


async def test_overlapping_offerings_of_one_practitioner_exclude_each_other(clinic: Clinic) -> None:
    anna = await clinic.resource()
    one, other = await clinic.offering(), await clinic.offering()
    starts = [NEXT_WEEK + timedelta(minutes=5 * step) for step in range(6)]
    answers = await asyncio.gather(
        *(clinic.hold(clinic.offer(kind, [anna], start=start)) for start in starts for kind in (one, other))
    )
    assert sum(answer.status_code == 201 for answer in answers) == 1


async def test_control_without_the_constraint_the_race_sells_twice(clinic: Clinic, postgres_url: str) -> None:
    """The race above can see a double sale: with the guard taken away in a copy of the database, it does."""
    database = clinic.service.settings.database_url.rsplit("/", 1)[1]
    admin = postgres_url.rsplit("/", 1)[0]
    anna = await clinic.resource()
    with psycopg.connect(f"{admin}/{database}", autocommit=True) as connection:
        connection.execute("SET search_path = booking, public")
        connection.execute("ALTER TABLE claim DROP CONSTRAINT claim_never_twice")
        try:
            one, other = await clinic.offering(), await clinic.offering()
            slots = [clinic.offer(kind, [anna]) for kind in (one, other)]
            winners = 0
            for _ in range(20):
                answers = await asyncio.gather(*(clinic.hold(slot) for slot in slots * 4))
                winners = max(winners, sum(answer.status_code == 201 for answer in answers))
                if winners > 1:
                    break
                for answer in answers:
                    if answer.status_code == 201:
                        hold = answer.json()
                        await clinic.client.delete(
                            f"{clinic.base}/holds/{hold['id']}",
                            headers={"Authorization": f"Bearer {hold['manage_token']}"},
                        )
            assert winners > 1
        finally:
            connection.execute("DELETE FROM claim WHERE tenant_id = %s", [clinic.tenant_id])
            connection.execute(
                "ALTER TABLE claim ADD CONSTRAINT claim_never_twice PRIMARY KEY (resource_id, during WITHOUT OVERLAPS)"
            )


async def test_buffers_keep_neighbours_apart(clinic: Clinic) -> None:
    anna, kind = await clinic.resource(), await clinic.offering()
    assert (await clinic.hold(clinic.offer(kind, [anna], buffer=10))).status_code == 201
    near = NEXT_WEEK + timedelta(minutes=40)
    assert (await clinic.hold(clinic.offer(kind, [anna], start=near, buffer=10))).status_code == 409
    far = NEXT_WEEK + timedelta(minutes=50)
    assert (await clinic.hold(clinic.offer(kind, [anna], start=far, buffer=10))).status_code == 201


async def test_a_hold_falls_through_the_candidates(clinic: Clinic) -> None:
    anna, first, second = await clinic.resource(), await clinic.resource("room"), await clinic.resource("room")
    kind = await clinic.offering()
    busy = clinic.offer(await clinic.offering(), [first])
    assert (await clinic.hold(busy)).status_code == 201
    held = await clinic.hold(clinic.offer(kind, [anna, first], [anna, second]))
    assert held.status_code == 201
    rooms = [entry["id"] for entry in held.json()["slot"]["resources"] if entry["type"] == "room"]
    assert rooms == [str(second.resource_id)]
    # All or nothing: a refused assignment leaves no claim behind.
    third = await clinic.hold(clinic.offer(kind, [anna, first], start=NEXT_WEEK + timedelta(minutes=5)))
    assert third.status_code == 409


async def test_an_expired_hold_is_free_before_any_job_has_run(clinic: Clinic) -> None:
    anna, kind = await clinic.resource(), await clinic.offering()
    first = (await clinic.hold(clinic.offer(kind, [anna], hold_seconds=0.2))).json()
    await asyncio.sleep(0.3)
    assert (await clinic.get(first, "holds"))["status"] == "expired"
    second = await clinic.hold(clinic.offer(kind, [anna]))
    assert second.status_code == 201
    late = await clinic.request(first)
    assert late.status_code == 410
    assert late.json()["type"].endswith("/hold-expired")


async def test_the_job_makes_an_expiry_seen_and_keeps_the_successors_claim(clinic: Clinic) -> None:
    anna, kind = await clinic.resource(), await clinic.offering()
    first = (await clinic.hold(clinic.offer(kind, [anna], hold_seconds=0.1))).json()
    await asyncio.sleep(0.2)
    second = (await clinic.hold(clinic.offer(kind, [anna]))).json()
    async with clinic.service.database.transaction() as tx:
        due = await bookings.due(tx, 1000)
    mine = [booking_id for tenant_id, booking_id in due if tenant_id == clinic.tenant_id]
    assert [str(booking_id) for booking_id in mine] == [first["id"]]
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await endings.end_overdue(tx, mine[0])
    assert len(await clinic.said("booking.hold_expired.v1")) == 1
    assert (await clinic.get(second, "holds"))["status"] == "held"
    assert (await clinic.hold(clinic.offer(kind, [anna]))).status_code == 409
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        seats = (await tx.connection.execute(text("SELECT reserved FROM slot"))).scalars().all()
    assert seats == [1]


async def test_a_class_gives_each_seat_once_and_frees_its_practitioner_with_the_last(clinic: Clinic) -> None:
    maria, kind = await clinic.resource(), await clinic.offering(capacity=4)
    slot = clinic.offer(kind, [maria])
    answers = await asyncio.gather(*(clinic.hold(slot) for _ in range(20)))
    won = [answer.json() for answer in answers if answer.status_code == 201]
    assert len(won) == 4
    assert len(await clinic.said("booking.slot_blocked.v1")) == 1
    other = clinic.offer(await clinic.offering(), [maria])
    for hold in won:
        assert (await clinic.hold(other)).status_code == 409
        gone = await clinic.client.delete(
            f"{clinic.base}/holds/{hold['id']}", headers={"Authorization": f"Bearer {hold['manage_token']}"}
        )
        assert gone.status_code == 204
    assert len(await clinic.said("booking.slot_released.v1")) == 1
    assert (await clinic.hold(other)).status_code == 201


async def test_all_seats_asked_for_or_none(clinic: Clinic) -> None:
    maria, kind = await clinic.resource(), await clinic.offering(capacity=4)
    slot = clinic.offer(kind, [maria])
    answers = await asyncio.gather(*(clinic.hold(slot, seats=3) for _ in range(6)))
    assert sum(answer.status_code == 201 for answer in answers) == 1
    assert (await clinic.hold(slot, seats=5)).status_code == 422


async def test_offers_that_are_forged_foreign_or_old_are_refused(clinic: Clinic) -> None:
    anna, kind = await clinic.resource(), await clinic.offering()
    good = clinic.offer(kind, [anna])
    forged = good[:-4] + ("AAAA" if not good.endswith("AAAA") else "BBBB")
    assert (await clinic.hold(forged)).json()["type"].endswith("/offer-invalid")
    assert (await clinic.hold("nonsense")).status_code == 422
    assert (await clinic.hold(clinic.offer(kind, [anna], lives=-60))).status_code == 410
    foreign = await clinic.client.post(f"/v1/clinics/{uuid4()}/holds", json={"slot_id": good})
    assert foreign.status_code == 422
    past = clinic.offer(kind, [anna], start=NEXT_WEEK - timedelta(days=14))
    assert (await clinic.hold(past)).status_code == 410


async def test_a_hold_is_renewed_once_and_released_as_often_as_one_likes(clinic: Clinic) -> None:
    hold = (await clinic.hold(clinic.offer(await clinic.offering(), [await clinic.resource()]))).json()
    bearer = {"Authorization": f"Bearer {hold['manage_token']}"}
    url = f"{clinic.base}/holds/{hold['id']}"
    renewed = await clinic.client.post(f"{url}/renew", headers=bearer)
    assert renewed.status_code == 200
    assert renewed.json()["expires_at"] > hold["expires_at"]
    again = await clinic.client.post(f"{url}/renew", headers=bearer)
    assert (again.status_code, again.json()["type"].rsplit("/", 1)[-1]) == (409, "illegal-transition")
    for _ in range(2):
        assert (await clinic.client.delete(url, headers=bearer)).status_code == 204
    assert (await clinic.get(hold, "holds"))["status"] == "released"
    assert len(await clinic.said("booking.hold_released.v1")) == 1


async def test_the_same_idempotency_key_holds_once_and_answers_twice(clinic: Clinic) -> None:
    slot = clinic.offer(await clinic.offering(), [await clinic.resource()])
    key = {"Idempotency-Key": str(uuid4())}
    url, body = f"{clinic.base}/holds", {"slot_id": slot}
    first = await clinic.client.post(url, json=body, headers=key)
    second = await clinic.client.post(url, json=body, headers=key)
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    other = await clinic.client.post(url, json={"slot_id": slot, "seats": 1}, headers=key)
    assert other.json()["type"].endswith("/idempotency-mismatch")


async def test_another_tenants_rows_are_not_there(clinic: Clinic) -> None:
    hold = (await clinic.hold(clinic.offer(await clinic.offering(), [await clinic.resource()]))).json()
    stranger = uuid4()
    async with clinic.service.database.transaction(stranger) as tx:
        for table in ("booking", "slot", "claim", "history", "copy"):
            count = (await tx.connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()
            assert count == 0, table
    answer = await clinic.client.get(
        f"/v1/clinics/{stranger}/holds/{hold['id']}", headers={"Authorization": f"Bearer {hold['manage_token']}"}
    )
    assert answer.status_code == 404


async def test_take_slot_refuses_another_tenant_than_the_transactions(clinic: Clinic) -> None:
    from sqlalchemy.exc import ProgrammingError

    arguments = ":t, gen_random_uuid(), gen_random_uuid(), now(), now() + interval '1 h', 1, 1, now(), false, false,"
    nothing = "'{}', '{}', '{}', '{}', '{}', '{}'"
    with pytest.raises(ProgrammingError, match="another tenant"):
        async with clinic.service.database.transaction(clinic.tenant_id) as tx:
            await tx.connection.execute(text(f"SELECT retake_slot({arguments} {nothing})"), {"t": uuid4()})


async def test_what_needs_no_practitioner_is_sold_at_one_start_as_often_as_there_are_rooms(clinic: Clinic) -> None:
    court, courts = await clinic.offering(), [await clinic.resource("room") for _ in range(3)]
    slot = clinic.offer(court, *([one] for one in courts))
    answers = [await clinic.hold(slot) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [201, 201, 201, 409]
    taken = {answer.json()["slot"]["resources"][0]["id"] for answer in answers[:3]}
    assert taken == {str(one.resource_id) for one in courts}
    assert [fact["provider_id"] for fact in await clinic.said("booking.slot_blocked.v1")] == [None] * 3
