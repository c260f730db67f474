"""Where programs and data lie, so that the account the servers run as can reach them.

As an ordinary user everything stays where it is. Under root a checkout often lies in /root, which
nobody else may enter. Then

* programs are linked or copied to `<base>/runtime/<name>-<content key>` (see runtime.py), and
* data lives in `<base>/data/<random name>`, and the data directory that was asked for holds a
  symbolic link to it. The name is random, not derived from the path, so that deleting the link is
  a fresh start and never brings old data back; the file `pointer` beside the data names the link.

`<base>` is HOLDFAST_BASE, else /var/lib/holdfast, else /var/tmp/holdfast-0 where that cannot be
written. `holdfast doctor` lists data there that no link leads to any more; nothing deletes it.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import uuid
from pathlib import Path

from .account import Account
from .errors import DataUnreachable, DiskFull

MINIMUM_FREE = 500_000_000


def base_candidates() -> list[Path]:
    """The places to keep programs and, under root, data; in order of preference."""
    override = os.environ.get("HOLDFAST_BASE")
    if override:
        return [Path(override)]
    temporary = Path(f"/var/tmp/holdfast-{os.geteuid()}")
    if os.geteuid() == 0:
        return [Path("/var/lib/holdfast"), temporary]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "holdfast")
    # An account without an entry in the password file has no home.
    return [cache, temporary] if cache.is_absolute() else [temporary]


def base(account: Account) -> Path:
    """The first place that can be written by us and entered by the account, made if absent."""
    refusals: list[str] = []
    for candidate in base_candidates():
        try:
            candidate.mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError as error:
            refusals.append(f"{candidate}: {error.strerror}")
            continue
        status = candidate.lstat()
        # /var/tmp is writable by all: a directory that somebody else put there is not used.
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            refusals.append(f"{candidate}: belongs to another user")
        elif status.st_mode & 0o022:
            refusals.append(f"{candidate}: other users may write to it")
        elif not os.access(candidate, os.W_OK | os.X_OK):
            refusals.append(f"{candidate}: cannot be written")
        elif not account.may_enter(candidate):
            refusals.append(f"{candidate}: user {account.uid} cannot enter it")
        else:
            return candidate
    raise DataUnreachable(base_candidates()[0], "; ".join(refusals))


def claim(place: Path, account: Account) -> Path:
    """Make `place` a directory that belongs to the account, and return where it really lies."""
    try:
        return _claim(place, account)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFull("The data directory", place, free_bytes(place)) from error
        raise DataUnreachable(place, f"{error.strerror}: {error.filename}") from error


def _claim(place: Path, account: Account) -> Path:
    if place.is_symlink():
        real = place.resolve()
        if not real.is_dir():
            raise DataUnreachable(place, f"it points to {real}, which is gone")
    elif not place.exists():
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if account.may_enter(place.parent):
            place.mkdir(mode=0o700)
            real = place.resolve()
        else:
            real = _new_home(place, account)
            place.symlink_to(real)
        account.own(real)
    elif account.may_enter(place.parent):
        real = place.resolve()
    else:
        # The checkout was moved to where only root can go: the data follows the rule above.
        home = _new_home(place, account)
        home.rmdir()
        shutil.move(place, home)
        place.symlink_to(home)
        account.own_tree(home)
        real = home
    owner = real.stat().st_uid
    if owner != account.uid:
        raise DataUnreachable(place, f"it belongs to user {owner} and not to {account.uid}")
    return real


def _new_home(pointer: Path, account: Account) -> Path:
    shelf = base(account) / "data"
    shelf.mkdir(mode=0o711, exist_ok=True)
    slot = shelf / uuid.uuid4().hex
    slot.mkdir(mode=0o711)
    (slot / "pointer").write_text(f"{pointer.absolute()}\n")
    home = slot / pointer.name
    home.mkdir(mode=0o700)
    return home


def free_bytes(path: Path) -> int:
    """The space that is left on the disk of `path`, or of the nearest parent that exists."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def require_space(server: str, path: Path, minimum: int = MINIMUM_FREE) -> None:
    """Raise DiskFull when less than `minimum` bytes are left: databases end badly without."""
    free = free_bytes(path)
    if free < minimum:
        raise DiskFull(server, path, free)
