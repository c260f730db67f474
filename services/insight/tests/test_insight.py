"""Events in, rows right: through Faust on the real Kafka."""

import asyncio
import os
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from events import Event, Money, new_id
from events.brokers.kafka import KafkaBroker
from events.contracts.booking import (
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingNoShow,
    BookingRejected,
    BookingRescheduled,
    HoldCreated,
    Visit,
)
from events.contracts.payment import PaymentSucceeded, RefundIssued
from events.envelope import Record, seal
from insight.main import build
from insight.settings import InsightSettings
from servicekit.service import Service
from servicekit.testing import client_of, free_port

START, END = datetime(2026, 12, 1, 9, tzinfo=UTC), datetime(2026, 12, 1, 9, 30, tzinfo=UTC)
Running = Callable[..., Any]


class Story:
    """One booking of a fresh clinic, and what happens to it."""

    def __init__(self) -> None:
        self.tenant, self.booking, self.payment, self.offering = (uuid.uuid4() for _ in range(4))
        self.resources = [uuid.uuid4(), uuid.uuid4()]
        self.visit = Visit(
            slot_id=new_id(), offering_id=self.offering, provider_id=self.resources[0], resource_ids=self.resources,
            start=START, end=END, seats=1,
        )  # fmt: skip
        self.common: dict[str, Any] = {"tenant_id": self.tenant, "booking_id": self.booking}
        self.appointment = self.common | {
            "visit": self.visit, "person_id": new_id(), "contact_id": new_id(), "locale": "pl",
        }  # fmt: skip

    def held(self) -> Event:
        return HoldCreated(**self.common, version=1, visit=self.visit, expires_at=START)

    def confirmed(self) -> Event:
        price = Money(amount=20000, currency="pln")
        return BookingConfirmed(**self.appointment, version=2, mode="full", price=price, amount_due=price)

    def cancelled(self) -> Event:
        fee = Money(amount=5000, currency="pln")
        return BookingCancelled(**self.appointment, version=3, by="patient", fee=fee, was_confirmed=True)

    def moved(self, version: int, resources: list[uuid.UUID], days: int) -> Event:
        """To other resources, and so many days on; an hour long from then on."""
        before, free = self.visit, Money(amount=0, currency="pln")
        start = START + timedelta(days=days)
        changes = {"resource_ids": resources, "start": start, "end": start + timedelta(hours=1)}
        self.visit = self.visit.model_copy(update=changes)
        self.appointment |= {"visit": self.visit}
        return BookingRescheduled(
            **self.appointment, version=version, previous=before, by="staff", price=free, fee=free
        )

    def paid(self) -> Event:
        amount = Money(amount=20000, currency="pln")
        return PaymentSucceeded(**self.common, version=1, payment_id=self.payment, amount=amount)

    def refunded(self) -> Event:
        amount = Money(amount=15000, currency="pln")
        return RefundIssued(
            **self.common, version=2, payment_id=self.payment, refund_id=new_id(), amount=amount,
            total_refunded=amount, reason="cancelled",
        )  # fmt: skip


def sealed(*events: Event) -> list[Record]:
    return [seal(event, source="test")[1] for event in events]


@pytest.fixture
async def publish(kafka_bootstrap: str) -> AsyncIterator[Callable[[list[Record]], Awaitable[None]]]:
    broker = KafkaBroker(kafka_bootstrap, "insight-test")

    async def send(records: list[Record]) -> None:
        await broker.publish(records, 10)

    yield send
    await broker.close()


@pytest.fixture
def running(kafka_bootstrap: str, service_environment: Callable[..., dict[str, Any]], tmp_path: Path) -> Running:
    """Runs the service; each with the same group goes on where the last one ended."""

    @asynccontextmanager
    async def run(group: str) -> AsyncIterator[Service]:
        environment = service_environment("insight", kafka_bootstrap=kafka_bootstrap, group=group, data_dir=tmp_path)
        service = build(InsightSettings(**environment))
        async with service.working():
            yield service
        await service.close()

    return run


