"""Weekly templates: local working hours, and their expansion to UTC.

A template says what a wall clock shows. Each range is mapped to UTC at its two ends by the wall-clock
rule (`scheduling.zones`), so on the day of a transition it may last an hour more or less.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from scheduling import reading
from scheduling.instants import Minute, Span
from scheduling.reading import WEEKDAYS, InvalidSchedule
from scheduling.zones import wall_minute, zone

__all__ = [
    "WEEKDAYS",
    "Holidays",
    "InvalidSchedule",
    "LocalRange",
    "Override",
    "Starts",
    "Template",
    "Weekly",
]

_EARLIEST = date(2000, 1, 1)


class LocalRange(NamedTuple):
    """[start, end) in minutes of a local day: 0 ≤ start < end ≤ 1440, multiples of 5."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Override:
    """The ranges of one date, in place of its weekday's; none: closed."""

    date: date
    ranges: tuple[LocalRange, ...]


@dataclass(frozen=True, slots=True)
class Holidays:
    """Whose public holidays close the day: ISO 3166 codes such as ("PL", None) or ("DE", "BY").

    Only carried: which dates they are is for the caller, who passes them to `Template.expand`.
    """

    country: str
    region: str | None = None


@dataclass(frozen=True, slots=True)
class Weekly:
    """Ranges by weekday, Monday first, sorted and without overlap; also a location's opening hours."""

    days: tuple[tuple[LocalRange, ...], ...]

    @classmethod
    def parse(cls, value: object, field: str = "weekly") -> Weekly:
        """From `{"mon": [["09:00", "12:30"], …], …}`; weekdays left out are closed. InvalidSchedule."""
        by_day = reading.mapping(value, field)
        reading.known_keys(by_day, WEEKDAYS, field)
        return cls(tuple(_ranges(by_day.get(name, ()), f"{field}.{name}") for name in WEEKDAYS))

    def to_json(self) -> dict[str, list[list[str]]]:
        """The shape that `parse` reads, with closed weekdays left out."""
        return {name: _written(ranges) for name, ranges in zip(WEEKDAYS, self.days, strict=True) if ranges}


@dataclass(frozen=True, slots=True)
class Template:
    """A resource's working hours. Hashable; equal templates expand equally."""

    time_zone: str
    weekly: Weekly
    overrides: tuple[Override, ...] = ()
    valid_from: date | None = None
    valid_until: date | None = None
    holidays: Holidays | None = None

    @classmethod
    def parse(cls, body: object) -> Template:
        """From the body of `PUT …/schedule`. InvalidSchedule names the first field that is wrong.

        `{time_zone, weekly: {"mon": [["09:00", "12:30"], …]}, overrides?: [{date, ranges}],
        valid_from?, valid_until?, holidays?: {country, region?}}`. Times are "HH:MM", multiples of 5
        minutes; "24:00" may end a range. Ranges of one day may touch, not overlap. Dates are
        "YYYY-MM-DD", the valid ones inclusive. Fields of other names are refused, so that a misspelt
        one is not silently ignored.
        """
        top = reading.mapping(body, "")
        reading.known_keys(top, ("time_zone", "weekly", "overrides", "valid_from", "valid_until", "holidays"), "")
        valid_from = reading.optional_date(top.get("valid_from"), "valid_from")
        valid_until = reading.optional_date(top.get("valid_until"), "valid_until")
        if valid_from and valid_until and valid_until < valid_from:
            raise InvalidSchedule("valid_until", f"is before valid_from ({valid_from})")
        return cls(
            time_zone=reading.time_zone(reading.required(top, "time_zone"), "time_zone"),
            weekly=Weekly.parse(reading.required(top, "weekly")),
            overrides=_overrides(top.get("overrides")),
            valid_from=valid_from,
            valid_until=valid_until,
            holidays=_holidays(top.get("holidays")),
        )

    def to_json(self) -> dict[str, object]:
        """The shape that `parse` reads, with absent options left out."""
        body: dict[str, object] = {
            "time_zone": self.time_zone,
            "weekly": self.weekly.to_json(),
            "overrides": [{"date": o.date.isoformat(), "ranges": _written(o.ranges)} for o in self.overrides],
        }
        if self.valid_from:
            body["valid_from"] = self.valid_from.isoformat()
        if self.valid_until:
            body["valid_until"] = self.valid_until.isoformat()
        if self.holidays:
            body["holidays"] = {"country": self.holidays.country} | (
                {"region": self.holidays.region} if self.holidays.region else {}
            )
        return body

    def expand(self, first: date, last: date, holidays: Collection[date] = frozenset()) -> tuple[Span, ...]:
        """Working ranges of the local dates first … last (inclusive, the template's zone) in UTC.

        Sorted spans of epoch minutes, multiples of 5. `holidays` close their dates unless an override
        says otherwise. Where the clock skips from 02:00 to 03:00, 02:15–02:45 is 03:15–03:45, and
        02:30–03:00, which would end before it starts, is left out; two ranges may then overlap, and
        stay two. ValueError for dates before 2000, whose offsets are not all multiples of 5 minutes.
        """
        if first < _EARLIEST:
            raise ValueError(f"dates before {_EARLIEST} cannot be expanded, {first} was asked")
        tz = zone(self.time_zone)
        start = max(first, self.valid_from) if self.valid_from else first
        stop = min(last, self.valid_until) if self.valid_until else last
        replaced = {override.date: override.ranges for override in self.overrides}
        spans: set[Span] = set()  # a skipped date (Apia, 2011) maps onto the next: the same range twice
        for ordinal in range(start.toordinal(), stop.toordinal() + 1):
            day = date.fromordinal(ordinal)
            ranges = replaced.get(day)
            if ranges is None:
                ranges = () if day in holidays else self.weekly.days[day.weekday()]
            for local in ranges:
                opens, closes = wall_minute(day, local.start, tz), wall_minute(day, local.end, tz)
                if opens < closes:
                    spans.add((opens, closes))
        return tuple(sorted(spans))


