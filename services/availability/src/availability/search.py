"""Which starts can be offered, and who would serve them. Pure; instants are epoch minutes (see `scheduling`).

The first need for a practitioner (or else the first of all) *leads*: its calendars make the grid of starts, and its
resource is the slot's provider. The other needs have only to fit. What is possible at all is a handful of shifts and
ands over bitmaps; then a table, a row a start and a column a resource, says who is free when, and starts whose rows
are equal share one answer.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, islice
from typing import NamedTuple
from uuid import UUID

from availability.assigning import MAX_CANDIDATES, Assignment, matched, matchings, spread
from availability.calendars import Calendar, Range, Seat
from scheduling.bitmaps import Picker, minutes
from scheduling.instants import GRANULE, Minute

Session = tuple[int, Assignment]
"""An open session of a class: seats that are left, and the resources it has, as it claims them."""


class Served(NamedTuple):
    """Who can serve a start; the same object for starts that are alike."""

    assignments: tuple[Assignment, ...]
    listed: bytes
    """The providers as the inside of a JSON list, in order of preference."""
    number: int


class Found(NamedTuple):
    """A start that can be offered; without assignments: one that is full."""

    start: Minute
    served: Served
    remaining: int


@dataclass(slots=True, eq=False)
class Others:
    """The candidates of a need that does not lead."""

    calendars: list[Calendar]
    optional: bool


class Search:
    """The starts of one offering, its leading need narrowed to the providers that were asked for."""

    def __init__(
        self,
        asked: Range,
        leaders: list[Calendar],
        others: list[Others],
        *,
        capacity: int,
        sessions: dict[tuple[Minute, UUID], Session] | None = None,
    ) -> None:
        self.asked = asked
        self.leaders = leaders
        self.others = others
        self.capacity = capacity
        self.sessions = sessions or {}
        self._optional = [one.optional for one in others]
        everybody = [c.resource.id for c in leaders] + [c.resource.id for one in others for c in one.calendars]
        self._disjoint = len(everybody) == len(set(everybody))
        self._weighted = any(leader.weight for leader in leaders)
        self._fit = self._fitting([one.calendars for one in others if not one.optional])
        self._orders: dict[int, tuple[list[Calendar], list[list[Calendar]]]] = {}

    def _fitting(self, needed: Iterable[Iterable[Calendar]]) -> int:
        bits = -1
        for calendars in needed:
            some = 0
            for calendar in calendars:
                some |= calendar.free
            bits &= some
        return bits

    # -- all starts --------------------------------------------------------------------------------------------

    def found(self) -> list[Found]:
        """What can be offered, sorted by start."""
        plain = list(self._plain())
        if not self.sessions:
            return plain
        by_start = {found.start: found for found in plain}
        for start in {start for start, _ in self.sessions}:
            found = self._with_sessions(start, by_start.get(start))
            if found is not None:
                by_start[start] = found
        return [by_start[start] for start in sorted(by_start)]

    def _plain(self) -> Iterator[Found]:
        bits = 0
        for leader in self.leaders:
            bits |= leader.free
        bits &= self._fit
        if not bits:
            return
        if len(self.leaders) == 1 and not self.others:
            alone = self.leaders[0]
            only = Served(((alone.seat,),), alone.resource.quoted, 1)
            yield from [Found(start, only, self.capacity) for start in minutes(bits, self.asked.origin)]
            return
        positions = [minute // GRANULE for minute in minutes(bits, 0)]
        picker = Picker(positions)
        picked: dict[int, bytes] = {}
        for calendar in self._everybody():
            picked[id(calendar)] = picker.of(calendar.free)
        origin, capacity = self.asked.origin, self.capacity
        at = 0
        while at < len(positions):
            day = self.asked.day(origin + positions[at] * GRANULE)
            end = bisect_left(positions, self.asked.day_granules(day)[1], at)
            leaders, others = self.order(day)
            serving = _Serving(leaders, others, self._optional, self._disjoint)
            first, last = picker.place(positions[at]), picker.place(positions[end - 1]) + 1
            tables = [b"".join([picked[id(calendar)][first:last] for calendar in one]) for one in (leaders, *others)]
            wanted = [picker.place(position) - first for position in positions[at:end]]
            for position, served in zip(positions[at:end], serving.all(tables, last - first, wanted), strict=True):
                if served is not None:
                    yield Found(origin + position * GRANULE, served, capacity * served.number)
            at = end

    def _everybody(self) -> Iterator[Calendar]:
        yield from self.leaders
        for one in self.others:
            yield from one.calendars

    # -- one start ---------------------------------------------------------------------------------------------

    def at(self, start: Minute, among: Sequence[Calendar] | None = None) -> Found | None:
        """What can be offered at this start (by these of the leaders, if given), None for nothing."""
        granule, rest = divmod(start - self.asked.origin, GRANULE)
        if rest or granule < 0:
            return None
        leaders, others = self.order(self.asked.day(start))
        if among is not None:
            leaders = [leader for leader in leaders if leader in among]
        served = None
        if self._fit >> granule & 1:
            free = [[c for c in one if c.free >> granule & 1] for one in (leaders, *others)]
            full = [bytes([1]) * len(one) for one in free]
            if free[0]:
                serving = _Serving(free[0], free[1:], self._optional, self._disjoint)
                served = serving.one(full[0], full[1:])
        found = Found(start, served, self.capacity * served.number) if served else None
        if not self.sessions:
            return found
        return self._with_sessions(start, found, leaders)

    def _with_sessions(
        self, start: Minute, found: Found | None, leaders: Sequence[Calendar] | None = None
    ) -> Found | None:
        """A start of a class: sessions that have begun to fill come first, the fullest before others."""
        if leaders is None:
            leaders, _ = self.order(self.asked.day(start))
        opened = [(self.sessions[start, c.resource.id], c) for c in leaders if (start, c.resource.id) in self.sessions]
        if not opened:
            return found
        opened.sort(key=lambda one: one[0][0])
        listed = [leader.resource.quoted for _, leader in opened]
        assignments = [session[1] for session, _ in opened]
        seats = sum(session[0] for session, _ in opened)
        if found is not None:
            assignments += found.served.assignments
            listed.append(found.served.listed)
        served = Served(
            tuple(assignments[:MAX_CANDIDATES]), b",".join(listed), len(opened) + (found.served.number if found else 0)
        )
        return Found(start, served, seats + (found.remaining if found else 0))

    def order(self, day: int) -> tuple[list[Calendar], list[list[Calendar]]]:
        """Leaders and others in order of preference on a day: by weight, then those with the fewest visits, and rooms
        or things that nobody has to approve before those that somebody has to."""
        if (order := self._orders.get(day)) is None:
            first, last = self.asked.day_granules(max(0, day))
            leaders = sorted(self.leaders, key=lambda c: c.load_between(first, last))
            if self._weighted:
                leaders.sort(key=lambda c: -c.weight)
            others = [
                sorted(one.calendars, key=lambda c: (-c.weight, c.resource.approval, c.load_between(first, last)))
                for one in self.others
            ]
            order = self._orders[day] = (leaders, others)
        return order

    # -- what is not offered -----------------------------------------------------------------------------------

    def possible(self, leaders: Sequence[Calendar] | None = None) -> int:
        """Bits of the starts that some of the leaders may be able to serve; sessions that are open are in it."""
        bits = 0
        among = self.leaders if leaders is None else leaders
        for leader in among:
            bits |= leader.free
        bits &= self._fit
        ids = {leader.resource.id for leader in among}
        for start, provider in self.sessions:
            if provider in ids:
                bits |= 1 << self.asked.granule(start)
        return bits

    def allowed(self) -> int:
        """Bits of the starts within everybody's working hours, whatever is claimed."""
        bits = 0
        for leader in self.leaders:
            bits |= leader.allowed
        for one in self.others:
            if not one.optional:
                some = 0
                for calendar in one.calendars:
                    some |= calendar.allowed
                bits &= some
        return bits

    def full(self, offered: Iterable[Found]) -> list[Found]:
        """Starts within working hours that only claims keep from being offered, sorted."""
        starts = set(minutes(self.allowed(), self.asked.origin)) - {found.start for found in offered}
        return [self._full_at(start) for start in sorted(starts)]

    def _full_at(self, start: Minute) -> Found:
        granule = self.asked.granule(start)
        listed = [leader.resource.quoted for leader in self.leaders if leader.allowed >> granule & 1]
        return Found(start, Served((), b",".join(listed), len(listed)), 0)

    def held(self, start: Minute, duration: int) -> int:
        """Seats that holds keep at this time, as far as known."""
        end = start + duration
        return sum(
            claim.reserved
            for leader in self.leaders
            for claim in leader.claims
            if claim.held and not claim.cancelled and claim.start < end and start < claim.end
        )

    def hopeless(self) -> bool:
        """Whether the offering's needs cannot be met at any time: nobody, or too few, are there at all."""
        options = [[calendar.seat for calendar in one.calendars] for one in self.others]
        return not any(matched(leader.seat, options, self._optional) for leader in self.leaders)


