"""Use cases of searching: availability, providers, alternatives."""

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from availability import catalogue, repository
from availability.calendars import Calendar, Claim, Grids, Range, Resource, Wanted, calendars
from availability.domain import named
from availability.errors import OfferInvalid, not_found
from availability.live import LiveCursor
from availability.offers import Desk, providers_of
from availability.repository import Row
from availability.search import Found, Search
from events import Transaction
from events.base import rfc3339
from events.contracts.identity import TenantChanged
from scheduling.instants import Minute, Span, ceil_minute, floor_minute, span, utc
from scheduling.templates import Starts
from scheduling.zones import UnknownZone, day_span, zone
from servicekit import copies
from servicekit.capabilities import Offer
from servicekit.database import Database
from servicekit.problems import ValidationFailed
from servicekit.signing import Forged, Signer

MAX_DAYS = 62
DEFAULT_DAYS = 31
NEXT_AVAILABLE_DAYS = 31
ALTERNATIVES_WITHIN = timedelta(days=7)
ANY = "any"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class Query:
    """A request for availability as it came; texts are checked by `Slots.availability`."""

    provider: str
    offering: str
    first: str | None = None
    last: str | None = None
    tz: str | None = None
    limit: int | None = None
    after: datetime | None = None
    full: bool = False


class Slots:
    """Searches. Holds what outlives a request: expanded schedules, the live cursor, the key of offers."""

    def __init__(self, database: Database, cursor: LiveCursor, signer: Signer, offer_seconds: int) -> None:
        self._database = database
        self._cursor = cursor
        self._signer = signer
        self._offer_seconds = offer_seconds
        self._grids = Grids()

    # -- availability ------------------------------------------------------------------------------------------

    async def availability(self, clinic_id: UUID, query: Query) -> dict[str, Any]:
        """The answer of `GET …/availability`. `NotFound`, `ValidationFailed`, `Unavailable`."""
        resume = self._cursor.text()  # before the snapshot: see `live`
        async with self._database.transaction(clinic_id) as tx:
            offering = await catalogue.get(tx, "offering", query.offering, staff=False)
            clinic = await copies.find(tx, TenantChanged, str(clinic_id))
            if clinic is not None:
                return await self._availability(tx, offering, clinic, query, resume)
        clinic = await copies.await_copy(self._database, clinic_id, TenantChanged, str(clinic_id))
        async with self._database.transaction(clinic_id) as tx:
            return await self._availability(tx, offering, clinic, query, resume)

    async def _availability(
        self, tx: Transaction, offering: Row, clinic: TenantChanged, query: Query, resume: str
    ) -> dict[str, Any]:
        if not clinic.active:
            raise not_found("clinic", clinic.tenant_id)
        now = datetime.now(UTC)
        tz = zone_of("tz", query.tz or clinic.time_zone)
        asked = _range(query, offering, tz, clinic.time_zone, now)
        resources = await repository.active(tx, "resource")
        provider = _provider(resources, query.provider)
        degraded = await repository.degraded(tx)
        wanted = _wanted(offering, resources, {provider} if provider else None)
        slots: list[dict[str, Any]] = []
        if not asked.empty:
            search = Search(wanted, asked, await self._calendars(tx, wanted, asked, clinic))
            slots = _shown(search, query, self._desk(offering, tz, provider_chosen=provider is not None))
        return {
            "time_zone": tz.key,
            "generated_at": rfc3339(now),
            "degraded": [
                {"provider_id": leader.id, "since": rfc3339(degraded[leader.id])}
                for leader in wanted.requirements[wanted.leading]
                if leader.id in degraded
            ],
            "resume": resume,
            "slots": slots,
        }

    def _desk(self, offering: Row, tz: ZoneInfo, *, provider_chosen: bool) -> Desk:
        expires = int(time.time()) + self._offer_seconds
        return Desk(offering, self._signer, expires, tz, provider_chosen=provider_chosen)

    async def _calendars(
        self, tx: Transaction, wanted: Wanted, asked: Range, clinic: TenantChanged
    ) -> list[list[Calendar]]:
        ids = list({resource.id for requirement in wanted.requirements for resource in requirement})
        pad = clinic.settings.external_buffer_minutes
        start, end = utc(asked.horizon.origin), utc(asked.horizon.end)
        rows = await repository.claims(tx, ids, start, end)
        margin = timedelta(minutes=pad)
        blocks: dict[UUID, list[Span]] = {}
        for row in await repository.blocks(tx, ids, start - margin, end + margin):
            first, last = span(row["start_at"], row["end_at"])
            around = pad if row["external"] else 0
            blocks.setdefault(row["resource_id"], []).append((first - around, last + around))
        return calendars(wanted, asked, self._grids, map(Claim._make, rows), blocks)

    # -- providers ---------------------------------------------------------------------------------------------

    async def providers(
        self, clinic: TenantChanged, offering: str | None, location: str | None = None
    ) -> list[dict[str, Any]]:
        """The clinic's practitioners (of one offering or at one location, if asked), what they offer, and their next
        free start."""
        async with self._database.transaction(clinic.tenant_id) as tx:
            place = await catalogue.get(tx, "location", location) if location is not None else None
            resources = await repository.active(tx, "resource")
            offerings: Iterable[Row] = await repository.active(tx, "offering")
            if offering is not None:
                offerings = [await catalogue.get(tx, "offering", offering, staff=False)]
            offered: dict[UUID, list[UUID]] = {}
            firsts: dict[UUID, Minute] = {}
            now = datetime.now(UTC)
            tz = zone(clinic.time_zone)
            today = now.astimezone(tz).date()
            last = today + timedelta(days=NEXT_AVAILABLE_DAYS)
            for row in offerings:
                wanted = _wanted(row, resources, None)
                asked = _within(row, tz, today, last, clinic.time_zone, now)
                for leader in wanted.requirements[wanted.leading]:
                    offered.setdefault(leader.id, []).append(row["id"])
                search = Search(wanted, asked, await self._calendars(tx, wanted, asked, clinic))
                for identity, start in search.first().items():
                    firsts[identity] = min(start, firsts.get(identity, start))
        return [
            {
                "id": row["id"],
                "slug": row["slug"],
                "name": row["name"],
                "bio": row["bio"],
                "location_id": row["location_id"],
                "time_zone": row["time_zone"],
                "offerings": offered.get(row["id"], []),
                "next_available": utc(firsts[row["id"]]) if row["id"] in firsts else None,
            }
            for row in resources
            if row["type"] == "practitioner"
            and (offering is None or row["id"] in offered)
            and (place is None or row["location_id"] == place["id"])
        ]

    # -- alternatives ------------------------------------------------------------------------------------------

    async def alternatives(self, clinic_id: UUID, slot_id: str, limit: int) -> list[dict[str, Any]]:
        """Slots near a refused one, nearest first: with the same provider before others if the patient chose one.

        An offer whose time is over will do. `OfferInvalid` when it is not one of ours for this clinic.
        """
        try:
            offer = self._signer.verify(slot_id, Offer, leeway=float("inf"))
        except Forged as error:
            raise OfferInvalid("The slot_id was not issued here. Nothing was changed; search again.") from error
        if offer.tenant_id != clinic_id:
            raise OfferInvalid("The slot_id belongs to another clinic. Nothing was changed; search again.")
        async with self._database.transaction(clinic_id) as tx:
            offering = await repository.find(tx, "offering", offer.offering_id)
            clinic = await copies.find(tx, TenantChanged, str(clinic_id))
            if offering is None or not offering["active"] or clinic is None or not clinic.active:
                return []
            now = datetime.now(UTC)
            tz = zone_of("slot_id", offer.time_zone)
            wanted_start = datetime.fromtimestamp(offer.start, UTC)
            first = (max(wanted_start - ALTERNATIVES_WITHIN, now)).astimezone(tz).date()
            last = max(first, (wanted_start + ALTERNATIVES_WITHIN).astimezone(tz).date())
            asked = _within(offering, tz, first, last, clinic.time_zone, now)
            if asked.empty:
                return []
            resources = await repository.active(tx, "resource")
            wanted = _wanted(offering, resources, None)
            needed = await self._calendars(tx, wanted, asked, clinic)
        return self._nearest(offer, offering, wanted, asked, needed, limit)

    def _nearest(
        self,
        offer: Offer,
        offering: Row,
        wanted: Wanted,
        asked: Range,
        needed: list[list[Calendar]],
        limit: int,
    ) -> list[dict[str, Any]]:
        """By provider, so that each slot can be held with the one it names. What overlaps the refused time is left
        out for those who were just refused: the word that they are taken may still be on its way."""
        start, end = offer.start // 60, offer.end // 60
        refused = providers_of(offer)
        ranked: list[tuple[bool, int, int, Found]] = []
        for order, leader in enumerate(needed[wanted.leading]):
            same = leader.resource.id in refused
            narrowed = [[leader] if number == wanted.leading else one for number, one in enumerate(needed)]
            for found in Search(wanted, asked, narrowed).found():
                overlaps = found.start < end and start < found.start + wanted.duration
                if not (same and overlaps):
                    other = offer.provider_chosen and not same
                    ranked.append((other, abs(found.start - start), order, found))
        ranked.sort(key=lambda entry: entry[:3])
        chosen: dict[Minute, Found] = {}
        for _, _, _, found in ranked:
            chosen.setdefault(found.start, found)
            if len(chosen) == limit:
                break
        desk = self._desk(offering, asked.tz, provider_chosen=offer.provider_chosen)
        return [desk.slot(found) for found in chosen.values()]


