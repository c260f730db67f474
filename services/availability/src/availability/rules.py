"""Rules of an offering about practitioners and rooms, as starts that they forbid. Pure; instants are epoch minutes.

Distances are between visits, without their buffers. Days and weeks are the clinic's, a visit belongs to the day of its
start, and weeks begin on Monday. Holds count. Rules about the patient are judged by booking.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from availability.calendars import Claim, Range, Resource
from availability.directory import Directory, Offering
from scheduling.instants import GRANULE, Span
from scheduling.zones import day_span, local_date

_A_WEEK = timedelta(days=7)
WIDE_DAYS = 9
"""How far around the searched stretch visits matter: a week, and a day for the zone."""


class Rules:
    """What the rules of one offering say about each resource."""

    def __init__(self, directory: Directory, offering: Offering, tz: ZoneInfo, duration: int) -> None:
        self._offering = offering
        self._tz = tz
        self._duration = duration
        self._after = [(rule.after_offering.bytes, rule.minutes, rule.of) for rule in offering.gaps]
        self._before = [(whose.bytes, rule.minutes, rule.of) for whose, rule in directory.keeping_off(offering)]
        self.offerings: list[UUID] = []
        """Whose visits have to be known."""
        if offering.gaps or self._before or offering.maxima:
            own = [offering.id] if offering.maxima else []
            named = [rule.after_offering for rule in offering.gaps]
            self.offerings = sorted({*own, *named, *(UUID(bytes=whose) for whose, _, _ in self._before)})

    def forbidden(self, resource: Resource, claims: Iterable[Claim], asked: Range, *, leads: bool) -> int:
        """Bits of the starts at which this resource may not serve the offering. Rules of practitioners are about the
        slot's provider: whoever only assists (does not lead) is not bound by them, and no visit of theirs counts."""
        judged = resource.type == "room" or (resource.type == "practitioner" and leads)
        if not self.offerings or not judged:
            return 0
        room = resource.type == "room"
        live = [claim for claim in claims if not claim.cancelled and (room or claim.leads)]
        bits = asked.horizon.bits(self._too_near(resource.type, live))
        if resource.type == "practitioner" and self._offering.maxima:
            bits |= asked.horizon.bits(self._used_up(live, asked))
        return bits

    def _too_near(self, kind: str, claims: list[Claim]) -> Iterable[Span]:
        """Of both sides: too soon after a visit that ends, or ending too shortly before one that begins."""
        for claim in claims:
            for offering, minutes, of in self._after:
                if of == kind and claim.offering_id == offering:
                    yield claim.end, claim.end + minutes
            for offering, minutes, of in self._before:
                if of == kind and claim.offering_id == offering:
                    # Forbidden are ends in (start - minutes, start]; ends lie on granules.
                    first = claim.start - minutes - self._duration + GRANULE
                    yield first, claim.start - self._duration + GRANULE

    def _used_up(self, claims: list[Claim], asked: Range) -> Iterable[Span]:
        own = self._offering.id.bytes
        days = [local_date(claim.start, self._tz) for claim in claims if claim.offering_id == own]
        for rule in self._offering.maxima:
            weekly = rule.per == "week"
            counted = Counter(_monday(day) if weekly else day for day in days)
            for first, count in counted.items():
                if count >= rule.count:
                    last = first + _A_WEEK - timedelta(days=1) if weekly else first
                    yield day_span(first, self._tz)[0], day_span(last, self._tz)[1]


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())
