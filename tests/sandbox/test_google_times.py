"""Event times, by the clock changes of a real zone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.google.errors import GoogleError
from sandbox.google.fields import merged
from sandbox.google.freebusy import busy
from sandbox.google.times import instances, moment, parse, rfc3339

END = datetime(2100, 1, 1, tzinfo=UTC)
WARSAW = "Europe/Warsaw"


def _series(*recurrence: str, start: str = "2026-03-27T09:00:00", hours: int = 1) -> dict[str, Any]:
    end = datetime.fromisoformat(start) + timedelta(hours=hours)
    return {
        "id": "abcde", "status": "confirmed", "recurrence": list(recurrence),
        "start": {"dateTime": start, "timeZone": WARSAW}, "end": {"dateTime": end.isoformat(), "timeZone": WARSAW},
    }  # fmt: skip


def _starts(event: dict[str, Any], until: datetime = END) -> list[str]:
    return [rfc3339(moment(one["start"])) for one in instances(event, until)]


@pytest.mark.parametrize(("value", "instant"), [
    ({"dateTime": "2026-12-01T08:00:00Z"}, "2026-12-01T08:00:00Z"),
    ({"dateTime": "2026-12-01T08:00:00+01:00"}, "2026-12-01T07:00:00Z"),
    ({"dateTime": "2026-07-01T08:00:00", "timeZone": WARSAW}, "2026-07-01T06:00:00Z"),
    ({"dateTime": "2026-03-29T02:30:00", "timeZone": WARSAW}, "2026-03-29T01:30:00Z"),
    ({"dateTime": "2026-10-25T02:30:00", "timeZone": WARSAW}, "2026-10-25T00:30:00Z"),
    ({"date": "2026-12-01"}, "2026-12-01T00:00:00Z"),
])  # fmt: skip
def test_a_time_is_one_instant(value: dict[str, Any], instant: str) -> None:
    assert rfc3339(moment(value)) == instant


@pytest.mark.parametrize("value", [None, "", "soon", "2026-12-01T08:00:00", "2026-12-01", 5, ["x"]])
def test_a_query_needs_an_instant(value: Any) -> None:
    with pytest.raises(GoogleError):
        parse(value, "timeMin")


def test_a_series_keeps_its_local_time_when_the_clocks_change() -> None:
    assert _starts(_series("RRULE:FREQ=DAILY;COUNT=4")) == [
        "2026-03-27T08:00:00Z", "2026-03-28T08:00:00Z", "2026-03-29T07:00:00Z", "2026-03-30T07:00:00Z",
    ]  # fmt: skip


@pytest.mark.parametrize(("until", "count"), [
    ("20260329T070000Z", 3), ("20260329T065959Z", 2), ("20260329", 3), ("20260329T090000", 3),
])  # fmt: skip
def test_until_is_part_of_the_series(until: str, count: int) -> None:
    assert len(_starts(_series(f"RRULE:FREQ=DAILY;UNTIL={until}"))) == count


@pytest.mark.parametrize("line", [
    "EXDATE:20260328T080000Z", f"EXDATE;TZID={WARSAW}:20260328T090000", "EXDATE:20260328T090000",
])  # fmt: skip
def test_exceptions_are_left_out(line: str) -> None:
    assert _starts(_series("RRULE:FREQ=DAILY;COUNT=2", line)) == ["2026-03-27T08:00:00Z"]


def test_a_series_without_an_end_stops_somewhere() -> None:
    assert len(_starts(_series("RRULE:FREQ=DAILY"))) == 731
    assert len(_starts(_series("RRULE:FREQ=DAILY"), datetime(2026, 3, 30, tzinfo=UTC))) == 3
    assert _starts(_series("RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30")) == []


def test_single_events_say_which_series_they_are_of() -> None:
    (first, _) = instances(_series("RRULE:FREQ=DAILY;COUNT=2"), END)
    assert (first["id"], first["recurringEventId"]) == ("abcde_20260327T080000Z", "abcde")
    assert first["originalStartTime"] == first["start"]
    assert "recurrence" not in first


def test_busy_times_are_joined_and_clipped() -> None:
    since, until = datetime(2026, 3, 27, 8, 30, tzinfo=UTC), datetime(2026, 3, 28, 8, 30, tzinfo=UTC)
    other = _series(start="2026-03-27T10:00:00", hours=2)
    free = _series(start="2026-03-27T20:00:00") | {"transparency": "transparent"}
    assert busy([_series("RRULE:FREQ=DAILY"), other, free], since, until) == [
        {"start": "2026-03-27T08:30:00Z", "end": "2026-03-27T11:00:00Z"},
        {"start": "2026-03-28T08:00:00Z", "end": "2026-03-28T08:30:00Z"},
    ]


def test_a_patch_merges_objects_and_removes_by_null() -> None:
    before = {"summary": "a", "location": "b", "start": {"dateTime": "2026-03-27T09:00:00Z", "timeZone": WARSAW}}
    patch = {"summary": None, "start": {"date": "2026-03-28"}}
    assert merged(before, patch) == {"location": "b", "start": {"date": "2026-03-28", "timeZone": WARSAW}}
    with pytest.raises(GoogleError):
        merged(before, {"start": {"date": "2026-03-28", "dateTime": "2026-03-27T09:00:00Z"}})
