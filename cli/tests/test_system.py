"""Finding a running system."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from holdfast.errors import NotRunning
from holdfast.system import Ready, load_ready


def ready(up: int) -> Ready:
    return Ready("http://127.0.0.1:1", None, "127.0.0.1:2", "postgresql://", {}, {"up": up}, "whsec_1")


def test_finds_it_by_option_variable_and_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOLDFAST_READY", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".holdfast").mkdir()
    (tmp_path / ".holdfast" / "ready.json").write_text(ready(os.getpid()).to_json())
    assert load_ready() == ready(os.getpid())
    monkeypatch.setenv("HOLDFAST_READY", str(tmp_path / "elsewhere.json"))
    with pytest.raises(NotRunning, match=r"elsewhere.json does not exist"):
        load_ready()
    assert load_ready(tmp_path / ".holdfast" / "ready.json").kafka == "127.0.0.1:2"


def test_does_not_trust_the_file_of_a_dead_system(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    (tmp_path / "ready.json").write_text(ready(gone.pid).to_json())
    with pytest.raises(NotRunning, match=f"process {gone.pid}"):
        load_ready(tmp_path / "ready.json")


def test_names_a_file_of_another_shape(tmp_path: Path) -> None:
    (tmp_path / "ready.json").write_text("{}")
    with pytest.raises(NotRunning, match="not a ready file"):
        load_ready(tmp_path / "ready.json")
