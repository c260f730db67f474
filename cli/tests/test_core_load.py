"""The client that makes load: it counts what was answered, however it comes, and never takes silence for an answer."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from holdfast.core.load import Line, LoadFailed, drive, request, together

OK = b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello"
TAKEN = b"HTTP/1.1 409 Conflict\r\ncontent-type: x\r\nCONTENT-LENGTH: 20\r\n\r\nalternatives are here"[:-1]


@contextmanager
def serving(*answers: tuple[bytes, ...]) -> Iterator[str]:
    """A server that gives these answers in turn over all connections; the parts of one are packets of their own."""
    listener = socket.create_server(("127.0.0.1", 0))
    turn, lock = itertools.cycle(answers), threading.Lock()

    def talk(connection: socket.socket) -> None:
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while connection.recv(10_000):
                with lock:
                    parts = next(turn)
                for part in parts:
                    connection.sendall(part)
                if not parts:
                    return

    def listen() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    threading.Thread(target=listen, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_every_request_is_sent_once_and_every_answer_counted() -> None:
    with serving((OK,), (TAKEN,), (TAKEN,)) as url:
        load = drive(url, [request("POST", url, "/x", b"{}")] * 300, 8, look_for=b"alternatives")
    assert load.statuses == {201: 100, 409: 200}
    assert (load.count, load.found) == (300, 200)
    assert 0 < min(load.latencies) <= max(load.latencies) <= load.wall
    assert load.rate == pytest.approx(300 / load.wall)


def test_an_answer_that_comes_in_pieces_is_one_answer() -> None:
    with serving((OK[:10], OK[10:40], OK[40:])) as url, Line(url) as line:
        for _ in range(5):
            status, body, _ = line.ask(request("GET", url, "/"))
            assert (status, body) == (201, b"hello")


def test_it_ends_when_its_time_is_over() -> None:
    with serving((OK,)) as url:
        load = drive(url, itertools.repeat(request("GET", url, "/")), 4, seconds=0.2)
    assert 0.2 <= load.wall < 2
    assert load.count > 4


def test_a_server_that_hangs_up_or_says_no_length_ends_the_measurement() -> None:
    with serving(()) as url, pytest.raises(LoadFailed, match="closed a connection"):
        drive(url, [request("GET", url, "/")], 1)
    with serving((b"HTTP/1.1 200 OK\r\n\r\n",)) as url, pytest.raises(LoadFailed, match="without a length"):
        drive(url, [request("GET", url, "/")], 1)


def test_several_loads_are_added_up() -> None:
    with serving((OK,)) as url:
        loads = [drive(url, [request("GET", url, "/")] * count, 2) for count in (10, 20)]
    whole = together(loads)
    assert (whole.count, whole.statuses[201]) == (30, 30)
    assert whole.wall == pytest.approx(sum(load.wall for load in loads))


def test_a_request_is_plain_http() -> None:
    assert request("POST", "http://localhost:8080", "/v1/x?a=b", b"{}", [("Authorization", "Bearer t")]) == (
        b"POST /v1/x?a=b HTTP/1.1\r\nHost: localhost:8080\r\nAuthorization: Bearer t\r\n"
        b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )
