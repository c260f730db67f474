"""Wakes workers after a commit: by an event inside the process, by a loopback datagram between processes."""

import asyncio
import socket
from contextlib import suppress


class Waker:
    """Names of workers and the events that they wait for. Polling goes on behind it, so a lost datagram only
    costs the poll's interval."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._events: dict[str, asyncio.Event] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._socket: socket.socket | None = None

    def event(self, worker: str) -> asyncio.Event:
        """The event that `wake(worker)` sets; asking for it makes the worker live in this process."""
        return self._events.setdefault(worker, asyncio.Event())

    def wake(self, worker: str) -> None:
        """Wakes the worker here, or tells the worker's process."""
        if worker in self._events:
            self._events[worker].set()
        elif self._port:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                self._socket.setblocking(False)
            # The transaction is committed: a datagram that the kernel will not take must not fail the request.
            with suppress(OSError):
                self._socket.sendto(worker.encode(), ("127.0.0.1", self._port))

    async def listen(self) -> None:
        """Takes datagrams of other processes (the worker's side)."""
        if self._port:
            waker = self

            class Protocol(asyncio.DatagramProtocol):
                def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
                    if event := waker._events.get(data.decode(errors="replace")):
                        event.set()

            loop = asyncio.get_running_loop()
            self._transport, _ = await loop.create_datagram_endpoint(Protocol, local_addr=("127.0.0.1", self._port))

    def close(self) -> None:
        """Ends listening."""
        if self._transport:
            self._transport.close()
        if self._socket:
            self._socket.close()
