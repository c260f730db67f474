"""Searches of 30 days in a clinic of the running system, over HTTP at availability's own address."""

from __future__ import annotations

import json
import random
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import psycopg

from ..api import Api, Internal, service_signer, tenant_path
from ..shop import EVERY_DAY, ThrowAway, open_clinic
from ..system import Ready
from .goals import ANY_100, SLOTS_HTTP, SLOTS_INSIDE, THREE_KINDS, Figure, Goal, Spread
from .load import Line, LoadFailed, request
from .processor import Meter

if TYPE_CHECKING:
    from .bench import Effort, Tell

ZONE = "Europe/Warsaw"
DAYS = 30
WARM = 5
STEP = 15
BUSY = 90
"""Visits that each resource has within the 30 days; the one provider who is searched alone has `CROWDED`."""
CROWDED = 1000
# Half an hour each, from nine to five; the crowded one works from seven to nine, a quarter of an hour each.
LONG_DAY, WORKING_DAY = ("07:00", "21:00"), ("09:00", "17:00")
PRACTITIONERS, ROOMS, MACHINES = 100, 10, 5

_OCCUPY = """COPY availability.occupancy (tenant_id, owner_id, resource_id, version, slot_id, offering_id, claim_start,
  claim_end, start_at, end_at, capacity, reserved) FROM STDIN"""
_REDRAW = """SELECT availability.redraw(%s, %s, floor(extract(epoch FROM now()) / 691200)::int,
  floor(extract(epoch FROM now()) / 691200)::int + 5)"""


@dataclass(frozen=True, slots=True)
class Clinic:
    """A clinic of the running system with 101 practitioners, 10 rooms and 5 machines, and offerings by slug."""

    throw_away: ThrowAway
    tenant_id: UUID
    crowded_id: UUID


@asynccontextmanager
async def clinic(ready: Ready, ready_file: Path | None, tell: Tell) -> AsyncIterator[Clinic]:
    """Opens it, with busy times as availability keeps them; deletes it in the end."""
    async with Api(ready.gateway) as api, Internal(service_signer(ready, ready_file), ready.services) as internal:
        tell("a clinic of 101 practitioners")
        made = await open_clinic(api, "bench")
        tenant = UUID(made.id)
        try:
            crowded = await _resources(internal, tenant, "practitioner", 1, LONG_DAY)
            people = await _resources(internal, tenant, "practitioner", PRACTITIONERS, WORKING_DAY)
            rooms = await _resources(internal, tenant, "room", ROOMS, WORKING_DAY)
            machines = await _resources(internal, tenant, "equipment", MACHINES, WORKING_DAY)
            await _offering(internal, tenant, "one", 15, [crowded])
            await _offering(internal, tenant, "of-100", 30, [people])
            await _offering(internal, tenant, "three", 30, [people[:20], rooms, machines])
            with psycopg.connect(ready.postgres, autocommit=True, connect_timeout=10) as connection:
                _occupy(connection, tenant, crowded, LONG_DAY, CROWDED, 15)
                _occupy(connection, tenant, [*people, *rooms, *machines], WORKING_DAY, BUSY, 30)
            yield Clinic(made, tenant, crowded[0])
        finally:
            with psycopg.connect(ready.postgres, autocommit=True, connect_timeout=10) as connection:
                for table in ("occupancy", "calendar"):
                    connection.execute(f"DELETE FROM availability.{table} WHERE tenant_id = %s", (tenant,))
            await made.delete()


async def _resources(internal: Internal, tenant: UUID, kind: str, count: int, hours: tuple[str, str]) -> list[UUID]:
    ids = [uuid4() for _ in range(count)]
    schedule = {"time_zone": ZONE, "weekly": {day: [list(hours)] for day in EVERY_DAY}}
    for number, identity in enumerate(ids):
        slug = f"{kind}-{hours[0][:2]}-{number}"
        body = {"slug": slug, "type": kind, "name": slug, "time_zone": ZONE, "schedule": schedule}
        await internal.put("availability", tenant_path(tenant, "resources", str(identity)), body)
    return ids


async def _offering(internal: Internal, tenant: UUID, slug: str, minutes: int, needs: list[list[UUID]]) -> None:
    kinds = ("practitioner", "room", "equipment")
    body: dict[str, Any] = {
        "slug": slug,
        "name": slug,
        "duration_minutes": minutes,
        "slot_step_minutes": STEP,
        "requirements": [
            {"type": kind, "any_of": [str(one) for one in ids]} for kind, ids in zip(kinds, needs, strict=False)
        ],
    }
    await internal.put("availability", tenant_path(tenant, "offerings", str(uuid4())), body)


