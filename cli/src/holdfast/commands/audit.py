"""`holdfast audit`: bookings against money."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from ..options import AsJson, ReadyFile


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(audit)


def audit(
    wait: Annotated[float, typer.Option(min=0, help="Seconds that what looks off may take to come right.")] = 20,
    ready_file: ReadyFile = None,
    as_json: AsJson = False,
) -> None:
    """Hold bookings against money, over all services; exit code 1 and the list when anything is off."""
    from ..audit.auditor import audit as run
    from ..system import load_ready

    findings = run(load_ready(ready_file), wait, lambda text: typer.echo(text, err=True))
    if as_json:
        typer.echo(json.dumps({"ok": not findings, "findings": [asdict(finding) for finding in findings]}))
    elif findings:
        for finding in findings:
            typer.echo(f"{typer.style('✗', fg='red')} {finding.kind} {finding.id}\n  {finding.sentence}")
        typer.echo(f"{len(findings)} findings.")
    else:
        typer.echo(f"{typer.style('✓', fg='green')} Every seat, every cent and every event is where it should be.")
    raise typer.Exit(1 if findings else 0)
