"""`holdfast up`: start, watch, end."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from embedded.processes import is_gone
from holdfast.pids import Recorded

New = Callable[..., Any]
Until = Callable[..., Any]
Servers = dict[str, str]
SERVERS = ("postgres", "kafka")


def lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and not is_gone(psutil.Process(pid))


def living(ready: dict[str, Any]) -> list[str]:
    return [part for part, pid in ready["pids"].items() if lives(pid)]


def test_writes_the_ready_file_and_ends_cleanly(new_run: New, servers: Servers) -> None:
    run = new_run(servers)
    ready = run.up()
    place = run.data / "ready.json"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert set(ready) == {"gateway", "sandbox", "kafka", "postgres", "services", "pids", "stripe_webhook_secret"}
    assert set(ready["services"]) == {"standin-one", "standin-two"}
    assert set(ready["pids"]) == {"up", "sandbox", "standin-one", "standin-two"}
    assert ready["kafka"] == servers["KAFKA_BOOTSTRAP"]
    assert ready["postgres"].endswith("/holdfast")
    assert ready["stripe_webhook_secret"].startswith("whsec_")
    for name in ("keys.json", "secrets.json", "pids.json", "logs/standin-one.log"):
        assert stat.S_IMODE((run.data / name).stat().st_mode) == 0o600
    assert set(json.loads((run.data / "pids.json").read_text())) == set(ready["pids"])

    second = new_run(servers).begin()
    assert second.ended() == 1
    assert f"process {ready['pids']['up']}" in second.said()

    run.signal(signal.SIGTERM)
    assert run.ended() == 0
    assert living(ready) == []
    assert not place.exists()
    assert not (run.data / "pids.json").exists()


def test_starts_again_what_dies_and_writes_the_new_pid(new_run: New, until: Until, servers: Servers) -> None:
    run = new_run(servers)
    before = run.up()
    child = int(run.rule("standin_one.child").read_text())
    os.kill(before["pids"]["standin-one"], signal.SIGKILL)
    begun = time.monotonic()
    after = until(lambda: (r := run.ready())["pids"]["standin-one"] != before["pids"]["standin-one"] and r)
    assert time.monotonic() - begun < 2
    assert after["pids"]["standin-two"] == before["pids"]["standin-two"]
    assert not lives(child)
    assert "was ended by SIGKILL" in run.said()
    run.signal(signal.SIGINT)
    assert run.ended() == 0
    assert living(after) == []


def test_starts_again_what_no_longer_answers(new_run: New, until: Until, servers: Servers) -> None:
    run = new_run(servers)
    before = run.up()
    time.sleep(1)  # it is asked and answers
    run.rule("standin_two.deaf").touch()
    until(lambda: "did not answer /health/live" in run.said())
    run.rule("standin_two.deaf").unlink()
    until(lambda: run.ready()["pids"]["standin-two"] != before["pids"]["standin-two"])


def test_ends_what_a_killed_run_left_but_no_stranger(new_run: New, servers: Servers) -> None:
    run = new_run(servers)
    left = run.up()
    run.signal(signal.SIGKILL)
    run.ended()
    assert set(living(left)) >= {"sandbox", "standin-one", "standin-two"}
    # One part's number now belongs to somebody else, and one died and left a child behind.
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    os.kill(left["pids"]["sandbox"], signal.SIGKILL)
    child = int(run.rule("sandbox.child").read_text())
    pids = json.loads((run.data / "pids.json").read_text())
    recorded = Recorded.of(stranger.pid)
    assert recorded is not None
    pids["kafka"] = {**asdict(recorded), "created": recorded.created - 100}
    pids["postgres"] = {**asdict(recorded), "command": ["postgres"]}
    (run.data / "pids.json").write_text(json.dumps(pids))
    try:
        again = new_run(servers)
        ready = again.up()
        assert "left by a killed run" in again.said()
        assert [part for part in living(left) if part != "up"] == []
        assert not lives(child)
        assert stranger.poll() is None
        again.signal(signal.SIGTERM)
        assert again.ended() == 0
        assert living(ready) == []
    finally:
        stranger.kill()
        stranger.wait()


def test_a_service_that_does_not_start_ends_everything(new_run: New, servers: Servers) -> None:
    run = new_run(servers)
    run.rule("standin_two.dead").touch()
    run.begin()
    assert run.ended(20) == 1
    assert "standin-two ended 3 times" in run.said()
    assert "standin_two will not start today" in run.said()
    assert not lives(int(run.rule("standin_one.child").read_text()))
    assert not (run.data / "ready.json").exists()


def test_a_second_signal_ends_at_once(new_run: New, servers: Servers) -> None:
    run = new_run(servers)
    run.rule("standin_one.stubborn").touch()
    ready = run.up()
    run.signal(signal.SIGTERM)
    time.sleep(0.2)
    run.signal(signal.SIGTERM)  # the same wish, passed on twice
    time.sleep(1.5)
    assert "standin-one" in living(ready)
    run.signal(signal.SIGTERM)
    assert run.ended(5) == 0
    assert living(ready) == []


def test_says_which_port_is_taken(new_run: New, servers: Servers) -> None:
    run = new_run(servers)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        run.port = other.getsockname()[1]
        run.begin()
        assert run.ended() == 1
    assert f"Port {run.port} on 127.0.0.1, asked for the gateway, is taken by" in run.said()


def test_says_which_server_cannot_be_reached(new_run: New, servers: Servers) -> None:
    for variable, value in {
        "POSTGRES_URL": "postgresql://nobody@127.0.0.1:1/holdfast",
        "KAFKA_BOOTSTRAP": "127.0.0.1:1",
    }.items():
        run = new_run({**servers, variable: value}).begin()
        assert run.ended() == 1
        assert f"named by {variable}" in run.said()
        assert "Traceback" not in run.said()


def test_embedded_servers_are_kept_alive_and_data_survives(new_run: New, until: Until, place: Path) -> None:
    run = new_run()
    ready = run.up()
    assert {"postgres", "kafka"} <= set(ready["pids"])
    for part in SERVERS:
        os.kill(ready["pids"][part], signal.SIGKILL)

    def both_new() -> dict[str, Any] | None:
        now: dict[str, Any] = run.ready()
        return now if all(now["pids"].get(p) not in (None, ready["pids"][p]) for p in SERVERS) else None

    after = until(both_new)
    run.signal(signal.SIGINT)
    assert run.ended(30) == 0
    assert living(after) == []
    assert not [p for p in psutil.process_iter(["cwd"]) if str(p.info["cwd"]).startswith(str(place))]


def test_interrupted_while_starting_it_leaves_nothing(new_run: New, until: Until, place: Path) -> None:
    run = new_run().begin()
    until(lambda: (run.data / "postgres").exists())
    time.sleep(0.5)
    run.signal(signal.SIGINT)
    assert run.ended() == 0
    assert not [p for p in psutil.process_iter(["cwd"]) if str(p.info["cwd"]).startswith(str(place))]


def test_what_is_done_once_it_is_up_may_end_it_and_a_failure_ends_it_cleanly_with_code_1(
    new_run: New, servers: Servers
) -> None:
    for argument, code in (("--act-ends", 0), ("--act-fails", 1)):
        run = new_run(servers).begin(argument)
        assert run.ended(within=60) == code, run.said()
        assert "acting on http://127.0.0.1:" in run.said()
        assert "everything has ended" in run.said()
        assert ("a step of the story failed" in run.said()) == (code == 1)
        assert not (run.data / "ready.json").exists()
        assert not (run.data / "pids.json").exists()
