"""`holdfast up`: everything, in the foreground."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from ..system import DEFAULT_DATA


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(up)


def up(
    data: Annotated[Path, typer.Option(help="Where everything is kept.")] = DEFAULT_DATA,
    port: Annotated[int, typer.Option(min=0, max=65_000, help="The gateway's port; 0 picks all ports.")] = 8080,
    sandbox: Annotated[
        bool | None,
        typer.Option(
            "--sandbox/--no-sandbox",
            help="Stand-ins for Stripe, Google and the others; on unless STRIPE_API_KEY is set.",
        ),
    ] = None,
    ready_file: Annotated[Path | None, typer.Option(help="Written when everything serves; DATA/ready.json.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Start PostgreSQL, Kafka and all services, and keep them running until ^C."""
    from ..console import reporter
    from ..errors import HoldfastError
    from ..run import everything, run

    report = reporter(as_json)
    with_sandbox = "STRIPE_API_KEY" not in os.environ if sandbox is None else sandbox
    options = everything(data, port, sandbox=with_sandbox, ready_file=ready_file)
    try:
        code = asyncio.run(run(options, report))
    except HoldfastError as error:
        report.fail(str(error))
        code = 1
    raise typer.Exit(code)
