"""Use cases of searching: availability, days, providers, the next free times."""

import time
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from availability import catalogue
from availability.answers import Answer, Answers
from availability.asking import Query, date_of, dates, utc_now, within, zone_of
from availability.board import Sought
from availability.calendars import Calendar, Resource
from availability.directory import Directory, Offering
from availability.live import LiveCursor
from availability.looking import Looker, Seen
from availability.offers import Desk, with_seats
from availability.reasons import day_reason, reason
from availability.search import Found, Search
from events.base import rfc3339
from scheduling.instants import Minute, floor_minute, utc
from scheduling.zones import zone
from servicekit.database import Database
from servicekit.signing import Signer

NEXT_AVAILABLE_DAYS = 31


class Slots:
    """Searches. Holds what outlives a request: the clinics' catalogues, the live cursor, the key of offers."""

    def __init__(
        self, database: Database, looker: Looker, cursor: LiveCursor, signer: Signer, offer_seconds: int
    ) -> None:
        self._database = database
        self._looker = looker
        self._cursor = cursor
        self._signer = signer
        self._offer_seconds = offer_seconds
        self._answers = Answers()

    def desk(
        self, sought: Sought, tz: ZoneInfo, *, provider_chosen: bool, override: bool = False, seconds: int | None = None
    ) -> Desk:
        """Makes slots whose offers live as long as all do, or `seconds`."""
        return Desk(
            sought.directory,
            sought.offering,
            self._signer,
            int(time.time()) + (seconds or self._offer_seconds),
            tz,
            provider_chosen=provider_chosen,
            override=override,
        )

    # -- availability ------------------------------------------------------------------------------------------

    async def availability(self, clinic_id: UUID, query: Query) -> bytes:
        """The answer of `GET …/availability` as JSON. `NotFound`, `ValidationFailed`, `Unavailable`."""
        resume = self._cursor.text()  # before the snapshot: see `live`
        now = utc_now()
        seen = await self._look(clinic_id, query, now)
        sought = seen.sought
        key = (clinic_id, query, sought.offering.id, sought.asked)
        answer = self._answers.find(key, sought.directory, seen.reading)
        if answer is None:
            answer = self._answer(seen, query)
            self._answers.keep(key, sought.directory, seen.reading, answer)
        degraded = [
            {"provider_id": str(seat.resource.id), "since": rfc3339(seen.reading.degraded[seat.resource.id])}
            for seat in sought.pools[sought.offering.leading].seats
            if seat.resource.id in seen.reading.degraded
        ]
        head = msgspec.json.encode(
            {"time_zone": sought.asked.tz.key, "generated_at": rfc3339(now), "degraded": degraded, "resume": resume}
            | ({} if answer.reason is None else {"reason": answer.reason})
        )
        return b"".join((head[:-1], b',"slots":[', answer.slots, b"]}"))

    def _answer(self, seen: Seen, query: Query) -> Answer:
        sought, search = seen.sought, seen.search()
        found = search.found() if not sought.asked.empty else []
        desk = self.desk(sought, sought.asked.tz, provider_chosen=sought.providers is not None, override=query.override)
        slots = b"".join(_shown(search, found, sought, query, desk))
        return Answer(slots, None if found or slots else reason(sought, search))

    async def days(self, clinic_id: UUID, query: Query) -> bytes:
        """The answer of `GET …/availability/days` as JSON: a row for each asked date."""
        now = utc_now()
        seen = await self._look(clinic_id, query, now)
        sought, search = seen.sought, seen.search()
        first, last = dates(query, sought.asked.tz, now)
        by_day: dict[int, list[Found]] = {}
        if not sought.asked.empty:
            for found in search.found():
                by_day.setdefault(sought.asked.day(found.start), []).append(found)
        data: list[dict[str, Any]] = []
        for ordinal in range(first.toordinal(), last.toordinal() + 1):
            day = ordinal - sought.asked.first.toordinal()
            free = by_day.get(day, [])
            row = {"date": date.fromordinal(ordinal).isoformat(), "free": len(free)}
            row["first_start"] = rfc3339(utc(free[0].start)) if free else None
            if not free:
                row["reason"] = day_reason(sought, search, day)
            data.append(row)
        return msgspec.json.encode({"data": data, "time_zone": sought.asked.tz.key})

    async def _look(self, clinic_id: UUID, query: Query, now: datetime) -> Seen:
        def seek(directory: Directory) -> Sought:
            offering = directory.offering(query.offering)
            clinic = directory.require_clinic()
            tz = zone_of("tz", query.tz or clinic.time_zone)
            first, last = dates(query, tz, now)
            asked = within(directory, offering, tz, first, last, now, override=query.override)
            provider = directory.provider(query.provider)
            chosen = frozenset((provider.id,)) if provider else None
            return Sought(directory, offering, asked, chosen, query.override)

        return await self._looker.look(clinic_id, seek)

    # -- providers ---------------------------------------------------------------------------------------------

    async def providers(
        self, clinic_id: UUID, offering: str | None, location: str | None = None, day: str | None = None
    ) -> list[dict[str, Any]]:
        """The clinic's practitioners, what they offer, and their next free start.

        Those of one offering, at one location, with a free start on one of the clinic's dates: where it is asked.
        """
        now = utc_now()
        wanted = date_of("date", day) if day is not None else None
        place: UUID | None = None
        if location is not None:
            async with self._database.transaction(clinic_id) as tx:
                place = (await catalogue.get(tx, "location", location))["id"]
        practitioners: list[Resource] = []

        def survey(directory: Directory) -> list[Sought]:
            only = [directory.offering(offering)] if offering is not None else None
            clinic = directory.require_clinic()
            practitioners[:] = [
                resource
                for resource in directory.resources
                if resource.type == "practitioner" and place in (None, resource.location_id)
            ]
            chosen = only or [one for one in directory.offerings.values() if one.active]
            home = zone(clinic.time_zone)
            return [self._coming(directory, one, home, now, wanted) for one in chosen]

        offered: dict[UUID, list[UUID]] = {}
        firsts: dict[UUID, Minute] = {}
        for seen in await self._looker.survey(clinic_id, survey):
            search = seen.search()
            for leader in search.leaders:
                offered.setdefault(leader.resource.id, []).append(seen.sought.offering.id)
                start = first_start(search, [leader]) if not seen.sought.asked.empty else None
                if start is not None:
                    firsts[leader.resource.id] = min(start, firsts.get(leader.resource.id, start))
        return [
            {
                "id": resource.id,
                "slug": resource.slug,
                "name": resource.name,
                "bio": resource.bio,
                "time_zone": resource.time_zone,
                "location_id": resource.location_id,
                "offerings": offered.get(resource.id, []),
                "next_available": utc(firsts[resource.id]) if resource.id in firsts else None,
            }
            for resource in practitioners
            if (offering is None or resource.id in offered) and (wanted is None or resource.id in firsts)
        ]

    async def next_slots(self, clinic_id: UUID, offerings: Iterable[UUID]) -> dict[UUID, dict[str, Any] | None]:
        """The first free start of each of these offerings within a month, `{start, provider_id}`, None for none.

        Those that are not active, or not known, are None.
        """
        now = utc_now()
        wanted = list(offerings)

        def survey(directory: Directory) -> list[Sought]:
            known = [directory.offerings[one] for one in wanted if one in directory.offerings]
            active = [one for one in known if one.active]
            if not active:
                return []
            home = zone(directory.require_clinic().time_zone)
            return [self._coming(directory, one, home, now, None) for one in active]

        found: dict[UUID, dict[str, Any] | None] = dict.fromkeys(wanted)
        for seen in await self._looker.survey(clinic_id, survey):
            search = seen.search()
            start = first_start(search) if not seen.sought.asked.empty else None
            served = search.at(start) if start is not None else None
            if start is not None and served is not None:
                leader = served.served.assignments[0][0].resource
                provider = leader.id if leader.type == "practitioner" else None
                found[seen.sought.offering.id] = {"start": utc(start), "provider_id": provider}
        return found

    def _coming(
        self, directory: Directory, offering: Offering, home: ZoneInfo, now: datetime, day: date | None
    ) -> Sought:
        today = now.astimezone(home).date()
        first, last = (day, day) if day else (today, today + timedelta(days=NEXT_AVAILABLE_DAYS))
        return Sought(directory, offering, within(directory, offering, home, first, last, now))


def first_start(search: Search, leaders: Sequence[Calendar] | None = None) -> Minute | None:
    """The first start that can be offered (by one of these leaders)."""
    bits = search.possible(leaders)
    while bits:
        lowest = bits & -bits
        start = search.asked.origin + (lowest.bit_length() - 1) * 5
        if search.at(start, leaders) is not None:
            return start
        bits ^= lowest
    return None


def _shown(search: Search, found: Sequence[Found], sought: Sought, query: Query, desk: Desk) -> list[bytes]:
    """The found starts that the query asks for: parts of the JSON list's inside."""
    if query.full and not sought.asked.empty:
        found = sorted([*found, *search.full(found)], key=lambda one: one.start)
    if query.after is not None:
        past = floor_minute(query.after)
        found = [one for one in found if one.start > past]
    found = found[: query.limit]
    if not query.full:
        return desk.slots(found)
    held = [search.held(one.start, sought.offering.duration) for one in found]
    full = [with_seats(desk.slot(one), sought.offering.capacity, seats) for one, seats in zip(found, held, strict=True)]
    return [b",".join(full)]
