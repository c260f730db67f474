"""`holdfast bench`: measurements."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from ..options import AsJson, ReadyFile

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from ..benching import Report
    from ..core.goals import Report as CoreReport
    from ..system import Ready

    Measure = Callable[[Ready, Path], Coroutine[Any, Any, "Measured"]]
    """Measures a system; its ready file lies beside its keys."""

Measured = TypeVar("Measured")
MEASUREMENTS = Path("docs/measurements.md")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Measure a running system.", no_args_is_help=True)

    @group.callback()
    def bench() -> None:
        """Measure a running system."""

    group.command()(journey)
    group.command()(idle)
    group.command()(core)
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

    def tell(number: int) -> None:
        if not as_json and sys.stderr.isatty():
            typer.echo(f"\r{number} of {count}", nl=number == count, err=True)

    async def measure(ready: Ready, _: Path) -> Report:
        return await bench_journey(ready, count, tell)

    report = _of_a_system(measure, ready_file)
    if as_json:
        typer.echo(json.dumps(report.document(), ensure_ascii=False))
    else:
        _print(report)
    if write:
        append_section(MEASUREMENTS, markdown(report, shlex.join(["holdfast", *sys.argv[1:]])))


def core(
    only: Annotated[
        list[str] | None, typer.Option("--only", help="slots, holds, one-slot or crowd; may be given more than once.")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help=f"Append a section to {MEASUREMENTS}.")] = False,
    ready_file: ReadyFile = None,
    as_json: AsJson = False,
) -> None:
    """Search and hold as fast as can be, each figure beside its goal; takes about six minutes.

    Measures the running system, in a clinic and in databases of its own that are taken away again; where none runs,
    a system of its own. Exit code 1 when a goal is missed.
    """
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from ..benching import append_section
    from ..core import measure_core
    from ..core.telling import markdown, show

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=as_json) as progress:
        task = progress.add_task("starting")

        async def measure(ready: Ready, place: Path) -> CoreReport:
            return await measure_core(ready, place, lambda text: progress.update(task, description=text), only or ())

        report = _of_a_system(measure, ready_file)
    if as_json:
        typer.echo(json.dumps(report.document(), ensure_ascii=False))
    else:
        show(report, Console(highlight=False))
    if write:
        append_section(MEASUREMENTS, markdown(report, shlex.join(["holdfast", *sys.argv[1:]])))
    if not report.document()["ok"]:
        raise typer.Exit(1)


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


def _of_a_system(measure: Measure[Measured], ready_file: Path | None) -> Measured:
    """Of the running one; where none runs and none was named, of one of its own."""
    from ..errors import NotRunning
    from ..system import READY_VARIABLE, load_ready, ready_path

    try:
        running = load_ready(ready_file)
    except NotRunning:
        if ready_file is not None or READY_VARIABLE in os.environ:
            raise
        return _on_its_own(measure)
    return asyncio.run(measure(running, ready_path(ready_file)))


def _on_its_own(measure: Measure[Measured]) -> Measured:
    """Starts a system in a temporary directory for as long as it takes."""
    from ..console import PlainReporter
    from ..errors import HoldfastError
    from ..run import everything, run

    reports: list[Measured] = []

    class Quiet(PlainReporter):
        """Only what goes wrong: standard output is for the report."""

        def done(self, step: str, text: str) -> None:
            """Not worth a line."""

        def ready(self, facts: dict[str, object]) -> None:
            """Not worth a line."""

    with tempfile.TemporaryDirectory(prefix="holdfast-bench-", ignore_cleanup_errors=True) as folder:
        options = everything(Path(folder), 0)

        async def act(ready: Ready) -> bool:
            reports.append(await measure(ready, options.ready_file))
            return False

        asyncio.run(run(options, Quiet(), act))
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
