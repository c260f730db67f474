"""Many clients who all want one time, through the gateway of a running system: one wins, the others are told what else
there is. `.venv/bin/python services/gateway/benchmarks/one_slot.py DIR/ready.json [attempts] [connections]`."""

import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from holdfast.api import Api
from holdfast.shop import open_clinic
from holdfast.system import load_ready


@dataclass
class Tally:
    """What the clients were answered."""

    statuses: Counter[int] = field(default_factory=Counter)
    with_alternatives: int = 0
    seconds: list[float] = field(default_factory=list)
    left: int = 0


class Client(asyncio.Protocol):
    """One connection that asks again as soon as it was answered: as little work as a client can have."""

    def __init__(self, request: bytes, tally: Tally, done: asyncio.Future[None]) -> None:
        self._request, self._tally, self._done = request, tally, done
        self._read = b""
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The first request."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        if self._tally.left == 0:
            self._transport.close()
            return
        self._tally.left -= 1
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """An answer, or a part of it."""
        self._read += data
        head, end, body = self._read.partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        if len(body) < length:
            return
        self._tally.seconds.append(time.perf_counter() - self._sent)
        self._tally.statuses[int(head[9:12])] += 1
        self._tally.with_alternatives += b'"alternatives":[{' in body
        self._read = b""
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        """The end."""
        if not self._done.done():
            self._done.set_result(None)


async def attack(gateway: str, path: str, body: bytes, attempts: int, connections: int) -> tuple[Tally, float]:
    """All attempts; returns what came of them and how many seconds it took."""
    url = urlsplit(gateway)
    head = f"POST {path} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    tally = Tally(left=attempts)
    loop = asyncio.get_running_loop()
    ends = [loop.create_future() for _ in range(connections)]
    begun = time.perf_counter()
    for end in ends:
        await loop.create_connection(lambda end=end: Client(request, tally, end), url.hostname, url.port)
    await asyncio.gather(*ends)
    return tally, time.perf_counter() - begun


async def main() -> None:
    """Opens a clinic, attacks one of its times, prints a line, deletes the clinic."""
    ready = load_ready(Path(sys.argv[1]))
    attempts = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    connections = int(sys.argv[3]) if len(sys.argv) > 3 else 64
    async with Api(ready.gateway) as api:
        clinic = await open_clinic(api, "rush")
        try:
            await clinic.offer("visit", price={"amount": 0, "currency": "pln"})
            slots = await clinic.shop.slots("visit", days=7)
            path = f"{clinic.shop.path}/holds"
            for name, slot in (("warm", slots[5]), ("run", slots[20]), ("run", slots[40])):
                body = json.dumps({"slot_id": slot["slot_id"]}).encode()
                count = attempts if name == "run" else min(attempts, 500)
                tally, seconds = await attack(ready.gateway, path, body, count, connections)
                if name == "run":
                    taken = sorted(tally.seconds)
                    print(
                        f"{count} attempts, {connections} connections: {count / seconds:.0f}/s, "
                        f"p50 {taken[len(taken) // 2] * 1000:.1f} ms, p99 {taken[len(taken) * 99 // 100] * 1000:.1f} "
                        f"ms, {dict(tally.statuses)}, with alternatives {tally.with_alternatives}"
                    )
        finally:
            await clinic.delete()


asyncio.run(main())
