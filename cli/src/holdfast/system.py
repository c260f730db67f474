"""The running system, as its ready file describes it. Every command finds its system here."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .errors import NotRunning

DEFAULT_DATA = Path(".holdfast")
READY_VARIABLE = "HOLDFAST_READY"
_CLOCK_TOLERANCE = 60.0


@dataclass(frozen=True, slots=True)
class Ready:
    """Where everything is; the shape of `ready.json`."""

    gateway: str
    sandbox: str | None
    kafka: str
    postgres: str
    services: dict[str, str] = field(default_factory=dict)
    pids: dict[str, int] = field(default_factory=dict)
    stripe_webhook_secret: str = ""

    def to_json(self) -> str:
        """The text of the ready file."""
        return json.dumps(asdict(self), indent=2) + "\n"


def ready_path(path: Path | None = None) -> Path:
    """Where the ready file is looked for: the option, HOLDFAST_READY, or `.holdfast/ready.json`."""
    if path is not None:
        return path
    named = os.environ.get(READY_VARIABLE)
    return Path(named) if named else DEFAULT_DATA / "ready.json"


def load_ready(path: Path | None = None) -> Ready:
    """Read the ready file of a running system.

    Raises NotRunning when there is none, when it cannot be read, or when the `holdfast up` that
    wrote it is gone.
    """
    place = ready_path(path)
    try:
        text = place.read_text()
    except FileNotFoundError:
        raise NotRunning(
            f"No system is running here: {place} does not exist; start one with `holdfast up`, "
            f"or name its ready file with --ready-file or {READY_VARIABLE}."
        ) from None
    except OSError as error:
        raise NotRunning(
            f"{place} cannot be read ({error.strerror}); nothing was done: run this as the user who started the system."
        ) from error
    try:
        ready = Ready(**json.loads(text))
        starter = ready.pids["up"]
    except (ValueError, TypeError, KeyError) as error:
        raise NotRunning(
            f"{place} is not a ready file of this version; nothing was done: start the system again with `holdfast up`."
        ) from error
    if not _lives(starter, place.stat().st_mtime):
        raise NotRunning(
            f"The system of {place} is no longer running: its `holdfast up` (process {starter}) "
            "is gone; start it again with `holdfast up`, the data is still there."
        )
    return ready


def _lives(pid: int, written: float) -> bool:
    """Whether the process runs and is as old as the file: numbers are used again."""
    import psutil

    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() < written + _CLOCK_TOLERANCE
    except psutil.NoSuchProcess:
        return False
