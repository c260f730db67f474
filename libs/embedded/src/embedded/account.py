"""As whom the servers run: oneself, or under root somebody without privileges.

PostgreSQL refuses to run as root, and Kafka has no business doing so. The change of user happens
in the child by setuid, so nothing depends on sudo or su being installed.
"""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import AccountMissing

_PREFERRED = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """A user by number; names serve only to find it."""

    uid: int
    gid: int

    @property
    def is_self(self) -> bool:
        """Whether no change of user is needed."""
        return self.uid == os.geteuid()

    def popen_arguments(self) -> dict[str, Any]:
        """What `subprocess.Popen` needs to start a child as this account."""
        if self.is_self:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Give one file or directory to the account."""
        if not self.is_self:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def own_tree(self, path: Path) -> None:
        """Give a directory and all below it to the account."""
        if self.is_self:
            return
        self.own(path)
        for folder, directories, files in os.walk(path):
            for name in (*directories, *files):
                self.own(Path(folder, name))

    def may(self, path: Path, bits: int) -> bool:
        """Whether the mode of `path` grants the account all `bits` (4 read, 2 write, 1 enter)."""
        status = path.stat()
        if status.st_uid == self.uid:
            granted = stat.S_IMODE(status.st_mode) >> 6
        elif status.st_gid == self.gid:
            granted = stat.S_IMODE(status.st_mode) >> 3
        else:
            granted = stat.S_IMODE(status.st_mode)
        return granted & bits == bits

    def may_enter(self, directory: Path) -> bool:
        """Whether the account can reach `directory` and what lies in it by an absolute path."""
        real = directory.resolve()
        return self.is_self or all(self.may(step, 1) for step in (real, *real.parents))


def choose(existing: Path | None = None) -> Account:
    """The account to run as: the owner of `existing` data if it has one that is not root.

    Keeping to the owner matters when an account `postgres` appears after the data was made.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    if existing is not None and existing.is_dir():
        status = existing.stat()
        if status.st_uid != 0:
            return Account(status.st_uid, status.st_gid)
    for name in _PREFERRED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_uid, entry.pw_gid)
    raise AccountMissing
