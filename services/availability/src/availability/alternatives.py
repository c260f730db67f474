"""Use cases around an offer that was made: other times in its place, its recurrences, a whole series that moves."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from availability.asking import around, utc_now, within, zone_of
from availability.board import Sought
from availability.calendars import Calendar
from availability.directory import Directory
from availability.errors import OfferInvalid
from availability.hot import raw
from availability.looking import Looker, Seen
from availability.nearest import nearest, tiers_of
from availability.offers import Desk, providers_of
from availability.search import Search
from availability.slots import Slots
from events.base import rfc3339
from scheduling.instants import Minute, floor_minute
from scheduling.recurrences import InvalidRule, occurrences
from scheduling.zones import to_utc
from servicekit.capabilities import Offer
from servicekit.problems import NotFound, ValidationFailed
from servicekit.signing import Forged, Signer

WITHIN = timedelta(days=7)
MOST_OCCURRENCES = 104
OCCURRENCE_ALTERNATIVES = 3
FOREVER = datetime.max.replace(tzinfo=UTC) - timedelta(days=1)


class Alternatives:
    """Looks for other times. Offers whose time is over will do: they only say what was wanted."""

    def __init__(self, looker: Looker, slots: Slots, signer: Signer) -> None:
        self._looker = looker
        self._slots = slots
        self._signer = signer

    def _read(self, clinic_id: UUID, slot_id: str) -> Offer:
        """The offer; `OfferInvalid` when it is not one of ours for this clinic."""
        try:
            offer = self._signer.verify(slot_id, Offer, leeway=float("inf"))
        except Forged as error:
            raise OfferInvalid("The slot_id was not issued here. Nothing was changed; search again.") from error
        if offer.tenant_id != clinic_id:
            raise OfferInvalid("The slot_id belongs to another clinic. Nothing was changed; search again.")
        return offer

    # -- one refused time --------------------------------------------------------------------------------------

    async def near(self, clinic_id: UUID, slot_id: str, limit: int) -> list[bytes]:
        """Slots near a refused one, nearest first: of the same provider first if the patient chose one, then of
        others at the same location, then elsewhere. Each can be held as it is."""
        offer = self._read(clinic_id, slot_id)
        now = utc_now()

        def seek(directory: Directory) -> Sought:
            offering = directory.offering(str(offer.offering_id))
            directory.require_clinic()
            tz = zone_of("slot_id", offer.time_zone)
            return Sought(directory, offering, around(directory, offering, tz, _instant(offer.start), WITHIN, now))

        try:
            seen = await self._looker.look(clinic_id, seek)
        except NotFound:
            return []  # not offered any more: there is nothing in its place
        if seen.sought.asked.empty:
            return []
        desk = self._slots.desk(seen.sought, seen.sought.asked.tz, provider_chosen=offer.provider_chosen)
        return _near(seen.search(), offer, offer.start // 60, limit, desk)

    # -- series ------------------------------------------------------------------------------------------------

    async def occurrences(self, clinic_id: UUID, slot_id: str, rrule: str) -> list[dict[str, Any]]:
        """The offer's own start and every other one of the rule, at the same local time in the offer's zone.

        With the same provider if the patient chose one. `OfferInvalid`; `ValidationFailed` of `rrule` when it cannot
        be read, does not end, or names more than 104 starts.
        """
        offer = self._read(clinic_id, slot_id)
        starts = _recurring(offer, rrule)
        return await self._each(clinic_id, offer, starts)

    async def shifted(
        self, clinic_id: UUID, slot_id: str, from_start: datetime, starts: Sequence[datetime]
    ) -> list[dict[str, Any]]:
        """Each of `starts` moved as the offer's start is from `from_start`: by as many local days, to the same
        local time as the offer's where it had the anchor's, by the same difference of wall clocks otherwise."""
        offer = self._read(clinic_id, slot_id)
        tz = zone_of("slot_id", offer.time_zone)
        moved_to, moved_from = (
            instant.astimezone(tz).replace(tzinfo=None, fold=0) for instant in (_instant(offer.start), from_start)
        )
        by = moved_to - moved_from
        targets = [
            _instant(offer.start)
            if start == from_start
            else to_utc(start.astimezone(tz).replace(tzinfo=None, fold=0) + by, tz)
            for start in starts
        ]
        return await self._each(clinic_id, offer, targets)

    async def _each(self, clinic_id: UUID, offer: Offer, starts: Sequence[datetime]) -> list[dict[str, Any]]:
        now = utc_now()
        chosen = frozenset(providers_of(offer)) if offer.provider_chosen else None

        def seek(directory: Directory) -> Sought:
            offering = directory.offering(str(offer.offering_id))
            directory.require_clinic()
            tz = zone_of("slot_id", offer.time_zone)
            first, last = (_date(instant, tz) for instant in (min(starts) - WITHIN, max(starts) + WITHIN))
            return Sought(directory, offering, within(directory, offering, tz, first, last, now))

        try:
            seen = await self._looker.look(clinic_id, seek)
        except NotFound as error:
            raise OfferInvalid("This is no longer offered. Nothing was changed; look for another offering.") from error
        return self._answers(seen, offer, chosen, starts)

    def _answers(
        self, seen: Seen, offer: Offer, chosen: frozenset[UUID] | None, starts: Sequence[datetime]
    ) -> list[dict[str, Any]]:
        search = seen.search()
        among = [leader for leader in search.leaders if chosen is None or leader.resource.id in chosen]
        desk = self._slots.desk(seen.sought, seen.sought.asked.tz, provider_chosen=offer.provider_chosen)
        answers: list[dict[str, Any]] = []
        for instant in starts:
            start = floor_minute(instant)
            within_range = seen.sought.asked.not_before <= start < seen.sought.asked.until
            found = search.at(start, among) if within_range else None
            answers.append(
                {
                    "start": rfc3339(instant),
                    "slot_id": desk.slot_id(found).decode() if found else None,
                    "alternatives": []
                    if found or seen.sought.asked.empty
                    else raw(_near(search, offer, start, OCCURRENCE_ALTERNATIVES, desk, within=WITHIN)),
                }
            )
        return answers


def _near(
    search: Search, offer: Offer, start: Minute, limit: int, desk: Desk, within: timedelta | None = None
) -> list[bytes]:
    own = providers_of(offer)
    end = start + (offer.end - offer.start) // 60

    def refused(at: Minute, leader: Calendar) -> bool:
        # Those who were just refused: the word that they are taken may still be on its way.
        return leader.resource.id in own and at < end and start < at + end - start

    tiers = tiers_of(search.leaders, own, chosen=offer.provider_chosen)
    found = nearest(search, start, tiers, limit, alone=offer.provider_chosen, refused=refused)
    most = within // timedelta(minutes=1) if within else None
    return [desk.slot(one) for one in found if most is None or abs(one.start - start) <= most]


def _recurring(offer: Offer, rrule: str) -> list[datetime]:
    start, tz = _instant(offer.start), zone_of("slot_id", offer.time_zone)
    named = {part.partition("=")[0].strip() for part in rrule.upper().removeprefix("RRULE:").split(";")}
    if not named & {"COUNT", "UNTIL"}:
        raise ValidationFailed.of("rrule", "needs COUNT or UNTIL: a series has to end")
    try:
        found = occurrences(rrule, start, tz, since=start, until=FOREVER, limit=MOST_OCCURRENCES + 1)
    except InvalidRule as error:
        raise ValidationFailed.of("rrule", str(error)) from error
    starts = sorted({start, *found})  # the offer's own start is the first, whether the rule names that day or not
    if len(starts) > MOST_OCCURRENCES:
        raise ValidationFailed.of("rrule", f"names more than {MOST_OCCURRENCES} visits; end it sooner")
    return starts


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _date(instant: datetime, tz: Any) -> date:
    return instant.astimezone(tz).date()
