"""A clinic's catalogue as searches use it, kept from one request to the next.

Every search reads the catalogue's versions in the same statement as what is taken (`repository.reading`): what is kept
serves only while they are the same, so a request never sees a former catalogue, and reads it again only after a change.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast
from uuid import UUID

import msgspec

from availability.calendars import Away, Resource, Seat
from availability.domain import named
from availability.errors import ClinicUnknown, not_found
from availability.repository import Row, reading
from availability.repository import catalogue as rows
from availability.repository.reading import Stamps
from events import Transaction
from events.contracts.availability import GapRule, MaxRule
from events.contracts.identity import TenantChanged
from scheduling.templates import Starts, Template
from servicekit import copies
from servicekit.database import Database

ANY = "any"
_CLINICS_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Need:
    """One resource that a visit needs."""

    type: str
    any_of: frozenset[UUID] | None
    """None: any of the type."""
    optional: bool
    weights: dict[UUID, int]


@dataclass(slots=True, eq=False)
class Offering:
    """What a search has to know of an offering. Lengths in minutes."""

    id: UUID
    slug: str
    version: int
    active: bool
    duration: int
    step: int
    starts: Starts | None
    before: int
    after: int
    min_notice: int
    window_days: int
    capacity: int
    hold_seconds: float
    amount: int
    currency: str
    needs: tuple[Need, ...]
    gaps: tuple[GapRule, ...]
    maxima: tuple[MaxRule, ...]
    """Those of practitioners: rules about the patient are judged by booking."""
    leading: int
    """The need whose resource's hours make the grid of starts and is the slot's provider."""
    price: bytes
    """As JSON."""


@dataclass(slots=True, eq=False)
class Pool:
    """The active resources that may serve a need, in stable order, each as the seat it would have."""

    seats: list[Seat]
    optional: bool
    weights: dict[UUID, int]


@dataclass(slots=True, eq=False)
class Directory:
    """The catalogue of one clinic at one version. Resources are the active ones, the oldest first."""

    stamps: Stamps
    clinic: TenantChanged | None
    resources: list[Resource]
    offerings: dict[UUID, Offering]
    by_slug: dict[str, Offering]
    _pools: dict[Offering, list[Pool]] = field(default_factory=dict)

    def require_clinic(self) -> TenantChanged:
        """The clinic; `NotFound` when it was deleted, `ClinicUnknown` while its copy has not come."""
        if self.clinic is None:
            raise ClinicUnknown
        if not self.clinic.active:
            raise not_found("clinic", self.clinic.tenant_id)
        return self.clinic

    def offering(self, name: str) -> Offering:
        """The active offering with this id or slug; `NotFound`."""
        wanted = named(name)
        found = self.offerings.get(wanted) if isinstance(wanted, UUID) else self.by_slug.get(wanted or "")
        if found is None or not found.active:
            raise not_found("offering", name)
        return found

    def provider(self, name: str) -> Resource | None:
        """The active practitioner that a path names, None for any; `NotFound` for others."""
        if name == ANY:
            return None
        wanted = named(name)
        for resource in self.resources:
            if resource.type == "practitioner" and wanted is not None and wanted in (resource.id, resource.slug):
                return resource
        raise not_found("provider", name)

    def pools(self, offering: Offering) -> list[Pool]:
        """Who may serve each of the offering's needs."""
        if self.offerings.get(offering.id) is not offering:
            return [self._pool(offering, need) for need in offering.needs]
        if (found := self._pools.get(offering)) is None:
            found = self._pools[offering] = [self._pool(offering, need) for need in offering.needs]
        return found

    def _pool(self, offering: Offering, need: Need) -> Pool:
        fitting = [r for r in self.resources if r.type == need.type and (need.any_of is None or r.id in need.any_of)]
        seats = [
            Seat(r, max(offering.before, r.before), offering.duration + max(offering.after, r.after)) for r in fitting
        ]
        return Pool(seats, need.optional, need.weights)

    def keeping_off(self, offering: Offering) -> list[tuple[UUID, GapRule]]:
        """Rules of other offerings, or of its own, that keep a distance after visits of this one: (whose, rule)."""
        return [(o.id, rule) for o in self.offerings.values() for rule in o.gaps if rule.after_offering == offering.id]


