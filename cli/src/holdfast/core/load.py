"""HTTP/1.1 load from one thread over kept connections: as little work as a client can have.

An ordinary client costs more than the hot route that it asks, and would share two cores with it. Requests are bytes
that were made beforehand; of an answer only the length and the status are read, and whether a text is in it.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ..errors import HoldfastError
from ..figures import percentile

SILENCE = 30.0
_CHUNK = 1 << 18


class LoadFailed(HoldfastError):
    """The server closed a connection, or did not answer."""


@dataclass(slots=True)
class Load:
    """What came of it. `cpu` is the client's own processor time in seconds, `wall` the time that passed."""

    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    found: int = 0
    wall: float = 0.0
    cpu: float = 0.0

    @property
    def count(self) -> int:
        """How many requests were answered."""
        return len(self.latencies)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.count / self.wall if self.wall else 0.0

    @property
    def client_share(self) -> float:
        """What the client took of one core."""
        return self.cpu / self.wall if self.wall else 0.0

    def waits(self) -> str:
        """How long answers took, for people."""
        p50, p99 = (percentile(self.latencies, part) * 1000 for part in (0.5, 0.99))
        return f"p50 {p50:.0f} ms, p99 {p99:.0f} ms"


def together(loads: Iterable[Load]) -> Load:
    """Several as one."""
    whole = Load()
    for load in loads:
        whole.statuses += load.statuses
        whole.latencies += load.latencies
        whole.found += load.found
        whole.wall += load.wall
        whole.cpu += load.cpu
    return whole


def request(method: str, url: str, path: str, body: bytes = b"", headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """A request as it goes over the wire to `url`'s host."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {urlsplit(url).netloc}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Line:
    """One kept connection with at most one request on its way."""

    __slots__ = ("_got", "_need", "_sent", "_socket")

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=SILENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._got = b""
        self._need = 0
        self._sent = 0.0

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """For selectors."""
        return self._socket.fileno()

    def send(self, raw: bytes) -> None:
        """Asks."""
        self._got, self._need = b"", 0
        self._sent = time.perf_counter()
        self._socket.sendall(raw)

    def read(self) -> tuple[bytes, float] | None:
        """The whole answer with the seconds that it took, None while a part is missing."""
        try:
            chunk = self._socket.recv(_CHUNK)
        except OSError as error:
            raise LoadFailed(f"The server did not answer ({error}); the measurement was ended.") from error
        if not chunk:
            raise LoadFailed("The server closed a connection in the middle; the measurement was ended.")
        self._got = self._got + chunk if self._got else chunk
        if not self._need:
            head = self._got.find(b"\r\n\r\n")
            if head < 0:
                return None
            self._need = head + 4 + _length(self._got[:head])
        if len(self._got) < self._need:
            return None
        return self._got, time.perf_counter() - self._sent

    def ask(self, raw: bytes) -> tuple[int, bytes, float]:
        """Asks and waits: status, body, seconds."""
        self.send(raw)
        while (answer := self.read()) is None:
            pass
        whole, seconds = answer
        return int(whole[9:12]), whole[whole.find(b"\r\n\r\n") + 4 :], seconds


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    raise LoadFailed(f"An answer without a length came ({head[:80]!r}); the measurement was ended.")


def drive(
    url: str, requests: Iterable[bytes], connections: int, *, seconds: float | None = None, look_for: bytes = b"\xff"
) -> Load:
    """Sends the requests over so many connections, each as soon as its connection's last one was answered, until they
    run out or the time is over. `look_for` is counted in the bodies."""
    load = Load()
    waiting: Iterator[bytes] = iter(requests)
    statuses, latencies = load.statuses, load.latencies
    with selectors.DefaultSelector() as selector:
        lines = [Line(url) for _ in range(connections)]
        begun, cpu = time.perf_counter(), time.thread_time()
        until = begun + seconds if seconds else float("inf")
        under_way = 0
        try:
            for line in lines:
                selector.register(line, selectors.EVENT_READ)
                if (raw := next(waiting, None)) is not None:
                    line.send(raw)
                    under_way += 1
            while under_way:
                ready = selector.select(SILENCE)
                if not ready:
                    raise LoadFailed(f"Nothing was answered for {SILENCE:.0f} s; the measurement was ended.")
                for key, _ in ready:
                    line = key.fileobj  # type: ignore[assignment]
                    answer = line.read()
                    if answer is None:
                        continue
                    whole, took = answer
                    statuses[int(whole[9:12])] += 1
                    latencies.append(took)
                    load.found += look_for in whole
                    raw = next(waiting, None) if time.perf_counter() < until else None
                    if raw is None:
                        under_way -= 1
                    else:
                        line.send(raw)
        finally:
            load.wall, load.cpu = time.perf_counter() - begun, time.thread_time() - cpu
            for line in lines:
                line.__exit__()
    return load
