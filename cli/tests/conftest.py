"""Systems of stand-in services on real servers, ended after each test whatever happens."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from embedded import Kafka, Postgres
from embedded.processes import wait_gone
from holdfast.pids import read
from holdfast.ports import Ports

STANDINS = Path(__file__).parent / "standins"


def _until(what: Callable[[], Any], within: float = 20) -> Any:
    """The first true answer of `what`; fails when there is none in time."""
    deadline = time.monotonic() + within
    while True:
        answer = what()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"{what} was not true within {within} s"
        time.sleep(0.05)


@dataclass
class Run:
    """A `holdfast up` of stand-ins, as a process."""

    data: Path
    rules: Path
    environment: dict[str, str]
    port: int = 0
    process: subprocess.Popen[str] | None = None
    output: Path = field(default_factory=Path)

    def begin(self, *arguments: str) -> Run:
        """Start it, without waiting."""
        self.output = self.rules / "output"
        with self.output.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, str(STANDINS / "drive.py"), str(self.data), str(self.port), *arguments],
                stdout=out,
                stderr=subprocess.STDOUT,
                env=self.environment,
                text=True,
                start_new_session=True,
            )
        return self

    def up(self) -> dict[str, Any]:
        """Start it and wait for the ready file."""
        self.begin()
        return self.ready()

    def ready(self) -> dict[str, Any]:
        """The ready file of this very process."""
        assert self.process is not None

        def look() -> dict[str, Any] | None:
            assert self.process is not None
            assert self.process.poll() is None, self.said()
            place = self.data / "ready.json"
            facts = json.loads(place.read_text()) if place.exists() else {}
            return facts if facts.get("pids", {}).get("up") == self.process.pid else None

        facts: dict[str, Any] = _until(look)
        return facts

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def ended(self, within: float = 15) -> int:
        """Wait for its end; the exit code."""
        assert self.process is not None
        return self.process.wait(within)

    def said(self) -> str:
        """What it wrote."""
        return self.output.read_text()

    def rule(self, name: str) -> Path:
        """A file that steers a stand-in."""
        return self.rules / name


@pytest.fixture
def until() -> Callable[..., Any]:
    """Waits until something is true."""
    return _until


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that every account can reach."""
    path = Path(tempfile.mkdtemp(prefix="holdfast-test-", dir="/var/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def servers() -> Iterator[dict[str, str]]:
    """One real PostgreSQL and Kafka for all tests that do not need their own."""
    path = Path(tempfile.mkdtemp(prefix="holdfast-test-", dir="/var/tmp"))
    path.chmod(0o755)
    ports = Ports()
    postgres = Postgres(path / "postgres", ports.any())
    kafka = Kafka(path / "kafka", ports.any(), ports.any())
    try:
        postgres.start()
        kafka.start()
        postgres.wait_ready()
        kafka.wait_ready()
        yield {"POSTGRES_URL": postgres.url, "KAFKA_BOOTSTRAP": kafka.bootstrap}
    finally:
        kafka.stop()
        postgres.stop()
        ports.close()
        shutil.rmtree(path)


@pytest.fixture
def new_run(place: Path) -> Iterator[Callable[..., Run]]:
    """Makes runs on the test's data; all that they started is ended at the end."""
    runs: list[Run] = []

    def make(servers: dict[str, str] | None = None, **more: str) -> Run:
        rules = place / f"rules-{len(runs)}"
        rules.mkdir()
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("POSTGRES", "KAFKA"))},
            "PYTHONPATH": os.pathsep.join(filter(None, [str(STANDINS), os.environ.get("PYTHONPATH")])),
            "STANDIN_RULES": str(rules),
            **(servers or {}),
            **more,
        }
        runs.append(Run(place / "data", rules, environment))
        return runs[-1]

    yield make
    for run in runs:
        for recorded in read(run.data / "pids.json").values():
            process = recorded.find()
            if process is not None:
                family = [process, *process.children(recursive=True)]
                for member in family:
                    member.kill()
                wait_gone(family, timeout=5)
        for child in run.rules.glob("*.child"):
            if psutil.pid_exists(int(child.read_text())):
                os.kill(int(child.read_text()), signal.SIGKILL)
        if run.process is not None:
            run.process.kill()
            run.process.wait()
