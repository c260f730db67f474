"""PostgreSQL and Kafka for a system: embedded, or those that the environment names."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from embedded import Download, Kafka, Postgres
from embedded.kafka import brokers_known

from .console import Reporter
from .errors import HoldfastError
from .parts import Part, ServerPart, rotate
from .ports import Ports
from .supervisor import Supervisor
from .threads import in_thread

DATABASE = "holdfast"
POSTGRES_VARIABLE = "POSTGRES_URL"
KAFKA_VARIABLE = "KAFKA_BOOTSTRAP"
# Beyond the services' ports, which count upwards from the gateway's.
_POSTGRES_OFFSET, _KAFKA_OFFSET, _CONTROLLER_OFFSET = 20, 21, 22


class Backends:
    """Starts or finds the two servers and knows their addresses."""

    def __init__(
        self,
        data: Path,
        outside: Mapping[str, str],
        reporter: Reporter,
        supervisor: Supervisor,
    ) -> None:
        self._data = data
        self._outside = outside
        self._reporter = reporter
        self._supervisor = supervisor
        self._postgres: Postgres | None = None
        self._kafka: Kafka | None = None
        self.parts: list[Part] = []
        """The embedded ones, PostgreSQL first."""
        self.database = ""
        """The superuser's address of the shared database."""
        self.kafka = ""

    def plan(self, ports: Ports, gateway_port: int) -> None:
        """Decide what is started here, and its ports."""

        def port(offset: int) -> int:
            return ports.near(gateway_port + offset)

        if not self._outside.get(POSTGRES_VARIABLE):
            log = self._log("postgres")
            self._postgres = Postgres(self._data / "postgres", port(_POSTGRES_OFFSET), log_file=log)
            self.parts.append(ServerPart("postgres", self._postgres))
        if not self._outside.get(KAFKA_VARIABLE):
            self._kafka = Kafka(
                self._data / "kafka",
                port(_KAFKA_OFFSET),
                port(_CONTROLLER_OFFSET),
                log_file=self._log("kafka"),
                on_download=self._download_teller(),
            )
            self.parts.append(ServerPart("kafka", self._kafka))

    def _log(self, part: str) -> Path:
        return self._data / "logs" / f"{part}.log"

    async def start_postgres(self) -> None:
        """Bring PostgreSQL up, or check the operator's own; raises when it cannot be used."""
        server = self._postgres
        if server is None:
            self.database = await in_thread(partial(use_database, self._outside[POSTGRES_VARIABLE]))
            return
        self._reporter.begin("postgres", "PostgreSQL")
        await self._bring_up("postgres")
        await in_thread(partial(server.ensure_database, DATABASE))
        self.database = server.url_of(DATABASE)
        self._reporter.done("postgres", f"PostgreSQL is ready on port {server.port}")

    async def start_kafka(self) -> None:
        """Bring Kafka up, or check the operator's own; raises when it cannot be used."""
        server = self._kafka
        if server is None:
            self.kafka = self._outside[KAFKA_VARIABLE]
            await in_thread(partial(check_kafka, self.kafka))
            return
        self._reporter.begin("kafka", "Kafka")
        await self._bring_up("kafka")
        self.kafka = server.bootstrap
        self._reporter.done("kafka", f"Kafka is ready on port {server.port}")

    async def _bring_up(self, name: str) -> None:
        part = next(part for part in self.parts if part.name == name)
        rotate(part.log_file)
        # The data is locked for us, so a server that still works on it is nobody's.
        await in_thread(part.clean)
        await self._supervisor.start(part)

    def _download_teller(self) -> DownloadTeller:
        return DownloadTeller(self._reporter, asyncio.get_running_loop())


class DownloadTeller:
    """Passes downloads on to the reporter: once a file, from the thread that downloads."""

    def __init__(self, reporter: Reporter, loop: asyncio.AbstractEventLoop) -> None:
        self._reporter = reporter
        self._loop = loop
        self._last = ""

    def __call__(self, download: Download) -> None:
        if download.file == self._last or not download.file.endswith(".jar"):
            return
        self._last = download.file
        text = f"Kafka: downloading {download.file} ({download.total / 1e6:.1f} MB)"
        self._loop.call_soon_threadsafe(self._reporter.detail, "kafka", text)


def use_database(url: str) -> str:
    """Check a PostgreSQL of the operator's own; create the database if the address names none."""
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise HoldfastError(
            f"{POSTGRES_VARIABLE} is not an address of PostgreSQL; nothing was started: it looks "
            "like postgresql://user:password@host:5432/holdfast."
        )
    where = parts.netloc.rpartition("@")[2]
    named = parts.path.strip("/")
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            if named not in ("", "postgres"):
                return url
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
            if known is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
    except psycopg.Error as error:
        raise HoldfastError(
            f"The PostgreSQL at {where}, named by {POSTGRES_VARIABLE}, cannot be used "
            f"({str(error).strip().splitlines()[-1]}); nothing was started: correct the address, "
            "or unset the variable to have one started here."
        ) from error
    return urlunsplit(parts._replace(path=f"/{DATABASE}"))


def check_kafka(bootstrap: str) -> None:
    """Raise unless one of the brokers answers."""
    for address in bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        if port.isdigit() and brokers_known(host.strip("[]"), int(port), timeout=5):
            return
    raise HoldfastError(
        f"No Kafka broker answers at {bootstrap}, named by {KAFKA_VARIABLE}; nothing was started: "
        "correct the address, or unset the variable to have one started here."
    )
