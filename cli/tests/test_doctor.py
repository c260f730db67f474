"""`holdfast doctor`, and the command as a whole."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from holdfast.main import COMMANDS, build


def doctor(*arguments: str) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(build("doctor"), ["doctor", "--json", *arguments])
    return result.exit_code, json.loads(result.stdout)


def found(report: dict[str, Any], name: str) -> dict[str, Any]:
    return next(check for check in report["checks"] if check["name"] == name)


def test_a_machine_where_nothing_runs_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOLDFAST_READY", raising=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code, report = doctor("--data", str(tmp_path / "data"), "--port", str(port))
    assert code == 0, report
    assert report["ok"]
    assert "18" in found(report, "postgres")["detail"]
    assert "none runs here" in found(report, "system")["detail"]
    assert not (tmp_path / "data").exists()


def test_a_taken_port_is_found(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        code, report = doctor("--data", str(tmp_path), "--port", str(other.getsockname()[1]))
    assert code == 1
    assert not report["ok"]
    assert str(os.getpid()) in found(report, "port")["detail"]


def test_a_part_that_does_not_answer_is_found(new_run: Callable[..., Any], servers: dict[str, str]) -> None:
    run = new_run(servers)
    run.up()
    place = str(run.data / "ready.json")
    _, report = doctor("--data", str(run.data), "--ready-file", place)
    assert found(report, "standin-one")["ok"]
    assert found(report, "kafka-server")["ok"]
    assert found(report, "postgres-server")["ok"]
    assert "in use by process" in found(report, "data")["detail"]
    run.rule("standin_one.deaf").touch()
    code, report = doctor("--data", str(run.data), "--ready-file", place)
    assert code == 1
    assert not found(report, "standin-one")["ok"]
    run.signal(signal.SIGTERM)
    run.ended()


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(command: str) -> None:
    result = CliRunner().invoke(build(command), [command, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.stdout
