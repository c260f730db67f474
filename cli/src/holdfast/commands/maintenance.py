"""`holdfast migrate` and `holdfast openapi`."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Annotated

import typer

from ..options import AsJson, ReadyFile


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(migrate)
    app.command()(openapi)


def migrate(
    database: Annotated[
        str | None,
        typer.Option(help="postgresql://… of a superuser; else POSTGRES_URL, or the ready file's."),
    ] = None,
    ready_file: ReadyFile = None,
    as_json: AsJson = False,
) -> None:
    """Bring every service's schema up to date. Safe to run again."""
    from ..migrating import migrate_all

    done: list[str] = []

    def tell(service: str) -> None:
        done.append(service)
        if not as_json:
            typer.echo(f"{service} …")

    migrate_all(database, ready_file, dict(os.environ), tell)
    if as_json:
        typer.echo(json.dumps({"ok": True, "services": done}))
    else:
        typer.echo(f"{len(done)} schemas are up to date.")


def openapi(
    url: Annotated[str | None, typer.Option(help="Of a gateway that runs elsewhere.")] = None,
    output: Annotated[Path | None, typer.Option(help="Write it there.")] = None,
    ready_file: ReadyFile = None,
    as_json: AsJson = False,  # noqa: ARG001  (it is JSON either way)
) -> None:
    """Print the public API's OpenAPI document."""
    from ..api import Api
    from ..system import load_ready

    async def fetch(gateway: str) -> object:
        async with Api(gateway) as api:
            return (await api.call("GET", "/openapi.json")).expect(200)

    document = json.dumps(asyncio.run(fetch(url or load_ready(ready_file).gateway)), indent=2, ensure_ascii=False)
    if output is None:
        typer.echo(document)
    else:
        output.write_text(f"{document}\n")
