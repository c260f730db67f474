"""One `holdfast up` a data directory."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import AlreadyUp, HoldfastError


@contextmanager
def hold(data: Path) -> Iterator[None]:
    """Lock the data directory for this process; the kernel lets go when it ends, however."""
    try:
        # Under root the servers' account must pass through, but not look around.
        data.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        descriptor = os.open(data / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise HoldfastError(
            f"The data directory {data} cannot be used ({error.strerror}); nothing was started: "
            "choose another with --data."
        ) from error
    with os.fdopen(descriptor, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = file.read().strip() or "unknown"
            raise AlreadyUp(
                f"Another `holdfast up` (process {owner}) already runs on {data}; nothing was "
                "started: stop it first, or choose another directory with --data."
            ) from None
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
