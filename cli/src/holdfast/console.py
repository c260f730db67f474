"""What a person or a program reads while a command runs.

On a terminal: a spinner and check marks. Elsewhere: one plain line a step. With --json: one
object a line.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.status import Status


class Reporter(Protocol):
    """Tells how a long command gets on."""

    def begin(self, step: str, text: str) -> None:
        """A step has begun."""

    def detail(self, step: str, text: str) -> None:
        """How far the step is."""

    def done(self, step: str, text: str) -> None:
        """The step is finished."""

    def note(self, part: str, text: str) -> None:
        """Something happened to a running part."""

    def ready(self, facts: dict[str, object]) -> None:
        """Everything serves."""

    def fail(self, sentence: str) -> None:
        """It did not work."""

    def close(self) -> None:
        """Nothing more will be said."""


def reporter(as_json: bool) -> Reporter:
    """The reporter that fits the output."""
    if as_json:
        return JsonReporter()
    return TerminalReporter() if sys.stdout.isatty() else PlainReporter()


class _Clock:
    def __init__(self) -> None:
        self._begun: dict[str, float] = {}
        self.start = time.monotonic()

    def begin(self, step: str) -> None:
        self._begun[step] = time.monotonic()

    def took(self, step: str) -> float:
        return round(time.monotonic() - self._begun.pop(step, self.start), 2)


class JsonReporter:
    """One JSON object a line on standard output."""

    def __init__(self) -> None:
        self._clock = _Clock()

    def _say(self, event: str, **facts: object) -> None:
        print(json.dumps({"event": event, **facts}), flush=True)

    def begin(self, step: str, text: str) -> None:
        """A step has begun."""
        self._clock.begin(step)
        self._say("begin", step=step, text=text)

    def detail(self, step: str, text: str) -> None:
        """How far the step is."""
        self._say("detail", step=step, text=text)

    def done(self, step: str, text: str) -> None:
        """The step is finished."""
        self._say("done", step=step, text=text, seconds=self._clock.took(step))

    def note(self, part: str, text: str) -> None:
        """Something happened to a running part."""
        self._say("note", part=part, text=text)

    def ready(self, facts: dict[str, object]) -> None:
        """Everything serves."""
        self._say("ready", **facts, seconds=round(time.monotonic() - self._clock.start, 2))

    def fail(self, sentence: str) -> None:
        """It did not work."""
        self._say("failed", text=sentence)

    def close(self) -> None:
        """Nothing more will be said."""


class PlainReporter:
    """One plain line a finished step; complaints on standard error."""

    def __init__(self) -> None:
        self._clock = _Clock()

    def begin(self, step: str, text: str) -> None:
        """A step has begun."""
        self._clock.begin(step)

    def detail(self, step: str, text: str) -> None:
        """How far the step is; not worth a line."""

    def done(self, step: str, text: str) -> None:
        """The step is finished."""
        print(f"{text} ({self._clock.took(step):.1f} s)", flush=True)

    def note(self, part: str, text: str) -> None:
        """Something happened to a running part."""
        print(text, flush=True)

    def ready(self, facts: dict[str, object]) -> None:
        """Everything serves."""
        print(f"Ready after {time.monotonic() - self._clock.start:.1f} s.", flush=True)
        for key, value in facts.items():
            print(f"  {key}: {value}", flush=True)

    def fail(self, sentence: str) -> None:
        """It did not work."""
        print(sentence, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing more will be said."""


class TerminalReporter:
    """A spinner for what is under way and a check mark for what is done."""

    def __init__(self) -> None:
        self._clock = _Clock()
        self._console = Console(highlight=False)
        self._status: Status | None = None
        self._under_way: dict[str, str] = {}

    def _show(self) -> None:
        if not self._under_way:
            self.close()
            return
        text = " · ".join(escape(line) for line in self._under_way.values())
        if self._status is None:
            self._status = self._console.status(text, spinner="dots")
            self._status.start()
        else:
            self._status.update(text)

    def begin(self, step: str, text: str) -> None:
        """A step has begun."""
        self._clock.begin(step)
        self._under_way[step] = text
        self._show()

    def detail(self, step: str, text: str) -> None:
        """How far the step is, unless it is over."""
        if step in self._under_way:
            self._under_way[step] = text
            self._show()

    def done(self, step: str, text: str) -> None:
        """The step is finished."""
        self._under_way.pop(step, None)
        took = self._clock.took(step)
        self._console.print(f"[green]✓[/] {escape(text)} [dim]{took:.1f} s[/]")
        self._show()

    def note(self, part: str, text: str) -> None:
        """Something happened to a running part."""
        self._console.print(f"[yellow]![/] {escape(text)}")

    def ready(self, facts: dict[str, object]) -> None:
        """Everything serves."""
        self.close()
        took = time.monotonic() - self._clock.start
        self._console.print(f"\n[bold green]Holdfast is up[/] [dim]after {took:.1f} s[/]")
        for key, value in facts.items():
            self._console.print(f"  [dim]{escape(key):<10}[/] {escape(str(value))}", soft_wrap=True)
        self._console.print("  [dim]^C ends it; the data stays.[/]\n")

    def fail(self, sentence: str) -> None:
        """It did not work."""
        self.close()
        Console(stderr=True, highlight=False).print(f"[red]✗[/] {escape(sentence)}", soft_wrap=True)

    def close(self) -> None:
        """Take the spinner away."""
        self._under_way.clear()
        if self._status is not None:
            self._status.stop()
            self._status = None
