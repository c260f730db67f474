"""What clocks show, and the wall-clock rule read off a walk over every UTC minute.

Shares no code with the library, nor with zoneinfo: compiled zone files are read here (RFC 9636), and wall
time is never converted to UTC. The walk goes the other way, from each UTC minute to what the clock on
the wall shows in it, and the rule (RFC 5545, section 3.3.5) is then a look at that list: a local time is the
first minute that shows it; one that is never shown is counted on from the last minute before the jump.

Minutes are epoch minutes; local minutes count the same way from a wall clock's own 1970-01-01 00:00.
"""

from __future__ import annotations

import re
import struct
import zoneinfo
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

DAY = 1440
EPOCH = date(1970, 1, 1)
FIRST, LAST = 15_778_080, 35_765_280  # 2000-01-01 and 2038-01-01 in UTC

_HEADER = struct.Struct(">4sc15x6I")
_NAME = r"(?:<[^>]+>|[A-Za-z]+)"
_OFFSET = r"([+-]?\d+(?::\d+)?(?::\d+)?)"
_CHANGE = r",M(\d+)\.(\d+)\.(\d+)(?:/([+-]?\d+(?::\d+)?(?::\d+)?))?"
_FOOTER = re.compile(rf"{_NAME}{_OFFSET}(?:{_NAME}{_OFFSET}?{_CHANGE}{_CHANGE})?")


@dataclass(frozen=True)
class Clock:
    """One zone: from `changes[i]` (epoch seconds) on its clocks are `offsets[i + 1]` seconds ahead of UTC."""

    name: str
    changes: tuple[int, ...]
    offsets: tuple[int, ...]

    def shown(self, minute: int) -> int:
        """The local minute that clocks show at an epoch minute (from 2000 on, when offsets are whole minutes)."""
        return minute + self.offsets[bisect_right(self.changes, minute * 60)] // 60

    def transitions(self, first: int = FIRST, last: int = LAST) -> list[int]:
        """The minutes in [first, last) from which on the offset is another than in the minute before."""
        return [at // 60 for at in self.changes if first * 60 <= at < last * 60]

    def walk(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Each UTC minute of [first, last) with the local minute that is shown in it."""
        index = bisect_right(self.changes, first * 60)
        following = self.changes[index] if index < len(self.changes) else None
        ahead = self.offsets[index] // 60
        for minute in range(first, last):
            while following is not None and minute * 60 >= following:
                index += 1
                following = self.changes[index] if index < len(self.changes) else None
                ahead = self.offsets[index] // 60
            yield minute, minute + ahead


class Walk:
    """The wall-clock rule for every local time that lies well within the UTC minutes [first, last)."""

    def __init__(self, clock: Clock, first: int, last: int) -> None:
        self.clock = clock
        self.first_shown: dict[int, int] = {}
        self.jumps: list[tuple[int, int, int]] = []  # last shown before, first shown after, last minute before
        before: int | None = None
        for minute, local in clock.walk(first, last):
            if before is not None and local > before + 1:
                self.jumps.append((before, local, minute - 1))
            self.first_shown.setdefault(local, minute)
            before = local

    def instant(self, local: int) -> int:
        """The epoch minute of a local minute. LookupError outside the walk."""
        found = self.first_shown.get(local)
        if found is not None:
            return found
        for before, after, minute in self.jumps:
            if before < local < after:
                return minute + local - before
        raise LookupError(f"{self.clock.name}: local minute {local} lies outside the walk")

    def at(self, day: date, minute_of_day: int) -> int:
        """The epoch minute of a time of a local date."""
        return self.instant((day - EPOCH).days * DAY + minute_of_day)


def day_of(local: int) -> date:
    """The date of a local minute."""
    return EPOCH + timedelta(days=local // DAY)


def where(name: str) -> Path:
    """The compiled file that zoneinfo reads too: the first on its search path, else the tzdata package's."""
    package = Path(str(files("tzdata"))) / "zoneinfo"
    return next(path for place in (*map(Path, zoneinfo.TZPATH), package) if (path := place / name).is_file())


@lru_cache(maxsize=1024)
def clock(name: str) -> Clock:
    """The clock of an IANA zone, to the end of 2038."""
    data = where(name).read_bytes()
    magic, _, *counts = _HEADER.unpack_from(data)
    if magic != b"TZif":
        raise ValueError(f"{where(name)} is no compiled zone")
    utcnt, stdcnt, leaps, times, types, letters = counts
    # The first block is in 32 bits, for old readers; the second has the same header and 64.
    at = _HEADER.size + times * 5 + types * 6 + letters + leaps * 8 + stdcnt + utcnt
    _, _, utcnt, stdcnt, leaps, times, types, letters = _HEADER.unpack_from(data, at)
    at += _HEADER.size
    moments = struct.unpack_from(f">{times}q", data, at)
    kinds = struct.unpack_from(f">{times}B", data, at + times * 8)
    at += times * 9
    ahead = [struct.unpack_from(">iBB", data, at + 6 * n)[0] for n in range(types)]
    at += types * 6 + letters + leaps * 12 + stdcnt + utcnt
    footer = data[at:].decode("ascii").strip("\n")

    found = [(moment, ahead[kind]) for moment, kind in zip(moments, kinds, strict=True)]
    latest = moments[-1] if moments else -(2**40)
    found += [(moment, offset) for moment, offset in _by_rule(footer) if moment > latest]
    changes: list[int] = []
    offsets = [ahead[0]]
    for moment, offset in found:
        if offset != offsets[-1]:  # a new name or "saving" flag alone moves no hand
            changes.append(moment)
            offsets.append(offset)
    return Clock(name, tuple(changes), tuple(offsets))


def _by_rule(footer: str) -> list[tuple[int, int]]:
    """The changes from 1970 to 2038 by the rule that a zone file ends with, such as EST5EDT,M3.2.0,M11.1.0."""
    match = _FOOTER.fullmatch(footer)
    if match is None:
        raise ValueError(f"cannot read the rule {footer}")
    standard = -_seconds(match[1])  # POSIX counts west of Greenwich
    if match[3] is None:
        return []
    saving = -_seconds(match[2]) if match[2] else standard + 3600
    found = []
    for year in range(1970, 2039):
        found.append((_moment(year, match.group(3, 4, 5, 6)) - standard, saving))
        found.append((_moment(year, match.group(7, 8, 9, 10)) - saving, standard))
    return sorted(found)


def _moment(year: int, parts: tuple[str, ...]) -> int:
    """Mm.w.d/time as seconds from 1970 on the wall: the w-th (5: last) weekday d (0: Sunday) of month m."""
    month, week, weekday = (int(part) for part in parts[:3])
    days = [date(year, month, 1) + timedelta(days=n) for n in range(31)]
    matching = [day for day in days if day.month == month and day.isoweekday() % 7 == weekday]
    day = matching[-1] if week == 5 else matching[week - 1]
    return (day - EPOCH).days * 86_400 + (_seconds(parts[3]) if parts[3] else 7200)


def _seconds(text: str) -> int:
    hours, minutes, seconds = (*(int(part) for part in text.lstrip("+-").split(":")), 0, 0)[:3]
    return (-1 if text.startswith("-") else 1) * (hours * 3600 + minutes * 60 + seconds)
