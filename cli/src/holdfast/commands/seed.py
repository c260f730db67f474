"""`holdfast seed`: demo data."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

import typer

from ..options import AsJson, ReadyFile


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(seed)


def seed(
    demo: Annotated[bool, typer.Option("--demo", help="The clinics alfa and beta with all they have.")] = False,
    ready_file: ReadyFile = None,
    as_json: AsJson = False,
) -> None:
    """Load data into the running system. Safe to run twice."""
    from ..demo_data import ids
    from ..errors import HoldfastError
    from ..seeding import seed_demo
    from ..system import load_ready

    if not demo:
        raise HoldfastError("Say what to load: `holdfast seed --demo` is all there is. Nothing was changed.")
    ready = load_ready(ready_file)
    lines: list[str] = []
    asyncio.run(seed_demo(ready, ready_file, lines.append if as_json else typer.echo))
    if as_json:
        typer.echo(json.dumps(ids() | {"done": lines}))
