"""What is measured is real: booking's own statement and route in a database of their own, filled as after years."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from holdfast.api import offers_signer
from holdfast.core import crowding, filling, holding
from holdfast.core.bench import Effort, measure_core
from holdfast.core.load import drive
from holdfast.core.pgbench import Pgbench
from holdfast.core.stage import Stage, stage
from holdfast.errors import HoldfastError
from holdfast.run import everything, run
from holdfast.system import Ready
from servicekit import keys, migrate

LITTLE = Effort(
    seconds=1,
    rounds=1,
    requests=3,
    attempts=200,
    rushes=1,
    tenants=5,
    past=300,
    pairs=5,
    other_tenants=3,
    other_past=50,
)


@pytest.fixture(scope="module")
def ready(servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ready]:
    """A system of which only the servers run; processes that were told what its services are told stand for those."""
    folder = tmp_path_factory.mktemp("keys")
    keys.ensure(folder / "keys.json")
    host = servers["POSTGRES_URL"].rpartition("@")[2]
    told = {
        "KAFKA_BOOTSTRAP": servers["KAFKA_BOOTSTRAP"],
        "HOLDFAST_KEYS": str(folder / "keys.json"),
        "HOLDFAST_ENV": "development",
    }
    sleepers: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for service in ("booking", "availability"):
            migrate.create_roles(servers["POSTGRES_URL"], service, "secret")
            own = {f"{service.upper()}_DATABASE_URL": f"postgresql://{service}_app:secret@{host}"}
            command = [sys.executable, "-c", "import time; time.sleep(600)"]
            sleepers[service] = subprocess.Popen(command, env={**os.environ, **told, **own})
        pids = {service: process.pid for service, process in sleepers.items()}
        pids["identity"] = pids["booking"]
        yield Ready("", None, servers["KAFKA_BOOTSTRAP"], servers["POSTGRES_URL"], pids=pids)
    finally:
        for process in sleepers.values():
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def staged(ready: Ready) -> Iterator[Stage]:
    """With the catalogue of holds and a few visits."""
    with stage(ready) as made:
        filling.fill(made, 3, 40, print)
        holding.prepare(made)
        yield made


def _count(staged: Stage, table: str) -> int:
    with staged.connect("booking") as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # type: ignore[arg-type]
    assert row is not None
    return int(row[0])


def test_the_script_of_pgbench_holds_a_new_time_with_every_transaction(staged: Stage) -> None:
    before = _count(staged, "booking"), _count(staged, "claim")
    pgbench = Pgbench(staged.database, "booking_app", "booking")
    clock = holding.Clock()
    assert pgbench.run(holding.hold_script(3), 1, clients=2, n=0, base=clock.stretch()) > 0
    held = _count(staged, "booking") - before[0]
    assert held > 0
    assert _count(staged, "claim") - before[1] == 3 * held
    assert pgbench.run(holding.FLOOR, 1, clients=2, n=0, base=clock.stretch()) > 0


def test_a_time_that_is_not_held_ends_the_measurement(staged: Stage) -> None:
    pgbench = Pgbench(staged.database, "booking_app", "booking")
    base = holding.Clock().stretch() + 500 * 86_400
    pgbench.run(holding.hold_script(1), 1, clients=1, n=0, base=base)
    with pytest.raises(HoldfastError, match="division by zero"):
        pgbench.run(holding.hold_script(1), 1, clients=1, n=0, base=base)


def test_signed_offers_are_held_over_http_each_once(staged: Stage, ready: Ready) -> None:
    url = staged.urls["booking"]
    made = list(holding.offers(url, offers_signer(ready, None), holding.Clock().stretch() + 900 * 86_400, 20))
    assert drive(url, made, 4).statuses == {201: 20}
    assert drive(url, made, 4).statuses == {409: 20}


def test_what_is_filled_in_is_what_the_services_understand(staged: Stage) -> None:
    with staged.connect("availability") as connection:
        row = connection.execute("SELECT count(*), count(DISTINCT tenant_id) FROM occupancy").fetchone()
    coming = filling.PRACTITIONERS * filling.COMING
    assert row == (40 + coming, 4)
    assert len(crowding.holds(staged, 10)) == 10
    made = crowding.holds(staged, 10)
    assert drive(staged.urls["booking"], made, 1).statuses == {201: 10}


@pytest.mark.long
def test_nothing_is_left_behind(ready: Ready) -> None:
    with stage(ready) as made:
        name = made.database.rpartition("/")[2]
        services = [made.pids[service] for service in ("booking", "availability")]
    with psycopg.connect(ready.postgres) as connection:
        assert connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is None
    assert not any(psutil.pid_exists(pid) for pid in services)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_everything_is_measured_on_a_system_of_its_own(place: Path) -> None:
    from holdfast.console import PlainReporter

    options = everything(place / "data", 0)
    names: list[str] = []

    async def act(ready: Ready) -> bool:
        report = await measure_core(ready, options.ready_file, print, effort=LITTLE)
        names.extend(figure.goal.name for figure in report.figures)
        wrong = next(figure for figure in report.figures if figure.goal.name == "rush-wrong")
        assert wrong.met, wrong.note
        return False

    assert await run(options, PlainReporter(), act) == 0
    assert {"slots-inside", "slots-http", "any-of-100", "three-kinds", "place-hold-1", "place-hold-3", "hold-http",
            "rush-booking", "rush-gateway", "crowded-search", "crowded-hold"} <= set(names)  # fmt: skip
