"""Which processes belong to a system, on record so that a later `up` can end what was left.

A process is ended only when its number, its start time and its command line all are the recorded
ones: numbers are used again, and a stranger is never killed.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from embedded.processes import end, is_gone, send

from .files import write_private

# Start times are derived from the clock, which may be corrected between two readings.
_CLOCK_TOLERANCE = 1.0
_EXEC_SECONDS = 1.0
MARK = "HOLDFAST_PART"
_LAST_TO_END = ("kafka", "postgres")


@dataclass(frozen=True, slots=True)
class Recorded:
    """A process as it was when it was started."""

    pid: int
    created: float
    command: list[str]

    @staticmethod
    def of(pid: int) -> Recorded | None:
        """The process as it is now, None when it has ended already."""
        try:
            process = psutil.Process(pid)
            return Recorded(pid, process.create_time(), process.cmdline())
        except psutil.Error:
            return None

    def find(self) -> psutil.Process | None:
        """The living process, if it is still the same one."""
        now = Recorded.of(self.pid)
        if now is None or now.command != self.command:
            return None
        if abs(now.created - self.created) > _CLOCK_TOLERANCE:
            return None
        return psutil.Process(self.pid)


class PidFile:
    """DIR/pids.json: the processes by part, written the moment each is started."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._parts: dict[str, Recorded] = {}

    def record(self, part: str, pid: int) -> None:
        """Remember a process that was just started."""
        recorded = Recorded.of(pid)
        # In the instant of its exec a process has no command line yet, and one recorded so would never be found.
        deadline = time.monotonic() + _EXEC_SECONDS
        while recorded is not None and not recorded.command and time.monotonic() < deadline:
            time.sleep(0.001)
            recorded = Recorded.of(pid)
        if recorded is not None:
            self._parts[part] = recorded
            self._write()

    def forget(self, part: str) -> None:
        """The part's process has ended."""
        if self._parts.pop(part, None) is not None:
            self._write()

    def remove(self) -> None:
        """Everything has ended in order."""
        self._parts.clear()
        self.path.unlink(missing_ok=True)

    def _write(self) -> None:
        text = {part: asdict(recorded) for part, recorded in self._parts.items()}
        write_private(self.path, json.dumps(text, indent=2) + "\n")


def read(path: Path) -> dict[str, Recorded]:
    """What an earlier `up` recorded; nothing when it ended in order or the record is unusable."""
    try:
        return {part: Recorded(**facts) for part, facts in json.loads(path.read_text()).items()}
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        # A damaged record names no process for certain, so none may be ended by it.
        return {}


def end_orphans(path: Path, on_end: Callable[[str, int], None], patience: float = 10) -> None:
    """End what a killed `up` left running, the databases last. The caller holds the lock."""
    parts = {part: recorded for part, recorded in read(path).items() if part != "up"}
    servers = {part: recorded for part, recorded in parts.items() if part in _LAST_TO_END}
    services = {part: recorded for part, recorded in parts.items() if part not in _LAST_TO_END}
    stages = [services, *({part: servers[part]} for part in _LAST_TO_END if part in servers)]
    for stage in stages:
        members: list[psutil.Process] = []
        for part, recorded in stage.items():
            found = recorded.find()
            if found is not None:
                on_end(part, recorded.pid)
                members += [found, *_children(found)]
                send(found, signal.SIGINT if part == "postgres" else signal.SIGTERM)
            elif _is_over(recorded.pid):
                left = session_members(recorded.pid, part)
                for process in left:
                    on_end(part, process.pid)
                    send(process, signal.SIGTERM)
                members += left
        end(members, patience)
    path.unlink(missing_ok=True)


def session_members(leader: int, part: str) -> list[psutil.Process]:
    """Living members of the session of a part whose first process is gone.

    They carry the part's mark in their environment, which nothing else does.
    """
    found = []
    for process in psutil.process_iter():
        try:
            ours = os.getsid(process.pid) == leader and process.environ().get(MARK) == part
            if ours and process.pid != leader:
                found.append(process)
        except (psutil.Error, OSError):
            continue  # ended meanwhile, or not ours to look at
    return found


def _is_over(pid: int) -> bool:
    try:
        return is_gone(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return True


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []
