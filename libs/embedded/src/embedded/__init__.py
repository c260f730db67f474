"""PostgreSQL and Apache Kafka from wheels: start, watch, stop.

Both have `start()`, which returns at once, `wait_ready(timeout)`, `stop()`, `pid` and `is_alive()`;
`Postgres.url` and `Kafka.bootstrap` say where they are. Every failure is an EmbeddedError.
"""

from __future__ import annotations

from .errors import (
    AccountMissing,
    AlreadyRunning,
    BinariesMissing,
    Cancelled,
    DataUnreachable,
    DiskFull,
    DownloadFailed,
    EmbeddedError,
    NotReadyInTime,
    PortTaken,
    StartFailed,
)
from .jars import Download
from .kafka import Kafka
from .postgres import Postgres
from .server import Server

__all__ = [
    "AccountMissing",
    "AlreadyRunning",
    "BinariesMissing",
    "Cancelled",
    "DataUnreachable",
    "DiskFull",
    "Download",
    "DownloadFailed",
    "EmbeddedError",
    "Kafka",
    "NotReadyInTime",
    "PortTaken",
    "Postgres",
    "Server",
    "StartFailed",
]
