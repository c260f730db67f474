"""`holdfast demo`: the whole system, demo data, and one booking before your eyes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from ..options import AsJson
from ..system import DEFAULT_DATA


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    data: Annotated[Path, typer.Option(help="Where everything is kept.")] = DEFAULT_DATA,
    port: Annotated[int, typer.Option(min=0, max=65_000, help="The gateway's port; 0 picks all ports.")] = 8080,
    ready_file: Annotated[Path | None, typer.Option(help="Written when everything serves; DATA/ready.json.")] = None,
    once: Annotated[bool, typer.Option("--once", help="End after the story.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start everything, load the demo data, tell one booking step by step, and stay up until ^C.

    Where the system of DATA is up already, the story is told on that one.
    """
    from ..console import reporter
    from ..errors import HoldfastError, NotRunning
    from ..run import everything, run
    from ..seeding import seed_demo
    from ..story import places, tell_story
    from ..system import Ready, load_ready
    from ..telling import teller

    options = everything(data, port, ready_file=ready_file)
    place = options.ready_file
    tell = teller(as_json)

    async def act(ready: Ready) -> bool:
        tell.chapter("Demo data", "Two clinics, alfa and beta.")
        await seed_demo(ready, place, tell.note)
        await tell_story(ready, tell)
        tell.where(await places(ready))
        return not once

    try:
        running = load_ready(place)
    except NotRunning:
        running = None
    try:
        if running is not None:
            asyncio.run(act(running))
            raise typer.Exit(0)
        code = asyncio.run(run(options, reporter(as_json), act))
    except HoldfastError as error:
        tell.fail(str(error))
        code = 1
    raise typer.Exit(code)
