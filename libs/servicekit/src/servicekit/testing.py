"""pytest fixtures on the real parts: PostgreSQL and Kafka started once a run, a database a service.

Tests keep out of each other's way by using fresh tenants, not by emptying tables.
"""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psycopg
import pytest
import structlog
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import OKPKey
from psycopg import sql

from embedded import Kafka, Postgres
from events.admin import ensure_topics
from events.brokers.memory import MemoryBroker
from servicekit import keys
from servicekit.migrate import create_roles, migrations_of, schema_of, upgrade
from servicekit.service import Service

T = TypeVar("T")

PASSWORD = "test"

# Short tracebacks: the default ones of a terminal print every frame's variables and take seconds.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def data_dir() -> Iterator[Path]:
    """Where the run's servers keep their data; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="holdfast-test-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres_url(data_dir: Path) -> Iterator[str]:
    """A superuser's URL of a PostgreSQL 18: `POSTGRES_URL`, else one of our own."""
    if url := os.environ.get("POSTGRES_URL"):
        yield url
        return
    server = Postgres(data_dir / "postgres", free_port())
    server.start()
    try:
        server.wait_ready(60)
        yield server.url_of("postgres")
    finally:
        server.stop()


@pytest.fixture(scope="session")
def kafka_bootstrap(data_dir: Path) -> Iterator[str]:
    """A Kafka with the registry's topics: `KAFKA_BOOTSTRAP`, else one of our own."""
    import threading

    def make_topics(bootstrap: str) -> None:
        # In a thread of its own: fixtures of the session may run while a loop is running in this one.
        thread = threading.Thread(target=lambda: asyncio.run(ensure_topics(bootstrap)))
        thread.start()
        thread.join()

    if bootstrap := os.environ.get("KAFKA_BOOTSTRAP"):
        make_topics(bootstrap)
        yield bootstrap
        return
    server = Kafka(data_dir / "kafka", free_port(), free_port())
    server.start()
    try:
        server.wait_ready(60)
        make_topics(server.bootstrap)
        yield server.bootstrap
    finally:
        server.stop()


@pytest.fixture(scope="session")
def keys_path(data_dir: Path) -> Path:
    """The run's key file."""
    path = data_dir / "keys.json"
    keys.ensure(path)
    return path


class Tokens:
    """Access tokens as identity signs them, and its key set."""

    def __init__(self, keys_path: Path) -> None:
        self._key = OKPKey.import_key({**keys.load(keys_path).tokens[0]})

    async def show(self, _: web.Request) -> web.Response:
        """The key set, as identity serves it."""
        return web.json_response({"keys": [self._key.as_dict(private=False)]})

    def of(
        self,
        tenant_id: uuid.UUID | None = None,
        role: str | None = None,
        user: uuid.UUID | None = None,
        *,
        verified: bool = False,
    ) -> dict[str, str]:
        """The header of somebody who works there in this role; of a stranger without one."""
        claims = {
            "iss": "holdfast",
            "sub": str(user or uuid.uuid4()),
            "exp": int(time.time()) + 600,
            "roles": {str(tenant_id): role} if role else {},
            "verified": verified,
        }
        token = jwt.encode({"alg": "Ed25519", "kid": self._key.kid}, claims, self._key, algorithms=["Ed25519"])
        return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="session")
async def identity(keys_path: Path) -> AsyncIterator[tuple[str, Tokens]]:
    """Where identity shows its keys, over real HTTP, and tokens that fit them."""
    tokens, app, port = Tokens(keys_path), web.Application(), free_port()
    app.router.add_get("/v1/auth/jwks.json", tokens.show)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"http://127.0.0.1:{port}", tokens
    await runner.cleanup()


@pytest.fixture(scope="session")
def service_database(postgres_url: str) -> Callable[[str], str]:
    """Makes (once) the migrated database of a service; returns the URL of its own login role."""
    made: dict[str, str] = {}

    def make(service: str) -> str:
        if service not in made:
            name = f"test_{schema_of(service)}_{uuid.uuid4().hex[:8]}"
            with psycopg.connect(postgres_url, autocommit=True) as connection:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            admin_url = postgres_url.rsplit("/", 1)[0] + f"/{name}"
            create_roles(admin_url, service, PASSWORD)
            folder = migrations_of(service)
            assert folder is not None, f"{service} has no migrations"
            upgrade(admin_url, service, folder)
            host = admin_url.split("@", 1)[1]
            made[service] = f"postgresql://{schema_of(service)}_app:{PASSWORD}@{host}"
        return made[service]

    return make


@pytest.fixture(scope="session")
def service_environment(service_database: Callable[[str], str], keys_path: Path) -> Callable[..., dict[str, Any]]:
    """Keyword arguments for a service's settings class: `BookingSettings(**service_environment("booking"))`."""

    def make(service: str, **more: Any) -> dict[str, Any]:
        return {
            "database_url": service_database(service),
            "kafka_bootstrap": "127.0.0.1:1",
            "keys_path": keys_path,
            "environment": "development",
            "pool_size": 4,
        } | more

    return make


@asynccontextmanager
async def client_of(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client straight into the service's app, without a socket."""
    transport = httpx.ASGITransport(app=service.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        yield client


@pytest.fixture
def memory_broker() -> MemoryBroker:
    """A fresh broker in memory."""
    return MemoryBroker()


async def eventually(look: Callable[[], Awaitable[T]], seconds: float = 15.0) -> T:
    """What `look` finds as soon as it finds something; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := await look()):
        assert time.monotonic() < deadline, f"did not come within {seconds} s"
        await asyncio.sleep(0.02)
    return found


@contextmanager
def sandbox_running(folder: Path, **environment: str) -> Iterator[str]:
    """The providers' stand-ins in a process of their own, with their state in `folder`; its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    told = {"SANDBOX_PORT": str(port), "SANDBOX_DATA": str(folder), "SANDBOX_PUBLIC_URL": url}
    process = subprocess.Popen([sys.executable, "-m", "sandbox"], env=os.environ | told | environment)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"{url}/health/ready", timeout=1)
                break
            except httpx.TransportError:
                assert process.poll() is None, "the sandbox ended before it served"
                assert time.monotonic() < deadline, "the sandbox does not serve"
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(15)
