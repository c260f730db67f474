"""How the demo's story is told: on a terminal with colours, elsewhere as plain lines, with --json as objects."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape

from .watching import Seen

MEANING = {
    "booking.hold_created.v1": "the time is kept",
    "booking.slot_blocked.v1": "the slot is full",
    "availability.availability_changed.v1": "every open page sees it taken",
    "booking.appointment_requested.v1": "the patient said who they are",
    "payment.checkout_started.v1": "a Checkout Session is open at Stripe",
    "payment.payment_authorized.v1": "the card is authorized, nothing charged yet",
    "payment.payment_succeeded.v1": "the money is there",
    "booking.booking_confirmed.v1": "the appointment stands",
    "payment.payment_captured.v1": "now the card is charged",
    "calendar.calendar_event_written.v1": "it is in the practitioner's calendar",
    "notification.message_sent.v1": "the patient has it in writing",
    "booking.hold_expired.v1": "the time is free again",
    "booking.booking_unfulfillable.v1": "paid, but the time is somebody else's",
    "payment.refund_issued.v1": "the money went back",
}


class Teller(Protocol):
    """Tells the story."""

    def chapter(self, title: str, text: str) -> None:
        """A part begins."""

    def step(self, title: str, text: str, milliseconds: float | None = None) -> None:
        """Something was done."""

    def event(self, seen: Seen, milliseconds: float) -> None:
        """An event that came of it, so many milliseconds after the step began."""

    def note(self, text: str) -> None:
        """Something to know."""

    def where(self, places: Mapping[str, str]) -> None:
        """Where to look now."""

    def fail(self, sentence: str) -> None:
        """A step did not work."""


def teller(as_json: bool) -> Teller:
    """The teller that fits the output."""
    return JsonTeller() if as_json else ConsoleTeller()


def money(amount: int, currency: str) -> str:
    """`300.00 PLN`."""
    return f"{amount / 100:,.2f} {currency.upper()}"


class ConsoleTeller:
    """For people. Rich leaves the colours out where nobody would see them."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._number = 0

    def chapter(self, title: str, text: str) -> None:
        """A part begins."""
        self._number = 0
        self._console.print(f"\n[bold]{escape(title)}[/]\n[dim]{escape(text)}[/]")

    def step(self, title: str, text: str, milliseconds: float | None = None) -> None:
        """Something was done."""
        self._number += 1
        took = f"  [dim]{milliseconds:.0f} ms[/]" if milliseconds is not None else ""
        self._console.print(f"\n [bold cyan]{self._number}[/] [bold]{escape(title):<10}[/] {escape(text)}{took}")

    def event(self, seen: Seen, milliseconds: float) -> None:
        """An event that came of it."""
        name = seen.type.removesuffix(".v1")
        place = f"{seen.topic} {seen.partition}@{seen.offset}"
        self._console.print(
            f"     [dim]+{milliseconds:>5.0f} ms[/]  [green]{escape(name):<36}[/] "
            f"[dim]{escape(place):<30} {escape(MEANING.get(seen.type, ''))}[/]"
        )

    def note(self, text: str) -> None:
        """Something to know."""
        self._console.print(f"     {escape(text)}")

    def where(self, places: Mapping[str, str]) -> None:
        """Where to look now."""
        self._console.print("\n[bold green]Look around[/]")
        width = max(len(name) for name in places)
        for name, place in places.items():
            self._console.print(f"  [dim]{escape(name):<{width}}[/]  {escape(place)}")

    def fail(self, sentence: str) -> None:
        """A step did not work."""
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"[red]✗[/] {escape(sentence)}")


class JsonTeller:
    """For programs: one object a line."""

    def _say(self, kind: str, **facts: Any) -> None:
        print(json.dumps({"event": kind, **facts}, ensure_ascii=False), flush=True)

    def chapter(self, title: str, text: str) -> None:
        """A part begins."""
        self._say("chapter", title=title, text=text)

    def step(self, title: str, text: str, milliseconds: float | None = None) -> None:
        """Something was done."""
        self._say("step", title=title, text=text, milliseconds=_rounded(milliseconds))

    def event(self, seen: Seen, milliseconds: float) -> None:
        """An event that came of it."""
        self._say(
            "seen",
            type=seen.type,
            topic=seen.topic,
            partition=seen.partition,
            offset=seen.offset,
            milliseconds=_rounded(milliseconds),
        )

    def note(self, text: str) -> None:
        """Something to know."""
        self._say("note", text=text)

    def where(self, places: Mapping[str, str]) -> None:
        """Where to look now."""
        self._say("where", **places)

    def fail(self, sentence: str) -> None:
        """A step did not work."""
        self._say("failed", text=sentence)


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 1)


def listed(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else "nobody"
