"""Looking at processes that are not our children."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable
from contextlib import suppress

import psutil

_POLL = 0.05


def is_gone(process: psutil.Process) -> bool:
    """Whether the process no longer runs.

    One that ended counts as gone though nobody has collected it: in a container without an init
    process that may never happen.
    """
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def send(process: psutil.Process, number: signal.Signals) -> None:
    """Send a signal unless the process has ended meanwhile."""
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def wait_gone(processes: Iterable[psutil.Process], timeout: float) -> list[psutil.Process]:
    """Wait until all are gone; those that are not when the time is up."""
    deadline = time.monotonic() + timeout
    while True:
        left = [process for process in processes if not is_gone(process)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(_POLL)


def end(processes: Iterable[psutil.Process], patience: float) -> None:
    """Wait for processes that were told to end, and kill those that do not in time."""
    stubborn = wait_gone(processes, patience)
    for process in stubborn:
        send(process, signal.SIGKILL)
    wait_gone(stubborn, patience)
