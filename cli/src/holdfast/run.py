"""A whole system in the foreground: what `holdfast up` does."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from embedded import EmbeddedError

from . import credentials, environment, lock, preparation
from .backends import Backends
from .console import Reporter
from .credentials import Credentials
from .environment import GATEWAY, SANDBOX, Addresses, Service
from .errors import HoldfastError, PartFailed
from .files import write_private
from .health import Health
from .parts import Part, ProcessPart, rotate
from .pids import PidFile, end_orphans
from .ports import Ports
from .supervisor import Supervisor
from .system import Ready, load_ready
from .threads import in_thread, together

READY_WITHIN = 120.0
SERVICES_STOP_WITHIN = 25.0
SERVERS_STOP_WITHIN = 30.0
_TRIES_AT_START = 3
# Wrappers such as `timeout` pass one signal on twice: to their child and to its group.
_SAME_SIGNAL = 1.0


@dataclass(frozen=True, slots=True)
class Options:
    """What `up` was asked for."""

    data: Path
    port: int
    sandbox: bool
    ready_file: Path
    services: Sequence[Service]
    sandbox_command: Sequence[str] | None
    outside: Mapping[str, str]
    """The environment that `up` was started in."""


def everything(data: Path, port: int, *, sandbox: bool = True, ready_file: Path | None = None) -> Options:
    """Every service and the sandbox, told what this process was told."""
    data = data.absolute()
    return Options(
        data=data,
        port=port,
        sandbox=sandbox,
        ready_file=ready_file.absolute() if ready_file else data / "ready.json",
        services=environment.SERVICES,
        sandbox_command=module_command(SANDBOX),
        outside=dict(os.environ),
    )


def module_command(module: str, *arguments: str) -> list[str]:
    """How a package of ours is run."""
    return [sys.executable, "-m", module, *arguments]


Act = Callable[[Ready], Awaitable[bool]]
"""What is done once everything serves. True: the system then stays up until a signal comes; False: it ends."""


async def run(options: Options, reporter: Reporter, act: Act | None = None) -> int:
    """Bring the system up, do `act`, keep it up until a signal comes, and end it. The exit code."""
    with lock.hold(options.data):
        system = System(options, reporter, act)
        loop = asyncio.get_running_loop()
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as it is under nohup
            numbers.append(signal.SIGHUP)
        for number in numbers:
            loop.add_signal_handler(number, system.ask_to_end)
        try:
            return await system.live()
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)


class System:
    """The parts of one system, from the first to the last moment."""

    def __init__(self, options: Options, reporter: Reporter, act: Act | None = None) -> None:
        self._options = options
        self._act = act
        self._reporter = reporter
        self._pids = PidFile(options.data / "pids.json")
        self._health = Health()
        self._supervisor = Supervisor(self._pids, self._health, reporter, self._write_ready)
        self._ports = Ports()
        self._backends = Backends(options.data, options.outside, reporter, self._supervisor)
        self._services: list[Part] = []
        self._sandbox: list[Part] = []
        self._addresses: Addresses | None = None
        self._serving = False
        self._end = asyncio.Event()
        self._asked = 0.0
        self._hurry = False

    def ask_to_end(self) -> None:
        """A signal came: end in order; a second one, of a person who waited: end at once."""
        now = time.monotonic()
        if not self._end.is_set():
            self._asked = now
            self._end.set()
        elif now - self._asked > _SAME_SIGNAL:
            self._hurry = True
            self._kill_all()

    async def live(self) -> int:
        """Start, wait for a signal, stop."""
        starting = asyncio.create_task(self._start_and_act())
        ending = asyncio.create_task(self._end.wait())
        try:
            await asyncio.wait({starting, ending}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done() and starting.result():
                await ending
            return 0
        except (HoldfastError, EmbeddedError) as error:
            self._reporter.fail(str(error))
            return 1
        finally:
            starting.cancel()
            ending.cancel()
            await asyncio.gather(starting, ending, return_exceptions=True)
            await self._stop()
            self._reporter.close()

    # -- up

    async def _start_and_act(self) -> bool:
        """Whether the system stays up."""
        await self._start()
        return True if self._act is None else await self._act(load_ready(self._options.ready_file))

    async def _start(self) -> None:
        options, reporter = self._options, self._reporter
        data = options.data
        options.ready_file.parent.mkdir(parents=True, exist_ok=True)
        options.ready_file.unlink(missing_ok=True)
        (data / "logs").mkdir(mode=0o700, exist_ok=True)
        await in_thread(self._end_orphans)
        self._pids.record("up", os.getpid())

        gateway_port = self._gateway_port()
        self._backends.plan(self._ports, gateway_port)
        loading = asyncio.create_task(preparation.load())
        await together(self._prepare_database(loading), self._prepare_log(loading))
        addresses = self._addresses = self._address(gateway_port)
        preparation.make_keys(addresses.keys)

        reporter.begin("services", "services")
        if SANDBOX in addresses.ports:
            self._sandbox = [self._sandbox_part(addresses)]
        self._services = [self._service_part(service, addresses) for service in options.services]
        for part in (*self._sandbox, *self._services):
            rotate(part.log_file)
            await self._supervisor.start(part)
        await self._wait_until_ready([*self._sandbox, *self._services])
        reporter.done("services", f"{len(self._services)} services are ready")
        self._serving = True
        self._write_ready()
        reporter.ready(self._facts(addresses))

    async def _prepare_database(self, loading: asyncio.Task[None]) -> None:
        await self._backends.start_postgres()
        if not any(service.has_database for service in self._options.services):
            return
        await loading
        await preparation.make_schemas(self._backends.database, self._credentials().passwords, self._reporter)

    async def _prepare_log(self, loading: asyncio.Task[None]) -> None:
        await self._backends.start_kafka()
        await loading
        await preparation.make_topics(self._backends.kafka, self._reporter)

    def _credentials(self) -> Credentials:
        owners = [service.name for service in environment.SERVICES if service.has_database]
        return credentials.ensure(self._options.data / "secrets.json", owners)

    def _end_orphans(self) -> None:
        def tell(part: str, pid: int) -> None:
            self._reporter.note(part, f"{part} (process {pid}), left by a killed run, is ended")

        end_orphans(self._pids.path, tell)

    def _gateway_port(self) -> int:
        if self._options.port == 0:
            return self._ports.any()
        return self._ports.exactly(self._options.port, "the gateway")

    def _address(self, gateway_port: int) -> Addresses:
        options = self._options
        names = [service.name for service in options.services if service != GATEWAY]
        if options.sandbox and options.sandbox_command is not None:
            names.append(SANDBOX)
        ports = {
            name: self._ports.near(gateway_port + offset) if options.port else self._ports.any()
            for offset, name in enumerate(names, start=1)
        }
        ports[GATEWAY.name] = gateway_port
        known = self._credentials()
        return Addresses(
            data=options.data,
            kafka=self._backends.kafka,
            database=self._backends.database,
            ports=ports,
            passwords=known.passwords,
            webhook_secret=known.stripe_webhook_secret
            if options.sandbox
            else options.outside.get("STRIPE_WEBHOOK_SECRET", ""),
            wake_ports={name: self._ports.any_datagram() for name in known.passwords},
        )

    def _sandbox_part(self, addresses: Addresses) -> Part:
        assert self._options.sandbox_command is not None
        return ProcessPart(
            SANDBOX,
            self._options.sandbox_command,
            environment.for_sandbox(addresses, self._options.outside),
            self._log(SANDBOX),
            addresses.url(SANDBOX),
        )

    def _service_part(self, service: Service, addresses: Addresses) -> Part:
        return ProcessPart(
            service.name,
            module_command(service.module, "all"),
            environment.for_service(service, addresses, self._options.outside),
            self._log(service.name),
            addresses.url(service.name),
        )

    def _log(self, part: str) -> Path:
        return self._options.data / "logs" / f"{part}.log"

    async def _wait_until_ready(self, parts: Sequence[Part]) -> None:
        deadline = time.monotonic() + READY_WITHIN
        waiting = {part.name: part for part in parts}
        while waiting:
            asked = list(waiting.values())
            answers = await asyncio.gather(*(self._health.is_ready(part.base_url or "") for part in asked))
            for part, ready in zip(asked, answers, strict=True):
                if ready:
                    del waiting[part.name]
                elif self._supervisor.failures.get(part.name, 0) >= _TRIES_AT_START:
                    raise PartFailed(_no_start(part, f"ended {_TRIES_AT_START} times"))
            if waiting and time.monotonic() > deadline:
                part = next(iter(waiting.values()))
                raise PartFailed(_no_start(part, f"was not ready after {READY_WITHIN:.0f} s"))
            if waiting:
                self._reporter.detail("services", f"waiting for {', '.join(waiting)}")
                await asyncio.sleep(0.2)

    # -- the ready file

    def _write_ready(self) -> None:
        addresses = self._addresses
        if not self._serving or addresses is None:
            return
        parts = [*self._backends.parts, *self._sandbox, *self._services]
        pids = {"up": os.getpid()} | {part.name: part.pid for part in parts if part.pid}
        ready = Ready(
            gateway=addresses.url(GATEWAY.name),
            sandbox=addresses.url(SANDBOX) if self._sandbox else None,
            kafka=addresses.kafka,
            postgres=addresses.database,
            services={
                part.name: part.base_url for part in self._services if part.base_url and part.name != GATEWAY.name
            },
            pids=pids,
            stripe_webhook_secret=addresses.webhook_secret,
        )
        write_private(self._options.ready_file, ready.to_json())

    def _facts(self, addresses: Addresses) -> dict[str, object]:
        facts: dict[str, object] = {"gateway": addresses.url(GATEWAY.name)}
        if self._sandbox:
            facts["sandbox"] = addresses.url(SANDBOX)
        return facts | {
            "kafka": addresses.kafka,
            "ready_file": str(self._options.ready_file),
            "logs": str(self._options.data / "logs"),
        }

    # -- down

    async def _stop(self) -> None:
        self._serving = False
        self._options.ready_file.unlink(missing_ok=True)
        everything = [*self._services, *self._sandbox, *self._backends.parts]
        if everything:
            self._reporter.begin("end", "ending: services, sandbox, Kafka, PostgreSQL")
        await self._supervisor.release()
        if self._hurry:
            self._kill_all()
        await self._supervisor.end(self._services, self._limit(SERVICES_STOP_WITHIN))
        await self._supervisor.end(self._sandbox, self._limit(SERVICES_STOP_WITHIN))
        for part in reversed(self._backends.parts):
            await self._supervisor.end([part], self._limit(SERVERS_STOP_WITHIN))
        await self._health.close()
        self._pids.remove()
        self._ports.close()
        if everything:
            self._reporter.done("end", "everything has ended, the data stays")

    def _limit(self, seconds: float) -> float:
        return 0.0 if self._hurry else seconds

    def _kill_all(self) -> None:
        for part in (*self._services, *self._sandbox):
            pid = part.pid
            if pid is not None:
                os.kill(pid, signal.SIGKILL)


def _no_start(part: Part, what: str) -> str:
    return (
        f"{part.name} {what}, so the system was ended again; its data is intact: read "
        f"{part.log_file}, which ends with:\n{part.tail() or '(nothing)'}"
    )