async def rows(service: Service, story: Story) -> dict[str, Any]:
    async with service.database.transaction(story.tenant) as tx:
        facts = await tx.connection.execute(text("SELECT type, count FROM daily_fact"))
        offering = await tx.connection.execute(
            text("SELECT offering_id, held, confirmed, cancelled FROM daily_offering")
        )
        money = await tx.connection.execute(text("SELECT offering_id, currency, charged, refunded FROM daily_money"))
        busy = await tx.connection.execute(text("SELECT day, resource_id, bookings, busy_seconds FROM daily_resource"))
        return {
            "facts": {row.type.split(".")[1]: row.count for row in facts},
            "offering": {row.offering_id: (row.held, row.confirmed, row.cancelled) for row in offering},
            "money": {(row.offering_id, row.currency): (row.charged, row.refunded) for row in money},
            "busy": {(row.day.isoformat(), row.resource_id): (row.bookings, row.busy_seconds) for row in busy},
        }


async def until_facts(service: Service, story: Story, count: int) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while sum((found := await rows(service, story))["facts"].values()) < count:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.05)
    return found


def expected(story: Story, *, cancelled: bool) -> dict[str, Any]:
    facts = {"hold_created": 1, "booking_confirmed": 1, "payment_succeeded": 1}
    return {
        "facts": facts | ({"booking_cancelled": 1, "refund_issued": 1} if cancelled else {}),
        "offering": {story.offering: (1, 1, 1 if cancelled else 0)},
        "money": {(story.offering, "pln"): (20000, 15000 if cancelled else 0)},
        "busy": {
            ("2026-12-01", resource): (0, 0) if cancelled else (1, 1800) for resource in story.resources
        },
    }  # fmt: skip


async def test_events_become_daily_rows_and_duplicates_and_restarts_change_nothing(
    publish: Callable[[list[Record]], Awaitable[None]], running: Running
) -> None:
    story, later = Story(), Story()
    group = f"insight-{uuid.uuid4().hex[:8]}"
    # The payment first: its topic may be ahead of the booking's.
    first = sealed(story.paid(), story.held(), story.confirmed())
    async with running(group) as service:
        await publish(first[:1])
        await until_facts(service, story, 1)
        await publish(first[1:])
        assert await until_facts(service, story, 3) == expected(story, cancelled=False)
        await publish(first)  # the relay sent again what it got no answer for
        await publish(sealed(story.cancelled(), story.refunded()))
        assert await until_facts(service, story, 5) == expected(story, cancelled=True)
        async with client_of(service) as client:
            answer = await client.get("/health/ready")
            assert (answer.status_code, answer.json()["checks"]) == (200, {"faust": True, "database": True})

    await publish(sealed(later.held(), later.confirmed(), later.paid()))  # while it is down
    async with running(group) as service:
        assert await until_facts(service, later, 3) == expected(later, cancelled=False)
        assert await rows(service, story) == expected(story, cancelled=True)

    # Kafka forgot the group, and Postgres its positions: everything is read again, nothing counted again.
    async with service_transaction(service) as tx:
        await tx.connection.execute(text("DELETE FROM progress"))
    marker = Story()
    await publish(sealed(marker.held(), marker.confirmed(), marker.paid()))
    async with running(f"{group}-again") as service:
        await until_facts(service, marker, 3)
        assert await rows(service, story) == expected(story, cancelled=True)
        assert await rows(service, later) == expected(later, cancelled=False)


@asynccontextmanager
async def service_transaction(service: Service) -> AsyncIterator[Any]:
    async with service.database.transaction() as tx:
        yield tx
    await service.close()


