"""Servers on data of their own, ended after each test whatever happens."""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from embedded import Kafka, Postgres, Server
from embedded.ports import is_free


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that every account can reach (pytest's own are for the owner alone)."""
    path = Path(tempfile.mkdtemp(prefix="holdfast-test-", dir="/var/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Picks a port that nobody listens on, outside the kernel's own range."""

    def pick() -> int:
        while True:
            port = random.randrange(15_000, 32_000)
            if is_free(port):
                return port

    return pick


@pytest.fixture
def ended() -> Iterator[list[Server]]:
    """What is put here is ended by force at the end of the test."""
    servers: list[Server] = []
    yield servers
    for server in servers:
        if server.pid is not None:
            os.kill(server.pid, signal.SIGKILL)
        server.stop()
        server.reclaim()


@pytest.fixture
def new_postgres(place: Path, free_port: Callable[[], int], ended: list[Server]) -> Callable[..., Postgres]:
    """Makes a PostgreSQL object; all of one test share the data."""

    def make(data: Path | None = None, port: int | None = None) -> Postgres:
        server = Postgres(data or place / "postgres", port or free_port())
        ended.append(server)
        return server

    return make


@pytest.fixture
def new_kafka(place: Path, free_port: Callable[[], int], ended: list[Server]) -> Callable[..., Kafka]:
    """Makes a Kafka object; all of one test share the data."""

    def make(data: Path | None = None) -> Kafka:
        server = Kafka(data or place / "kafka", free_port(), free_port())
        ended.append(server)
        return server

    return make
