"""What starting, watching and stopping a server process have in common."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import psutil

from .account import Account
from .errors import (
    AlreadyRunning,
    BinariesMissing,
    Cancelled,
    DiskFull,
    NotReadyInTime,
    PortTaken,
    StartFailed,
)
from .places import free_bytes, require_space
from .ports import holder, require_free
from .processes import end, send

_POLL = 0.05


class Server(ABC):
    """A child process with data of its own. Methods may be called from any thread."""

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]

    def __init__(self, data_dir: Path, port: int, log_file: Path | None = None) -> None:
        # Resolved, because a process is recognised by the paths it works on.
        self.data_dir = data_dir.absolute()
        self.port = port
        self.log_file = (log_file or data_dir / f"{self.name.lower()}.log").absolute()
        self._process: subprocess.Popen[bytes] | None = None
        self._helper: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self._cancelled = threading.Event()

    # -- what each server says about itself

    @abstractmethod
    def prepare(self) -> None:
        """Make programs and data ready: what the first start does once. Safe to repeat."""

    @abstractmethod
    def _command(self) -> Sequence[str]: ...

    @abstractmethod
    def _ports(self) -> Iterable[int]: ...

    @abstractmethod
    def _account(self) -> Account: ...

    @abstractmethod
    def _home(self) -> Path:
        """Where the server's own files lie; its working directory."""

    @abstractmethod
    def _answers(self) -> bool: ...

    @abstractmethod
    def leftovers(self) -> list[psutil.Process]:
        """Processes that work on this data and are not children of this object."""

    # -- life

    @property
    def pid(self) -> int | None:
        """The server's process id, None before the start and after the end."""
        return self._process.pid if self._process is not None and self.is_alive() else None

    def is_alive(self) -> bool:
        """Whether the process runs (it may not be ready yet)."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process and return at once; `wait_ready` tells when it serves."""
        if self.is_alive():
            return
        self._cancelled.clear()
        require_space(self.name, self.data_dir)
        self.prepare()
        for process in self.leftovers():
            raise AlreadyRunning(self.name, process.pid, self.data_dir)
        for port in self._ports():
            require_free(self.name, port)
        self._log_start = self.log_file.stat().st_size if self.log_file.exists() else 0
        self._process = self._spawn(self._command())

    def wait_ready(self, timeout: float = 60) -> None:
        """Return when the server answers; raise when it ends or takes longer than `timeout`."""
        deadline = time.monotonic() + timeout
        while True:
            if self._cancelled.is_set():
                raise Cancelled(self.name)
            if not self.is_alive():
                raise self._why_it_ended()
            if self._answers():
                return
            if time.monotonic() > deadline:
                raise NotReadyInTime(self.name, timeout, self.log_file, self.tail())
            time.sleep(_POLL)

    def stop(self, timeout: float = 30) -> None:
        """End the process in order, by force after `timeout`; also ends a start under way."""
        self._cancelled.set()
        helper = self._helper
        if helper is not None and helper.poll() is None:
            helper.kill()
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(self.stop_signal)
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                self.reclaim()

    def reclaim(self, patience: float = 10) -> list[int]:
        """End what a killed owner left running on this data, and return the process ids.

        Only for a caller who holds the data for itself: leftovers are told by the data they have
        open, so no stranger is ever among them.
        """
        found = self.leftovers()
        for process in found:
            send(process, self.stop_signal)
        end(found, patience)
        return [process.pid for process in found]

    def tail(self, lines: int = 15) -> str:
        """The last lines that this start wrote to the log."""
        if not self.log_file.exists():
            return ""
        with self.log_file.open("rb") as log:
            log.seek(max(self._log_start, self.log_file.stat().st_size - 20_000))
            text = log.read().decode("utf-8", "replace")
        return "\n".join(text.splitlines()[-lines:])

    # -- helpers

    def _why_it_ended(self) -> Exception:
        tail = self.tail()
        if "No space left on device" in tail:
            return DiskFull(self.name, self.data_dir, free_bytes(self.data_dir))
        if "Address already in use" in tail or "could not bind" in tail:
            return PortTaken(self.name, self.port, holder(self.port))
        return StartFailed(self.name, self.log_file, tail)

    def _environment(self) -> Mapping[str, str]:
        # Nothing of ours: JAVA_TOOL_OPTIONS, PGDATA and the like would change the server.
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self._home()),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
        }

    def _spawn(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        if self._cancelled.is_set():
            raise Cancelled(self.name)
        try:
            self.log_file.parent.mkdir(parents=True, exist_ok=True)
            with self.log_file.open("ab") as log:
                os.chmod(self.log_file, 0o600)
                return subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self._home(),
                    env=self._environment(),
                    start_new_session=True,  # the terminal's ^C is for us, not for the server
                    umask=0o077,
                    **self._account().popen_arguments(),
                )
        except FileNotFoundError as error:
            raise BinariesMissing(self.name, f"{error.filename} is missing") from error
        except PermissionError as error:
            raise BinariesMissing(
                self.name, f"{error.filename} may not be executed (is the disk mounted noexec?)"
            ) from error
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DiskFull(self.name, self.data_dir, free_bytes(self.data_dir)) from error
            raise BinariesMissing(self.name, f"{command[0]} cannot run: {error}") from error

    def _run(self, command: Sequence[str], timeout: float = 120) -> None:
        """Run a helper program of the server to its end, its output going to the log."""
        self._log_start = self.log_file.stat().st_size if self.log_file.exists() else 0
        self._helper = self._spawn(command)
        try:
            code = self._helper.wait(timeout)
        except subprocess.TimeoutExpired as error:
            self._helper.kill()
            self._helper.wait()
            raise NotReadyInTime(self.name, timeout, self.log_file, self.tail()) from error
        if self._cancelled.is_set():
            raise Cancelled(self.name)
        if code != 0:
            raise self._why_it_ended()
