"""Every transition of IANA zones, 2000 to 2037, library against oracle: python scheduling_sweep.py [--zones A,B]

Around each transition: wall times, the days' lengths, weekly templates with overrides and holidays, listed starts,
series, and time off that comes back. Prints one line of JSON; exit code 1 on any difference. Run it with TZ set to
see whether the server's own zone matters, and with PYTHONTZPATH="" to read the tzdata package instead of the
machine's files.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from scheduling_oracle import DAY, EPOCH, Clock, Walk, clock, day_of

from scheduling.instants import utc
from scheduling.recurrences import occurrences
from scheduling.templates import WEEKDAYS, LocalRange, Override, Starts, Template, Weekly
from scheduling.times_off import stretches
from scheduling.zones import day_span, local_date, names, to_local, to_utc, wall_minute, zone

QUARTERS = tuple(LocalRange(minute, minute + 15) for minute in range(0, DAY, 15))
LONG = tuple(LocalRange(a, b) for a, b in ((0, 95), (95, 130), (130, 145), (145, 150), (150, 180), (180, 720)))
ODD = tuple(LocalRange(a, b) for a, b in ((0, 125), (125, 165), (240, 1380), (1385, 1440)))
TIMES = Starts(tuple(tuple(range(0, DAY, 15)) for _ in WEEKDAYS))


class Sweep:
    """Counts what was compared, by kind, and keeps the first differences of each kind."""

    def __init__(self) -> None:
        self.compared: Counter[str] = Counter()
        self.differing: Counter[str] = Counter()
        self.differences: list[str] = []
        self.transitions = 0
        self.clocks_seen: set[tuple[tuple[int, ...], tuple[int, ...]]] = set()

    def same(self, what: str, where: str, found: object, expected: object, count: int = 1) -> None:
        """Counts `count` comparisons of a kind and notes a difference."""
        self.compared[what] += count
        if found != expected:
            self.differing[what] += 1
            if self.differing[what] <= 3:
                self.differences.append(f"{what} {where}: {found!r}, expected {expected!r}"[:500])

    def zone(self, name: str, since: int, until: int) -> None:
        """Every transition of a zone in [since, until), or one ordinary day where it has none.

        Of names for the same clock (Europe/Dublin, Eire) the first is asked everything; for the others zones alone,
        since templates, series and the rest know a zone only through these.
        """
        own, tz = clock(name), zone(name)
        rules = (own.changes, own.offsets)
        everything = rules not in self.clocks_seen
        self.clocks_seen.add(rules)
        at = own.transitions(since, until)
        self.transitions += len(at)
        for minute in at or [since + 180 * DAY]:
            self.transition(own, tz, minute, everything)

    def transition(self, own: Clock, tz: ZoneInfo, at: int, everything: bool = True) -> None:
        """The local days before, on and after a transition that happens at the epoch minute `at`."""
        before, after = own.shown(at - 1) + 1, own.shown(at)  # what it would show, and what it does
        first = day_of(min(before, after)) - timedelta(days=1)
        last = day_of(max(before, after)) + timedelta(days=1)
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        margin = abs(after - before) + 300
        walk = Walk(
            own,
            (days[0] - EPOCH).days * DAY + at - max(before, after) - margin,
            (days[-1] - EPOCH).days * DAY + DAY + at - min(before, after) + margin,
        )
        where = f"{own.name} {utc(at):%Y-%m-%dT%H:%MZ}"
        near = range(min(before, after) - 120, max(before, after) + 120)
        self.wall_times(walk, tz, near, where)
        self.days(walk, tz, days, where)
        self.clocks(walk, tz, at, where)
        if not everything:
            return
        self.templates(walk, days, where)
        self.starts(walk, tz, days, where)
        self.series(walk, tz, at, days, near, where)
        self.times_off(walk, at, near, where)

    def wall_times(self, walk: Walk, tz: ZoneInfo, near: range, where: str) -> None:
        """Local to UTC every 5 minutes and in the minutes next to the edges; `fold` changes nothing."""
        for shown in sorted({*near[::5], *(edge + n for edge in (near[120], near[-120]) for n in (-2, -1, 0, 1, 2))}):
            expected = walk.instant(shown)
            day, minute = day_of(shown), shown % DAY
            local = utc(shown).replace(tzinfo=None)
            found = (wall_minute(day, minute, tz), to_utc(local, tz), to_utc(local.replace(fold=1), tz))
            self.same("wall times", f"{where} {local}", found, (expected, utc(expected), utc(expected)), 3)

    def days(self, walk: Walk, tz: ZoneInfo, days: list[date], where: str) -> None:
        """A day lasts from its midnight to the next one's; a date that was skipped is empty."""
        for day in days:
            start, end = walk.at(day, 0), walk.at(day, DAY)
            self.same("day spans", f"{where} {day}", day_span(day, tz), (start, max(start, end)))
            self.same("day spans", f"{where} {day} 24:00", wall_minute(day, DAY, tz), end)

    def clocks(self, walk: Walk, tz: ZoneInfo, at: int, where: str) -> None:
        """UTC to local, with `fold` in the second pass of what is shown twice."""
        for minute in (*range(at - 150, at + 150, 5), at - 1, at + 1):
            local, shown = to_local(minute, tz), walk.clock.shown(minute)
            naive = utc(shown).replace(tzinfo=None)
            expected = (naive, shown - minute, int(walk.instant(shown) < minute), naive.date())
            offset = local.utcoffset() or timedelta(0)
            found = (local.replace(tzinfo=None, fold=0), offset // timedelta(minutes=1), local.fold)
            self.same("clocks", f"{where} {utc(minute)}", (*found, local_date(minute, tz)), expected, 4)

    def templates(self, walk: Walk, days: list[date], where: str) -> None:
        """Ranges of quarters of an hour and long ones, an override, a holiday, validity."""
        middle, closed = days[1], days[-1]
        for ranges, overrides, holidays, until in (
            (QUARTERS, (), frozenset[date](), None),
            (LONG, (Override(middle, ODD),), frozenset({closed, middle}), None),
            (ODD, (Override(days[0], ()),), frozenset[date](), middle),
        ):
            template = Template(walk.clock.name, Weekly((ranges,) * 7), overrides, None, until)
            expected = set()
            for day in days:
                if until and day > until:
                    continue
                replaced = [override.ranges for override in overrides if override.date == day]
                for start, end in replaced[0] if replaced else () if day in holidays else ranges:
                    span = (walk.at(day, start), walk.at(day, end))
                    if span[0] < span[1]:
                        expected.add(span)
            found = template.expand(days[0], days[-1], holidays)
            self.same("templates", where, found, tuple(sorted(expected)), 2 * len(expected))

    def starts(self, walk: Walk, tz: ZoneInfo, days: list[date], where: str) -> None:
        """Listed starts, one every quarter of an hour."""
        expected = {walk.at(day, minute) for day in days for minute in range(0, DAY, 15)}
        self.same("starts", where, TIMES.expand(tz, days[0], days[-1]), tuple(sorted(expected)), len(expected))

    def series(self, walk: Walk, tz: ZoneInfo, at: int, days: list[date], near: range, where: str) -> None:
        """Series that began days, weeks, months and years ago, at every quarter of an hour around the transition."""
        since, until = walk.at(days[0], 0), walk.at(days[-1], 0)
        for n, shown in enumerate(near[::15]):
            daily, *others = _rules(day_of(shown))
            for rule, back in (daily, others[n % len(others)]):
                # Where clocks moved meanwhile the start is at another local time: the one that it shows.
                start = at + shown - near[120] - back * DAY
                began = walk.clock.shown(start)
                wanted = {walk.at(day, began % DAY) for day in days if _matches(rule, day_of(began), day)}
                expected = [utc(minute) for minute in sorted(wanted) if since <= minute < until]
                found = occurrences(rule, utc(start), tz, since=utc(since), until=utc(until))
                self.same("series", f"{where} {rule} from {utc(start)}", found, expected, max(1, len(expected)))
        if walk.clock.shown(at) < walk.clock.shown(at - 1):
            # A start in the second pass of a repeated hour is itself; the next day's is the first pass again.
            for start in range(at, at + 30, 10):
                local = walk.clock.shown(start)
                expected = [utc(start), utc(walk.instant(local + DAY))]
                found = occurrences(
                    "FREQ=DAILY", utc(start), tz, since=utc(start), until=utc(start) + timedelta(days=2)
                )
                self.same("series", f"{where} second pass {utc(start)}", found[:2], expected, 2)

    def times_off(self, walk: Walk, at: int, near: range, where: str) -> None:
        """Three days of time off from the day before: each ends at the local time at which the first does."""
        for n, shown in enumerate(near[::45]):
            start = at + shown - near[120] - DAY
            end = start + (30, 150)[n % 2]
            began, local = walk.clock.shown(start), walk.clock.shown(end)
            expected = {(start, end)}
            for day in range(began, began + 3 * DAY, DAY):
                opens = walk.instant(day)
                never_was = walk.clock.shown(opens) - day >= DAY  # the next date's takes its place
                other = (opens, walk.instant(day + never_was * DAY + local - began))
                if start < other[0] < other[1]:
                    expected.add(other)
            found = stretches(utc(start), utc(end), "FREQ=DAILY;COUNT=3", walk.clock.name)
            wanted = tuple((utc(a), utc(b)) for a, b in sorted(expected))
            self.same("times off", f"{where} from {utc(start)}", found, wanted, 2 * len(wanted))


def _rules(day: date) -> list[tuple[str, int]]:
    """Rules that fall on `day`, each with how many days before it the series began."""
    weekday = WEEKDAYS[day.weekday()][:2].upper()
    nth = -1 if (day + timedelta(days=7)).month != day.month else (day.day - 1) // 7 + 1
    return [
        ("FREQ=DAILY", 3),
        (f"FREQ=WEEKLY;BYDAY={weekday}", 14),
        ("FREQ=DAILY;INTERVAL=3", 9),
        (f"FREQ=MONTHLY;BYDAY={nth}{weekday}", 100),
        (f"FREQ=MONTHLY;BYMONTHDAY={day.day}", 200),
        (f"FREQ=YEARLY;BYMONTH={day.month};BYMONTHDAY={day.day}", 800),
    ]


def _matches(rule: str, began: date, day: date) -> bool:
    """Whether a rule of `_rules` that began on a date falls on `day`: by the calendar, not by a library."""
    parts = dict(part.split("=") for part in rule.split(";"))
    weekday = WEEKDAYS[day.weekday()][:2].upper()
    if parts["FREQ"] == "DAILY":
        return (day - began).days % int(parts.get("INTERVAL", "1")) == 0
    if parts["FREQ"] == "WEEKLY":
        return parts["BYDAY"] == weekday
    if "BYDAY" in parts:
        if not parts["BYDAY"].endswith(weekday):
            return False
        nth = int(parts["BYDAY"][:-2])
        if nth == -1:
            return (day + timedelta(days=7)).month != day.month
        return (day.day - 1) // 7 + 1 == nth
    return day.day == int(parts["BYMONTHDAY"]) and parts.get("BYMONTH") in (None, str(day.month))


def _server_zone() -> str:
    """TZ, after a look whether the process really lives in it. RuntimeError otherwise."""
    name = os.environ.get("TZ", "UTC")
    time.tzset()
    for minute in (27_800_000, 28_060_000):  # a winter and a summer
        shown = time.localtime(minute * 60)
        if shown.tm_gmtoff != (clock(name).shown(minute) - minute) * 60:
            raise RuntimeError(f"this process does not live in {name}")
    return name


def _each(wanted: str | None) -> Iterator[str]:
    yield from wanted.split(",") if wanted else sorted(names())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zones", help="comma separated; every zone without it")
    parser.add_argument("--since", type=int, default=2000, help="first year (2000)")
    parser.add_argument("--until", type=int, default=2037, help="last year (2037)")
    asked = parser.parse_args()
    server, sweep, zones = _server_zone(), Sweep(), list(_each(asked.zones))
    since, until = ((date(year, 1, 1) - EPOCH).days * DAY for year in (asked.since, asked.until + 1))
    for name in zones:
        sweep.zone(name, since, until)
    counted = {
        "zones": len(zones),
        "clocks": len(sweep.clocks_seen),
        "transitions": sweep.transitions,
        "comparisons": sweep.compared.total(),
    }
    print(json.dumps({"server": server, **counted, "by_kind": sweep.compared, "differences": sweep.differences}))
    return 1 if sweep.differences else 0


if __name__ == "__main__":
    sys.exit(main())
