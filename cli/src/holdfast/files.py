"""Writing files that others read while they change."""

from __future__ import annotations

import errno
import os
import uuid
from pathlib import Path

from .errors import HoldfastError


def write_private(path: Path, text: str) -> None:
    """Replace the file atomically; only its owner may read it."""
    draft = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        why = "the disk is full" if error.errno == errno.ENOSPC else error.strerror
        raise HoldfastError(
            f"{path} cannot be written ({why}); what it held before is unchanged: correct that and try again."
        ) from error