def _shown(search: Search, query: Query, desk: Desk) -> list[dict[str, Any]]:
    """The found starts that the query asks for, as slots."""
    found: Sequence[Found] = search.found()
    if query.full:
        found = sorted([*found, *search.full(found)], key=lambda one: one.start)
    if query.after is not None:
        past = floor_minute(query.after)
        found = [one for one in found if one.start > past]
    found = found[: query.limit]
    if query.full:
        return [desk.slot(one) | {"capacity": one.capacity, "held": search.held(one.start)} for one in found]
    return [desk.slot(one) for one in found]


# -- translating rows and texts ------------------------------------------------------------------------------------


def zone_of(field: str, name: str) -> ZoneInfo:
    """The zone; `ValidationFailed` names the field."""
    try:
        return zone(name)
    except UnknownZone as error:
        raise ValidationFailed.of(field, 'is not an IANA time zone such as "Europe/Warsaw"') from error


def _date(field: str, value: str) -> date:
    try:
        if _DATE.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise ValidationFailed.of(field, 'is not a date such as "2026-12-01"')


def _range(query: Query, offering: Row, tz: ZoneInfo, clinic_zone: str, now: datetime) -> Range:
    today = now.astimezone(tz).date()
    first = _date("from", query.first) if query.first is not None else today
    if query.last is not None:
        last = _date("to", query.last)
    else:
        last = date.fromordinal(min(first.toordinal() + DEFAULT_DAYS - 1, date.max.toordinal()))
    if last < first:
        raise ValidationFailed.of("to", "is before from")
    if (last - first).days >= MAX_DAYS:
        raise ValidationFailed.of("to", f"is more than {MAX_DAYS} days after from; ask for less at a time")
    return _within(offering, tz, first, last, clinic_zone, now)


