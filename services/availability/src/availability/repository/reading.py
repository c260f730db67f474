"""What a search reads: the catalogue of a clinic when it has changed, and what is taken in one statement."""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from availability.calendars import CHUNK, CHUNK_GRANULES, Claim, Taken
from availability.repository.catalogue import Row
from events import Transaction
from scheduling.bitmaps import Horizon
from servicekit.hot import HotPool

_READ = "SELECT * FROM read_calendar(%s, %s, %s, %s, %s, %s, %s, %s)"
_MAP = struct.Struct(">hh288s288s288s")
_CLAIM = struct.Struct(">hh16s16siiiiii")
_OUTSIDE = struct.Struct(">hii")
_HELD, _CANCELLED, _IGNORED, _LEADS = 1, 2, 4, 8

_STAMPS = text("""
SELECT (SELECT coalesce(sum(version), 0) FROM resource WHERE tenant_id = :tenant) AS resources,
       (SELECT coalesce(sum(version), 0) FROM offering WHERE tenant_id = :tenant) AS offerings
""")
_TIME_OFF = text("""
SELECT resource_id, start_at, end_at, rrule, time_zone FROM time_off
WHERE tenant_id = :tenant AND deleted_at IS NULL AND last_end_at > now() - interval '3 days'
ORDER BY id
""")
_FORGET = text("SELECT forget_freed(now() - make_interval(days => :days))")
_FORGET_PAST = text("SELECT forget_past_calendars(now() - make_interval(days => :days))")


@dataclass(frozen=True, slots=True)
class Stamps:
    """Versions of a clinic's catalogue: other ones after every change of it."""

    resources: int
    offerings: int
    clinic: int | None


@dataclass(frozen=True, slots=True)
class Asked:
    """What `read` is asked for. `offerings`: those whose every visit is to come as a row, up to `wide` days around."""

    resources: Sequence[UUID]
    first_chunk: int
    chunks: int
    offering: UUID | None = None
    offerings: Sequence[UUID] = ()
    wide: int = 0
    ignored: UUID | None = None
    """An owner whose claims count as free."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is taken, as of one snapshot together with the catalogue's versions."""

    asked: Asked
    stamps: Stamps
    degraded: dict[UUID, datetime]
    packed: tuple[bytes, bytes, bytes]
    """Maps, claims and outside as the statement gives them: where they are the same, so is everything."""

    def taken(self) -> dict[UUID, Taken]:
        """By resource; bits begin with the first chunk that was asked for."""
        asked = self.asked
        maps, claims, outside = self.packed
        taken = [Taken.nothing() for _ in asked.resources]
        for number, chunk, claimed, started, external in _MAP.iter_unpack(maps):
            one, shift = taken[number], chunk * CHUNK_GRANULES
            # Most calendars have one or the other.
            if bits := int.from_bytes(claimed, "big"):
                one.claimed |= bits << shift
                one.started |= int.from_bytes(started, "big") << shift
            if bits := int.from_bytes(external, "big"):
                one.external |= bits << shift
        horizon = Horizon(asked.first_chunk * CHUNK, asked.chunks * CHUNK_GRANULES)
        for number, first, last in _OUTSIDE.iter_unpack(outside):
            taken[number].external |= horizon.bits(((first, last),))
        for number, flags, *fields in _CLAIM.iter_unpack(claims):
            told = (bool(flags & _HELD), bool(flags & _CANCELLED), bool(flags & _LEADS))
            one, claim = taken[number], Claim._make((*fields, *told))
            if flags & _IGNORED:
                # Claims of one resource never overlap: its granules are nobody else's.
                one.claimed &= ~horizon.bits(((claim.claim_start, claim.claim_end),))
                one.started &= ~horizon.bits(((claim.start, claim.start + 1),))
            else:
                one.claims.append(claim)
        return dict(zip(asked.resources, taken, strict=True))


async def read(hot: HotPool, tenant_id: UUID, asked: Asked) -> Reading:
    """One statement, a transaction of its own. Holds past their end are left out by the database's clock."""
    row = await hot.one(
        _READ,
        (
            tenant_id,
            list(asked.resources),
            asked.first_chunk,
            asked.first_chunk + asked.chunks - 1,
            asked.offering,
            list(asked.offerings),
            asked.wide,
            asked.ignored,
        ),
    )
    resources, offerings, clinic, degraded, maps, claims, outside = row
    since = {UUID(key): datetime.fromisoformat(at) for key, at in json.loads(degraded).items()} if degraded else {}
    return Reading(asked, Stamps(resources, offerings, clinic), since, (maps or b"", claims or b"", outside or b""))


async def stamps(tx: Transaction) -> tuple[int, int]:
    """The versions of resources and offerings. Read them before what they stand for: then nothing stale is kept."""
    row = (await tx.connection.execute(_STAMPS, {"tenant": tx.tenant_id})).one()
    return int(row.resources), int(row.offerings)


async def all_time_off(tx: Transaction) -> Sequence[Row]:
    """Time off of every resource that is not over."""
    return (await tx.connection.execute(_TIME_OFF, {"tenant": tx.tenant_id})).mappings().all()


async def forget_freed(tx: Transaction, days: int) -> None:
    """Drops what was freed or ended that long ago and calendars of the past, in every tenant."""
    parameters: dict[str, Any] = {"days": days}
    await tx.connection.execute(_FORGET, parameters)
    await tx.connection.execute(_FORGET_PAST, parameters)
