"""Interval algebra against sets of integers."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from scheduling.instants import Span
from scheduling.intervals import contains, covers, intersect, merge, overlaps, subtract

spans = st.lists(st.tuples(st.integers(-5, 40), st.integers(-5, 40)), max_size=8)


def points(items: list[Span]) -> set[int]:
    return {point for start, end in items for point in range(start, end)}


def normal(items: list[Span]) -> bool:
    return all(start < end for start, end in items) and all(left[1] < right[0] for left, right in pairwise(items))


@given(spans, spans)
def test_algebra(left: list[Span], right: list[Span]) -> None:
    for result, expected in (
        (merge(left), points(left)),
        (intersect(left, right), points(left) & points(right)),
        (subtract(left, right), points(left) - points(right)),
    ):
        assert normal(result)
        assert points(result) == expected


@given(spans, st.integers(-6, 41), st.integers(1, 10))
def test_membership(items: list[Span], point: int, length: int) -> None:
    merged = merge(items)
    inner = (point, point + length)
    assert contains(merged, point) == (point in points(items))
    assert covers(merged, inner) == (points([inner]) <= points(items))
    for item in merged:
        assert overlaps(item, inner) == bool(points([item]) & points([inner]))


def test_datetimes() -> None:
    nine, ten, noon = (datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in (9, 10, 12))
    assert merge([(ten, noon), (nine, ten)]) == [(nine, noon)]
    assert subtract([(nine, noon)], [(ten, noon)]) == [(nine, ten)]
    assert contains([(nine, ten)], nine)
    assert not contains([(nine, ten)], ten)
