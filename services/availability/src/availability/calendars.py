"""One resource within the searched stretch as bitmaps: which starts its hours allow and which are free. Pure.

Instants are epoch minutes, bit i of a bitmap is the granule [origin + 5i, origin + 5i + 5) (see `scheduling`). The
stretch is a whole number of chunks, as the database keeps them.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from scheduling import public_holidays, times_off
from scheduling.bitmaps import Horizon, runs
from scheduling.instants import DAY, GRANULE, Minute, Span, span, utc
from scheduling.search import grid, listed
from scheduling.templates import Starts, Template
from scheduling.zones import day_span, local_date, zone

CHUNK = 8 * DAY
CHUNK_GRANULES = CHUNK // GRANULE
LONGEST = DAY
"""No visit takes longer with its buffers (booking's CHECK)."""

KINDS = {"practitioner": "p", "room": "r", "equipment": "e", "virtual": "v"}
WIDEST_BUFFER = 120
"""Minutes (the catalogue's schemas)."""

_KEPT_HOURS = 16
_KEPT_CHUNKS = 12
_PACK = msgspec.msgpack.Encoder(uuid_format="bytes")


@dataclass(frozen=True, slots=True)
class Range:
    """The asked local dates first … last in `tz`, narrowed to starts in [not_before, until)."""

    tz: ZoneInfo
    first: date
    days: tuple[Minute, ...]
    not_before: Minute
    until: Minute
    first_chunk: int
    chunks: int

    @classmethod
    def of(cls, tz: ZoneInfo, first: date, last: date, not_before: Minute, until: Minute, pad: int = 0) -> "Range":
        """Of dates that are not far from one another; `pad` is how far around external events nothing may be.

        ValueError before 2000.
        """
        days, closes = _days(tz, first, last)
        opens = days[0]
        first_chunk = (opens - WIDEST_BUFFER - pad) // CHUNK
        return cls(
            tz=tz,
            first=first,
            days=days,
            not_before=max(not_before, opens),
            until=max(opens, min(until, closes)),
            first_chunk=first_chunk,
            chunks=(closes + LONGEST + pad) // CHUNK - first_chunk + 1,
        )

    @property
    def empty(self) -> bool:
        """Whether no start can lie in it."""
        return self.not_before >= self.until

    @property
    def horizon(self) -> Horizon:
        """All of the chunks."""
        return Horizon(self.first_chunk * CHUNK, self.chunks * CHUNK_GRANULES)

    @property
    def origin(self) -> Minute:
        """Where bit 0 begins."""
        return self.first_chunk * CHUNK

    @property
    def window(self) -> int:
        """Bits of the starts in [not_before, until)."""
        first, last = -((self.origin - self.not_before) // GRANULE), -((self.origin - self.until) // GRANULE)
        return ((1 << max(0, last - first)) - 1) << first

    def granule(self, minute: Minute) -> int:
        """The number of the bit that `minute` falls on; what is outside has one outside."""
        return (minute - self.origin) // GRANULE

    def day(self, minute: Minute) -> int:
        """The number of the asked date that shows at `minute`, the first one is 0."""
        return bisect_right(self.days, minute) - 1

    def day_granules(self, day: int) -> tuple[int, int]:
        """The bits of an asked date, as a half-open pair."""
        first = self.granule(self.days[day])
        last = self.days[day + 1] if day + 1 < len(self.days) else max(self.until, self.days[day] + DAY)
        return first, self.granule(last)


@lru_cache(maxsize=1024)
def _days(tz: ZoneInfo, first: date, last: date) -> tuple[tuple[Minute, ...], Minute]:
    """Where each of the dates begins, and where the last one ends."""
    days = tuple(day_span(first + timedelta(days=number), tz)[0] for number in range((last - first).days + 1))
    return days, day_span(last, tz)[1]


class Away(NamedTuple):
    """Time off as it is stored; with `rrule` it comes back."""

    start: datetime
    end: datetime
    rrule: str | None
    time_zone: str


@dataclass(slots=True, eq=False)
class Resource:
    """What the search has to know of a resource: kept until its row has another version, with its expanded hours."""

    id: UUID
    type: str
    name: str
    slug: str
    time_zone: str
    location_id: UUID | None
    bio: str | None
    before: int
    after: int
    approval: bool
    schedule: Template | None
    schedule_version: int
    version: int
    time_off: tuple[Away, ...]
    quoted: bytes = field(init=False)
    """The id as JSON."""
    _hours: dict[tuple[object, ...], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.quoted = f'"{self.id}"'.encode()

    def hours(self, duration: int, step: int, starts: Starts | None, asked: Range, *, holidays: bool = True) -> int:
        """Bits of the starts that its working hours and its time off allow, within the chunks of `asked`.

        Practitioners work by their schedule only; a room or a thing without one is always there, with starts every
        `step` from its local midnight, or at the only `starts`. `holidays=False`
        asks as if there were none.
        """
        key = (duration, step, starts, asked.first_chunk, asked.chunks, holidays)
        if (found := self._hours.get(key)) is not None:
            return found
        found = self._expanded(duration, step, starts, asked, holidays)
        if asked.chunks <= _KEPT_CHUNKS:  # years, as for a series, are asked for rarely and take much room
            if len(self._hours) >= _KEPT_HOURS:
                del self._hours[next(iter(self._hours))]
            self._hours[key] = found
        return found

    def _expanded(self, duration: int, step: int, starts: Starts | None, asked: Range, holidays: bool) -> int:
        # A day more at the end, so that a visit across the last chunk's end is known to fit.
        horizon = Horizon(asked.origin, asked.chunks * CHUNK_GRANULES + LONGEST // GRANULE)
        tz = zone(self.schedule.time_zone if self.schedule else self.time_zone)
        first, last = local_date(horizon.origin, tz) - timedelta(days=1), local_date(horizon.end, tz)
        if self.schedule is None and self.type == "practitioner":
            bits = 0
        elif self.schedule is None and starts is not None:
            always = [(horizon.origin, horizon.end)]
            bits = listed(horizon, always, duration, starts.expand(tz, first, last)).bits
        elif self.schedule is None:
            # Every `step` from each local midnight on; a visit may go on beyond the next one.
            days = [day_span(first + timedelta(days=number), tz) for number in range((last - first).days + 1)]
            bits = horizon.mask if step == GRANULE else grid(horizon, days, GRANULE, step).bits
        else:
            closed = self._holidays(first, last) if holidays else frozenset()
            ranges = self.schedule.expand(first, last, closed)
            if starts is None:
                bits = grid(horizon, ranges, duration, step).bits
            else:
                bits = listed(horizon, ranges, duration, starts.expand(tz, first, last)).bits
        if away := horizon.bits(self._away(horizon)):
            bits &= runs(horizon.mask ^ away, duration // GRANULE)
        return bits & ((1 << asked.chunks * CHUNK_GRANULES) - 1)

    def _holidays(self, first: date, last: date) -> frozenset[date]:
        kept = self.schedule.holidays if self.schedule else None
        return public_holidays.dates(kept.country, kept.region, first, last) if kept else frozenset()

    def is_away(self, horizon: Horizon, start: Minute, end: Minute) -> bool:
        """Whether time off falls on [start, end), which lies within the horizon."""
        return any(first < end and start < last for first, last in self._away(horizon))

    def _away(self, horizon: Horizon) -> Iterable[Span]:
        since, until = utc(horizon.origin), utc(horizon.end)
        for one in self.time_off:
            for start, end in times_off.within(one.start, one.end, one.rrule, one.time_zone, since, until):
                yield span(start, end)


class Claim(NamedTuple):
    """A row of what occupies a resource: `claim_start`–`claim_end` with buffers, `start`–`end` without."""

    slot_id: bytes
    offering_id: bytes
    claim_start: Minute
    claim_end: Minute
    start: Minute
    end: Minute
    capacity: int
    reserved: int
    held: bool
    cancelled: bool
    leads: bool = False
    """Whether the resource is the slot's provider."""


@dataclass(slots=True)
class Taken:
    """What is known of a resource's time: bookings and external events (not padded) as bits, the rest as rows."""

    claimed: int
    started: int
    external: int
    claims: list[Claim]

    @classmethod
    def nothing(cls) -> "Taken":
        """Nobody has asked for it yet."""
        return cls(0, 0, 0, [])

    def from_chunk(self, chunks: int, asked: Range) -> "Taken":
        """The same as seen within `asked`, which begins that many chunks later."""
        shift, mask = chunks * CHUNK_GRANULES, asked.horizon.mask
        return Taken(
            self.claimed >> shift & mask, self.started >> shift & mask, self.external >> shift & mask, self.claims
        )


class Seat:
    """A resource as part of an assignment, and how far its claim reaches around a start."""

    __slots__ = ("after", "before", "claim", "head", "resource", "tail")

    def __init__(self, resource: Resource, before: int, after: int) -> None:
        self.resource = resource
        self.before = before
        self.after = after
        self.claim = (before, after)
        # The fields of `servicekit.capabilities.OfferedResource` around the two instants.
        self.head = b"\x96" + _PACK.encode(resource.id)
        self.tail = b"".join(
            _PACK.encode(part) for part in (KINDS[resource.type], resource.schedule_version, resource.approval)
        )

    def span(self, start: Minute) -> Span:
        """What the visit would claim at this start."""
        return start - self.before, start + self.after


class Calendar:
    """One resource within the searched stretch."""

    __slots__ = ("_bytes", "allowed", "claims", "free", "resource", "seat", "started", "weight")

    def __init__(
        self, seat: Seat, allowed: int, free: int, taken: Taken, *, weight: int = 0, started: int | None = None
    ) -> None:
        self.resource = seat.resource
        self.seat = seat
        self.allowed = allowed
        """Starts that its hours and its blocks allow, whatever is claimed."""
        self.free = free
        self.started = taken.started if started is None else started
        """Where visits begin that are there."""
        self.claims = taken.claims
        self.weight = weight
        self._bytes: bytes | None = None

    def load_between(self, first: int, last: int) -> int:
        """How many visits begin on the granules first … last - 1."""
        if self._bytes is None:
            self._bytes = self.started.to_bytes(self.started.bit_length() // 8 + 2, "little")
        # A few bytes instead of all of them: this is asked for every day of every candidate.
        near = int.from_bytes(self._bytes[first >> 3 : (last >> 3) + 1], "little")
        return (near >> (first & 7) & ((1 << (last - first)) - 1)).bit_count()


def calendar(
    seat: Seat, taken: Taken, hours: int, asked: Range, *, duration: int, pad: int, forbidden: int = 0, weight: int = 0
) -> Calendar:
    """The resource's bitmaps for a visit of `duration` minutes.

    The claim (the visit with its buffers) must miss other claims; the visit itself, widened by `pad`, external events.
    `forbidden`: starts that a rule forbids, and those of sessions that were cancelled.
    """
    horizon = asked.horizon
    mask = horizon.mask
    allowed = hours & asked.window
    if taken.external:
        allowed &= runs(mask ^ taken.external & mask, (duration + 2 * pad) // GRANULE) << pad // GRANULE
    live = [claim for claim in taken.claims if claim.held and not claim.cancelled]
    busy = taken.claimed | (horizon.bits((claim.claim_start, claim.claim_end) for claim in live) if live else 0)
    free = allowed & ~forbidden
    if busy:
        free &= runs(mask ^ busy, (seat.before + seat.after) // GRANULE) << seat.before // GRANULE
    started = taken.started | (horizon.bits((claim.start, claim.start + GRANULE) for claim in live) if live else 0)
    return Calendar(seat, allowed, free, taken, weight=weight, started=started)
