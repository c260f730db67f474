"""`holdfast doctor`: is this machine fit, and how is the running system."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor() -> None:
    """Check the machine and the running system."""
