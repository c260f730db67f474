"""Ports for the parts of a system, kept for it as long as it runs."""

from __future__ import annotations

import random
import socket
from pathlib import Path

from embedded.ports import LOOPBACK, holder

from .errors import HoldfastError

_FIRST, _LAST = 10_000, 60_999
_TRIES = 500


class Ports:
    """Hands out loopback ports and holds on to them.

    Each port stays bound, without listening, by a socket of ours. A part can still listen on it
    (all of them set SO_REUSEADDR), but neither another `holdfast up` nor the kernel, when it picks
    a port for an outgoing connection, takes it while the part is being restarted.
    """

    def __init__(self) -> None:
        self._held: list[socket.socket] = []
        self._given: set[int] = set()
        self._outside = _outside_ephemeral()

    def exactly(self, port: int, what: str) -> int:
        """Take this port, or say who has it."""
        if self._hold(port):
            return port
        by = holder(port)
        raise HoldfastError(
            f"Port {port} on {LOOPBACK}, asked for {what}, is taken"
            f"{f' by {by}' if by else ''}; nothing was started: stop that program, or choose "
            "another port with --port (0 picks free ones)."
        )

    def near(self, preferred: int) -> int:
        """Take the preferred port if it is free, any other if not."""
        if 0 < preferred < 65_536 and preferred not in self._given and self._hold(preferred):
            return preferred
        return self.any()

    def any(self) -> int:
        """Take a free port outside the range that the kernel uses for outgoing connections."""
        for _ in range(_TRIES):
            port = random.choice(self._outside)
            if port not in self._given and _never_used(port) and self._hold(port):
                return port
        raise HoldfastError(
            f"No free port was found on {LOOPBACK}; nothing was started: end some of the programs that listen there."
        )

    def any_datagram(self) -> int:
        """A free UDP port. It is not held: two sockets on one would steal each other's mail."""
        for _ in range(_TRIES):
            port = random.choice(self._outside)
            if port in self._given:
                continue
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                try:
                    probe.bind((LOOPBACK, port))
                except OSError:
                    continue
            self._given.add(port)
            return port
        raise HoldfastError(f"No free UDP port was found on {LOOPBACK}; nothing was started.")

    def close(self) -> None:
        """Let go of all ports."""
        for held in self._held:
            held.close()
        self._held.clear()

    def _hold(self, port: int) -> bool:
        held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind((LOOPBACK, port))
        except OSError:
            held.close()
            return False
        self._held.append(held)
        self._given.add(port)
        return True


def _never_used(port: int) -> bool:
    """Whether the port is free even without SO_REUSEADDR: nobody else holds it for later."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _outside_ephemeral() -> list[int]:
    everything = range(_FIRST, _LAST)
    try:
        low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    except (OSError, ValueError):
        low, high = 32_768, 60_999
    outside = [port for port in everything if not low <= port <= high]
    return outside or list(everything)
