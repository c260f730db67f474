"""Processor time that parts of the system took: what a request costs, whoever else is at work on the machine."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress

import psutil

SETTLES = 0.5
"""Connections that were just closed end meanwhile: between two looks at processes one would be overlooked."""


class Meter:
    """Counts from its making on. Parts that are not processes of this machine cost nothing that can be seen."""

    def __init__(self, pids: Mapping[str, int], parts: Iterable[str]) -> None:
        self._pids = [pids[part] for part in parts if part in pids]
        self._before = self._total()

    def seconds(self) -> float:
        """Of one core, user and system."""
        time.sleep(SETTLES)
        return self._total() - self._before

    def _total(self) -> float:
        return sum(_seconds(pid) for pid in self._pids)


def _seconds(pid: int) -> float:
    """A process with its children, also those that have ended: PostgreSQL has one a connection."""
    total = 0.0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        own = process.cpu_times()
        total += own.user + own.system + own.children_user + own.children_system
        for child in process.children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # it ends just now
                used = child.cpu_times()
                total += used.user + used.system
    return total
