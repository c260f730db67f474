"""Calendars are what their rows say, whatever came in which order and at the same moment."""

import asyncio
import random
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from availability import repository
from availability.repository import taken as rows
from availability.repository.reading import Asked, read
from events import Deleted, new_id
from events.contracts.booking import Occupancy
from events.contracts.calendar import Busy
from events.envelope import seal
from scheduling.bitmaps import Horizon
from scheduling.instants import span

FIRST = datetime.combine(date.today() + timedelta(days=3), time(), UTC)
CHUNK = 8 * 1440


async def seen(world, clinic, resource, chunks=4, **more):
    """What a search reads of a resource, and the horizon of its bits."""
    first = int(FIRST.timestamp()) // 60 // CHUNK
    asked = Asked([UUID(resource["id"])], first, chunks, **more)
    reading = await read(world.service.hot, clinic.id, asked)
    return reading.taken()[UUID(resource["id"])], Horizon(first * CHUNK, chunks * CHUNK // 5)


async def test_random_events_leave_the_bitmaps_that_their_rows_say(clinic, world):
    pick = random.Random(5)
    anna = await clinic.practitioner()
    rows: dict[Any, Occupancy] = {}
    busy: dict[str, Busy] = {}
    later = datetime.now(UTC) + timedelta(minutes=30)
    connection = new_id()
    sent: list[Any] = []
    for number in range(60):
        start = FIRST + timedelta(minutes=5 * pick.randrange(6000))
        kind = pick.random()
        if kind < 0.4:
            end = start + timedelta(minutes=pick.choice((15, 60, 600)))
            row = clinic.occupancy(
                anna, start, end, claim_start=start - timedelta(minutes=10),
                expires_at=pick.choice((None, None, later)), cancelled=pick.random() < 0.1,
            )  # fmt: skip
            rows[row.owner_id] = row
            sent.append(row)
        elif kind < 0.55 and rows:
            row = pick.choice(list(rows.values()))
            moved = {"version": row.version + 1, "start": start, "end": start + timedelta(minutes=30)}
            moved |= {"claim_start": start, "claim_end": moved["end"], "expires_at": None}
            rows[row.owner_id] = row.model_copy(update=moved)
            sent.append(rows[row.owner_id])
        elif kind < 0.7 and rows:
            row = rows.pop(pick.choice(list(rows)))
            sent.append(Deleted(Occupancy.TYPE, row.key(), clinic.id, row.version + 1))
        elif kind < 0.9 or not busy:
            start += timedelta(seconds=pick.randrange(300))
            event = Busy(
                tenant_id=clinic.id, version=1, connection_id=connection, resource_id=anna["id"], generation=1,
                external_key=str(number), start=start, end=start + timedelta(seconds=pick.choice((1, 4000, 500_000))),
            )  # fmt: skip
            busy[event.external_key] = event
            sent.append(event)
        else:
            event = busy.pop(pick.choice(list(busy)))
            sent.append(Deleted(Busy.TYPE, event.key(), clinic.id, event.version + 1))
    await world.broker.publish([seal(event, source="test")[1] for event in sent], 5)
    await world.settle()
    found, horizon = await seen(world, clinic, anna)
    booked = [row for row in rows.values() if row.expires_at is None and not row.cancelled]
    assert found.claimed == horizon.bits(span(row.claim_start, row.claim_end) for row in booked)
    assert found.started == horizon.bits(
        (first, first + 5) for first, _ in (span(row.start, row.end) for row in booked)
    )
    assert found.external == horizon.bits(span(event.start, event.end) for event in busy.values())
    assert len([claim for claim in found.claims if claim.held]) == sum(
        row.expires_at is not None and not row.cancelled for row in rows.values()
    )


async def test_an_external_event_of_any_length_is_seen(clinic, world):
    anna = await clinic.practitioner()
    offering = await clinic.offering()
    day = FIRST.date() + timedelta(days=20)
    assert await clinic.starts(offering, day)
    endless = Busy(
        tenant_id=clinic.id, version=1, connection_id=new_id(), resource_id=anna["id"], external_key="k", generation=1,
        start=FIRST + timedelta(days=19), end=datetime(9999, 12, 31, tzinfo=UTC),
    )  # fmt: skip
    await world.publish(endless)
    assert await clinic.starts(offering, day) == []
    assert await clinic.starts(offering, day - timedelta(days=4))
    await world.publish(endless.model_copy(update={"version": 2, "end": FIRST + timedelta(days=60)}))
    assert await clinic.starts(offering, day) == []
    assert await clinic.starts(offering, FIRST.date() + timedelta(days=70))
    await world.publish(Deleted(Busy.TYPE, endless.key(), clinic.id, 3))
    assert await clinic.starts(offering, day)


async def test_an_owner_that_is_ignored_counts_as_free(clinic, world):
    anna = await clinic.practitioner()
    mine = await clinic.take(anna, FIRST, FIRST + timedelta(hours=1))
    others = await clinic.take(anna, FIRST + timedelta(hours=1), FIRST + timedelta(hours=2))
    found, horizon = await seen(world, clinic, anna, ignored=mine.owner_id)
    assert found.claimed == horizon.bits([span(others.claim_start, others.claim_end)])
    assert found.started.bit_count() == 1
    assert found.claims == []


async def test_another_tenant_sees_nothing_of_it(clinic, make_clinic, world):
    anna = await clinic.practitioner()
    await clinic.take(anna, FIRST, FIRST + timedelta(hours=1))
    stranger = await make_clinic()
    found, _ = await seen(world, stranger, anna)
    assert (found.claimed, found.started, found.external, found.claims) == (0, 0, 0, [])


@pytest.fixture
def unlocked(world, postgres_url):
    """`redraw` without its lock, for the control."""
    url = postgres_url.rsplit("/", 1)[0] + "/" + world.service.settings.database_url.rsplit("/", 1)[1]
    with psycopg.connect(url, autocommit=True) as connection:
        [[body]] = connection.execute("SELECT pg_get_functiondef('availability.redraw'::regproc)").fetchall()
        begin, end = body.index("INSERT INTO feed"), body.index("INSERT INTO calendar")
        body = (body[:begin] + body[end:]).replace("availability.redraw(", "availability.redraw_unlocked(")
        connection.execute(body)
        connection.execute("ALTER FUNCTION availability.redraw_unlocked OWNER TO availability_definer")
        yield "redraw_unlocked"
        connection.execute("DROP FUNCTION availability.redraw_unlocked")


async def _race(clinic, world, resource, monkeypatch, function):
    """Two visits come at the same moment, each drawing before the other is committed; how many the bitmap shows."""
    monkeypatch.setattr(rows, "_REDRAW", text(f"SELECT {function}(:tenant, :resource, :first, :last)"))
    drawn = [asyncio.Event(), asyncio.Event()]

    async def take(number: int) -> None:
        start = FIRST + timedelta(hours=number)
        row = clinic.occupancy(resource, start, start + timedelta(hours=1))
        async with world.service.database.transaction(clinic.id) as tx:
            await repository.occupy(tx, row)
            await repository.redraw(tx, row.resource_id, [(row.claim_start, row.claim_end)])
            drawn[number].set()
            # Commits when the other one has drawn too, or waits for us.
            await asyncio.wait([asyncio.create_task(drawn[1 - number].wait())], timeout=0.5)

    await asyncio.gather(take(0), take(1))
    found, _ = await seen(world, clinic, resource)
    return found.started.bit_count()


async def test_whoever_draws_last_has_seen_everybodys_rows(clinic, world, monkeypatch):
    anna = await clinic.practitioner()
    assert await _race(clinic, world, anna, monkeypatch, "redraw") == 2


async def test_without_the_lock_a_visit_would_be_lost(clinic, world, monkeypatch, unlocked):
    anna = await clinic.practitioner()
    assert await _race(clinic, world, anna, monkeypatch, unlocked) == 1