def _within(offering: Row, tz: ZoneInfo, first: date, last: date, clinic_zone: str, now: datetime) -> Range:
    """The dates, narrowed to what the offering's notice and window allow. The window ends with the clinic's day."""
    not_before = ceil_minute(now + timedelta(minutes=offering["min_notice_minutes"]))
    home = zone(clinic_zone)
    until = day_span(now.astimezone(home).date() + timedelta(days=offering["window_days"]), home)[1]
    # Far dates have no starts, and arithmetic on the calendar's ends would overflow.
    nearest = now.astimezone(tz).date() - timedelta(days=1)
    farthest = nearest + timedelta(days=offering["window_days"] + 3)
    if last < nearest or first > farthest:
        return Range.of(tz, nearest, nearest, not_before, not_before)
    return Range.of(tz, max(first, nearest), min(last, farthest), not_before, until)


def _provider(resources: Sequence[Row], name: str) -> UUID | None:
    """The practitioner that the path names, None for any; `NotFound` for others."""
    if name == ANY:
        return None
    wanted = named(name)
    for row in resources:
        if row["type"] == "practitioner" and wanted is not None and wanted in (row["id"], row["slug"]):
            identity: UUID = row["id"]
            return identity
    raise not_found("provider", name)


def _wanted(offering: Row, rows: Sequence[Row], providers: set[UUID] | None) -> Wanted:
    """The offering with its requirements resolved to active resources; the leading one narrowed to `providers`."""
    by_type: dict[str, list[Resource]] = {}
    for row in rows:
        by_type.setdefault(row["type"], []).append(_resource(row))
    documents = offering["requirements"]
    requirements = [
        [r for r in by_type.get(one["type"], ()) if one["any_of"] == "all" or str(r.id) in one["any_of"]]
        for one in documents
    ]
    leading = next((number for number, one in enumerate(documents) if one["type"] == "practitioner"), 0)
    if providers is not None:
        requirements[leading] = [resource for resource in requirements[leading] if resource.id in providers]
    return Wanted(
        offering_id=offering["id"],
        duration=offering["duration_minutes"],
        step=offering["slot_step_minutes"] or offering["duration_minutes"],
        starts=Starts.parse(offering["starts"]) if offering["starts"] else None,
        before=offering["buffer_before_minutes"],
        after=offering["buffer_after_minutes"],
        capacity=offering["capacity"],
        requirements=tuple(tuple(requirement) for requirement in requirements),
        leading=leading,
    )


def _resource(row: Row) -> Resource:
    return Resource(
        id=row["id"],
        type=row["type"],
        before=row["buffer_before_minutes"],
        after=row["buffer_after_minutes"],
        approval=row["approval_required"],
        schedule=row["schedule"],
        schedule_version=row["schedule_version"],
    )
