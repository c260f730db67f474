"""Zones: the wall-clock rule on cases by hand, names, days, abbreviations. test_scheduling_sweep.py has all others."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduling.instants import ceil_minute, floor_minute, span, utc
from scheduling.zones import (
    UnknownZone,
    abbreviation,
    day_span,
    is_zone,
    local_date,
    names,
    to_local,
    to_utc,
    wall_minute,
    zone,
)

SAMPLE = (
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Denver",
    "America/Havana",
    "America/New_York",
    "America/Nuuk",
    "America/Phoenix",
    "America/Santiago",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Asia/Pyongyang",
    "Asia/Tehran",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Europe/Dublin",
    "Europe/Istanbul",
    "Europe/London",
    "Europe/Warsaw",
    "Pacific/Apia",
    "Pacific/Chatham",
    "UTC",
)
FIRST = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()) // 60
LAST = int(datetime(2038, 1, 1, tzinfo=UTC).timestamp()) // 60


@pytest.mark.parametrize("server", ["UTC", "America/Los_Angeles", "Pacific/Apia", "Asia/Kathmandu"])
def test_the_servers_own_zone_does_not_matter(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", server)
    time.tzset()
    try:
        warsaw = zone("Europe/Warsaw")
        assert to_utc(datetime(2026, 3, 29, 2, 30), warsaw) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
        assert wall_minute(date(2026, 10, 25), 150, warsaw) == floor_minute(datetime(2026, 10, 25, 0, 30, tzinfo=UTC))
        assert abbreviation(datetime(2026, 12, 1, tzinfo=UTC), warsaw) == "CET"
    finally:
        monkeypatch.undo()
        time.tzset()


CASES = [
    # zone, wall time, UTC: the first in a fold, the offset before in a gap
    ("Europe/Warsaw", "2026-03-29T02:30", "2026-03-29T01:30"),
    ("Europe/Warsaw", "2026-10-25T02:30", "2026-10-25T00:30"),
    ("America/New_York", "2026-03-08T02:30", "2026-03-08T07:30"),
    ("America/New_York", "2026-11-01T01:30", "2026-11-01T05:30"),
    ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:45"),  # half an hour: 02:15 is 02:45
    ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45"),
    ("Pacific/Apia", "2011-12-30T09:00", "2011-12-30T19:00"),  # the date that never was: 31st, 09:00
    ("Pacific/Apia", "2011-12-31T09:00", "2011-12-30T19:00"),
    ("Pacific/Apia", "2011-12-29T23:59", "2011-12-30T09:59"),
    ("Africa/Casablanca", "2026-02-15T02:30", "2026-02-15T01:30"),  # back for Ramadan, at 03:00
    ("Africa/Casablanca", "2026-03-22T02:30", "2026-03-22T02:30"),  # and forward again, at 02:00
    ("Antarctica/Troll", "2026-03-29T02:30", "2026-03-29T02:30"),  # two hours: 01:00 to 03:00
    ("Antarctica/Troll", "2026-10-25T02:30", "2026-10-25T00:30"),
    ("Europe/Dublin", "2026-03-29T01:30", "2026-03-29T01:30"),  # winter is the "saving" time in tzdata
    ("Europe/Dublin", "2026-10-25T01:30", "2026-10-25T00:30"),
    ("America/Nuuk", "2023-03-25T22:30", "2023-03-26T01:30"),
    ("America/Nuuk", "2024-03-30T23:30", "2024-03-31T01:30"),
    ("America/Nuuk", "2024-10-26T23:30", "2024-10-27T00:30"),
    ("America/Phoenix", "2026-07-01T09:00", "2026-07-01T16:00"),
    ("America/Denver", "2026-07-01T09:00", "2026-07-01T15:00"),
    ("America/Phoenix", "2026-12-01T09:00", "2026-12-01T16:00"),
    ("America/Denver", "2026-12-01T09:00", "2026-12-01T16:00"),
    ("America/Santiago", "2026-09-06T00:00", "2026-09-06T04:00"),  # midnight itself is skipped
]


@pytest.mark.parametrize(("name", "local", "expected"), CASES)
def test_named_cases(name: str, local: str, expected: str) -> None:
    instant = datetime.fromisoformat(expected).replace(tzinfo=UTC)
    assert to_utc(datetime.fromisoformat(local), zone(name)) == instant


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SAMPLE), st.integers(FIRST + 3000, LAST - 3000))
def test_a_wall_time_maps_to_the_first_minute_that_shows_it(name: str, minute: int) -> None:
    tz = zone(name)
    local = to_local(minute, tz)
    shown = wall_minute(local.date(), local.hour * 60 + local.minute, tz)
    assert shown <= minute
    assert shown == minute or local.fold == 1
    assert to_local(shown, tz).replace(tzinfo=None, fold=0) == local.replace(tzinfo=None, fold=0)


def test_days() -> None:
    warsaw = zone("Europe/Warsaw")
    lengths = {d: day_span(d, warsaw) for d in (date(2026, 3, 29), date(2026, 10, 25), date(2026, 7, 1))}
    assert [(end - start) // 60 for start, end in lengths.values()] == [23, 25, 24]
    start, end = day_span(date(2011, 12, 30), zone("Pacific/Apia"))
    assert start == end
    assert local_date(floor_minute(datetime(2026, 6, 30, 22, 30, tzinfo=UTC)), warsaw) == date(2026, 7, 1)


@given(st.sampled_from(SAMPLE), st.dates(date(2000, 1, 2), date(2037, 12, 30)))
@settings(deadline=None)
def test_days_follow_each_other_without_gap(name: str, day: date) -> None:
    tz = zone(name)
    assert day_span(day - timedelta(days=1), tz)[1] <= day_span(day, tz)[0] + (1440 if name == "Pacific/Apia" else 0)
    assert day_span(day, tz)[1] == max(day_span(day, tz)[0], day_span(day + timedelta(days=1), tz)[0])


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Europe",
        "Europe/Warsa",
        "europe/warsaw",
        "Europe/Warsaw\0",
        "localtime",
        "posix/Europe/Warsaw",
        "right/Europe/Warsaw",
        "posixrules",
        "Factory",
        "../etc/passwd",
        "/etc/localtime",
        "EST5EDT4",
        "+01:00",
    ],
)
def test_what_is_no_zone(name: str) -> None:
    assert not is_zone(name)
    with pytest.raises(UnknownZone) as caught:
        zone(name)
    assert caught.value.name == name


def test_all_names_load() -> None:
    assert len(names()) > 500
    assert all(zone(name).key == name for name in names())
    assert is_zone("Europe/Warsaw")


def test_abbreviations() -> None:
    winter, summer = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
    assert abbreviation(winter, zone("Europe/Warsaw")) == "CET"
    assert abbreviation(summer, zone("Europe/Dublin")) == "IST"
    assert abbreviation(summer, zone("America/Phoenix")) == "MST"
    assert abbreviation(summer, zone("America/Sao_Paulo")) == "-03"
    with pytest.raises(ValueError, match="no time zone"):
        abbreviation(datetime(2026, 1, 1), zone("UTC"))


def test_minutes_are_rounded_as_asked() -> None:
    exact = datetime(2026, 1, 1, 10, 2, tzinfo=UTC)
    assert utc(floor_minute(exact)) == utc(ceil_minute(exact)) == exact
    between = exact + timedelta(seconds=30)
    assert (floor_minute(between), ceil_minute(between)) == (floor_minute(exact), floor_minute(exact) + 1)
    assert span(between, between) == (floor_minute(exact), floor_minute(exact) + 1)
    assert floor_minute(datetime(1969, 12, 31, 23, 59, 30, tzinfo=UTC)) == -1
    for rounded in (floor_minute, ceil_minute):
        with pytest.raises(ValueError, match="no time zone"):
            rounded(datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="already"):
        to_utc(exact, zone("UTC"))
