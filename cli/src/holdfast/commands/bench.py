"""`holdfast bench`: measurements."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..options import AsJson, ReadyFile

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ..benching import Report
    from ..system import Ready

MEASUREMENTS = Path("docs/measurements.md")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Measure a running system.", no_args_is_help=True)

    @group.callback()
    def bench() -> None:
        """Measure a running system."""

    group.command()(journey)
    group.command()(idle)
    app.add_typer(group, name="bench")


def journey(
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=300, help="How many journeys.")] = 30,
    write: Annotated[bool, typer.Option("--write", help=f"Append a section to {MEASUREMENTS}.")] = False,
    ready_file: ReadyFile = None,
    as_json: AsJson = False,
) -> None:
    """Book, pay and confirm one after the other, and tell how long everything took.

    Measures the running system; where none runs, one of its own that is thrown away.
    """
    from ..benching import append_section, bench_journey, markdown
    from ..errors import NotRunning
    from ..system import READY_VARIABLE, load_ready

    def tell(number: int) -> None:
        if not as_json and sys.stderr.isatty():
            typer.echo(f"\r{number} of {count}", nl=number == count, err=True)

    async def measure(ready: Ready) -> Report:
        return await bench_journey(ready, count, tell)

    try:
        running = load_ready(ready_file)
    except NotRunning:
        if ready_file is not None or READY_VARIABLE in os.environ:
            raise
        report = _on_its_own(measure)
    else:
        report = asyncio.run(measure(running))
    if as_json:
        typer.echo(json.dumps(report.document(), ensure_ascii=False))
    else:
        _print(report)
    if write:
        append_section(MEASUREMENTS, markdown(report, shlex.join(["holdfast", *sys.argv[1:]])))


def idle(
    seconds: Annotated[float, typer.Option(min=1, max=600, help="For how long to look.")] = 30,
    ready_file: ReadyFile = None,
    as_json: AsJson = False,
) -> None:
    """What the running system costs while nobody uses it: memory, and processor time as a share of one core."""
    from dataclasses import asdict

    from ..idling import measure_idle
    from ..system import load_ready

    costs = measure_idle(load_ready(ready_file).pids, seconds)
    memory, cpu = sum(cost.resident_mb for cost in costs), sum(cost.cpu_percent for cost in costs)
    if as_json:
        total = {"resident_mb": round(memory), "cpu_percent": round(cpu, 1)}
        typer.echo(json.dumps(total | {"data": [asdict(cost) for cost in costs]}))
        return
    for cost in costs:
        typer.echo(f"{cost.part:15} {cost.resident_mb:7.0f} MB {cost.cpu_percent:6.1f} %")
    typer.echo(f"{'together':15} {memory:7.0f} MB {cpu:6.1f} % of one core")


def _on_its_own(measure: Callable[[Ready], Awaitable[Report]]) -> Report:
    """Starts a system in a temporary directory for as long as it takes."""
    from ..console import PlainReporter
    from ..errors import HoldfastError
    from ..run import everything, run

    reports: list[Report] = []

    class Quiet(PlainReporter):
        """Only what goes wrong: standard output is for the report."""

        def done(self, step: str, text: str) -> None:
            """Not worth a line."""

        def ready(self, facts: dict[str, object]) -> None:
            """Not worth a line."""

    async def act(ready: Ready) -> bool:
        reports.append(await measure(ready))
        return False

    with tempfile.TemporaryDirectory(prefix="holdfast-bench-", ignore_cleanup_errors=True) as folder:
        asyncio.run(run(everything(Path(folder), 0), Quiet(), act))
    if not reports:
        raise HoldfastError("Nothing was measured; the reason is above.")
    return reports[0]


def _print(report: Report) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    steps = Table("from the request on", "p50 ms", "p95 ms", "", box=None, header_style="bold", pad_edge=False)
    for row in report.steps:
        steps.add_row(row.name, f"{row.p50:g}", f"{row.p95:g}", f"[dim]{row.about}[/]")
    between = Table("event → service, commit to commit", "n", "p50 ms", "p95 ms", box=None, header_style="bold",
                    pad_edge=False)  # fmt: skip
    for row in report.between:
        between.add_row(row.name, str(row.count), f"{row.p50:g}", f"{row.p95:g}")
    console.print(steps)
    console.print()
    console.print(between)
    console.print(f"\n{report.journeys} journeys in {report.seconds:g} s, one after the other")