def _occupy(
    connection: psycopg.Connection[Any],
    tenant: UUID,
    resources: Iterable[UUID],
    hours: tuple[str, str],
    count: int,
    minutes: int,
) -> None:
    """Booked visits on the grid of each resource's hours, none over another."""
    grid = _grid(hours, minutes)
    chosen = random.Random(7)
    nobody = uuid4()
    with connection.cursor() as cursor:
        with cursor.copy(_OCCUPY) as copy:
            for resource in resources:
                for start in chosen.sample(grid, min(count, len(grid))):
                    end, owner = start + timedelta(minutes=minutes), uuid4()
                    copy.write_row((tenant, owner, resource, 1, owner, nobody, start, end, start, end, 1, 1))
        for resource in resources:
            cursor.execute(_REDRAW, (tenant, resource))


def _grid(hours: tuple[str, str], minutes: int) -> list[datetime]:
    """Starts of visits in the 30 days; the offset of the first day serves for all: nothing depends on it."""
    opens, closes = (int(hour[:2]) * 60 for hour in hours)
    midnight = datetime.combine(first_day(), datetime.min.time(), tzinfo=ZoneInfo(ZONE)).astimezone(UTC)
    return [
        midnight + timedelta(days=day, minutes=minute)
        for day in range(DAYS)
        for minute in range(opens, closes, minutes)
    ]


def first_day() -> date:
    """Tomorrow: of today a part is over."""
    return datetime.now(UTC).date() + timedelta(days=1)


def search_path(tenant: UUID | str, provider: str, offering: str) -> str:
    """A search of the 30 days."""
    last = first_day() + timedelta(days=DAYS - 1)
    return f"/v1/clinics/{tenant}/providers/{provider}/availability?offering={offering}&from={first_day()}&to={last}"


def measure(ready: Ready, clinic: Clinic, effort: Effort, tell: Tell) -> list[Figure]:
    """Each search from one client, one after the other."""
    tell("a search in process")
    figures = [inside(effort)]
    cases = (
        (SLOTS_HTTP, str(clinic.crowded_id), "one"),
        (ANY_100, "any", "of-100"),
        (THREE_KINDS, "any", "three"),
    )
    for goal, provider, offering in cases:
        tell(goal.what)
        figures.append(_over_http(ready, clinic, goal, provider, offering, effort))
    return figures


def _over_http(ready: Ready, clinic: Clinic, goal: Goal, provider: str, offering: str, effort: Effort) -> Figure:
    meter = Meter(ready.pids, ("availability",))
    own, _ = timed(ready.services["availability"], search_path(clinic.tenant_id, provider, offering), effort.requests)
    cost = meter.seconds() / (effort.requests + WARM)
    through, body = timed(ready.gateway, search_path(clinic.throw_away.slug, provider, offering), effort.requests)
    slots = len(json.loads(body)["slots"])
    note = (
        f"{slots:,} slots, {len(body) // 1000:,} kB; availability took {cost * 1000:.1f} ms of a core a search; "
        f"through the gateway {Spread.of(through).middle:.1f} ms"
    )
    return Figure(goal, Spread.of(own), note)


def timed(url: str, path: str, count: int) -> tuple[list[float], bytes]:
    """Milliseconds of so many GETs over one connection after a few that warm up, and the last answer."""
    raw = request("GET", url, path)
    milliseconds: list[float] = []
    with Line(url) as line:
        for number in range(count + WARM):
            status, body, seconds = line.ask(raw)
            if status != 200:
                raise LoadFailed(f"{urlsplit(path).path} answered {status}: {body[:300].decode(errors='replace')}")
            if number >= WARM:
                milliseconds.append(seconds * 1000)
    return milliseconds, body


def inside(effort: Effort) -> Figure:
    """The same search without a database: the schedule expanded, 1,000 ranges packed, free starts found."""
    from scheduling.bitmaps import Bitmap, Horizon
    from scheduling.instants import DAY, span
    from scheduling.search import Visit, find
    from scheduling.templates import Template

    template = Template.parse({"time_zone": ZONE, "weekly": {day: [list(LONG_DAY)] for day in EVERY_DAY}})
    last = first_day() + timedelta(days=DAYS - 1)
    quarter = timedelta(minutes=15)
    busy = [span(start, start + quarter) for start in random.Random(7).sample(_grid(LONG_DAY, 15), CROWDED)]
    visit = Visit(15)
    milliseconds: list[float] = []
    found: list[int] = []
    for _ in range(effort.requests + WARM):
        begun = time.perf_counter()
        ranges = template.expand(first_day(), last)
        horizon = Horizon.covering(ranges[0][0], ranges[-1][1], align=DAY)
        found = find(ranges, visit, Bitmap.of(horizon, busy), step=STEP)
        milliseconds.append((time.perf_counter() - begun) * 1000)
    return Figure(SLOTS_INSIDE, Spread.of(milliseconds[WARM:]), f"{len(found):,} free starts; hours expanded each time")
