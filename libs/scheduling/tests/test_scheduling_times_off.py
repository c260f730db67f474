"""Time off that comes back."""

from datetime import UTC, datetime, timedelta

import pytest

from scheduling.recurrences import InvalidRule
from scheduling.times_off import stretches, within

WARSAW = "Europe/Warsaw"
START = datetime(2027, 3, 22, 11, tzinfo=UTC)  # a Monday, noon in Warsaw; the clocks go forward on the 28th
END = START + timedelta(hours=1)


def test_without_a_rule_there_is_the_range_alone() -> None:
    assert stretches(START, END, None, WARSAW) == ((START, END),)


def test_it_comes_back_at_the_same_local_time() -> None:
    found = stretches(START, END, "FREQ=WEEKLY;COUNT=3", WARSAW)
    assert [start.hour for start, _ in found] == [11, 10, 10]
    assert [end - start for start, end in found] == [timedelta(hours=1)] * 3


def test_a_night_ends_at_the_same_local_time_over_a_transition() -> None:
    start = datetime(2027, 3, 26, 21, tzinfo=UTC)  # 22:00 to 06:00
    found = stretches(start, start + timedelta(hours=8), "RRULE:FREQ=DAILY;UNTIL=20270329", WARSAW)
    assert [(end - start).total_seconds() / 3600 for start, end in found] == [8, 7, 8, 8]


def test_what_a_transition_leaves_nothing_of_is_left_out() -> None:
    start = datetime(2027, 3, 27, 1, 30, tzinfo=UTC)  # 02:30 to 03:00: skipped on the 28th
    found = stretches(start, start + timedelta(minutes=30), "FREQ=DAILY;COUNT=3", WARSAW)
    assert [start.day for start, _ in found] == [27, 29]


def test_the_range_itself_counts_also_on_a_day_that_the_rule_does_not_name() -> None:
    found = stretches(START, END, "FREQ=WEEKLY;BYDAY=WE;COUNT=2", WARSAW)
    assert [start.day for start, _ in found] == [22, 24, 31]


def test_within_finds_what_has_a_moment_in_common() -> None:
    rule, since = "FREQ=DAILY;COUNT=5", START + timedelta(days=1, minutes=30)
    assert [one[0].day for one in within(START, END, rule, WARSAW, since, since + timedelta(days=1))] == [23, 24]
    assert within(START, END, rule, WARSAW, END, START + timedelta(days=1)) == []


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("FREQ=WEEKLY", "needs COUNT or UNTIL"),
        ("FREQ=DAILY;COUNT=1001", "more than 1000"),
        ("FREQ=DAILY;UNTIL=99991231T000000Z", "more than 1000"),
        ("FREQ=DAILY;UNTIL=20270101T000000Z", "no date"),
        ("FREQ=MONTHLY;BYDAY=9MO;COUNT=3", "numbered"),
        ("COUNT=3", "FREQ"),
        ("", "needs"),
    ],
)
def test_a_rule_without_an_end_or_a_date_is_refused(rule: str, says: str) -> None:
    with pytest.raises(InvalidRule, match=says):
        stretches(START, END, rule, WARSAW)


def test_an_inverted_or_naive_range_is_refused() -> None:
    for start, end in ((END, START), (START, START), (START.replace(tzinfo=None), END)):
        with pytest.raises(ValueError, match="range"):
            stretches(start, end, None, WARSAW)
