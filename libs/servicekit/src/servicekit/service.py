"""What a service is made of, and how it runs: `python -m <service> [api|worker|all]`."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal, Protocol, TypeVar

import structlog
import uvicorn
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from events.brokers import Broker
from events.brokers.kafka import KafkaBroker
from events.consumer import Consumer
from events.handlers import handlers_of
from events.relay import Relay
from servicekit import jobs, keys, problems
from servicekit.auth import HttpClient, TokenVerifier
from servicekit.database import Database, engine_for
from servicekit.hot import HotPool
from servicekit.people import People
from servicekit.sealing import Sealer
from servicekit.settings import CommonSettings, ServiceSettings
from servicekit.signing import Signer
from servicekit.telemetry import configure_logging, continue_trace
from servicekit.waking import Waker

log = structlog.get_logger(__name__)

Mode = Literal["api", "worker", "all"]
Check = Callable[[], bool]
P = TypeVar("P")


class Service:
    """The composition of one service. `main.py` builds it; endpoints, handlers and jobs get everything from it."""

    def __init__(
        self,
        name: str,
        settings: ServiceSettings,
        *,
        routers: tuple[APIRouter, ...] = (),
        broker: Broker | None = None,
        consumes: bool = True,
    ) -> None:
        """`consumes=False`: its handlers are run by a part of its own, not by the consumer runtime."""
        self.name = name
        self.settings = settings
        self.consumes = consumes
        self.keys = keys.load(settings.keys_path)
        self.http = HttpClient()
        self.tokens = TokenVerifier(f"{settings.identity_url}/v1/auth/jwks.json", self.http)
        self.people = People(settings.identity_url, self.http, self.signer("services"), name)
        self.broker: Broker = broker or KafkaBroker(settings.kafka_bootstrap, f"{name}-{settings.replica}")
        self.waker = Waker(settings.wake_port)
        engine = engine_for(settings.database_url, name=name, pool_size=settings.pool_size)
        self.database = Database(engine, name, self.waker.wake)
        self.hot = HotPool(settings.database_url, name=name, size=settings.pool_size)
        self.consumer: Consumer | None = None
        self.relay: Relay | None = None
        self.failed = False
        self.app = self._app(routers)
        self._parts: dict[type[Any], Any] = {}
        self._checks: dict[str, Check] = {}
        self._background: list[Callable[[asyncio.Event], Any]] = []

    # -- composition -------------------------------------------------------------------------------------------

    def provide(self, part: object) -> None:
        """Adds a part of the service's own, such as the client of a provider."""
        self._parts[type(part)] = part

    def get(self, kind: type[P]) -> P:
        """The part of this class."""
        part: P = self._parts[kind]
        return part

    def signer(self, purpose: keys.Purpose) -> Signer:
        """Signs and verifies for one purpose."""
        return Signer(self.keys.of(purpose), purpose)

    def sealer(self, purpose: keys.Purpose) -> Sealer:
        """Seals and opens for one purpose."""
        return Sealer(self.keys.of(purpose))

    def background(self, run: Callable[[asyncio.Event], Any]) -> None:
        """Adds a coroutine function that runs beside the API until its event is set."""
        self._background.append(run)

    def ready_when(self, name: str, check: Check) -> None:
        """Adds a condition to /health/ready."""
        self._checks[name] = check

    def _app(self, routers: tuple[APIRouter, ...]) -> FastAPI:
        app = FastAPI(
            title=f"Holdfast {self.name}",
            version="1",
            docs_url=None,
            redoc_url=None,
            openapi_url="/openapi.json",
            telemetry={"tracing": False, "metrics": False, "logs": False},  # looked up for every request otherwise
        )
        app.state.service = self
        problems.install(app)
        app.add_middleware(Traced)
        for router in routers:
            app.include_router(router)
        app.add_api_route("/health/live", self._live, include_in_schema=False)
        app.add_api_route("/health/ready", self._ready, include_in_schema=False)
        app.add_api_route("/metrics", self._metrics, include_in_schema=False)
        return app

    # -- health ------------------------------------------------------------------------------------------------

    async def _live(self) -> JSONResponse:
        stalled = self.consumer is not None and self.consumer.started.is_set() and self.consumer.stalled
        return JSONResponse({"status": "stalled" if stalled else "ok"}, 503 if stalled else 200)

    async def _ready(self) -> JSONResponse:
        checks = {name: check() for name, check in self._checks.items()}
        if self.consumer is not None:
            checks["consumer"] = self.consumer.started.is_set()
        try:
            async with asyncio.timeout(2):
                checks["database"] = await self.database.answers()
        except (DBAPIError, PoolTimeout, OSError, TimeoutError):
            checks["database"] = False
        ready = all(checks.values())
        return JSONResponse({"status": "ready" if ready else "starting", "checks": checks}, 200 if ready else 503)

    async def _metrics(self, _: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    # -- running -----------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Relay, consumer, jobs and background parts run inside; at the end they finish what they took."""
        stop, stop_relay = asyncio.Event(), asyncio.Event()
        await self.waker.listen()
        self.relay = Relay(self.database.engine, self.broker, self.name)
        relaying = asyncio.create_task(self._relay(self.relay, stop_relay))
        relaying.add_done_callback(self._end_on_failure)
        tasks = [
            asyncio.create_task(jobs.run(job, self, self.waker.event(job.name), stop))
            for job in jobs.jobs_of(self.name)
        ]
        if self.consumes and (handlers := handlers_of(self.name)):
            member = f"{self.name}-{self.settings.replica}"
            at_once = max(2, self.settings.pool_size // 2)  # the other half is for requests and jobs
            self.consumer = Consumer(
                self.name, self.broker, self.database.transaction, handlers, member=member, at_once=at_once
            )
            tasks.append(asyncio.create_task(self.consumer.run(stop)))
        tasks.extend(asyncio.create_task(run(stop)) for run in self._background)
        for task in tasks:
            task.add_done_callback(self._end_on_failure)
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*tasks, return_exceptions=True)
            stop_relay.set()
            await asyncio.gather(relaying, return_exceptions=True)
            self.waker.close()
            await self.broker.close()

    async def _relay(self, relay: Relay, stop: asyncio.Event) -> None:
        event = self.waker.event("relay")

        async def pass_on() -> None:
            while True:
                await event.wait()
                event.clear()
                relay.wake()

        passing = asyncio.create_task(pass_on())
        try:
            await relay.run(stop)
        finally:
            passing.cancel()

    def _end_on_failure(self, task: "asyncio.Task[Any]") -> None:
        """A part that cannot go on ends the process: the supervisor starts it again, and people see it."""
        if not task.cancelled() and (error := task.exception()):
            log.critical("a part of the service failed; the process ends", error=str(error), exc_info=error)
            self.failed = True
            signal.raise_signal(signal.SIGTERM)

    async def close(self) -> None:
        """Ends all connections."""
        await self.http.close()
        await self.hot.close()
        await self.database.engine.dispose()


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the service ends its parts in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


class Traced:
    """Takes up the caller's trace, or begins one, for every request."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket"):
            header = next((value.decode() for name, value in scope["headers"] if name == b"traceparent"), None)
            continue_trace(header)
        await self._app(scope, receive, send)


class Runnable(Protocol):
    """What `run` serves: a `Service`, or the gateway, which has no database."""

    name: str
    app: FastAPI
    failed: bool

    @property
    def settings(self) -> CommonSettings:
        """Host, port and logs."""

    def working(self) -> contextlib.AbstractAsyncContextManager[None]:
        """What runs beside the API."""

    async def close(self) -> None:
        """Ends all connections."""


async def _serve(service: Runnable, mode: Mode) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    config = uvicorn.Config(
        service.app,
        host=service.settings.host,
        port=service.settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=15,
        # Longer than our own clients keep an idle connection (30 s): they must be the ones who close it, or a request
        # could go out on one that is just being closed.
        timeout_keep_alive=75,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        lifespan="off",
        server_header=False,
        proxy_headers=False,  # whose X-Forwarded-For is believed is decided by TRUSTED_PROXIES alone
    )
    server = _Server(config)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(service.close)
        if mode in ("worker", "all"):
            await stack.enter_async_context(service.working())
        serving = asyncio.create_task(server.serve())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
        stopping.cancel()


def run(build: Callable[[], Runnable]) -> None:
    """The whole of a service's `__main__.py`: builds it and serves until SIGTERM or SIGINT."""
    mode = sys.argv[1] if len(sys.argv) > 1 else "all"
    if mode not in ("api", "worker", "all"):
        sys.exit(f"unknown mode {mode!r}: say api, worker or all")
    service = build()
    configure_logging(service.name, log_format=service.settings.log_format, level=service.settings.log_level)
    asyncio.run(_serve(service, mode))  # type: ignore[arg-type]
    if service.failed:
        sys.exit(f"{service.name} ended because a part of it failed; its log says why")
