"""What all commands have in common."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import click
import pytest
import typer.main
from typer.testing import CliRunner

from holdfast.main import COMMANDS, build

PROMISED = (
    "up", "demo", "doctor", "seed", "topics", "tail", "lag", "dead-letters", "migrate", "audit", "verify", "bench",
    "openapi",
)  # fmt: skip


def _leaves(command: click.Command, *path: str) -> Iterator[tuple[str, click.Command]]:
    nested = getattr(command, "commands", None)
    if nested is None:
        yield " ".join(path), command
        return
    for name, one in nested.items():
        yield from _leaves(one, *path, name)


LEAVES = dict(_leaves(typer.main.get_command(build())))


def test_every_promised_command_is_there_and_each_is_found_by_its_first_word() -> None:
    assert set(PROMISED) <= set(COMMANDS)
    for name in COMMANDS:
        assert name in {path.split()[0] for path, _ in _leaves(typer.main.get_command(build(name)))}


@pytest.mark.parametrize("path", sorted(LEAVES))
def test_every_command_has_json_and_finds_its_system_by_a_ready_file(path: str) -> None:
    options = {option for parameter in LEAVES[path].params for option in parameter.opts}
    assert {"--json", "--ready-file"} <= options


def test_help_comes_without_loading_what_commands_need() -> None:
    seen = "import sys; from holdfast.main import build; build(); print(*sorted(sys.modules))"
    begun = time.monotonic()
    modules = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True).stdout.split()
    assert time.monotonic() - begun < 5  # half a second on a machine that does nothing else
    assert {"aiokafka", "sqlalchemy", "psycopg", "httpx", "fastapi", "embedded"}.isdisjoint(modules)


def test_seed_without_saying_what_changes_nothing() -> None:
    result = CliRunner().invoke(build("seed"), ["seed"])
    assert result.exit_code == 1
    assert "holdfast seed --demo" in str(result.exception)
