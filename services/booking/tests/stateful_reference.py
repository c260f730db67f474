"""The rules of the catalogue once more, as simply as they can be said: a day's wall-clock ranges, a grid in each, every
combination of resources. No bitmaps, no preference, nothing shared with the search."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from servicekit.capabilities import Offer, OfferedResource

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Weekly = dict[str, list[list[str]]]


def weekly(*ranges: tuple[str, str]) -> Weekly:
    """The same ranges every day."""
    return {day: [list(one) for one in ranges] for day in DAYS}


@dataclass
class Thing:
    """A resource. `hours` None: no schedule."""

    type: str
    before: int
    after: int
    hours: Weekly | None
    id: UUID = field(default_factory=lambda: UUID(int=0))

    def __str__(self) -> str:
        return f"{self.type} {str(self.id)[-4:]} (-{self.before} +{self.after})"

    def ranges(self, day: date, tz: ZoneInfo) -> list[tuple[datetime, datetime]]:
        """When it works on the day."""
        assert self.hours is not None
        return [
            (_instant(day, opens, tz), _instant(day, closes, tz)) for opens, closes in self.hours[DAYS[day.weekday()]]
        ]

    def works(self, start: datetime, end: datetime, tz: ZoneInfo) -> bool:
        """Whether it is there for the whole visit."""
        if self.hours is None:
            return self.type != "practitioner"
        return any(opens <= start and end <= closes for opens, closes in self.ranges(start.astimezone(tz).date(), tz))


def _instant(day: date, wall: str, tz: ZoneInfo) -> datetime:
    return datetime.combine(day, time.fromisoformat(wall), tz)


@dataclass
class Need:
    """What a visit needs: one of these."""

    things: list[Thing]
    optional: bool = False


@dataclass
class Kind:
    """An offering; the first need leads."""

    duration: int
    step: int
    before: int
    after: int
    capacity: int
    needs: list[Need]
    rules: list[dict[str, Any]]
    id: UUID = field(default_factory=lambda: UUID(int=0))

    def __str__(self) -> str:
        needs = "; ".join(("maybe " if n.optional else "") + " or ".join(map(str, n.things)) for n in self.needs)
        return (
            f"offering {str(self.id)[-4:]}: {self.duration} min every {self.step} (-{self.before} +{self.after}),"
            f" {self.capacity} seats, needs {needs}, rules {self.rules}"
        )

    def starts(self, leader: Thing, first: date, last: date, tz: ZoneInfo) -> Iterator[datetime]:
        """The grid that the leader's hours make: stepped from where each range begins. Who has no schedule is always
        there, and the grid begins at each midnight."""
        length = timedelta(minutes=self.duration)
        for number in range((last - first).days + 1):
            day = first + timedelta(days=number)
            if leader.hours is None:
                opens, closes = (_instant(day + timedelta(days=more), "00:00", tz) for more in (0, 1))
                ranges = [(opens, closes - timedelta(minutes=5) + length)]
            else:
                ranges = leader.ranges(day, tz)
            for begins, ends in ranges:
                start = begins
                while start + length <= ends:
                    yield start
                    start += timedelta(minutes=self.step)

    def assignments(self, leader: Thing, start: datetime, tz: ZoneInfo) -> Iterator[list[Thing]]:
        """Every combination of resources that work then, none of them twice; also without what is optional."""
        end = start + timedelta(minutes=self.duration)
        if not leader.works(start, end, tz):
            return
        choices: list[list[Thing | None]] = []
        for need in self.needs[1:]:
            choice: list[Thing | None] = [thing for thing in need.things if thing.works(start, end, tz)]
            choices.append([*choice, None] if need.optional else choice)
        for chosen in itertools.product(*choices):
            group = [leader, *(thing for thing in chosen if thing is not None)]
            if len({thing.id for thing in group}) == len(group):
                yield group

    def offer(self, group: list[Thing], start: datetime, *, tenant_id: UUID, known: dict[str, Any]) -> Offer:
        """What availability would sign for it; `known` has versions as they are now and when the offer ends."""
        end = start + timedelta(minutes=self.duration)
        candidate = [
            OfferedResource(
                thing.id, int(start.timestamp()) - 60 * max(self.before, thing.before),
                int(end.timestamp()) + 60 * max(self.after, thing.after), thing.type[0], known[str(thing.id)], False,
            )
            for thing in group
        ]  # fmt: skip
        return Offer(
            expires=known["expires"], tenant_id=tenant_id, offering_id=self.id, offering_version=known[str(self.id)],
            start=int(start.timestamp()), end=int(end.timestamp()), amount=0, currency="pln", hold_seconds=600,
            capacity=self.capacity, provider_chosen=False, time_zone="Europe/Warsaw", candidates=[candidate],
        )  # fmt: skip
