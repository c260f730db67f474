"""Options that many commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ReadyFile = Annotated[
    Path | None, typer.Option("--ready-file", help="Of the running system; HOLDFAST_READY or .holdfast/ready.json.")
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, for programs.")]
