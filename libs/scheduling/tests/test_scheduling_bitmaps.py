"""Bitmaps against sets of granules."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduling.bitmaps import Bitmap, Horizon, all_of, any_of, runs
from scheduling.instants import Span

HORIZON = Horizon(29_000_000, 60)
near = st.integers(HORIZON.origin - 50, HORIZON.end + 50)
spans = st.lists(st.tuples(near, near), max_size=6)


def touched(items: list[Span], pad: int = 0, horizon: Horizon = HORIZON) -> set[int]:
    """Granule starts that hold at least one minute of a widened span."""
    minutes = {m for start, end in items if start < end for m in range(start - pad, end + pad)}
    granules = range(horizon.origin, horizon.end, 5)
    return {g for g in granules if minutes & set(range(g, g + 5))}


def shown(bitmap: Bitmap) -> set[int]:
    return set(bitmap.minutes())


@given(spans, st.sampled_from([0, 5, 30, 7]))
def test_spans_are_rounded_outwards(items: list[Span], pad: int) -> None:
    assert shown(Bitmap.of(HORIZON, items, pad)) == touched(items, pad)


@given(spans, spans)
def test_set_algebra(left: list[Span], right: list[Span]) -> None:
    a, b = Bitmap.of(HORIZON, left), Bitmap.of(HORIZON, right)
    everything = shown(Bitmap.full(HORIZON))
    assert shown(a | b) == shown(any_of(HORIZON, [a, b])) == shown(a) | shown(b)
    assert shown(a & b) == shown(all_of(HORIZON, [a, b])) == shown(a) & shown(b)
    assert shown(a - b) == shown(a) - shown(b)
    assert shown(~a) == everything - shown(a)
    assert bool(a) == bool(shown(a))
    assert a.count() == len(shown(a))
    assert a.first() == min(shown(a), default=None)
    assert not any_of(HORIZON, [])
    assert all_of(HORIZON, []) == Bitmap.full(HORIZON)


@given(spans, near, near)
def test_questions_about_minutes(items: list[Span], start: int, end: int) -> None:
    bitmap = Bitmap.of(HORIZON, items)
    assert (start in bitmap) == (start // 5 * 5 in shown(bitmap))
    assert bitmap.touches(start, end) == bool(touched([(start, end)]) & shown(bitmap))
    assert shown(bitmap.between(start, end)) == {m for m in shown(bitmap) if start <= m < end}
    assert shown(bitmap.between(None, end)) == {m for m in shown(bitmap) if m < end}
    assert shown(bitmap.between(start, None)) == {m for m in shown(bitmap) if start <= m}
    back = bitmap.spans()
    assert Bitmap.of(HORIZON, back) == bitmap
    assert all(left[1] < right[0] for left, right in pairwise(back))


@given(spans, spans, st.integers(-5, 65), st.integers(-5, 65))
def test_redrawing_a_window(old: list[Span], new: list[Span], first: int, last: int) -> None:
    start, end = HORIZON.origin + 5 * first, HORIZON.origin + 5 * last
    window = set(range(start, end, 5))
    redrawn = Bitmap.of(HORIZON, old).redrawn(start, end, new)
    assert shown(redrawn) == touched(old) - window | touched(new) & window


@given(spans, st.integers(-80, 80), st.integers(0, 120), st.booleans())
def test_moving_the_horizon(items: list[Span], by: int, granules: int, fill: bool) -> None:
    other = Horizon(HORIZON.origin + 5 * by, granules)
    moved = Bitmap.of(HORIZON, items).moved(other, fill)
    everything = set(range(other.origin, other.end, 5))
    unknown = everything - set(range(HORIZON.origin, HORIZON.end, 5))
    assert shown(moved) == touched(items) & everything | (unknown if fill else set())


@given(st.integers(0, 2**90), st.integers(1, 100))
def test_runs(bits: int, length: int) -> None:
    expected = sum(1 << i for i in range(91) if all(bits >> i + j & 1 for j in range(length)))
    assert runs(bits, length) == expected


@given(st.integers(-10_000, 10_000), st.integers(0, 200), st.data())
def test_bytes_and_back(origin: int, granules: int, data: st.DataObject) -> None:
    horizon = Horizon(origin * 5, granules)
    bitmap = Bitmap(horizon, data.draw(st.integers(0, horizon.mask)))
    packed = bitmap.to_bytes()
    assert len(packed) == 13 + (granules + 7) // 8
    assert Bitmap.from_bytes(packed) == Bitmap.from_bytes(memoryview(packed)) == bitmap


def test_bytes_that_are_none_of_ours() -> None:
    packed = Bitmap.full(Horizon(0, 9)).to_bytes()
    outside = packed[:-1] + b"\xff"
    for broken in (b"", packed[:5], packed[:-1], packed + b"\0", b"\x02" + packed[1:], outside):
        with pytest.raises(ValueError, match=r"bitmap|bits"):
            Bitmap.from_bytes(broken)


@given(near, st.integers(0, 5000), st.sampled_from([5, 60, 1440]))
def test_covering_horizons(start: int, length: int, align: int) -> None:
    horizon = Horizon.covering(start, start + length, align)
    assert horizon.origin % align == horizon.end % align == 0
    assert start - align < horizon.origin <= start
    assert start + length <= horizon.end < start + length + align


def test_refusals() -> None:
    with pytest.raises(ValueError, match="multiple of 5"):
        Horizon(3, 10)
    with pytest.raises(ValueError, match="granules"):
        Horizon(0, -1)
    with pytest.raises(ValueError, match="align"):
        Horizon.covering(0, 10, 0)
    with pytest.raises(ValueError, match="outside"):
        Bitmap(Horizon(0, 2), 4)
    with pytest.raises(ValueError, match="outside"):
        Bitmap(Horizon(0, 2), -1)
    with pytest.raises(ValueError, match="at least one"):
        runs(1, 0)
    one, other = Bitmap.empty(Horizon(0, 2)), Bitmap.empty(Horizon(5, 2))
    for differing in (one.__or__, one.__and__, one.__sub__):
        with pytest.raises(ValueError, match="different horizons"):
            differing(other)
    for combine in (any_of, all_of):
        with pytest.raises(ValueError, match="different horizons"):
            combine(one.horizon, [other])
