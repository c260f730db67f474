"""Programs where the account can read and run them.

Under root the virtual environment may lie in a place that only root can enter, so what the
servers need of it is linked (or copied, when links are impossible) to a directory named by its
content. The directory is made beside its final name and renamed, under a lock, so that starts at
the same time share one and a killed start leaves nothing half-made under that name.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from filelock import FileLock

from .account import Account
from .errors import DiskFull
from .places import base, free_bytes

_Entry = tuple[str, int, bool]


def publish(name: str, trees: Mapping[str, Path], account: Account, leave_out: Iterable[str] = ()) -> Path:
    """A directory that holds every tree under its key, readable by everyone.

    `leave_out` names directories (relative to the result) that nothing needs at run time.
    """
    skipped = frozenset(leave_out)
    wanted = sorted(_entries(trees, skipped))
    key = hashlib.sha256(repr(wanted).encode()).hexdigest()[:16]
    shelf = base(account) / "runtime"
    shelf.mkdir(mode=0o755, exist_ok=True)
    target = shelf / f"{name}-{key}"
    with FileLock(shelf / ".lock"):
        if target.is_dir():
            # Cleaners of temporary directories remove single files: look at all of them.
            if sorted(_entries({"": target}, frozenset())) == wanted:
                return target
            shutil.rmtree(target)
        for stale in shelf.glob(f".{name}-*"):  # of a start that was killed: the lock is ours
            shutil.rmtree(stale)
        try:
            _build(target, trees, skipped)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DiskFull(name, shelf, free_bytes(shelf)) from error
            raise
    return target


def _entries(trees: Mapping[str, Path], skipped: frozenset[str]) -> Iterator[_Entry]:
    for key, _, relative, source in _files(trees, skipped):
        status = source.stat()
        yield str(Path(key, relative)), status.st_size, bool(status.st_mode & 0o100)


def _files(trees: Mapping[str, Path], skipped: frozenset[str]) -> Iterator[tuple[str, Path, Path, Path]]:
    """Every file as (key, root, path relative to the root, path)."""
    for key, root in trees.items():
        if root.is_file():
            yield key, root, Path(), root
            continue
        for folder, directories, files in os.walk(root, followlinks=True):
            below = Path(folder).relative_to(root)
            directories[:] = [d for d in directories if str(Path(key, below, d)) not in skipped]
            for file in files:
                yield key, root, below / file, Path(folder, file)


def _build(target: Path, trees: Mapping[str, Path], skipped: frozenset[str]) -> None:
    draft = target.with_name(f".{target.name}-{uuid.uuid4().hex}")
    try:
        for key, _, relative, source in _files(trees, skipped):
            place = draft / key / relative
            place.parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(source.resolve(), place)
        for folder, _, _ in os.walk(draft):
            os.chmod(folder, 0o755)
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _link_or_copy(source: Path, place: Path) -> None:
    mode = source.stat().st_mode & 0o777
    needed = 0o555 if mode & 0o100 else 0o444
    if mode & needed == needed:
        try:
            os.link(source, place)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise  # no other way to store it would fare better
        else:
            return
    shutil.copyfile(source, place)
    os.chmod(place, mode | needed)