@dataclass(frozen=True, slots=True)
class Starts:
    """The only local start times of an offering, by weekday, Monday first; minutes of the day."""

    days: tuple[tuple[int, ...], ...]

    @classmethod
    def parse(cls, value: object, field: str = "starts") -> Starts:
        """From `{"tue": ["18:00"], …}`. InvalidSchedule, also when no start is named at all."""
        by_day = reading.mapping(value, field)
        reading.known_keys(by_day, WEEKDAYS, field)
        days = []
        for name in WEEKDAYS:
            where = f"{field}.{name}"
            times: list[int] = []
            for i, item in enumerate(reading.sequence(by_day.get(name, ()), where)):
                minute = reading.time_of_day(item, f"{where}[{i}]")
                if minute in times:
                    raise InvalidSchedule(f"{where}[{i}]", f"{item} is listed twice")
                times.append(minute)
            days.append(tuple(sorted(times)))
        if not any(days):
            raise InvalidSchedule(field, "name at least one start, or leave it out")
        return cls(tuple(days))

    def to_json(self) -> dict[str, list[str]]:
        """The shape that `parse` reads."""
        named = zip(WEEKDAYS, self.days, strict=True)
        return {name: [reading.clock(minute) for minute in times] for name, times in named if times}

    def expand(self, tz: ZoneInfo, first: date, last: date) -> tuple[Minute, ...]:
        """The starts on the local dates first … last (inclusive) in `tz`, sorted epoch minutes.

        By the wall-clock rule; two that a gap maps to one instant are one. ValueError before 2000.
        """
        if first < _EARLIEST:
            raise ValueError(f"dates before {_EARLIEST} cannot be expanded, {first} was asked")
        found: set[Minute] = set()
        for ordinal in range(first.toordinal(), last.toordinal() + 1):
            day = date.fromordinal(ordinal)
            found.update(wall_minute(day, minute, tz) for minute in self.days[day.weekday()])
        return tuple(sorted(found))


def _ranges(value: object, field: str) -> tuple[LocalRange, ...]:
    ranges: list[tuple[LocalRange, str]] = []
    for i, item in enumerate(reading.sequence(value, field)):
        where = f"{field}[{i}]"
        ends = reading.sequence(item, where)
        if len(ends) != 2:
            raise InvalidSchedule(where, 'must be two times, as in ["09:00", "17:00"]')
        start = reading.time_of_day(ends[0], f"{where}[0]")
        end = reading.time_of_day(ends[1], f"{where}[1]", ends_a_range=True)
        if end == start:
            raise InvalidSchedule(where, f"is empty: it starts and ends at {ends[0]}")
        if end < start:
            raise InvalidSchedule(
                where,
                f"ends at {ends[1]}, before it starts at {ends[0]}; to pass midnight, split it at 24:00",
            )
        ranges.append((LocalRange(start, end), where))
    ranges.sort()
    for (earlier, _), (later, where) in pairwise(ranges):
        if later.start < earlier.end:
            raise InvalidSchedule(where, f"overlaps {reading.clock(earlier.start)}–{reading.clock(earlier.end)}")
    return tuple(local for local, _ in ranges)


def _overrides(value: object) -> tuple[Override, ...]:
    if value is None:
        return ()
    found: dict[date, Override] = {}
    for i, item in enumerate(reading.sequence(value, "overrides")):
        where = f"overrides[{i}]"
        entry = reading.mapping(item, where)
        reading.known_keys(entry, ("date", "ranges"), where)
        day = reading.date_of(reading.required(entry, "date", where), f"{where}.date")
        if day in found:
            raise InvalidSchedule(f"{where}.date", f"{day} is listed twice")
        found[day] = Override(day, _ranges(reading.required(entry, "ranges", where), f"{where}.ranges"))
    return tuple(found[day] for day in sorted(found))


def _holidays(value: object) -> Holidays | None:
    if value is None:
        return None
    entry: Mapping[str, object] = reading.mapping(value, "holidays")
    reading.known_keys(entry, ("country", "region"), "holidays")
    country = reading.text(reading.required(entry, "country", "holidays"), "holidays.country")
    if len(country) != 2 or not country.isascii() or not country.isupper():
        raise InvalidSchedule("holidays.country", f'"{country}" is not a two-letter country code such as "PL"')
    region = entry.get("region")
    return Holidays(country, None if region is None else reading.text(region, "holidays.region"))


def _written(ranges: Collection[LocalRange]) -> list[list[str]]:
    return [[reading.clock(local.start), reading.clock(local.end)] for local in ranges]
