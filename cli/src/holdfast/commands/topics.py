"""`holdfast topics`, `lag` and `tail`: what Kafka holds, who is behind, and what passes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ..options import AsJson, ReadyFile


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(topics)
    app.command()(lag)
    app.command()(tail)


def topics(
    create: Annotated[bool, typer.Option("--create", help="First create those that are missing.")] = False,
    ready_file: ReadyFile = None,
    as_json: AsJson = False,
) -> None:
    """The registry's topics, how they are made, and whether they exist."""
    from events.topics import BY_NAME

    from ..kafka_view import topic_rows

    rows = asyncio.run(topic_rows(_bootstrap(ready_file), create=create))
    if as_json:
        typer.echo(json.dumps({"data": rows}))
        return
    _print_table(
        ("topic", "partitions", "kind", "about"),
        [
            (
                row["name"] if row["exists"] else f"{row['name']} (missing)",
                str(row["partitions"]),
                BY_NAME[row["name"]].kind,
                BY_NAME[row["name"]].about,
            )
            for row in rows
        ],
    )


def lag(ready_file: ReadyFile = None, as_json: AsJson = False) -> None:
    """How many messages each consumer group has yet to handle."""
    from ..kafka_view import lag_rows

    rows = asyncio.run(lag_rows(_bootstrap(ready_file)))
    total = sum(row["lag"] for row in rows)
    if as_json:
        typer.echo(json.dumps({"total": total, "data": rows}))
        return
    behind = [row for row in rows if row["lag"]]
    groups = sorted({row["group"] for row in rows})
    if not behind:
        typer.echo(f"Nobody is behind: {len(groups)} groups ({', '.join(groups)}).")
        return
    _print_table(
        ("group", "topic", "partition", "lag"),
        [(row["group"], row["topic"], str(row["partition"]), str(row["lag"])) for row in behind],
    )
    typer.echo(f"{total} in all")


def tail(
    topic: Annotated[
        list[str] | None, typer.Option(help="Only this topic, with or without `holdfast.`; may be repeated.")
    ] = None,
    kind: Annotated[list[str] | None, typer.Option("--type", help="Only types that contain this.")] = None,
    since: Annotated[str | None, typer.Option(help="From then on: 10m, 2h, 1d, or an instant in RFC 3339.")] = None,
    ready_file: ReadyFile = None,
    as_json: AsJson = False,
) -> None:
    """Events as they pass, until ^C."""
    from ..kafka_view import begin_of, chosen_topics, follow

    places = chosen_topics(topic)
    begin = begin_of(since)
    bootstrap = _bootstrap(ready_file)
    try:
        asyncio.run(follow(bootstrap, places, kind or [], begin, as_json=as_json))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _bootstrap(ready_file: Path | None) -> str:
    from ..kafka_view import bootstrap_of

    return bootstrap_of(ready_file)


def _print_table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*header, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*(_escaped(cell) for cell in row))
    console = Console(highlight=False)
    console.print(table, soft_wrap=not console.is_terminal)


def _escaped(cell: Any) -> str:
    from rich.markup import escape

    return escape(str(cell))
