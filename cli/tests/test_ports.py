"""Ports that are kept for a part while it is restarted."""

from __future__ import annotations

import socket

import pytest

from holdfast.errors import HoldfastError
from holdfast.ports import Ports


def listen(port: int) -> socket.socket:
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen()
    return server


def test_a_kept_port_serves_its_part_and_nobody_else() -> None:
    first, second = Ports(), Ports()
    port = first.any()
    with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
        stranger.bind(("127.0.0.1", port))
    assert all(second.any() != port for _ in range(20))
    for _ in range(2):  # the part starts, dies and starts again
        with listen(port), socket.create_connection(("127.0.0.1", port)):
            pass
    first.close()
    second.close()


def test_near_gives_way_and_exactly_does_not() -> None:
    ports = Ports()
    with listen(0) as other:
        taken = other.getsockname()[1]
        assert ports.near(taken) != taken
        with pytest.raises(HoldfastError, match=f"Port {taken}"):
            ports.exactly(taken, "the gateway")
    assert ports.any_datagram() not in {ports.any(), ports.near(taken)}
    ports.close()
