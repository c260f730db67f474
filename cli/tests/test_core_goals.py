"""Goals, spreads, and how a report reads."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from holdfast.core.bench import MEASURES, Effort, measure_core
from holdfast.core.goals import Figure, Goal, Report, Spread, number, ratios
from holdfast.core.telling import markdown, show
from holdfast.errors import HoldfastError
from holdfast.system import Ready

QUICK = Goal("quick", "a search", "ms", 8)
SHARE = Goal("share", "a hold ÷ a floor", "", 0.25, at_least=True)
TOLD = Goal("told", "for comparison", "/s", None)


def test_a_goal_is_met_from_its_own_side_and_exactly_at_it() -> None:
    assert QUICK.met(8)
    assert not QUICK.met(8.01)
    assert SHARE.met(0.25)
    assert not SHARE.met(0.2499)
    assert TOLD.met(1) is None


def test_figures_are_told_with_their_unit_and_as_many_digits_as_matter() -> None:
    assert (QUICK.text(), SHARE.text(), TOLD.text()) == ("≤ 8 ms", "≥ 0.25", "–")
    assert QUICK.said(0.1234) == "0.12 ms"
    assert [number(value) for value in (9.999, 12.34, 2500.4)] == ["10.00", "12.3", "2,500"]


def test_a_share_is_the_median_of_pairs_so_one_bad_pair_does_not_matter() -> None:
    spread = ratios([10, 20, 1], [40, 80, 100])
    assert (spread.middle, spread.low, spread.high, spread.count) == (0.25, 0.01, 0.25, 3)


def test_of_many_values_outliers_are_left_out_of_the_spread() -> None:
    spread = Spread.of([*map(float, range(1, 101)), 10_000.0])
    assert (spread.low, spread.high) == (6, 96)


def _report(*figures: Figure) -> Report:
    return Report(list(figures), 61, (0.5, 2.0), "2 cores")


def test_a_report_is_in_order_unless_a_goal_was_missed() -> None:
    good, told = Figure(QUICK, Spread.of([7.0])), Figure(TOLD, Spread.of([1.0]))
    assert _report(good, told).document()["ok"]
    document = _report(good, Figure(SHARE, Spread.of([0.1, 0.2, 0.2]), "slow")).document()
    assert not document["ok"]
    assert document["data"][1]["middle"] == 0.2
    assert document["data"][1]["note"] == "slow"


def test_a_section_says_command_machine_load_and_what_was_missed() -> None:
    report = _report(Figure(QUICK, Spread.of([7.0])), Figure(SHARE, Spread.of([0.1, 0.2, 0.3]), "noisy"))
    section = markdown(report, "holdfast bench core --write", datetime(2026, 12, 1, tzinfo=UTC))
    assert section.startswith("## Core: 2026-12-01\n")
    assert "`holdfast bench core --write`; 2 cores, load 0.5 before and 2 after" in section
    assert "| a search | ≤ 8 ms | 7.00 ms |  | yes |  |" in section
    assert "| a hold ÷ a floor | ≥ 0.25 | 0.20 | 0.10 – 0.30 | **no** | noisy |" in section
    shown = io.StringIO()
    show(report, Console(file=shown, width=120))
    assert "missed" in shown.getvalue()
    assert "share: noisy" in shown.getvalue()


async def test_a_measure_that_does_not_exist_is_refused_by_its_name() -> None:
    with pytest.raises(HoldfastError, match=r"no measure hold; there are slots, holds"):
        await measure_core(Ready("", None, "", ""), None, print, ["slots", "hold"])


def test_the_whole_effort_is_what_the_goals_speak_of() -> None:
    effort = Effort()
    assert (effort.attempts, effort.past, effort.tenants) == (10_000, 1_000_000, 10_000)
    assert set(MEASURES) == {"slots", "holds", "one-slot", "crowd"}
