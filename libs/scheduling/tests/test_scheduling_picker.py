"""Reading the same stretch out of many bitmaps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduling.bitmaps import Bitmap, Horizon, Picker, minutes


@given(st.sets(st.integers(0, 400), min_size=1), st.integers(0, 2**450 - 1), st.sampled_from([1, 2, 3, 6]))
def test_it_reads_what_a_look_at_each_bit_reads(numbers: set[int], bits: int, step: int) -> None:
    positions = sorted(number * step for number in numbers)
    picker = Picker(positions)
    digits = picker.of(bits)
    assert [digits[picker.place(position)] for position in positions] == [bits >> one & 1 for one in positions]
    assert picker.place(positions[-1]) == len(digits) - 1


def test_without_a_position_there_is_nothing_to_read() -> None:
    with pytest.raises(ValueError, match="needs a position"):
        Picker([])


@given(st.integers(0, 2**300 - 1))
def test_minutes_are_those_of_the_bitmap(bits: int) -> None:
    horizon = Horizon(50, 300)
    assert minutes(bits, 50) == Bitmap(horizon, bits).minutes()
    assert sum(1 << (minute - 50) // 5 for minute in minutes(bits, 50)) == bits
