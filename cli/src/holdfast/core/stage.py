"""A database of its own on the running system's PostgreSQL, with processes of booking and availability that serve it.

They are started with the environment of the running ones, in mode `api`: relay, consumers and jobs are other processes
where it matters, and would answer the measurement's load with work of their own here. Nothing is left behind.
"""

from __future__ import annotations

import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import httpx
import psutil
import psycopg
from psycopg import sql

from ..errors import HoldfastError
from ..pids import MARK
from ..ports import Ports
from ..system import Ready
from .processor import Meter

SERVES_WITHIN = 60.0
SERVICES = ("booking", "availability")


@dataclass(frozen=True, slots=True)
class Stage:
    """One such database: a superuser's address, and where its services answer."""

    database: str
    urls: dict[str, str]
    pids: dict[str, int]

    def connect(self, schema: str) -> psycopg.Connection[Any]:
        """As a superuser, in autocommit, in one schema."""
        connection = psycopg.connect(self.database, autocommit=True, connect_timeout=10)
        connection.execute(sql.SQL("SET search_path = {}").format(sql.Identifier(schema)))
        return connection

    def meter(self, part: str) -> Meter:
        """Processor time of `booking`, `availability` or `postgres` from now on."""
        return Meter(self.pids, (part,))


@contextmanager
def stage(ready: Ready) -> Iterator[Stage]:
    """Makes it, and takes it away."""
    name = f"holdfast_bench_{secrets.token_hex(4)}"
    with ExitStack() as stack:
        stack.enter_context(_database(ready.postgres, name))
        url = _named(ready.postgres, name)
        environments = {service: environment_of(ready, service) for service in SERVICES}
        for service, environment in environments.items():
            _migrate(url, service, _own_url(service, environment))
        ports = stack.enter_context(_ports())
        urls: dict[str, str] = {}
        pids = {part: pid for part, pid in ready.pids.items() if part == "postgres"}
        for service, environment in environments.items():
            port = ports.any()
            urls[service] = f"http://127.0.0.1:{port}"
            pids[service] = stack.enter_context(_serving(service, environment, name, port))
        for service in SERVICES:
            _until_served(service, urls[service], pids[service])
        yield Stage(url, urls, pids)


def environment_of(ready: Ready, service: str) -> dict[str, str]:
    """What the running service was told: keys and its database, for those who may read it."""
    try:
        return psutil.Process(ready.pids[service]).environ()
    except (KeyError, psutil.Error) as error:
        raise HoldfastError(
            f"What {service} was told cannot be read ({error!r}); nothing was measured: run this on the machine and as "
            "the user of `holdfast up`."
        ) from error


def _own_url(service: str, environment: dict[str, str]) -> str:
    return environment[f"{service.upper()}_DATABASE_URL"]


@contextmanager
def _database(admin: str, name: str) -> Iterator[None]:
    with psycopg.connect(admin, autocommit=True, connect_timeout=10) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _migrate(url: str, service: str, own: str) -> None:
    from servicekit import migrate

    folder = migrate.migrations_of(service)
    if folder is None:
        raise HoldfastError(f"{service} is not installed here, so nothing could be measured.")
    # The same password: roles belong to all databases of the server.
    migrate.create_roles(url, service, unquote(urlsplit(own).password or ""))
    migrate.upgrade(url, service, folder)


@contextmanager
def _ports() -> Iterator[Ports]:
    ports = Ports()
    try:
        yield ports
    finally:
        ports.close()


@contextmanager
def _serving(service: str, environment: dict[str, str], database: str, port: int) -> Iterator[int]:
    prefix = service.upper()
    told = {key: value for key, value in environment.items() if key != MARK} | {
        f"{prefix}_DATABASE_URL": _named(_own_url(service, environment), database),
        f"{prefix}_PORT": str(port),
        f"{prefix}_WAKE_PORT": "0",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", service, "api"],
        env=told,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until_served(service: str, url: str, pid: int) -> None:
    deadline = time.monotonic() + SERVES_WITHIN
    while time.monotonic() < deadline and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        try:
            httpx.get(f"{url}/health/live", timeout=2, trust_env=False)
            return
        except httpx.TransportError:
            time.sleep(0.1)
    raise HoldfastError(f"{service} did not serve the measurement's database; start it by hand to see why.")


def _named(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))
