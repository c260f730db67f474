"""How long a search takes, in process and over HTTP, in clinics of several sizes.

    .venv/bin/python services/availability/benchmarks/searching.py [--tenants 10000 --past 1000000] [--only NAME]

Starts a PostgreSQL of its own in a temporary folder, fills it, and serves the app with uvicorn in this process's child.
`measure` does the same against a server that is there.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg

from availability.alternatives import Alternatives
from availability.asking import Query
from availability.main import build
from availability.settings import AvailabilitySettings
from availability.slots import Slots
from embedded import Postgres
from events.brokers.memory import MemoryBroker
from events.contracts.identity import TenantChanged, TenantSettings
from servicekit import keys
from servicekit.migrate import create_roles, migrations_of, upgrade
from servicekit.testing import free_port

ZONE = "Europe/Warsaw"
DAYS = 30
FIRST = date.today() + timedelta(days=1)
EVERY_DAY = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
PASSWORD = "benchmark"


@dataclass(frozen=True)
class Case:
    """A clinic and what is asked of it."""

    name: str
    practitioners: int
    rooms: int = 0
    machines: int = 0
    busy: int = 90
    """Visits of each resource within the asked days."""
    minutes: int = 15
    """How long one of them takes."""
    step: int = 15
    hours: str = "09:00-17:00"
    provider: str = "any"


CASES = (
    Case("1 provider, 1,000 busy ranges", 1, busy=1000, minutes=15, hours="07:00-21:00"),
    Case("any of 3, 90 busy ranges each", 3),
    Case("any of 20", 20),
    Case("any of 100", 100),
    Case("any of 100, every 30 minutes", 100, step=30, minutes=30),
    Case("20 practitioners, 10 rooms, 5 machines", 20, 10, 5),
    Case("20 practitioners, 10 rooms, 5 machines, every 30 minutes", 20, 10, 5, step=30, minutes=30),
)


class Filling:
    """Writes clinics straight into the tables, as a superuser."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        connection.execute("SET search_path = availability")

    def clinic(self) -> UUID:
        """A clinic's copy."""
        tenant = uuid4()
        event = TenantChanged(
            tenant_id=tenant, version=1, slug="c", name="C", time_zone=ZONE, currency="pln", locales=["pl"],
            settings=TenantSettings(),
        )  # fmt: skip
        self._connection.execute(
            "INSERT INTO copy (tenant_id, type, key, version, document) VALUES (%s, %s, %s, 1, %s)",
            (tenant, event.TYPE, event.key(), event.model_dump_json()),
        )
        return tenant

    def resources(self, tenant: UUID, kind: str, count: int, hours: str) -> list[UUID]:
        """Resources that work every day."""
        ids = [uuid4() for _ in range(count)]
        weekly = {day: [hours.split("-")] for day in EVERY_DAY}
        schedule = json.dumps({"time_zone": ZONE, "weekly": weekly, "overrides": []})
        with self._connection.cursor() as cursor:
            cursor.executemany(
                """INSERT INTO resource (tenant_id, id, slug, type, name, time_zone, buffer_before_minutes,
                     buffer_after_minutes, approval_required, active, metadata, schedule)
                   VALUES (%s, %s, %s, %s, %s, %s, 0, 0, false, true, '{}', %s)""",
                [(tenant, one, f"{kind}-{n}", kind, f"{kind} {n}", ZONE, schedule) for n, one in enumerate(ids)],
            )
        return ids

    def offering(self, tenant: UUID, kinds: list[str], minutes: int, step: int) -> UUID:
        """A visit that needs one of each kind."""
        identity = uuid4()
        needs = [{"type": kind, "any_of": "all", "optional": False, "preferences": {}} for kind in kinds]
        self._connection.execute(
            """INSERT INTO offering (tenant_id, id, slug, name, description, active, duration_minutes,
                 slot_step_minutes, price, capacity, buffer_before_minutes, buffer_after_minutes,
                 min_notice_minutes, window_days, hold_minutes, payment, cancellation, reminders_minutes,
                 requirements, metadata)
               VALUES (%s, %s, 'visit', 'Visit', '', true, %s, %s, '{"amount": 30000, "currency": "pln"}', 1, 0, 0, 0,
                 365, 10, '{"mode": "free"}', '{}', '[]', %s, '{}')""",
            (tenant, identity, minutes, step, json.dumps(needs)),
        )
        return identity

    def bookings(self, tenant: UUID, resources: list[UUID], count: int, minutes: int, hours: str) -> None:
        """Visits on the grid of each resource within the asked days, none over another."""
        opens, closes = (int(one[:2]) for one in hours.split("-"))
        midnight = datetime.combine(FIRST, datetime.min.time(), tzinfo=UTC) - timedelta(hours=1)
        grid = [
            midnight + timedelta(days=day, minutes=minute)
            for day in range(DAYS)
            for minute in range(opens * 60, closes * 60, minutes)
        ]
        rows = []
        for resource in resources:
            for start in random.sample(grid, min(count, len(grid))):
                rows.append((tenant, uuid4(), resource, start, start + timedelta(minutes=minutes)))
        self.copy(rows)
        for resource in resources:
            self._connection.execute(
                "SELECT redraw(%s, %s, %s, %s)",
                (tenant, resource, int(time.time()) // 691200, int(time.time()) // 691200 + 5),
            )

    def copy(self, rows: list[tuple[UUID, UUID, UUID, datetime, datetime]]) -> None:
        """Booked visits: (tenant, owner, resource, start, end)."""
        offering = uuid4()
        with (
            self._connection.cursor() as cursor,
            cursor.copy(
                "COPY occupancy (tenant_id, owner_id, resource_id, version, slot_id, offering_id, claim_start,"
                " claim_end, start_at, end_at, capacity, reserved) FROM STDIN"
            ) as copy,
        ):
            for tenant, owner, resource, start, end in rows:
                copy.write_row((tenant, owner, resource, 1, owner, offering, start, end, start, end, 1, 1))

    def history(self, tenants: int, past: int, busy: list[tuple[UUID, list[UUID]]]) -> None:
        """Other clinics, and visits that are over: half of them in the clinics that are measured."""
        for _ in range(tenants):
            tenant = self.clinic()
            self.offering(tenant, ["practitioner"], 30, 30)
            self.resources(tenant, "practitioner", 1, "09:00-17:00")
        now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        everyone = [(tenant, resource) for tenant, resources in busy for resource in resources]
        strangers = [(uuid4(), uuid4()) for _ in range(max(1, tenants))]
        rows = []
        for number in range(past):
            pool = everyone if number % 2 else strangers
            tenant, resource = pool[number // 2 % len(pool)]
            start = now - timedelta(days=2, minutes=30 * (number // 2 // len(pool)))
            rows.append((tenant, uuid4(), resource, start, start + timedelta(minutes=30)))
            if len(rows) == 50_000:
                self.copy(rows)
                rows = []
        self.copy(rows)
        self._connection.execute("ANALYZE")


@dataclass(frozen=True)
class Took:
    """Milliseconds of many calls: on the clock, and of this process's processor time, which neighbours disturb less."""

    median: float
    p95: float
    least: float
    cpu: float

    def shown(self) -> dict[str, float]:
        """For the output."""
        return {name: round(value, 2) for name, value in asdict(self).items()}


async def _took(call: Callable[[], Awaitable[Any]], runs: int) -> Took:
    clock, processor = [], []
    for _ in range(runs):
        began, spent = time.perf_counter(), time.process_time()
        await call()
        processor.append((time.process_time() - spent) * 1000)
        clock.append((time.perf_counter() - began) * 1000)
    clock.sort()
    return Took(statistics.median(clock), clock[int(runs * 0.95)], clock[0], statistics.median(processor))


async def measure(
    settings: AvailabilitySettings, filling: Filling, *, only: str = "", tenants: int = 0, past: int = 0
) -> list[dict[str, Any]]:
    """A row a case: its name, slots, kilobytes of the answer, and milliseconds (see `Took`): of the search in this
    process with its statement, over HTTP from another one, each asked for the first time and again while nothing has
    changed, and of alternatives to a slot in the middle."""
    made = []
    for case in CASES:
        if only and only not in case.name:
            continue
        tenant = filling.clinic()
        kinds = [("practitioner", case.practitioners), ("room", case.rooms), ("equipment", case.machines)]
        resources = [filling.resources(tenant, kind, count, case.hours) for kind, count in kinds if count]
        offering = filling.offering(tenant, [kind for kind, count in kinds if count], case.minutes, case.step)
        everything = [one for some in resources for one in some]
        filling.bookings(tenant, everything, case.busy, case.minutes, case.hours)
        made.append((case, tenant, offering, everything))
    if tenants or past:
        filling.history(tenants, past, [(tenant, resources) for _, tenant, _, resources in made])
    service = build(settings, broker=MemoryBroker())
    slots, other_times = service.get(Slots), service.get(Alternatives)
    rows: list[dict[str, Any]] = []
    with _serving(settings) as url:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            for case, tenant, offering, _ in made:
                last = FIRST + timedelta(days=DAYS - 1)
                query = Query(case.provider, str(offering), str(FIRST), str(last))
                body = await slots.availability(tenant, query)
                fresh = itertools.count()
                first_time = await _took(
                    # Another limit is another question: nothing that was kept of an answer serves.
                    lambda t=tenant, q=query, f=fresh: slots.availability(t, replace(q, limit=9000 - next(f))),
                    40,
                )
                inside = await _took(lambda t=tenant, q=query: slots.availability(t, q), 40)
                path = f"/v1/clinics/{tenant}/providers/{case.provider}/availability"
                params = {"offering": str(offering), "from": str(FIRST), "to": str(last)}
                for _ in range(5):
                    (await client.get(path, params=params)).raise_for_status()
                http = await _took(lambda p=path, a=params: client.get(p, params=a), 40)
                http_fresh = await _took(
                    lambda p=path, a=params, f=fresh: client.get(p, params=a | {"limit": str(9000 - next(f))}), 40
                )
                found = json.loads(body)["slots"]
                refused = found[len(found) // 2]["slot_id"]
                near = await _took(lambda t=tenant, r=refused: other_times.near(t, r, 5), 40)
                rows.append(
                    {
                        "name": case.name,
                        "slots": len(found),
                        "kilobytes": round(len(body) / 1000),
                        "in_process": first_time.shown(),
                        "in_process_again": inside.shown(),
                        "http": http_fresh.shown(),
                        "http_again": http.shown(),
                        "alternatives": near.shown(),
                    }
                )
    await service.close()
    return rows


@contextmanager
def _serving(settings: AvailabilitySettings) -> Iterator[str]:
    port = free_port()
    told = {
        "AVAILABILITY_DATABASE_URL": settings.database_url,
        "AVAILABILITY_PORT": str(port),
        "KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "HOLDFAST_KEYS": str(settings.keys_path),
    }
    process = subprocess.Popen([sys.executable, "-m", "availability", "api"], env=os.environ | told)
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                httpx.get(f"{url}/health/live", timeout=1)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(15)


def main() -> None:
    """Prints a row a case as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tenants", type=int, default=0)
    parser.add_argument("--past", type=int, default=0)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    random.seed(1)
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        keys.ensure(folder / "keys.json")
        server = Postgres(folder / "postgres", free_port())
        server.start()
        try:
            server.wait_ready(60)
            admin = server.url_of("postgres")
            create_roles(admin, "availability", PASSWORD)
            migrations = migrations_of("availability")
            assert migrations is not None
            upgrade(admin, "availability", migrations)
            settings = AvailabilitySettings(
                database_url=f"postgresql://availability_app:{PASSWORD}@{admin.split('@', 1)[1]}",
                kafka_bootstrap="127.0.0.1:1",
                keys_path=folder / "keys.json",
            )
            with psycopg.connect(admin, autocommit=True) as connection:
                filling = Filling(connection)
                rows = asyncio.run(
                    measure(settings, filling, only=arguments.only, tenants=arguments.tenants, past=arguments.past)
                )
            for row in rows:
                print(json.dumps(row))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
