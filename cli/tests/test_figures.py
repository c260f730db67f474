"""Percentiles, histograms, and the section that a measurement writes."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from holdfast.benching import Report, Row, append_section, markdown
from holdfast.figures import DELAY, difference, histograms, percentile, quantile


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert percentile(values, 0.5) == 50
    assert percentile(values, 0.95) == 95
    assert percentile([7.0], 0.95) == 7
    assert math.isnan(percentile([], 0.5))


def test_histograms_are_read_as_services_show_them_and_only_what_was_added_counts() -> None:
    registry = CollectorRegistry()
    delay = Histogram(DELAY, "…", ["consumer", "event"], buckets=(0.01, 0.1, 1), registry=registry)
    delay.labels("booking", "paid").observe(5)
    before = histograms(generate_latest(registry).decode())
    for seconds in (0.005, 0.05, 0.06, 0.07):
        delay.labels("booking", "paid").observe(seconds)
    delay.labels("insight", "quiet")
    added = difference(before, histograms(generate_latest(registry).decode()))
    assert list(added) == [("booking", "paid")]
    buckets = added["booking", "paid"]
    assert buckets[math.inf] == 4
    assert quantile(buckets, 0.25) == pytest.approx(0.01)
    assert quantile(buckets, 0.625) == pytest.approx(0.055)
    assert quantile({1.0: 0, math.inf: 3}, 0.5) == 1.0


def test_a_section_is_dated_says_its_command_and_leaves_what_was_there(tmp_path: Path) -> None:
    report = Report(30, 9.5, [Row("hold", 30, 12.0, 30.5, "answered")], [Row("a → b", 30, 5.0, 9.0)])
    section = markdown(report, "holdfast bench journey --write", datetime(2026, 12, 1, tzinfo=UTC))
    assert section.startswith("## 2026-12-01: 30 journeys")
    assert "`holdfast bench journey --write`" in section
    assert "| hold | 12 | 30.5 | answered |" in section
    path = tmp_path / "docs" / "measurements.md"
    append_section(path, section)
    append_section(path, section)
    assert path.read_text().startswith("# Measurements\n\n## 2026-12-01")
    assert path.read_text().count("## 2026-12-01") == 2