class Directories:
    """The catalogues of the clinics that were searched last."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: OrderedDict[UUID, Directory] = OrderedDict()
        self._loading: dict[UUID, asyncio.Lock] = {}

    def kept(self, tenant_id: UUID) -> Directory | None:
        """What was read before; it may be out of date."""
        if (found := self._kept.get(tenant_id)) is not None:
            self._kept.move_to_end(tenant_id)
        return found

    async def load(self, tenant_id: UUID, wanted: Stamps | None = None) -> Directory:
        """Reads the catalogue; those who find it changed at the same moment share one reading, if that has what is
        `wanted`. Resources whose rows are as they were keep their expanded hours."""
        lock = self._loading.setdefault(tenant_id, asyncio.Lock())
        try:
            async with lock:
                former = self._kept.get(tenant_id)
                if former is not None and former.stamps == wanted:
                    return former
                async with self._database.transaction(tenant_id) as tx:
                    found = await _load(tx, former)
                if found.clinic is not None:  # what is made up is not kept
                    self._kept[tenant_id] = found
                    self._kept.move_to_end(tenant_id)
                if len(self._kept) > _CLINICS_KEPT:
                    self._kept.popitem(last=False)
                return found
        finally:
            if not lock.locked():
                self._loading.pop(tenant_id, None)


async def _load(tx: Transaction, former: Directory | None) -> Directory:
    resources, offerings = await reading.stamps(tx)  # first: what is read afterwards is at least as new
    clinic = await copies.find(tx, TenantChanged, str(tx.tenant_id))
    known = {resource.id: resource for resource in former.resources} if former else {}
    away: dict[UUID, list[Away]] = {}
    for row in await reading.all_time_off(tx):
        one = Away(row["start_at"], row["end_at"], row["rrule"], row["time_zone"])
        away.setdefault(row["resource_id"], []).append(one)
    found = [_resource(row, known, away.get(row["id"], ())) for row in await rows.active(tx, "resource")]
    offered = [_offering(row) for row in await rows.every(tx, "offering")]
    return Directory(
        stamps=Stamps(resources, offerings, clinic.version if clinic else None),
        clinic=clinic,
        resources=found,
        offerings={offering.id: offering for offering in offered},
        by_slug={offering.slug: offering for offering in offered},
    )


def _resource(row: Row, known: dict[UUID, Resource], away: Iterable[Away]) -> Resource:
    former = known.get(row["id"])
    if former is not None and former.version == row["version"]:
        return former
    return Resource(
        id=row["id"],
        type=row["type"],
        name=row["name"],
        slug=row["slug"],
        time_zone=row["time_zone"],
        location_id=row["location_id"],
        bio=row["bio"],
        before=row["buffer_before_minutes"],
        after=row["buffer_after_minutes"],
        approval=row["approval_required"],
        schedule=Template.parse(row["schedule"]) if row["schedule"] is not None else None,
        schedule_version=row["schedule_version"],
        version=row["version"],
        time_off=tuple(away),
    )


def _offering(row: Row) -> Offering:
    needs = tuple(_need(document) for document in row["requirements"])
    rules: Sequence[dict[str, Any]] = row["rules"]
    return Offering(
        id=row["id"],
        slug=row["slug"],
        version=row["version"],
        active=row["active"],
        duration=row["duration_minutes"],
        step=row["slot_step_minutes"] or row["duration_minutes"],
        starts=_starts(msgspec.json.encode(row["starts"])) if row["starts"] else None,
        before=row["buffer_before_minutes"],
        after=row["buffer_after_minutes"],
        min_notice=row["min_notice_minutes"],
        window_days=row["window_days"],
        capacity=row["capacity"],
        hold_seconds=row["hold_minutes"] * 60,
        amount=row["price"]["amount"],
        currency=row["price"]["currency"],
        needs=needs,
        gaps=tuple(GapRule.model_validate(one) for one in rules if one["kind"] == "gap"),
        maxima=tuple(
            MaxRule.model_validate(one) for one in rules if one["kind"] == "max" and one["of"] == "practitioner"
        ),
        leading=_leading(needs),
        price=msgspec.json.encode({"amount": row["price"]["amount"], "currency": row["price"]["currency"]}),
    )


def _need(document: dict[str, Any]) -> Need:
    named_ones = document["any_of"]
    return Need(
        type=document["type"],
        any_of=None if named_ones == "all" else frozenset(UUID(one) for one in named_ones),
        optional=document.get("optional", False),
        weights={UUID(one): weight for one, weight in (document.get("preferences") or {}).items()},
    )


def _leading(needs: Sequence[Need]) -> int:
    """The first need for a practitioner that is not optional, or else the first that is not."""
    required = [number for number, need in enumerate(needs) if not need.optional]
    return next((number for number in required if needs[number].type == "practitioner"), required[0])


@lru_cache(maxsize=1024)
def _starts(document: bytes) -> Starts:
    return Starts.parse(cast(object, msgspec.json.decode(document)))
