"""From a clinic's catalogue and what is taken to a `Search`: bitmaps of all candidates, rules, open sessions. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from availability.assigning import Assignment, matched
from availability.calendars import Calendar, Claim, Range, Seat, Taken, calendar
from availability.directory import Directory, Offering, Pool
from availability.rules import WIDE_DAYS, Rules
from availability.search import Others, Search, Session, seat_of_session
from scheduling.instants import GRANULE, Minute
from scheduling.zones import zone


@dataclass(slots=True)
class Sought:
    """What is looked for: an offering within a range, with these providers (None: any).

    `override`: rules, preferences, notice and window do not count (notice and window are the range's part).
    """

    directory: Directory
    offering: Offering
    asked: Range
    providers: frozenset[UUID] | None = None
    override: bool = False
    pools: list[Pool] = field(init=False)
    rules: Rules = field(init=False)
    pad: int = field(init=False)

    def __post_init__(self) -> None:
        clinic = self.directory.clinic
        assert clinic is not None  # searches begin with it
        offering = self.offering
        self.pad = clinic.settings.external_buffer_minutes
        self.rules = Rules(self.directory, offering, zone(clinic.time_zone), offering.duration)
        self.pools = self.directory.pools(offering)
        if self.providers is not None:
            leading = self.pools[offering.leading]
            chosen = [seat for seat in leading.seats if seat.resource.id in self.providers]
            self.pools = list(self.pools)
            self.pools[offering.leading] = Pool(chosen, leading.optional, leading.weights)

    def resources(self) -> list[UUID]:
        """Whose time has to be known."""
        return list({seat.resource.id: None for pool in self.pools for seat in pool.seats})

    def offerings(self) -> list[UUID]:
        """Whose visits have to be known one by one."""
        sessions = {self.offering.id} if self.offering.capacity > 1 else set()
        return sorted(sessions | set(() if self.override else self.rules.offerings))

    def wide(self) -> int:
        """How many days around the range they have to be known."""
        return WIDE_DAYS if self.rules.offerings and not self.override else 0

    def search(self, taken: Mapping[UUID, Taken]) -> Search:
        """The search over what is taken."""
        leading = self.offering.leading
        needed = [self._calendars(number, pool, taken) for number, pool in enumerate(self.pools)]
        others = [
            Others(one, pool.optional)
            for number, (one, pool) in enumerate(zip(needed, self.pools, strict=True))
            if number != leading
        ]
        sessions = self._sessions(taken) if self.offering.capacity > 1 else {}
        return Search(self.asked, needed[leading], others, capacity=self.offering.capacity, sessions=sessions)

    def _calendars(self, number: int, pool: Pool, taken: Mapping[UUID, Taken]) -> list[Calendar]:
        offering, asked = self.offering, self.asked
        leads = number == offering.leading
        step, starts = (offering.step, offering.starts) if leads else (GRANULE, None)
        made = []
        for seat in pool.seats:
            resource = seat.resource
            own = taken[resource.id]
            hours = resource.hours(offering.duration, step, starts, asked)
            forbidden = 0
            if own.claims:
                if leads:
                    hours &= ~self._cancelled(own.claims)
                if not self.override:
                    forbidden = self.rules.forbidden(resource, own.claims, asked, leads=leads)
            weight = 0 if self.override else pool.weights.get(resource.id, 0)
            made.append(
                calendar(
                    seat,
                    own,
                    hours,
                    asked,
                    duration=offering.duration,
                    pad=self.pad,
                    forbidden=forbidden,
                    weight=weight,
                )
            )
        return made

    def _cancelled(self, claims: Iterable[Claim]) -> int:
        """Starts of sessions that fall out: they are not offered again with this provider. Who was only to be there too
        may lead one."""
        own = self.offering.id.bytes
        led = self.offering.needs[self.offering.leading].type == "practitioner"
        return self.asked.horizon.bits(
            (claim.start, claim.start + GRANULE)
            for claim in claims
            if claim.cancelled and claim.offering_id == own and (claim.leads or not led)
        )

    # -- open sessions of a class ------------------------------------------------------------------------------

    def _sessions(self, taken: Mapping[UUID, Taken]) -> dict[tuple[Minute, UUID], Session]:
        """Sessions of this class that have seats left, by (start, provider).

        A session's own claim hides its start from the bitmaps, so it is offered from its rows, as it claims them.
        """
        rows: dict[bytes, dict[UUID, tuple[Seat, Claim]]] = {}
        for pool in self.pools:
            for seat in pool.seats:
                for claim in taken[seat.resource.id].claims:
                    if claim.offering_id == self.offering.id.bytes and claim.capacity > 1 and not claim.cancelled:
                        rows.setdefault(claim.slot_id, {})[seat.resource.id] = (seat, claim)
        leaders = {seat.resource.id for seat in self.pools[self.offering.leading].seats}
        found: dict[tuple[Minute, UUID], Session] = {}
        for by_resource in rows.values():
            # The leader first: the slot's provider, since two practitioners of a session may both be able to lead.
            own = sorted(by_resource.values(), key=lambda row: (not row[1].leads, row[0].resource.id not in leaders))
            leader, claim = own[0]
            left = claim.capacity - claim.reserved
            if left > 0 and leader.resource.id in leaders and self._stands(own, taken):
                seats = tuple(seat_of_session(seat, row.start, row.claim_start, row.claim_end) for seat, row in own)
                found[claim.start, leader.resource.id] = (left, seats)
        return found

    def _stands(self, rows: list[tuple[Seat, Claim]], taken: Mapping[UUID, Taken]) -> bool:
        """Whether the session can still take place: within the range, everything needed there, nothing in its way."""
        leader, claim = rows[0]
        if not self.asked.not_before <= claim.start < self.asked.until:
            return False
        horizon = self.asked.horizon
        visit = horizon.bits(((claim.start - self.pad, claim.end + self.pad),))
        for seat, _ in rows:
            away = seat.resource.is_away(horizon, claim.start, claim.end)
            if away or taken[seat.resource.id].external & visit:
                return False
        return self._complete(leader, {seat.resource.id: seat for seat, _ in rows}) is not None

    def _complete(self, leader: Seat, seats: dict[UUID, Seat]) -> Assignment | None:
        others = [pool for number, pool in enumerate(self.pools) if number != self.offering.leading]
        options = [[seats[one.resource.id] for one in pool.seats if one.resource.id in seats] for pool in others]
        return matched(leader, options, [pool.optional for pool in others])


def arguments(sought: Sought, ignored: UUID | None = None) -> dict[str, Any]:
    """What `repository.reading.Asked` is made of."""
    return {
        "resources": sought.resources(),
        "first_chunk": sought.asked.first_chunk,
        "chunks": sought.asked.chunks,
        "offering": sought.offering.id,
        "offerings": sought.offerings(),
        "wide": sought.wide(),
        "ignored": ignored,
    }
