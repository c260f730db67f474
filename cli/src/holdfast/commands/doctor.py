"""`holdfast doctor`: is this machine fit, and how is the running system."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ..system import DEFAULT_DATA, READY_VARIABLE


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(
    data: Annotated[Path, typer.Option(help="The data directory to look at.")] = DEFAULT_DATA,
    port: Annotated[int, typer.Option(min=1, max=65_535, help="The gateway's port.")] = 8080,
    ready_file: Annotated[Path | None, typer.Option(help="Of the running system.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Check the machine and the running system; exit code 1 when something is wrong."""
    from ..checks import Finding, examine

    if ready_file is None and READY_VARIABLE not in os.environ:
        ready_file = data / "ready.json"
    findings: list[Finding] = []
    for finding in examine(data, port, ready_file):
        findings.append(finding)
        if not as_json:
            mark = typer.style("✓", fg="green") if finding.ok else typer.style("✗", fg="red")
            typer.echo(f"{mark} {finding.name:<14} {finding.detail}")
    ok = all(finding.ok for finding in findings)
    if as_json:
        typer.echo(json.dumps({"ok": ok, "checks": [asdict(finding) for finding in findings]}))
    raise typer.Exit(0 if ok else 1)
