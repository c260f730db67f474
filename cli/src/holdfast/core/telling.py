"""The report for people: in a terminal, and as a section of docs/measurements.md."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from .goals import Figure, Report

_MARKS = {True: "[green]ok[/]", False: "[red]missed[/]", None: ""}
_WORDS = {True: "yes", False: "**no**", None: ""}


def show(report: Report, console: Console) -> None:
    """The table, then how each figure came about."""
    table = Table("work", "goal", "median", "spread", "", box=None, header_style="bold", pad_edge=False)
    for figure in report.figures:
        goal = figure.goal
        table.add_row(goal.what, goal.text(), goal.said(figure.spread.middle), _spread(figure), _MARKS[figure.met])
    console.print(table)
    console.print()
    for figure in report.figures:
        if figure.note:
            console.print(f"[dim]{figure.goal.name}: {figure.note}[/]")
    console.print(f"\n{_circumstances(report)}; {report.seconds:g} s")


def markdown(report: Report, command: str, now: datetime | None = None) -> str:
    """A dated section."""
    day = (now or datetime.now(UTC)).strftime("%Y-%m-%d")
    lines = [
        f"## Core: {day}",
        "",
        f"`{command}`; {_circumstances(report)}.",
        "The client, all services, PostgreSQL and Kafka share the machine: with a load beyond the number of cores,",
        "trust the ratios and what a request took of a core before the rest. Medians; spread: lowest and highest, of",
        "more than 20 values the 5th and 95th percentile.",
        "",
        "| work | goal | median | spread | met | how |",
        "|---|---:|---:|---:|---|---|",
        *(_row(figure) for figure in report.figures),
        "",
    ]
    return "\n".join(lines)


def _row(figure: Figure) -> str:
    goal = figure.goal
    cells = (
        goal.what,
        goal.text(),
        goal.said(figure.spread.middle),
        _spread(figure),
        _WORDS[figure.met],
        figure.note,
    )
    return f"| {' | '.join(cells)} |"


def _spread(figure: Figure) -> str:
    spread, goal = figure.spread, figure.goal
    return "" if spread.count == 1 else f"{goal.said(spread.low)} – {goal.said(spread.high)}"


def _circumstances(report: Report) -> str:
    before, after = report.load
    return f"{report.machine}, load {before:g} before and {after:g} after"
