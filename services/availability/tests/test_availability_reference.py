"""The fast search finds what a walk over every granule finds, by the rules as they are written down."""

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import product
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from availability.board import Sought
from availability.calendars import Away, Claim, Range, Resource, Taken
from availability.directory import Directory, Need, Offering
from availability.repository.reading import Stamps
from events.contracts.availability import GapRule, MaxRule
from events.contracts.identity import TenantChanged, TenantSettings
from scheduling.instants import utc
from scheduling.templates import Template
from scheduling.zones import day_span, zone

TZ = zone("Europe/Warsaw")
DAYS = (date(2026, 3, 28), date(2026, 10, 24), date(2026, 12, 1))  # two of them are followed by a transition
LENGTHS = (5, 10, 15, 30, 45)


class World:
    """A random clinic: what the search is given, and the same again as plain lists for the walk."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        pick = self.random
        self.day = pick.choice(DAYS)
        self.opens = day_span(self.day, TZ)[0]
        self.closes = day_span(self.day + timedelta(days=1), TZ)[1]
        self.pad = pick.choice((0, 0, 15, 30))
        self.other = self.offering([Need("practitioner", None, False, {})])
        kinds = ["practitioner"] * pick.randint(1, 3) + ["room"] * pick.randint(0, 3)
        self.resources = [self.resource(kind) for kind in kinds]
        needs = [Need("practitioner", None, False, {})]
        if pick.random() < 0.3:
            needs.append(Need("practitioner", None, pick.random() < 0.5, {}))
        if pick.random() < 0.6:
            some = [one.id for one in self.resources if one.type == "room" and pick.random() < 0.8]
            needs.append(Need("room", frozenset(some) if pick.random() < 0.5 else None, pick.random() < 0.4, {}))
        if pick.random() < 0.3:
            needs.append(Need("room", None, pick.random() < 0.4, {}))
        self.wanted = self.offering(needs)
        self.ranges = {
            one.id: one.schedule.expand(self.day - timedelta(days=2), self.day + timedelta(days=3))
            for one in self.resources
            if one.schedule is not None
        }
        self.claims: dict[UUID, list[Claim]] = {one.id: self.some_claims() for one in self.resources}
        self.external = {one.id: self.some_stretches(2) for one in self.resources}

    def resource(self, kind: str) -> Resource:
        pick = self.random
        template = None
        if kind == "practitioner" or pick.random() < 0.5:
            ranges = [["01:00", "04:00"], ["09:00", "12:30"], ["13:00", "17:00"]]
            weekly = {day: pick.sample(ranges, pick.randint(1, 3)) for day in ("mon", "tue", "wed", "sat", "sun")}
            template = Template.parse({"time_zone": TZ.key, "weekly": weekly})
        off = [Away(utc(first), utc(last), None, TZ.key) for first, last in self.some_stretches(1)]
        return Resource(
            id=uuid4(), type=kind, name="x", slug="x", time_zone=TZ.key, location_id=None, bio=None,
            before=pick.choice((0, 0, 10)), after=pick.choice((0, 0, 15)), approval=pick.random() < 0.3,
            schedule=template, schedule_version=1, version=1, time_off=tuple(off),
        )  # fmt: skip

    def offering(self, needs: list[Need]) -> Offering:
        pick = self.random
        identity = uuid4()
        gaps, maxima = [], []
        if hasattr(self, "other"):
            if pick.random() < 0.4:
                after = pick.choice((self.other.id, identity))
                gaps.append(
                    GapRule(kind="gap", after_offering=after, minutes=pick.choice((5, 60)),
                            of=pick.choice(("practitioner", "room")))
                )  # fmt: skip
            if pick.random() < 0.3:
                maxima.append(
                    MaxRule(kind="max", of="practitioner", per=pick.choice(("day", "week")), count=pick.randint(1, 3))
                )
            if pick.random() < 0.4:
                self.other.gaps = (
                    GapRule(kind="gap", after_offering=identity, minutes=pick.choice((5, 60)), of="practitioner"),
                )
        return Offering(
            id=identity, slug="v", version=1, active=True, duration=pick.choice(LENGTHS), step=pick.choice(LENGTHS),
            starts=None, before=pick.choice((0, 5)), after=pick.choice((0, 10)), min_notice=0, window_days=365,
            capacity=1, hold_seconds=600.0, amount=0, currency="pln", needs=tuple(needs), gaps=tuple(gaps),
            maxima=tuple(maxima), leading=0, price=b"{}",
        )  # fmt: skip

    def some_stretches(self, most: int) -> list[tuple[int, int]]:
        pick = self.random
        found = []
        for _ in range(pick.randint(0, most)):
            start = pick.randrange(self.opens, self.closes)
            found.append((start, start + pick.randint(1, 300)))
        return found

    def some_claims(self) -> list[Claim]:
        """Visits with their buffers, none over another, some of them holds."""
        pick = self.random
        found: list[Claim] = []
        at = self.opens - 600
        while at < self.closes:
            at += 5 * pick.randint(0, 40)
            start = at + pick.choice((0, 10))
            end = start + pick.choice(LENGTHS)
            until = end + pick.choice((0, 15))
            offering = pick.choice((self.wanted.id, self.other.id, uuid4()))
            if pick.random() < 0.5:
                held, leads = pick.random() < 0.3, pick.random() < 0.8
                found.append(Claim(uuid4().bytes, offering.bytes, at, until, start, end, 1, 1, held, False, leads))
            at = until
        return found

    # -- what the search is given ------------------------------------------------------------------------------

    def search(self):
        clinic = TenantChanged(
            tenant_id=uuid4(), version=1, slug="c", name="C", time_zone=TZ.key, currency="pln", locales=["pl"],
            settings=TenantSettings(external_buffer_minutes=self.pad),
        )  # fmt: skip
        offerings = {one.id: one for one in (self.wanted, self.other)}
        directory = Directory(Stamps(0, 0, 1), clinic, self.resources, offerings, {})
        last = self.day + timedelta(days=1)
        asked = Range.of(TZ, self.day, last, self.opens + 300, self.closes - 200, self.pad)
        sought = Sought(directory, self.wanted, asked)
        horizon = asked.horizon
        taken = {}
        for one in self.resources:
            booked = [claim for claim in self.claims[one.id] if not claim.held]
            taken[one.id] = Taken(
                horizon.bits((claim.claim_start, claim.claim_end) for claim in booked),
                horizon.bits((claim.start, claim.start + 5) for claim in booked),
                horizon.bits(self.external[one.id]),
                # Those of the rules' offerings come as rows, and so do holds.
                [c for c in self.claims[one.id] if c.held or UUID(bytes=c.offering_id) in sought.offerings()],
            )
        return sought.search(taken)

    # -- the walk ----------------------------------------------------------------------------------------------

    def is_free(self, resource: Resource, start: int, leads: bool) -> bool:
        wanted = self.wanted
        end = start + wanted.duration
        if resource.schedule is None:
            midnight = day_span(self.local(start), TZ)[0]
            if resource.type == "practitioner" or (leads and (start - midnight) % wanted.step):
                return False
        else:
            fitting = [first for first, last in self.ranges[resource.id] if first <= start and end <= last]
            if not any(not leads or (start - first) % wanted.step == 0 for first in fitting):
                return False
        before, after = max(wanted.before, resource.before), max(wanted.after, resource.after)
        for claim in self.claims[resource.id]:
            if claim.claim_start < end + after and start - before < claim.claim_end:
                return False
        for first, last in self.external[resource.id]:
            # Rounded outwards to granules, then padded.
            if first // 5 * 5 - self.pad < end and start < -(-last // 5) * 5 + self.pad:
                return False
        for away in resource.time_off:
            first, last = (int(instant.timestamp()) // 60 for instant in (away.start, away.end))
            if first // 5 * 5 < end and start < -(-last // 5) * 5:
                return False
        return self.rules_allow(resource, start, end) if leads or resource.type == "room" else True

    def rules_allow(self, resource: Resource, start: int, end: int) -> bool:
        # A practitioner's rules are about visits that they led.
        visits = [visit for visit in self.claims[resource.id] if visit.leads or resource.type == "room"]
        for rule in self.wanted.gaps:
            for visit in visits:
                same = visit.offering_id == rule.after_offering.bytes and rule.of == resource.type
                if same and visit.end <= start < visit.end + rule.minutes:
                    return False
        for whose in (self.wanted, self.other):
            for rule in whose.gaps:
                for visit in visits:
                    after_us = rule.after_offering == self.wanted.id and visit.offering_id == whose.id.bytes
                    if after_us and rule.of == resource.type and end <= visit.start < end + rule.minutes:
                        return False
        if resource.type == "practitioner":
            own = [self.local(visit.start) for visit in visits if visit.offering_id == self.wanted.id.bytes]
            for rule in self.wanted.maxima:
                unit = (lambda day: day) if rule.per == "day" else (lambda day: day - timedelta(days=day.weekday()))
                if Counter(map(unit, own))[unit(self.local(start))] >= rule.count:
                    return False
        return True

    @staticmethod
    def local(minute: int) -> date:
        return datetime.fromtimestamp(minute * 60, UTC).astimezone(TZ).date()

    def walk(self) -> dict[int, tuple[set[UUID], bool]]:
        """By start: who can lead, and whether every optional need can be met too with some of them."""
        found = {}
        needs = self.wanted.needs
        for start in range(self.opens + 300, self.closes - 200, 5):
            options = []
            for number, need in enumerate(needs):
                named = {one.id for one in self.resources} if need.any_of is None else need.any_of
                fitting = [one for one in self.resources if one.type == need.type and one.id in named]
                free = [one.id for one in fitting if self.is_free(one, start, number == 0)]
                options.append([*free, None] if need.optional else free)
            served = [one for one in product(*options) if _distinct(one)]
            if served:
                leaders = {one[0] for one in served}
                found[start] = (leaders, any(None not in one for one in served))
        return found


def _distinct(assignment: tuple[UUID | None, ...]) -> bool:
    used = [one for one in assignment if one is not None]
    return len(used) == len(set(used))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**40))
def test_the_fast_search_equals_a_walk_over_every_granule(seed: int) -> None:
    _compare(World(seed))


@pytest.mark.long
def test_the_fast_search_equals_the_walk_in_thousands_of_clinics() -> None:
    for seed in range(3000):
        _compare(World(seed))


def _compare(world: World) -> None:
    search = world.search()
    found = {one.start: one for one in search.found()}
    expected = world.walk()
    assert sorted(found) == sorted(expected)
    optional = sum(need.optional for need in world.wanted.needs)
    for start, (leaders, everything) in expected.items():
        served = found[start].served
        assert served.number == len(leaders) == found[start].remaining
        assert served.listed.count(b",") == len(leaders) - 1
        assert 1 <= len(served.assignments) <= 4
        assert len({tuple(seat.resource.id for seat in one) for one in served.assignments}) == len(served.assignments)
        for number, assignment in enumerate(served.assignments):
            ids = [seat.resource.id for seat in assignment]
            assert ids[0] in leaders
            assert _distinct(tuple(ids))
            assert all(world.is_free(seat.resource, start, place == 0) for place, seat in enumerate(assignment))
            assert len(world.wanted.needs) - optional <= len(ids) <= len(world.wanted.needs)
            if number == 0 and optional == 1 and everything and len(leaders) == 1:
                assert len(ids) == len(world.wanted.needs)  # what is optional is taken where it is free
        # One start at a time says the same as all at once.
        alone = search.at(start)
        assert alone is not None
        assert (alone.served.listed, alone.remaining) == (served.listed, found[start].remaining)
        assert alone.served.assignments == served.assignments
    for start in set(range(world.opens + 300, world.closes - 200, 35)) - set(expected):
        assert search.at(start) is None
