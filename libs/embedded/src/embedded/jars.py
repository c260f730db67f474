"""Kafka's jars: resolved by jgo into the usual Maven cache, once for all checkouts."""

from __future__ import annotations

import errno
import shutil
import threading
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from filelock import FileLock

from .account import Account
from .errors import Cancelled, DownloadFailed
from .places import base

# Asked for together, these two resolve to a kafka-clients of another version, which breaks.
COORDINATES = (
    "org.apache.kafka:kafka_2.13:4.1.0",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3",
)

_TRIES = 3


@dataclass(frozen=True, slots=True)
class Download:
    """How far a file has come."""

    file: str
    done: int
    total: int


OnDownload = Callable[[Download], None]


def resolve(
    account: Account,
    on_download: OnDownload | None = None,
    cancelled: threading.Event | None = None,
) -> list[Path]:
    """The paths of all jars, in the order of the class path; downloads what is absent."""
    shelf = base(account)
    # jgo writes into the cache in place: two at a time would trip over each other.
    with FileLock(shelf / "jars.lock"):
        jars: dict[str, Path] = {}
        for coordinate in COORDINATES:
            for jar in _build(coordinate, on_download, cancelled):
                jars.setdefault(jar.name, jar)
    return [jars[name] for name in sorted(jars)]


def _build(coordinate: str, on_download: OnDownload | None, cancelled: threading.Event | None) -> list[Path]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # jgo's import complains about XDG_RUNTIME_DIR
        import jgo
        import requests
        from jgo.config import GlobalSettings
        from jgo.maven import PythonResolver

    @contextmanager
    def report(file: str, total: int) -> Iterator[Callable[[int], None]]:
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            if cancelled is not None and cancelled.is_set():
                raise Cancelled("Kafka")
            if on_download is not None:
                on_download(Download(file, done, total))

        yield advance

    reason = ""
    for _ in range(_TRIES):
        try:
            environment = jgo.build(coordinate, resolver=PythonResolver(progress_callback=report))
        except requests.RequestException as error:
            raise DownloadFailed(f"{type(error).__name__}: {error}") from error
        except (RuntimeError, ValueError, AssertionError, ElementTree.ParseError, OSError) as error:
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise
            reason = f"{coordinate} could not be resolved: {error}"
        else:
            jars = sorted(environment.path.glob("**/*.jar"))
            # jgo writes its lock file last, but takes a folder that was filled by half without one too.
            if environment.lock_path.exists() and all(zipfile.is_zipfile(jar) for jar in jars):
                return jars
            reason = f"{coordinate} came damaged"
            shutil.rmtree(environment.path)
        # A download that was killed leaves a shortened file in the cache, which is taken for whole.
        _sweep(Path(GlobalSettings.load().repo_cache))
    raise DownloadFailed(reason)


def _sweep(cache: Path) -> None:
    """Delete what cannot be whole from the Maven cache, to be fetched again."""
    for jar in cache.rglob("*.jar"):
        if not zipfile.is_zipfile(jar):
            jar.unlink()
    for description in cache.rglob("*.pom"):
        try:
            ElementTree.parse(description)
        except ElementTree.ParseError:
            description.unlink()