class _Serving:
    """Who serves the starts of one day."""

    def __init__(
        self, leaders: list[Calendar], others: list[list[Calendar]], optional: list[bool], disjoint: bool
    ) -> None:
        self._quoted = [leader.resource.quoted for leader in leaders]
        self._leaders = [leader.seat for leader in leaders]
        self._alone = [(seat,) for seat in self._leaders]
        self._options = [[calendar.seat for calendar in one] for one in others]
        self._optional = optional
        self._disjoint = disjoint
        self._first: list[dict[bytes, list[Seat]]] = [{} for _ in self._options]

    def all(self, tables: list[bytes], count: int, wanted: list[int]) -> Iterator[Served | None]:
        """For the `wanted` of `count` starts. A table a need, leaders first: a byte a start, resource by resource."""
        alike: dict[object, Served | None] = {}
        leading, *others = tables
        for number in wanted:
            row = leading[number::count]
            rows = [table[number::count] for table in others]
            key = (row, *rows) if rows else row
            if key not in alike:
                alike[key] = self.one(row, rows)
            yield alike[key]

    def one(self, leaders: bytes, others: Sequence[bytes]) -> Served | None:
        """For one row of the table: a truth value a resource."""
        if not self._options:
            alone = tuple(islice(compress(self._alone, leaders), MAX_CANDIDATES))
            listed = b",".join(compress(self._quoted, leaders))
            return Served(alone, listed, leaders.count(1)) if alone else None
        if self._disjoint:
            options = [self._free(need, row) for need, row in enumerate(others)]
            free = list(islice(compress(self._leaders, leaders), MAX_CANDIDATES))
            if not free or not all([may or one for may, one in zip(self._optional, options, strict=True)]):
                return None
            made = spread(free, options, self._optional)
            return Served(tuple(made), b",".join(compress(self._quoted, leaders)), leaders.count(1))
        options = [list(compress(seats, row)) for seats, row in zip(self._options, others, strict=True)]
        served, made = matchings(list(compress(self._leaders, leaders)), options, self._optional)
        if not served:
            return None
        return Served(tuple(made), b",".join([seat.resource.quoted for seat in served]), len(served))

    def _free(self, need: int, row: bytes) -> list[Seat]:
        """Those who are free, the first few."""
        known = self._first[need]
        if (found := known.get(row)) is None:
            found = known[row] = list(islice(compress(self._options[need], row), MAX_CANDIDATES))
        return found


def seat_of_session(seat: Seat, start: Minute, claim_start: Minute, claim_end: Minute) -> Seat:
    """The seat with exactly the claim that a session already has."""
    return Seat(seat.resource, start - claim_start, claim_end - start)
