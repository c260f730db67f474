"""Every transition of every IANA zone, 2000 to 2037, under three server zones: no difference to the oracle.

The oracle (scheduling_oracle.py) shares no code with the library; the last tests check it in turn, against the C
library and against cases written down by hand. The default run takes the odd zones; `-m long` takes all.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import scheduling_sweep
from scheduling_oracle import EPOCH, FIRST, LAST, Walk, clock, where

from scheduling.instants import floor_minute
from scheduling.zones import names, zone

SERVERS = ("UTC", "America/New_York", "Pacific/Apia")
ODD_ZONES = (
    "Africa/Casablanca",  # an hour back for Ramadan
    "America/Denver",
    "America/Nuuk",  # the day before, at 22:00; then another rule
    "America/Phoenix",  # no transitions, beside Denver
    "America/St_Johns",  # a minute past midnight
    "Antarctica/Troll",  # two hours
    "Australia/Lord_Howe",  # half an hour
    "Europe/Dublin",  # winter is the "saving" time
    "Pacific/Apia",  # 2011-12-30 never was
)
OTHER_ZONES = (
    "Africa/Cairo",
    "America/Havana",
    "America/Santiago",
    "America/Sao_Paulo",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Asia/Pyongyang",
    "Asia/Tehran",
    "Europe/Istanbul",
    "Europe/Warsaw",
    "Pacific/Chatham",
)
PROGRAM = str(Path(scheduling_sweep.__file__))
COMPILED = Path(str(files("tzdata"))) / "zoneinfo"


def swept(runs: Sequence[tuple[str, Sequence[str]]], timeout: float) -> list[dict[str, Any]]:
    """Runs the sweep once for each (server's zone, options), side by side; what each counted."""
    started = [
        subprocess.Popen(
            [sys.executable, PROGRAM, *options],
            # Both the library and the C library read the tzdata package, whatever the machine has.
            env=os.environ | {"TZ": server, "TZDIR": str(COMPILED), "PYTHONTZPATH": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for server, options in runs
    ]
    counted = []
    try:
        for (server, _), process in zip(runs, started, strict=True):
            out, err = process.communicate(timeout=timeout)
            assert out, err
            counted.append(json.loads(out))
            assert counted[-1]["server"] == server
            assert counted[-1]["differences"] == []
            assert process.returncode == 0
    finally:
        for process in started:
            process.kill()
            process.wait()
    return counted


def test_odd_zones_and_a_few_others_under_three_server_zones() -> None:
    odd = ["--zones", ",".join(ODD_ZONES), "--since", "2010", "--until", "2026"]
    others = ["--zones", ",".join(OTHER_ZONES), "--since", "2014", "--until", "2018"]
    *same, other = swept([*((server, odd) for server in SERVERS), ("UTC", others)], timeout=110)
    assert len({(each["transitions"], each["comparisons"]) for each in same}) == 1
    assert same[0]["transitions"] > 200
    assert other["transitions"] > 50


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_every_transition_of_every_zone_under_three_server_zones(capsys: pytest.CaptureFixture[str]) -> None:
    counted = swept([(server, []) for server in SERVERS], timeout=1700)
    for each in counted:
        assert each["zones"] == len(names())
        assert each["transitions"] > 10_000
        with capsys.disabled():
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in each["by_kind"].items())
            print(
                f"\nserver in {each['server']}: {each['zones']} zones ({each['clocks']} different clocks), "
                f"{each['transitions']:,} transitions, {each['comparisons']:,} comparisons "
                f"({kinds}): {len(each['differences'])} differences"
            )


def test_the_sweep_sees_another_zones_rule() -> None:
    sweep = scheduling_sweep.Sweep()
    warsaw = clock("Europe/Warsaw")
    for at in warsaw.transitions(FIRST, FIRST + 525_600):
        sweep.transition(warsaw, zone("Europe/Kaliningrad"), at)
    # Templates and times off name their zone themselves.
    assert set(sweep.differing) == {"wall times", "day spans", "clocks", "starts", "series"}


@pytest.mark.parametrize("name", ["Europe/Warsaw", "Australia/Lord_Howe"])
def test_the_sweep_sees_the_second_pass_taken_for_the_first(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def second(day: date, minute_of_day: int, tz: ZoneInfo) -> int:
        local = datetime(day.year, day.month, day.day) + timedelta(minutes=minute_of_day)
        return floor_minute(local.replace(tzinfo=tz, fold=1))

    monkeypatch.setattr(scheduling_sweep, "wall_minute", second)
    sweep = scheduling_sweep.Sweep()
    sweep.zone(name, FIRST, FIRST + 525_600)
    assert sweep.differing["wall times"] > 10


# The oracle itself.


def _checked_against_the_c_library(name: str, every: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """What `time.localtime` says at each transition, the minute before, and `every` so many minutes; how many."""
    monkeypatch.setenv("TZDIR", str(where(name).parents[name.count("/")]))
    monkeypatch.setenv("TZ", name)
    time.tzset()
    own = clock(name)
    changes = own.transitions()
    moments = [*range(FIRST, LAST, every), *changes, *(at - 1 for at in changes)]
    for minute in moments:
        assert time.localtime(minute * 60).tm_gmtoff == (own.shown(minute) - minute) * 60, (name, minute)
    return len(moments)


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="needs the C library's own zones")
def test_the_oracle_reads_zones_as_the_c_library_does(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        for name in (*ODD_ZONES, *OTHER_ZONES):
            _checked_against_the_c_library(name, 5 * 1440, monkeypatch)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not hasattr(time, "tzset"), reason="needs the C library's own zones")
def test_the_oracle_reads_every_zone_as_the_c_library_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        count = sum(_checked_against_the_c_library(name, 3 * 1440, monkeypatch) for name in sorted(names()))
    finally:
        monkeypatch.undo()
        time.tzset()
    with capsys.disabled():
        print(f"\nthe oracle against the C library: {len(names())} zones, {count:,} comparisons, 0 differences")


@pytest.mark.parametrize(
    ("name", "local", "expected"),
    [
        # zone, wall time, UTC: the offset before in a gap, the first in a fold
        ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:45"),
        ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45"),
        ("Pacific/Apia", "2011-12-30T09:00", "2011-12-30T19:00"),
        ("Africa/Casablanca", "2026-02-15T02:30", "2026-02-15T01:30"),
        ("Antarctica/Troll", "2026-03-29T02:30", "2026-03-29T02:30"),
        ("Antarctica/Troll", "2026-10-25T02:30", "2026-10-25T00:30"),
        ("Europe/Dublin", "2026-03-29T01:30", "2026-03-29T01:30"),
        ("America/Nuuk", "2023-03-25T22:30", "2023-03-26T01:30"),
        ("America/Nuuk", "2037-10-24T23:30", "2037-10-25T00:30"),  # by the rule at the end of the file
        ("America/Phoenix", "2026-07-01T09:00", "2026-07-01T16:00"),
        ("America/Denver", "2026-07-01T09:00", "2026-07-01T15:00"),
    ],
)
def test_the_oracle_on_cases_written_down_by_hand(name: str, local: str, expected: str) -> None:
    at = int(datetime.fromisoformat(expected + "+00:00").timestamp()) // 60
    wanted = datetime.fromisoformat(local)
    walk = Walk(clock(name), at - 3 * 1440, at + 3 * 1440)
    assert walk.at(wanted.date(), wanted.hour * 60 + wanted.minute) == at
    with pytest.raises(LookupError, match="outside"):
        walk.at(EPOCH, 0)


def test_offsets_and_transitions_since_2000_are_whole_minutes_and_offsets_multiples_of_five() -> None:
    """What granules of 5 minutes rest on. (Transitions need not be: Newfoundland's were at 00:01.)"""
    for name in names():
        own = clock(name)
        since = [offset for at, offset in zip(own.changes, own.offsets[1:], strict=True) if at >= FIRST * 60]
        assert all(offset % 300 == 0 for offset in since), name
        assert all(at % 60 == 0 for at in own.changes if at >= FIRST * 60), name
        assert (own.shown(FIRST) - FIRST) % 5 == 0
