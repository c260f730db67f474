"""Half-open intervals [start, end) of integers or datetimes.

Results are lists that are sorted, disjoint and free of empty or touching intervals. Inputs may be in
any order and overlap; an interval whose end is not after its start is empty and ignored.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypeVar

T = TypeVar("T", int, datetime)


def merge(spans: Iterable[tuple[T, T]]) -> list[tuple[T, T]]:
    """The union; touching intervals become one."""
    merged: list[tuple[T, T]] = []
    for start, end in sorted(spans):
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            if end > merged[-1][1]:
                merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return merged


def intersect(left: Iterable[tuple[T, T]], right: Iterable[tuple[T, T]]) -> list[tuple[T, T]]:
    """What is in both."""
    a, b = merge(left), merge(right)
    common: list[tuple[T, T]] = []
    i = j = 0
    while i < len(a) and j < len(b):
        start, end = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
        if start < end:
            common.append((start, end))
        if a[i][1] < b[j][1]:
            i += 1
        else:
            j += 1
    return common


def subtract(left: Iterable[tuple[T, T]], right: Iterable[tuple[T, T]]) -> list[tuple[T, T]]:
    """What is in `left` and not in `right`."""
    holes = merge(right)
    rest: list[tuple[T, T]] = []
    first = 0
    for start, end in merge(left):
        while first < len(holes) and holes[first][1] <= start:
            first += 1
        cursor = start
        for hole_start, hole_end in holes[first:]:
            if hole_start >= end:
                break
            if cursor < hole_start:
                rest.append((cursor, hole_start))
            cursor = max(cursor, hole_end)
        if cursor < end:
            rest.append((cursor, end))
    return rest


def overlaps(left: tuple[T, T], right: tuple[T, T]) -> bool:
    """Whether two non-empty intervals share a point; touching ones do not."""
    return left[0] < right[1] and right[0] < left[1]


def contains(merged: Sequence[tuple[T, T]], point: T) -> bool:
    """Whether `point` lies in one of `merged`, which must be a result of this module. O(log n)."""
    at = bisect_right(merged, point, key=_start) - 1
    return at >= 0 and point < merged[at][1]


def covers(merged: Sequence[tuple[T, T]], inner: tuple[T, T]) -> bool:
    """Whether all of the non-empty `inner` lies within one of `merged` (see `contains`). O(log n)."""
    at = bisect_right(merged, inner[0], key=_start) - 1
    return at >= 0 and inner[1] <= merged[at][1]


def _start(item: tuple[T, T]) -> T:
    return item[0]
