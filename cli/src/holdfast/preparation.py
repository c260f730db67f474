"""What must be there before the first service starts: keys, schemas, topics."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from .console import Reporter
from .threads import in_thread


def make_keys(path: Path) -> None:
    """Write the signing keys unless they exist."""
    if importlib.util.find_spec("servicekit.keys") is None:
        return
    from servicekit import keys

    keys.ensure(path)


async def make_schemas(
    admin_url: str, passwords: Mapping[str, str], reporter: Reporter
) -> None:
    """Create roles and schemas, and bring every service's tables up to date."""
    if importlib.util.find_spec("servicekit.migrate") is None:
        return
    from servicekit import migrate

    await in_thread(partial(migrate.migrate_all, admin_url, passwords))


async def make_topics(bootstrap: str) -> None:
    """Create the topics that are missing."""
    if importlib.util.find_spec("events.admin") is None:
        return
    from events import admin

    await admin.ensure_topics(bootstrap)
