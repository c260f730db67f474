"""`holdfast verify URL`: a scripted end-to-end check of any running deployment."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import asdict
from typing import Annotated

import typer

from ..options import AsJson, ReadyFile

SECRET_VARIABLE = "STRIPE_WEBHOOK_SECRET"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(verify)


def verify(
    url: Annotated[str | None, typer.Argument(help="Of the gateway; the running system's unless given.")] = None,
    webhook_secret: Annotated[
        str | None, typer.Option(help="whsec_…: signed webhooks are checked too; the ready file's unless given.")
    ] = None,
    ready_file: ReadyFile = None,
    as_json: AsJson = False,
) -> None:
    """Check a deployment from end to end in a clinic of its own, deleted at the end; exit code 1 on any failure."""
    from ..errors import NotRunning
    from ..system import Ready, load_ready
    from ..verification.outcome import Outcome
    from ..verification.runner import verify as run

    ready: Ready | None = None
    try:
        ready = load_ready(ready_file)
    except NotRunning:
        if url is None or ready_file is not None:
            raise
    if ready is not None and url is not None and url.rstrip("/") != ready.gateway:
        ready = None  # another system runs here: nothing of it may be used
    target = url or (ready.gateway if ready else "")
    secret = webhook_secret or (ready.stripe_webhook_secret if ready else os.environ.get(SECRET_VARIABLE)) or None

    def tell(outcome: Outcome) -> None:
        if not as_json:
            mark = {"ok": ("✓", "green"), "failed": ("✗", "red"), "skipped": ("-", "yellow")}[outcome.state]
            typer.echo(
                f"{typer.style(mark[0], fg=mark[1])} {outcome.name:<15} "
                f"{'skipped: ' if outcome.state == 'skipped' else ''}{outcome.detail}"
            )

    outcomes = asyncio.run(run(target, webhook_secret=secret, sandbox=ready.sandbox if ready else None, tell=tell))
    failed = [outcome for outcome in outcomes if outcome.state == "failed"]
    if as_json:
        typer.echo(json.dumps({"ok": not failed, "checks": [asdict(outcome) for outcome in outcomes]}))
    raise typer.Exit(1 if failed else 0)
