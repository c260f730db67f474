"""What must be there before the first service starts: keys, schemas, topics."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Mapping
from pathlib import Path

from .console import Reporter
from .errors import HoldfastError
from .threads import in_thread


def make_keys(path: Path) -> None:
    """Write the signing keys unless they exist."""
    if importlib.util.find_spec("servicekit.keys") is None:
        return
    from servicekit import keys

    keys.ensure(path)


async def make_schemas(admin_url: str, passwords: Mapping[str, str], reporter: Reporter) -> None:
    """Create roles and schemas, and bring every service's tables up to date."""
    if importlib.util.find_spec("servicekit.migrate") is None:
        return
    from servicekit import migrate

    loop = asyncio.get_running_loop()

    def tell(step: str) -> None:
        loop.call_soon_threadsafe(reporter.detail, "prepare", f"schemas: {step}")

    def bring_up_to_date() -> None:
        try:
            migrate.migrate_all(admin_url, passwords, tell)
        except Exception as error:
            why = str(error).strip().splitlines()
            raise HoldfastError(
                f"The database schemas could not be brought up to date ({type(error).__name__}: "
                f"{why[0] if why else 'no reason given'}); the step that failed was rolled back: "
                "correct the cause and start again."
            ) from error

    await in_thread(bring_up_to_date)


async def make_topics(bootstrap: str) -> None:
    """Create the topics that are missing."""
    if importlib.util.find_spec("events.admin") is None:
        return
    from events import admin

    await admin.ensure_topics(bootstrap)