async def test_busy_time_goes_where_the_visit_goes_and_stays_with_who_did_not_come(
    publish: Callable[[list[Record]], Awaitable[None]], running: Running
) -> None:
    missed, kept, refused = Story(), Story(), Story()
    stays, other = missed.resources[0], uuid.uuid4()
    free = Money(amount=0, currency="pln")
    async with running(f"insight-{uuid.uuid4().hex[:8]}") as service:
        told = [
            missed.held(),
            missed.confirmed(),
            missed.moved(3, [stays, other], 1),
            missed.moved(4, [stays, other], 2),
        ]
        told.append(BookingNoShow(**missed.appointment, version=5, fee=free))
        await publish(sealed(*told))
        found = await until_facts(service, missed, 5)
        assert found["busy"] == {
            ("2026-12-01", stays): (0, 0),
            ("2026-12-01", missed.resources[1]): (0, 0),
            ("2026-12-02", stays): (0, 0),
            ("2026-12-02", other): (0, 0),
            ("2026-12-03", stays): (1, 3600),
            ("2026-12-03", other): (1, 3600),
        }
        assert await steps(service, missed) == {"rescheduled": 2, "completed": 0, "no_show": 1}

        await publish(
            sealed(kept.held(), kept.confirmed(), BookingCompleted(**kept.appointment, version=3, by="staff"))
        )
        found = await until_facts(service, kept, 3)
        assert found["busy"] == {("2026-12-01", resource): (1, 1800) for resource in kept.resources}
        assert await steps(service, kept) == {"rescheduled": 0, "completed": 1, "no_show": 0}

        # It moved to where the clinic has to approve, and the clinic did not.
        held, confirmed = refused.held(), refused.confirmed()
        gone = [
            refused.moved(3, refused.resources, 1),
            BookingRejected(**refused.appointment, version=5, reason="rejected"),
        ]
        await publish(sealed(held, confirmed, *gone))
        found = await until_facts(service, refused, 4)
        assert set(found["busy"].values()) == {(0, 0)}


async def steps(service: Service, story: Story) -> dict[str, int]:
    async with service.database.transaction(story.tenant) as tx:
        row = (await tx.connection.execute(text("SELECT rescheduled, completed, no_show FROM daily_offering"))).one()
        return dict(row._mapping)


async def test_reading_begins_where_postgres_says_whatever_kafka_says(
    publish: Callable[[list[Record]], Awaitable[None]], running: Running
) -> None:
    story = Story()
    group = f"insight-{uuid.uuid4().hex[:8]}"
    async with running(group) as service:
        await publish(sealed(story.held(), story.confirmed(), story.paid()))
        await until_facts(service, story, 3)
        await asyncio.sleep(1.5)  # Kafka has the offsets by now
    # As if the last transactions had not been committed although Kafka was told that they were.
    async with service_transaction(service) as tx:
        await tx.connection.execute(text("DELETE FROM inbox"))
        await tx.connection.execute(text("UPDATE progress SET next_offset = next_offset - 1"))
    async with running(group) as service:
        found = await until_facts(service, story, 4)
    assert sum(found["facts"].values()) > 3


async def test_poison_is_put_aside_and_what_follows_is_counted(
    publish: Callable[[list[Record]], Awaitable[None]], running: Running
) -> None:
    story = Story()
    good = sealed(story.held(), story.confirmed(), story.paid())
    poison = [Record(good[0].topic, "poison", b"\xff\x00", ()), Record(good[0].topic, "poison", b"{", good[0].headers)]
    async with running(f"insight-{uuid.uuid4().hex[:8]}") as service:
        await publish([poison[0], *good])
        assert await until_facts(service, story, 3) == expected(story, cancelled=False)
        async with service.database.transaction() as tx:
            dead = (await tx.connection.execute(text("SELECT count(*) FROM parked WHERE key = 'poison'"))).scalar_one()
    assert dead == 1


async def test_the_process_serves_health_and_ends_in_order(
    kafka_bootstrap: str, service_environment: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    given = service_environment("insight")
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "KAFKA_BOOTSTRAP": kafka_bootstrap,
        "HOLDFAST_KEYS": str(given["keys_path"]),
        "INSIGHT_DATABASE_URL": given["database_url"],
        "INSIGHT_PORT": str(port),
        "INSIGHT_DATA_DIR": str(tmp_path),
        "INSIGHT_GROUP": f"insight-{uuid.uuid4().hex[:8]}",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "insight", "all", env=environment, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            assert await until_ready(client, process)
            assert (await client.get("/health/live")).status_code == 200
            assert "holdfast_events_handled_total" in (await client.get("/metrics")).text
        process.terminate()
        _, log = await asyncio.wait_for(process.communicate(), 15)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, log.decode()[-3000:]


async def until_ready(client: httpx.AsyncClient, process: asyncio.subprocess.Process) -> bool:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.returncode is None:
        try:
            if (await client.get("/health/ready")).status_code == 200:
                return True
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.1)
    return False
