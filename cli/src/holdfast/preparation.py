"""What must be there before the first service starts: keys, schemas, topics."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping
from pathlib import Path

from .console import Reporter
from .errors import HoldfastError
from .threads import in_thread


async def load() -> None:
    """Import what is needed here, while the servers are starting and a core is idle."""

    def load_all() -> None:
        for module in ("servicekit.keys", "servicekit.migrate", "events.admin"):
            importlib.import_module(module)

    await in_thread(load_all)


def make_keys(path: Path) -> None:
    """Write the signing keys unless they exist."""
    from servicekit import keys

    keys.ensure(path)


async def make_schemas(admin_url: str, passwords: Mapping[str, str], reporter: Reporter) -> None:
    """Create roles and schemas, and bring every service's tables up to date."""
    from servicekit import migrate

    loop = asyncio.get_running_loop()

    at_work = ""

    def tell(step: str) -> None:
        nonlocal at_work
        at_work = f" of {step}"
        loop.call_soon_threadsafe(reporter.detail, "schemas", f"schemas: {step}")

    def bring_up_to_date() -> None:
        try:
            migrate.migrate_all(admin_url, passwords, tell)
        except Exception as error:
            raise HoldfastError(
                f"The database schema{at_work} could not be brought up to date ({_reason(error)}); the "
                "step that failed was rolled back: correct the cause and start again."
            ) from error

    reporter.begin("schemas", "schemas")
    await in_thread(bring_up_to_date)
    reporter.done("schemas", "Schemas are up to date")


async def make_topics(bootstrap: str, reporter: Reporter) -> None:
    """Create the topics that are missing."""
    from aiokafka.errors import KafkaError

    from events import admin

    reporter.begin("topics", "topics")
    try:
        made = await admin.ensure_topics(bootstrap)
    except KafkaError as error:
        raise HoldfastError(
            f"The topics could not be created on {bootstrap} ({_reason(error)}); what existed before "
            "is unchanged: correct the cause and start again."
        ) from error
    reporter.done("topics", f"Topics are there, {len(made)} of them new" if made else "Topics are there")


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
