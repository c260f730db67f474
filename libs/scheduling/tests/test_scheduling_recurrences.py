"""Recurrences keep their local time, and hostile rules end."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from scheduling.recurrences import InvalidRule, occurrences, validate
from scheduling.zones import zone

WARSAW = zone("Europe/Warsaw")
FOREVER = datetime(2040, 1, 1, tzinfo=UTC)


def shown(
    rule: str, start: datetime, tz: str = "Europe/Warsaw", until: datetime = FOREVER, limit: int = 9
) -> list[str]:
    found = occurrences(rule, start, zone(tz), since=start, until=until, limit=limit)
    assert found == sorted(set(found))
    return [f"{instant:%m-%dT%H:%M}" for instant in found]


def test_the_local_time_stays_across_transitions() -> None:
    start = datetime(2026, 3, 22, 9, tzinfo=WARSAW)
    assert shown("FREQ=WEEKLY;COUNT=3", start) == ["03-22T08:00", "03-29T07:00", "04-05T07:00"]
    assert shown("RRULE:FREQ=WEEKLY;COUNT=2", datetime(2026, 10, 18, 9, tzinfo=WARSAW)) == [
        "10-18T07:00",
        "10-25T08:00",
    ]


def test_gaps_and_folds() -> None:
    assert shown("FREQ=DAILY;COUNT=3", datetime(2026, 3, 28, 2, 30, tzinfo=WARSAW)) == [
        "03-28T01:30",
        "03-29T01:30",
        "03-30T00:30",
    ]
    assert shown("FREQ=DAILY;COUNT=2", datetime(2026, 10, 24, 2, 30, tzinfo=WARSAW)) == [
        "10-24T00:30",
        "10-25T00:30",
    ]
    # A start in the second pass of the repeated hour stays there.
    second = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert shown("FREQ=DAILY;COUNT=2", second) == ["10-25T01:30", "10-26T01:30"]


def test_a_skipped_date_is_not_visited_twice() -> None:
    start = datetime(2011, 12, 29, 9, tzinfo=zone("Pacific/Apia"))
    assert shown("FREQ=DAILY;COUNT=4", start, "Pacific/Apia") == ["12-29T19:00", "12-30T19:00", "12-31T19:00"]


def test_until_is_inclusive_and_may_be_an_instant_a_local_time_or_a_date() -> None:
    start = datetime(2026, 7, 1, 9, tzinfo=WARSAW)
    for until, count in (
        ("20260703T070000Z", 3),
        ("20260703T065959Z", 2),
        ("20260703T090000", 3),
        ("20260703T085959", 2),
        ("20260703", 3),
    ):
        assert len(shown(f"FREQ=DAILY;UNTIL={until}", start)) == count


def test_until_as_an_instant_next_to_a_transition() -> None:
    fold = datetime(2026, 10, 24, 2, 30, tzinfo=WARSAW)  # the 25th's visit is at 00:30 UTC
    assert len(shown("FREQ=DAILY;UNTIL=20261025T011500Z", fold)) == 2  # 02:15 on the wall, second pass
    gap = datetime(2026, 3, 28, 2, 30, tzinfo=WARSAW)  # the 29th's visit is at 01:30 UTC
    assert len(shown("FREQ=DAILY;UNTIL=20260329T011500Z", gap)) == 1  # 03:15 on the wall
    assert len(shown("FREQ=DAILY;UNTIL=20260329T013000Z", gap)) == 2


def test_windows_and_limits() -> None:
    start = datetime(2026, 1, 1, 9, tzinfo=UTC)
    day = timedelta(days=1)
    found = occurrences("FREQ=DAILY;COUNT=10", start, zone("UTC"), since=start + 2 * day, until=start + 4 * day)
    assert found == [start + 2 * day, start + 3 * day]
    assert len(shown("FREQ=DAILY", start, "UTC", limit=5)) == 5
    assert shown("FREQ=MONTHLY;BYDAY=-1FR;COUNT=2", start, "UTC") == ["01-30T09:00", "02-27T09:00"]
    with pytest.raises(ValueError, match="start has no time zone"):
        occurrences("FREQ=DAILY", datetime(2026, 1, 1), WARSAW, since=start, until=start)


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "nonsense",
        "FREQ=SECONDLY",
        "FREQ=HOURLY",
        "INTERVAL=2",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;COUNT=0",
        "FREQ=DAILY;COUNT=99999999999999999999",
        "FREQ=DAILY;COUNT=2;UNTIL=20270101",
        "FREQ=DAILY;FREQ=WEEKLY",
        "FREQ=DAILY;UNTIL=tomorrow",
        "FREQ=DAILY;UNTIL=20269999",
        "FREQ=DAILY;BYDAY=XX",
        "FREQ=DAILY;BYHOUR=9",
        "FREQ=WEEKLY;BYDAY=1MO",
        "FREQ=MONTHLY;BYDAY=9MO",
        "FREQ=YEARLY;BYDAY=99MO",
        "FREQ=YEARLY;BYMONTH=2;BYDAY=TU,-6MO",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;BYMONTH=13",
        "FREQ=DAILY;BYMONTHDAY=0",
        "FREQ=DAILY;BYMONTHDAY=x",
        "FREQ=DAILY;BYSETPOS=2",
        "FREQ=MONTHLY;BYSETPOS=0;BYDAY=MO",
        "FREQ=DAILY\nDTSTART:20260101T000000",
        "FREQ=DAILY;WKST=XX",
    ],
)
def test_refusals(rule: str) -> None:
    with pytest.raises(InvalidRule):
        validate(rule)


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;INTERVAL=7;BYDAY=TU",
        "FREQ=DAILY;INTERVAL=2;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO",
        "FREQ=WEEKLY;INTERVAL=2;BYMONTH=2;BYMONTHDAY=29",
        "FREQ=MONTHLY;INTERVAL=12;BYMONTHDAY=31",
        "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=300",
        "FREQ=YEARLY;BYMONTHDAY=-31;BYMONTH=1,2;BYDAY=5MO",
    ],
)
def test_rules_that_rarely_match_still_end(rule: str) -> None:
    began = time.process_time()  # not the time that a busy machine keeps us waiting
    shown(rule, datetime(2026, 2, 2, 9, tzinfo=UTC), "UTC")
    assert time.process_time() - began < 5
