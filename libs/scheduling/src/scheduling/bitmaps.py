"""One packed bitmap of 5-minute granules over a horizon.

Bit i stands for the granule [origin + 5i, origin + 5i + 5) in epoch minutes. A Python int holds the
bits: shifting, and-ing and or-ing 30 days (8,640 bits) takes well under a microsecond, and no loop
runs over granules. Bitmaps are immutable; operations on two need the same horizon.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import gcd
from typing import NoReturn

from scheduling.instants import GRANULE, Minute, Span, whole_granules

_HEADER = struct.Struct("<BqI")  # format version, origin, granules
_VERSION = 1
_EIGHT = 8 * GRANULE  # minutes in a byte
_DIGITS = bytes.maketrans(b"01", b"\x00\x01")
_OFFSETS = tuple(tuple(GRANULE * i for i in range(8) if byte >> i & 1) for byte in range(256))


@dataclass(frozen=True, slots=True)
class Horizon:
    """`granules` granules from `origin` (epoch minutes, a multiple of 5). ValueError otherwise."""

    origin: Minute
    granules: int

    def __post_init__(self) -> None:
        whole_granules("origin", self.origin)
        if self.granules < 0:
            raise ValueError(f"a horizon cannot have {self.granules} granules")

    @classmethod
    def covering(cls, start: Minute, end: Minute, align: int = GRANULE) -> Horizon:
        """The smallest horizon over [start, end) whose ends are multiples of `align` minutes.

        With `align=1440` horizons begin and end with UTC days. ValueError unless `align` is a
        positive multiple of 5.
        """
        if align <= 0:
            raise ValueError(f"align must be positive, not {align}")
        whole_granules("align", align)
        origin = start // align * align
        return cls(origin, max(0, -(-end // align) * align - origin) // GRANULE)

    @property
    def end(self) -> Minute:
        """The first minute after the horizon."""
        return self.origin + self.granules * GRANULE

    @property
    def mask(self) -> int:
        """All bits set."""
        return (1 << self.granules) - 1

    def bits(self, spans: Iterable[Span], pad: int = 0) -> int:
        """Bits of every granule that a span touches once widened by `pad` minutes on both sides.

        Rounded outwards: a span that covers one minute of a granule sets it. Empty spans set nothing;
        what lies outside the horizon is dropped.
        """
        bits = 0
        origin, size = self.origin, self.granules
        for start, end in spans:
            if start >= end:
                continue
            first = max(0, (start - pad - origin) // GRANULE)
            last = min(size, -((origin - end - pad) // GRANULE))
            if first < last:
                bits |= ((1 << (last - first)) - 1) << first
        return bits


@dataclass(frozen=True, slots=True)
class Bitmap:
    """A set of granules of a horizon. Build one with `Bitmap.of`, `empty` or `full`.

    `|` union, `&` intersection, `-` difference, `~` complement within the horizon; ValueError when
    the horizons differ. Falsy when no granule is set.
    """

    horizon: Horizon
    bits: int

    def __post_init__(self) -> None:
        if self.bits < 0 or self.bits.bit_length() > self.horizon.granules:
            raise ValueError("bits lie outside the horizon")

    @classmethod
    def empty(cls, horizon: Horizon) -> Bitmap:
        """No granule set."""
        return cls(horizon, 0)

    @classmethod
    def full(cls, horizon: Horizon) -> Bitmap:
        """Every granule set."""
        return cls(horizon, horizon.mask)

    @classmethod
    def of(cls, horizon: Horizon, spans: Iterable[Span], pad: int = 0) -> Bitmap:
        """The granules that `spans` touch, each widened by `pad` minutes on both sides first.

        Rounded outwards, which is right for busy time of any precision (an external event from 10:02
        to 10:08 takes 10:00–10:10) and exact for working hours and claims, all multiples of 5.
        """
        return cls(horizon, horizon.bits(spans, pad))

    def __or__(self, other: Bitmap) -> Bitmap:
        self._same(other)
        return Bitmap(self.horizon, self.bits | other.bits)

    def __and__(self, other: Bitmap) -> Bitmap:
        self._same(other)
        return Bitmap(self.horizon, self.bits & other.bits)

    def __sub__(self, other: Bitmap) -> Bitmap:
        self._same(other)
        return Bitmap(self.horizon, self.bits & ~other.bits)

    def __invert__(self) -> Bitmap:
        return Bitmap(self.horizon, self.horizon.mask ^ self.bits)

    def __bool__(self) -> bool:
        return self.bits != 0

    def __contains__(self, minute: Minute) -> bool:
        """Whether the granule of this epoch minute is set; False outside the horizon."""
        at = (minute - self.horizon.origin) // GRANULE
        return at >= 0 and bool(self.bits >> at & 1)

    def count(self) -> int:
        """How many granules are set."""
        return self.bits.bit_count()

    def touches(self, start: Minute, end: Minute) -> bool:
        """Whether any granule of [start, end), rounded outwards, is set."""
        return bool(self.bits & self.horizon.bits(((start, end),)))

    def between(self, start: Minute | None, end: Minute | None) -> Bitmap:
        """Only the granules whose own start lies in [start, end); None leaves that side open."""
        bits = self.bits
        if start is not None:
            first = max(0, -((self.horizon.origin - start) // GRANULE))
            bits = bits >> first << first
        if end is not None:
            bits &= (1 << max(0, -((self.horizon.origin - end) // GRANULE))) - 1
        return Bitmap(self.horizon, bits)

    def redrawn(self, start: Minute, end: Minute, spans: Iterable[Span], pad: int = 0) -> Bitmap:
        """A copy in which [start, end) shows `spans` (padded) and nothing else; the rest is kept.

        For recomputing touched days from rows: `spans` must hold all that reach into [start, end),
        and may reach beyond. ValueError unless `start` and `end` are multiples of 5.
        """
        whole_granules("start", start)
        whole_granules("end", end)
        window = self.horizon.bits(((start, end),))
        return Bitmap(self.horizon, self.bits & ~window | self.horizon.bits(spans, pad) & window)

    def moved(self, horizon: Horizon, fill: bool = False) -> Bitmap:
        """The same granules seen through another horizon; those not known before are `fill`."""
        shift = (self.horizon.origin - horizon.origin) // GRANULE
        bits = _shifted(self.bits, shift) & horizon.mask
        if fill:
            bits |= horizon.mask & ~_shifted(self.horizon.mask, shift)
        return Bitmap(horizon, bits)

    def minutes(self) -> list[Minute]:
        """The starts of all set granules as sorted epoch minutes."""
        return minutes(self.bits, self.horizon.origin)

    def first(self) -> Minute | None:
        """The start of the first set granule, or None."""
        if not self.bits:
            return None
        return self.horizon.origin + ((self.bits & -self.bits).bit_length() - 1) * GRANULE

    def spans(self) -> list[Span]:
        """The set granules as sorted, disjoint, maximal spans in epoch minutes."""
        edges = Bitmap(Horizon(self.horizon.origin, self.horizon.granules + 1), self.bits ^ self.bits << 1).minutes()
        return list(zip(edges[::2], edges[1::2], strict=True))

    def to_bytes(self) -> bytes:
        """13 bytes of header (format 1, origin, granules; little-endian), then the bits, lowest first."""
        header = _HEADER.pack(_VERSION, self.horizon.origin, self.horizon.granules)
        return header + self.bits.to_bytes(-(-self.horizon.granules // 8), "little")

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> Bitmap:
        """The inverse of `to_bytes`. ValueError when `data` is not one of its results."""
        raw = bytes(data)
        if len(raw) < _HEADER.size:
            raise ValueError("a packed bitmap has at least 13 bytes")
        version, origin, granules = _HEADER.unpack_from(raw)
        if version != _VERSION:
            raise ValueError(f"unknown bitmap format {version}")
        if len(raw) != _HEADER.size + -(-granules // 8):
            raise ValueError(f"a bitmap of {granules} granules does not take {len(raw)} bytes")
        return cls(Horizon(origin, granules), int.from_bytes(raw[_HEADER.size :], "little"))

    def _same(self, other: Bitmap) -> None:
        if self.horizon != other.horizon:
            _differ(self.horizon, other.horizon)


def any_of(horizon: Horizon, bitmaps: Iterable[Bitmap]) -> Bitmap:
    """Granules set in at least one; empty for none. ValueError when a horizon differs."""
    bits = 0
    for bitmap in bitmaps:
        if bitmap.horizon != horizon:
            _differ(horizon, bitmap.horizon)
        bits |= bitmap.bits
    return Bitmap(horizon, bits)


def all_of(horizon: Horizon, bitmaps: Iterable[Bitmap]) -> Bitmap:
    """Granules set in every one; full for none. ValueError when a horizon differs."""
    bits = horizon.mask
    for bitmap in bitmaps:
        if bitmap.horizon != horizon:
            _differ(horizon, bitmap.horizon)
        bits &= bitmap.bits
    return Bitmap(horizon, bits)


def runs(bits: int, length: int) -> int:
    """Bit i is set where bits i … i+length-1 all are. ValueError unless `length` is positive.

    Doubles the run that is known at each step, so it takes log2(length) shifts instead of length.
    """
    if length < 1:
        raise ValueError(f"a run has at least one granule, not {length}")
    known = 1
    while known * 2 <= length:
        bits &= bits >> known
        known *= 2
    if known < length:
        bits &= bits >> (length - known)
    return bits


def minutes(bits: int, origin: Minute) -> list[Minute]:
    """The starts of all set bits as sorted epoch minutes, bit 0 being the granule that starts at `origin`."""
    data = bits.to_bytes(-(-bits.bit_length() // 8), "little")
    eights = zip(range(origin, origin + len(data) * _EIGHT, _EIGHT), data, strict=True)
    # Most bytes are empty (nights, other steps) and cost one test.
    return [start + offset for start, byte in eights if byte for offset in _OFFSETS[byte]]


class Picker:
    """Reads the same stretch out of many bitmaps, step by step: for a table of who is free when, column by column.

    The stretch goes from the first to the last of `positions` (numbers of bits, sorted and distinct), and its step is
    the largest that meets all of them: `place(position)` is where one is in what `of` gives. ValueError without any.
    """

    def __init__(self, positions: Sequence[int]) -> None:
        if not positions:
            raise ValueError("a picker needs a position")
        self._first = positions[0]
        self._step = gcd(*(position - self._first for position in positions)) or 1
        width = positions[-1] - self._first + 1
        self._top = 1 << width
        self._count = (width - 1) // self._step + 1

    def place(self, position: int) -> int:
        """The index of one of the positions."""
        return (position - self._first) // self._step

    def of(self, bits: int) -> bytes:
        """A byte for each step of the stretch, 0 or 1, in order."""
        inside = bits >> self._first & self._top - 1
        if not inside:
            return bytes(self._count)
        # In C from here on: the digits, the lowest first, every step-th of them.
        return bin(inside | self._top)[: 2 : -self._step].encode().translate(_DIGITS)


def _shifted(bits: int, by: int) -> int:
    return bits << by if by >= 0 else bits >> -by


def _differ(left: Horizon, right: Horizon) -> NoReturn:
    raise ValueError(f"bitmaps of different horizons: {left} and {right}; use moved()")
