"""Percentiles of measurements, and of the histograms that services show at /metrics."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

DELAY = "holdfast_event_delay_seconds"

Buckets = dict[float, float]
"""Upper bound in seconds → how many were at most that."""


def percentile(values: Sequence[float], part: float) -> float:
    """The nearest-rank percentile: the smallest value that `part` (0 to 1) of all are not above."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def histograms(text: str, name: str = DELAY) -> dict[tuple[str, str], Buckets]:
    """The buckets of a histogram by (consumer, event), from the text that Prometheus reads."""
    from prometheus_client.parser import text_string_to_metric_families

    found: dict[tuple[str, str], Buckets] = defaultdict(dict)
    for family in text_string_to_metric_families(text):
        if family.name != name:
            continue
        for sample in family.samples:
            if sample.name.endswith("_bucket"):
                key = (sample.labels["consumer"], sample.labels["event"])
                found[key][float(sample.labels["le"])] = sample.value
    return dict(found)


def difference(
    before: dict[tuple[str, str], Buckets], after: dict[tuple[str, str], Buckets]
) -> dict[tuple[str, str], Buckets]:
    """What was added between two looks, where anything was."""
    added = {
        key: {bound: count - before.get(key, {}).get(bound, 0) for bound, count in buckets.items()}
        for key, buckets in after.items()
    }
    return {key: buckets for key, buckets in added.items() if buckets.get(math.inf, 0) > 0}


def quantile(buckets: Buckets, part: float) -> float:
    """Seconds, interpolated within the bucket as Prometheus does; the last finite bound for what lies beyond."""
    bounds = sorted(buckets)
    total = buckets[bounds[-1]]
    rank, below, lower = part * total, 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= rank:
            if math.isinf(bound):
                return lower
            inside = buckets[bound] - below
            return lower + (bound - lower) * ((rank - below) / inside if inside else 1.0)
        below, lower = buckets[bound], bound
    return lower
