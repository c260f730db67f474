"""The parts of a system, each started, watched and stopped the same way."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from embedded import Server

from .pids import MARK

ROTATE_AT = 20_000_000
_POLL = 0.05


class Part(Protocol):
    """One process of the system. The methods may block; call them from a thread."""

    @property
    def name(self) -> str:
        """As people, logs and the ready file call it."""

    @property
    def log_file(self) -> Path:
        """Where its output goes."""

    @property
    def pid(self) -> int | None:
        """Its process while it lives."""

    @property
    def base_url(self) -> str | None:
        """Where it serves /health/live and /health/ready, None when it speaks something else."""

    def is_alive(self) -> bool:
        """Whether its process runs."""

    def start(self) -> None:
        """Start it; return as soon as the process runs."""

    def wait_ready(self, timeout: float) -> None:
        """Return when it serves; for parts that do not speak HTTP."""

    def stop(self, timeout: float) -> None:
        """End it, by force after `timeout`."""

    def clean(self) -> None:
        """After its process died: end what that process may have left behind."""

    def tail(self) -> str:
        """The last lines of its log."""

    def how_it_ended(self) -> str:
        """Why it is not alive."""


class ProcessPart:
    """A service or the sandbox: a Python process that serves HTTP."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log_file: Path,
        base_url: str | None,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.environment = {**environment, MARK: name}
        self.log_file = log_file
        self.base_url = base_url
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process while it lives."""
        return self._process.pid if self._process is not None and self.is_alive() else None

    def is_alive(self) -> bool:
        """Whether its process runs."""
        process = self._process
        if process is None or process.returncode is not None:
            return False
        # Looked at, not collected: until clean() its number cannot become another process's.
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, process.pid, options) is None

    def start(self) -> None:
        """Start it; return as soon as the process runs."""
        with self.log_file.open("ab") as log:
            os.chmod(self.log_file, 0o600)
            self._process = subprocess.Popen(
                self.command,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # the terminal's ^C is for the supervisor alone
            )

    def wait_ready(self, timeout: float) -> None:
        """Its readiness is asked for over HTTP, by the supervisor."""

    def stop(self, timeout: float) -> None:
        """SIGTERM, then SIGKILL to it and its children."""
        if self._process is None:
            return
        if self.is_alive():
            self._process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + timeout
            while self.is_alive() and time.monotonic() < deadline:
                time.sleep(_POLL)
        self.clean()

    def clean(self) -> None:
        """End what is left of its process group, and collect it."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):  # the group is empty: as wanted
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def tail(self) -> str:
        """The last lines of its log."""
        if not self.log_file.exists():
            return ""
        with self.log_file.open("rb") as log:
            log.seek(max(0, self.log_file.stat().st_size - 20_000))
            lines = log.read().decode("utf-8", "replace").splitlines()
        return "\n".join(lines[-12:])

    def how_it_ended(self) -> str:
        """The exit code or the signal, in words."""
        code = self._process.returncode if self._process is not None else None
        if code is None:
            return "was not started"
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"


class ServerPart:
    """An embedded PostgreSQL or Kafka."""

    base_url: str | None = None

    def __init__(self, name: str, server: Server) -> None:
        self.name = name
        self.server = server

    @property
    def log_file(self) -> Path:
        """Where its output goes."""
        return self.server.log_file

    @property
    def pid(self) -> int | None:
        """Its process while it lives."""
        return self.server.pid

    def is_alive(self) -> bool:
        """Whether its process runs."""
        return self.server.is_alive()

    def start(self) -> None:
        """Prepare and start it."""
        self.server.start()

    def wait_ready(self, timeout: float) -> None:
        """Return when it answers."""
        self.server.wait_ready(timeout)

    def stop(self, timeout: float) -> None:
        """End it in order, by force after `timeout`."""
        self.server.stop(timeout)

    def clean(self) -> None:
        """End processes of a killed server that still hold its data."""
        self.server.reclaim()

    def tail(self) -> str:
        """The last lines of its log."""
        return self.server.tail()

    def how_it_ended(self) -> str:
        """Only that it did: its log knows more."""
        return "ended"


def rotate(log_file: Path) -> None:
    """Keep one earlier log when the log has grown large."""
    if log_file.exists() and log_file.stat().st_size > ROTATE_AT:
        os.replace(log_file, log_file.with_name(f"{log_file.name}.1"))
