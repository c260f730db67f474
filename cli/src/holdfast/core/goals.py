"""What is measured, what it should be, and what it was. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from ..figures import percentile


@dataclass(frozen=True, slots=True)
class Goal:
    """One line of the table. `bound` None: told for comparison, without a goal."""

    name: str
    what: str
    unit: str
    bound: float | None
    at_least: bool = False

    def met(self, value: float) -> bool | None:
        """Whether a value is good enough; None without a bound."""
        if self.bound is None:
            return None
        return value >= self.bound if self.at_least else value <= self.bound

    def text(self) -> str:
        """`≤ 8 ms`, `≥ 0.25`; a dash without a bound."""
        return "–" if self.bound is None else f"{'≥' if self.at_least else '≤'} {self.bound:,g}{self._suffix()}"

    def said(self, value: float) -> str:
        """A value in the goal's unit."""
        return f"{number(value)}{self._suffix()}"

    def _suffix(self) -> str:
        return f" {self.unit}" if self.unit else ""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several values, with the lowest and the highest; of many, the 5th and 95th percentile."""

    middle: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """At least one value."""
        many = len(values) > 20
        low, high = (percentile(values, 0.05), percentile(values, 0.95)) if many else (min(values), max(values))
        return cls(median(values), low, high, len(values))


@dataclass(frozen=True, slots=True)
class Figure:
    """A goal with what was measured; `note` says how, or what else was seen."""

    goal: Goal
    spread: Spread
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the median is good enough."""
        return self.goal.met(self.spread.middle)

    def document(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self.goal) | asdict(self.spread) | {"met": self.met, "note": self.note}


@dataclass(frozen=True, slots=True)
class Report:
    """All figures of one run, and what the machine was like."""

    figures: list[Figure]
    seconds: float
    load: tuple[float, float]
    """The load average of a minute before and after: beyond the number of cores others were at work."""
    machine: str
    remarks: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """For programs. `ok`: every goal was met."""
        return {
            "ok": all(figure.met is not False for figure in self.figures),
            "data": [figure.document() for figure in self.figures],
            "seconds": self.seconds,
            "load": list(self.load),
            "machine": self.machine,
            "remarks": self.remarks,
        }


def ratios(above: Sequence[float], below: Sequence[float]) -> Spread:
    """Of pairs that were measured one right after the other."""
    return Spread.of([one / other for one, other in zip(above, below, strict=True)])


def number(value: float) -> str:
    """Three digits that matter; whole numbers from 100 on, with commas."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


SLOTS_INSIDE = Goal("slots-inside", "1 provider, 30 days × 15 min, 1,000 busy ranges, in process", "ms", 2)
SLOTS_HTTP = Goal("slots-http", "the same over HTTP with the database", "ms", 8)
ANY_100 = Goal("any-of-100", "any of 100 providers, 30 days, over HTTP", "ms", 15)
THREE_KINDS = Goal("three-kinds", "20 practitioners × 10 rooms × 5 machines, 30 days, over HTTP", "ms", 25)
PLACE_HOLD_1 = Goal("place-hold-1", "`place_hold`, 1 resource ÷ single-row insert", "", 0.25, at_least=True)
PLACE_HOLD_3 = Goal("place-hold-3", "`place_hold`, 3 resources ÷ single-row insert", "", 0.18, at_least=True)
HOLD_HTTP = Goal("hold-http", "POST hold at booking's address ÷ pgbench on `place_hold`", "", 0.45, at_least=True)
RUSH_BOOKING = Goal("rush-booking", "attempts at one slot, at booking's address", "/s", 2500, at_least=True)
RUSH_GATEWAY = Goal("rush-gateway", "attempts at one slot, through the gateway, with alternatives", "/s", 1000, True)
RUSH_WRONG = Goal("rush-wrong", "answers of those that were neither the one winner's nor slot-taken", "", 0)
CROWDED_SEARCH = Goal("crowded-search", "availability, 1,000,000 past bookings and 10,000 tenants ÷ empty", "", 1.25)
CROWDED_HOLD = Goal("crowded-hold", "holds, 1,000,000 past bookings and 10,000 tenants ÷ empty", "", 1.25)
