"""Use cases of the waitlist: whoever waits longest for a time that came free is the first to be told of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from availability.asking import utc_now, within
from availability.assigning import Assignment
from availability.board import Sought
from availability.directory import Directory
from availability.looking import Looker
from availability.repository import Row, waiting
from availability.search import Found, Search
from availability.slots import Slots
from events import Deleted, Invalid, Transaction
from events.contracts.availability import WaitlistMatched
from events.contracts.booking import WaitlistEntry
from scheduling.bitmaps import minutes
from scheduling.instants import Minute, Span, ceil_minute, floor_minute, span, utc
from scheduling.zones import zone
from servicekit.database import Database
from servicekit.problems import NotFound

RESERVED_SECONDS = 60.0
"""So long a time that was found for somebody is not found for others: booking is about to hold it."""


async def join(tx: Transaction, entry: WaitlistEntry) -> None:
    """Somebody waits."""
    await waiting.keep_waiting(tx, entry)


async def leave(tx: Transaction, gone: Deleted) -> None:
    """The entry of the tombstone `waitlist:id` waits no more."""
    try:
        entry_id = UUID(gone.key.removeprefix("waitlist:"))
    except ValueError as error:
        raise Invalid(f"{gone.key!r} is no key of a waitlist entry") from error
    await waiting.end_waiting(tx, entry_id, gone.version)


@dataclass(slots=True)
class _Given:
    """What was found for others and is not theirs yet."""

    claims: dict[UUID, list[Span]] = field(default_factory=dict)
    seats: dict[tuple[Minute, UUID], int] = field(default_factory=dict)

    def add(self, resources: Sequence[UUID], stretch: Span) -> None:
        for resource in resources:
            self.claims.setdefault(resource, []).append(stretch)

    def overlaps(self, resource: UUID, stretch: Span) -> bool:
        return any(first < stretch[1] and stretch[0] < last for first, last in self.claims.get(resource, ()))


@dataclass(frozen=True, slots=True)
class _Match:
    entry_id: UUID
    slot_id: str
    start: Minute
    resources: list[UUID]
    stretch: Span


class Waiting:
    """Finds times for those who wait."""

    def __init__(self, database: Database, looker: Looker, slots: Slots) -> None:
        self._database = database
        self._looker = looker
        self._slots = slots

    async def match(self) -> None:
        """Looks at everything that came free, clinic by clinic, and emits `WaitlistMatched`."""
        async with self._database.transaction() as tx:
            tenants = await waiting.tenants_with_openings(tx)
        for tenant_id in tenants:
            await self._match(tenant_id)

    async def _match(self, tenant_id: UUID) -> None:
        async with self._database.transaction(tenant_id) as tx:
            opened = await waiting.openings(tx)
            line = await waiting.in_line(tx, RESERVED_SECONDS)
        given = _Given()
        for row in line:
            if row["found_resources"]:
                given.add(row["found_resources"], span(row["found_start"], row["found_end"]))
        matches = []
        for row in line:
            touched = any(one["start_at"] < row["end_at"] and row["start_at"] < one["end_at"] for one in opened)
            if row["found_resources"] or not touched:
                continue
            if match := await self._first(tenant_id, row, opened, given):
                matches.append(match)
        async with self._database.transaction(tenant_id) as tx:
            if not await waiting.close_openings(tx, [row["id"] for row in opened]):
                return
            for match in matches:
                first, last = (utc(minute) for minute in match.stretch)
                number = await waiting.found(tx, match.entry_id, match.resources, first, last)
                if number is not None:
                    await tx.emit(
                        WaitlistMatched(
                            tenant_id=tenant_id,
                            version=number,
                            entry_id=match.entry_id,
                            slot_id=match.slot_id,
                            start=utc(match.start),
                        )
                    )

    async def _first(self, tenant_id: UUID, row: Row, opened: Sequence[Row], given: _Given) -> _Match | None:
        """The first start within the entry's window that what came free makes possible."""
        now = utc_now()

        def seek(directory: Directory) -> Sought:
            offering = directory.offering(str(row["offering_id"]))
            home = zone(directory.require_clinic().time_zone)
            first, last = (
                min(max(instant, now), now + timedelta(days=offering.window_days + 2)).astimezone(home).date()
                for instant in (row["start_at"], row["end_at"])
            )
            providers = frozenset((row["provider_id"],)) if row["provider_id"] else None
            return Sought(directory, offering, within(directory, offering, home, first, last, now), providers)

        try:
            seen = await self._looker.look(tenant_id, seek)
        except NotFound:
            return None  # not offered any more
        sought = seen.sought
        able = set(sought.resources())
        stretches = [span(one["start_at"], one["end_at"]) for one in opened if one["resource_id"] in able]
        if not stretches or sought.asked.empty:
            return None
        search = seen.search()
        desk = self._slots.desk(sought, sought.asked.tz, provider_chosen=row["provider_id"] is not None)
        earliest, latest = ceil_minute(row["start_at"]), _end_minute(row["end_at"]) - sought.offering.duration
        for start in minutes(search.possible(), sought.asked.origin):
            if start < earliest or start > latest or not _opened(start, sought.offering.duration, stretches):
                continue
            found = _ungiven(search, start, row["seats"], given)
            if found is not None:
                leader, seats = found.served.assignments[0][0], found.served.assignments[0]
                stretch = leader.span(start)
                ids = [seat.resource.id for seat in seats]
                if search.capacity == 1:
                    given.add(ids, stretch)
                else:
                    key = (start, leader.resource.id)
                    given.seats[key] = given.seats.get(key, 0) + row["seats"]
                    ids = []
                return _Match(row["entry_id"], desk.slot_id(found).decode(), start, ids, stretch)
        return None


def _end_minute(instant: datetime) -> Minute:
    """The minute in which the window ends; some end in the year 9999."""
    return floor_minute(instant.astimezone(UTC))


def _opened(start: Minute, duration: int, stretches: Sequence[Span]) -> bool:
    return any(first < start + duration and start < last for first, last in stretches)


def _ungiven(search: Search, start: Minute, seats: int, given: _Given) -> Found | None:
    """The start with those assignments that nobody else was told of, and that have so many seats."""
    for leader in search.order(search.asked.day(start))[0]:
        found = search.at(start, [leader])
        if found is None:
            continue
        if found.remaining - given.seats.get((start, leader.resource.id), 0) < seats:
            continue
        left = tuple(one for one in found.served.assignments if not _is_given(one, start, given))
        if left:
            return Found(start, found.served._replace(assignments=left), found.remaining)
    return None


def _is_given(assignment: Assignment, start: Minute, given: _Given) -> bool:
    return any(given.overlaps(seat.resource.id, seat.span(start)) for seat in assignment)
