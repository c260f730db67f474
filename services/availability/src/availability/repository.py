"""All SQL of the service. Every statement names the tenant besides Row Level Security."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import RowMapping, Select, Table, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from availability.tables import offering, resource, time_off
from events import Transaction
from events.contracts.availability import ResourceType
from events.contracts.booking import Occupancy
from events.contracts.calendar import Busy, CalendarConnectionDegraded
from servicekit.problems import ValidationFailed

Kind = Literal["resource", "offering"]
TABLES: dict[Kind, Table] = {"resource": resource, "offering": offering}
Row = RowMapping


# -- catalogue -----------------------------------------------------------------------------------------------------


async def find(
    tx: Transaction, kind: Kind, name: UUID | str, *, lock: bool = False, deleted: bool = False
) -> Row | None:
    """By id or slug; `deleted` also finds what was deleted, `lock` takes the row lock."""
    table = TABLES[kind]
    column = table.c.id if isinstance(name, UUID) else table.c.slug
    query: Select[Any] = select(table).where(table.c.tenant_id == tx.tenant_id, column == name)
    if not deleted:
        query = query.where(table.c.deleted_at.is_(None))
    query = query.order_by(table.c.deleted_at.desc().nulls_first()).limit(1)
    if lock:
        query = query.with_for_update()
    row: Row | None = (await tx.connection.execute(query)).mappings().one_or_none()
    return row


async def create(tx: Transaction, kind: Kind, values: dict[str, Any]) -> Row:
    """A new row; `ValidationFailed` when its slug or external_ref is taken."""
    table = TABLES[kind]
    try:
        made = await tx.connection.execute(insert(table).values(tenant_id=tx.tenant_id, **values).returning(table))
    except IntegrityError as error:
        raise _taken(error) from error
    row: Row = made.mappings().one()
    return row


async def change(tx: Transaction, kind: Kind, identity: UUID, values: dict[str, Any]) -> Row:
    """Writes a locked row's values and bumps its version; `ValidationFailed` as in `create`."""
    table = TABLES[kind]
    statement = (
        update(table)
        .where(table.c.tenant_id == tx.tenant_id, table.c.id == identity)
        .values(version=table.c.version + 1, updated_at=func.clock_timestamp(), **values)
        .returning(table)
    )
    try:
        changed = await tx.connection.execute(statement)
    except IntegrityError as error:
        raise _taken(error) from error
    row: Row = changed.mappings().one()
    return row


def _taken(error: IntegrityError) -> Exception:
    constraint = getattr(getattr(error.orig, "diag", None), "constraint_name", None) or ""
    for field in ("slug", "external_ref"):
        if constraint.endswith(field):
            return ValidationFailed.of(field, "is taken by another one in this clinic")
    return error


async def slugs(tx: Transaction, kind: Kind) -> list[str]:
    """Slugs in use."""
    table = TABLES[kind]
    query = select(table.c.slug).where(table.c.tenant_id == tx.tenant_id, table.c.deleted_at.is_(None))
    return list((await tx.connection.execute(query)).scalars())


async def page(
    tx: Transaction,
    kind: Kind,
    *,
    filters: dict[str, Any],
    updated_since: datetime | None,
    sort: str,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[Row]:
    """Up to `limit` rows in the order of `sort` (`created_at` or `updated_at`, descending with a `-`), then of id."""
    table = TABLES[kind]
    column = table.c[sort.removeprefix("-")]
    query: Select[Any] = select(table).where(table.c.tenant_id == tx.tenant_id, table.c.deleted_at.is_(None))
    for name, value in filters.items():
        query = query.where(table.c[name] == value)
    if updated_since is not None:
        query = query.where(table.c.updated_at >= updated_since)
    keys = tuple_(column, table.c.id)
    if sort.startswith("-"):
        query = query.order_by(column.desc(), table.c.id.desc())
        query = query.where(keys < after) if after else query
    else:
        query = query.order_by(column, table.c.id)
        query = query.where(keys > after) if after else query
    rows: Sequence[Row] = (await tx.connection.execute(query.limit(limit))).mappings().all()
    return rows


async def active(tx: Transaction, kind: Kind) -> Sequence[Row]:
    """All that are active, the oldest first: the stable order of providers."""
    table = TABLES[kind]
    query: Select[Any] = (
        select(table)
        .where(table.c.tenant_id == tx.tenant_id, table.c.deleted_at.is_(None), table.c.active)
        .order_by(table.c.created_at, table.c.id)
    )
    rows: Sequence[Row] = (await tx.connection.execute(query)).mappings().all()
    return rows


async def types_of(tx: Transaction, resource_ids: Iterable[UUID]) -> dict[UUID, ResourceType]:
    """Types by id of those resources that exist."""
    query = select(resource.c.id, resource.c.type).where(
        resource.c.tenant_id == tx.tenant_id, resource.c.id.in_(list(resource_ids)), resource.c.deleted_at.is_(None)
    )
    return {row.id: row.type for row in await tx.connection.execute(query)}


async def is_referenced(tx: Transaction, kind: Kind, identity: UUID) -> bool:
    """Whether a booking of the last weeks or to come names it."""
    column = "resource_id" if kind == "resource" else "offering_id"
    query = text(f"SELECT EXISTS (SELECT FROM occupancy WHERE tenant_id = :tenant AND {column} = :id)")
    return bool((await tx.connection.execute(query, {"tenant": tx.tenant_id, "id": identity})).scalar_one())


def now() -> Any:
    """The transaction's time, as a value for `change`."""
    return func.now()


# -- time off ------------------------------------------------------------------------------------------------------


async def add_time_off(tx: Transaction, values: dict[str, Any]) -> Row:
    """A new stretch of time off."""
    statement = insert(time_off).values(tenant_id=tx.tenant_id, **values).returning(time_off)
    row: Row = (await tx.connection.execute(statement)).mappings().one()
    return row


async def times_off(tx: Transaction, resource_id: UUID, after: UUID | None, limit: int) -> Sequence[Row]:
    """A resource's time off in the order it was entered."""
    query = select(time_off).where(
        time_off.c.tenant_id == tx.tenant_id, time_off.c.resource_id == resource_id, time_off.c.deleted_at.is_(None)
    )
    if after:
        query = query.where(time_off.c.id > after)
    return (await tx.connection.execute(query.order_by(time_off.c.id).limit(limit))).mappings().all()


async def find_time_off(tx: Transaction, resource_id: UUID, identity: UUID) -> Row | None:
    """One, also when it was deleted."""
    query = select(time_off).where(
        time_off.c.tenant_id == tx.tenant_id, time_off.c.resource_id == resource_id, time_off.c.id == identity
    )
    return (await tx.connection.execute(query.with_for_update())).mappings().one_or_none()


async def delete_time_off(tx: Transaction, identity: UUID) -> None:
    """Keeps the row, so that deleting it again answers the same."""
    statement = update(time_off).where(time_off.c.tenant_id == tx.tenant_id, time_off.c.id == identity)
    await tx.connection.execute(statement.values(deleted_at=func.now()))


# -- what is taken -------------------------------------------------------------------------------------------------

# RETURNING old/new (PostgreSQL 18): the row as it was decides what strangers are told.
_OCCUPY = text("""
INSERT INTO occupancy AS o (tenant_id, owner_id, resource_id, version, slot_id, offering_id, claim_start, claim_end,
                            start_at, end_at, expires_at, capacity, reserved)
VALUES (:tenant, :owner, :resource, :version, :slot, :offering, :claim_start, :claim_end,
        :start, :end, :expires, :capacity, :reserved)
ON CONFLICT (tenant_id, owner_id, resource_id) DO UPDATE SET
  version = :version, slot_id = :slot, offering_id = :offering, claim_start = :claim_start, claim_end = :claim_end,
  start_at = :start, end_at = :end, expires_at = :expires, capacity = :capacity, reserved = :reserved,
  freed = false, changed_at = now()
  WHERE o.version < :version
RETURNING old.start_at AS old_start, old.end_at AS old_end, coalesce(old.reserved, 0) AS old_reserved,
  (old.owner_id IS NOT NULL AND NOT old.freed AND (old.expires_at IS NULL OR old.expires_at > now())) AS was_live,
  (new.expires_at IS NULL OR new.expires_at > now()) AS is_live
""")
_VACATE = text("""
INSERT INTO occupancy AS o (tenant_id, owner_id, resource_id, version, freed)
VALUES (:tenant, :owner, :resource, :version, true)
ON CONFLICT (tenant_id, owner_id, resource_id) DO UPDATE SET version = :version, freed = true, changed_at = now()
  WHERE o.version <= :version
RETURNING coalesce(NOT old.freed, false) AS was_there, old.start_at AS old_start, old.end_at AS old_end,
  old.capacity AS old_capacity, old.offering_id AS old_offering
""")
_MAKE_BUSY = text("""
INSERT INTO busy AS b (tenant_id, connection_id, external_key, version, resource_id, start_at, end_at)
VALUES (:tenant, :connection, :key, :version, :resource, :start, :end)
ON CONFLICT (tenant_id, connection_id, external_key) DO UPDATE SET
  version = :version, resource_id = :resource, start_at = :start, end_at = :end, freed = false, changed_at = now()
  WHERE b.version < :version
RETURNING CASE WHEN NOT old.freed THEN old.resource_id END AS old_resource, old.start_at AS old_start,
  old.end_at AS old_end
""")
_UNMAKE_BUSY = text("""
INSERT INTO busy AS b (tenant_id, connection_id, external_key, version, freed)
VALUES (:tenant, :connection, :key, :version, true)
ON CONFLICT (tenant_id, connection_id, external_key) DO UPDATE SET version = :version, freed = true, changed_at = now()
  WHERE b.version <= :version
RETURNING CASE WHEN NOT old.freed THEN old.resource_id END AS old_resource, old.start_at AS old_start,
  old.end_at AS old_end
""")
_DEGRADE = text("""
INSERT INTO calendar_connection AS c (tenant_id, connection_id, resource_id, version, since, degraded)
VALUES (:tenant, :connection, :resource, :version, :since, :degraded)
ON CONFLICT (tenant_id, connection_id) DO UPDATE SET
  resource_id = :resource, version = :version, since = :since, degraded = :degraded WHERE c.version < :version
""")
_NEXT = text("""
INSERT INTO feed AS f (tenant_id, resource_id, version) VALUES (:tenant, :resource, 1)
ON CONFLICT (tenant_id, resource_id) DO UPDATE SET version = f.version + 1 RETURNING version
""")


async def occupy(tx: Transaction, row: Occupancy) -> Row | None:
    """Stores the row unless a newer one is here (then None); tells what it was and whether it was in force."""
    parameters = {
        "tenant": tx.tenant_id,
        "owner": row.owner_id,
        "resource": row.resource_id,
        "version": row.version,
        "slot": row.slot_id,
        "offering": row.offering_id,
        "claim_start": row.claim_start,
        "claim_end": row.claim_end,
        "start": row.start,
        "end": row.end,
        "expires": row.expires_at,
        "capacity": row.capacity,
        "reserved": row.reserved,
    }
    return (await tx.connection.execute(_OCCUPY, parameters)).mappings().one_or_none()


async def vacate(tx: Transaction, owner: UUID, resource_id: UUID, version: int) -> Row | None:
    """Frees the row unless a newer one is here (then None); tells what it was."""
    parameters = {"tenant": tx.tenant_id, "owner": owner, "resource": resource_id, "version": version}
    return (await tx.connection.execute(_VACATE, parameters)).mappings().one_or_none()


async def make_busy(tx: Transaction, row: Busy) -> Row | None:
    """Stores an external event unless a newer state of it is here (then None)."""
    parameters = {
        "tenant": tx.tenant_id,
        "connection": row.connection_id,
        "key": row.external_key,
        "version": row.version,
        "resource": row.resource_id,
        "start": row.start,
        "end": row.end,
    }
    return (await tx.connection.execute(_MAKE_BUSY, parameters)).mappings().one_or_none()


async def unmake_busy(tx: Transaction, connection_id: UUID, key: str, version: int) -> Row | None:
    """Takes an external event away unless a newer state of it is here (then None)."""
    parameters = {"tenant": tx.tenant_id, "connection": connection_id, "key": key, "version": version}
    return (await tx.connection.execute(_UNMAKE_BUSY, parameters)).mappings().one_or_none()


async def set_degraded(tx: Transaction, event: CalendarConnectionDegraded) -> None:
    """Stores whether a calendar's truth is known, unless something newer is here."""
    parameters = {
        "tenant": tx.tenant_id,
        "connection": event.connection_id,
        "resource": event.resource_id,
        "version": event.version,
        "since": event.since,
        "degraded": not event.recovered,
    }
    await tx.connection.execute(_DEGRADE, parameters)


async def next_version(tx: Transaction, resource_id: UUID) -> int:
    """The next version of the resource's availability, under its row lock until the commit."""
    parameters = {"tenant": tx.tenant_id, "resource": resource_id}
    return int((await tx.connection.execute(_NEXT, parameters)).scalar_one())


# -- reading what is taken -----------------------------------------------------------------------------------------

# A claim lasts 24 hours at most (booking's CHECK): that bounds the index range on both sides. A hold past its end
# counts as free although the word of it has not come.
_CLAIMS = text("""
SELECT resource_id, slot_id, offering_id,
       CAST(floor(extract(epoch FROM claim_start) / 60) AS bigint),
       CAST(ceil(extract(epoch FROM claim_end) / 60) AS bigint),
       CAST(floor(extract(epoch FROM start_at) / 60) AS bigint),
       CAST(ceil(extract(epoch FROM end_at) / 60) AS bigint),
       capacity, reserved, expires_at IS NOT NULL AS held
FROM occupancy
WHERE tenant_id = :tenant AND resource_id = ANY(CAST(:resources AS uuid[])) AND NOT freed
  AND claim_end > :start AND claim_end < CAST(:end AS timestamptz) + interval '24 h' AND claim_start < :end
  AND (expires_at IS NULL OR expires_at > now())
""")
_BLOCKS = text("""
SELECT resource_id, start_at, end_at, true AS external FROM busy
WHERE tenant_id = :tenant AND resource_id = ANY(CAST(:resources AS uuid[])) AND NOT freed
  AND end_at > :start AND start_at < :end
UNION ALL
SELECT resource_id, start_at, end_at, false FROM time_off
WHERE tenant_id = :tenant AND resource_id = ANY(CAST(:resources AS uuid[])) AND deleted_at IS NULL
  AND end_at > :start AND start_at < :end
""")
_DEGRADED = text("""
SELECT resource_id, min(since) AS since FROM calendar_connection
WHERE tenant_id = :tenant AND degraded GROUP BY resource_id
""")
_COMING_BUSY = text("""
SELECT resource_id, min(start_at) AS first, max(end_at) AS last FROM busy
WHERE tenant_id = :tenant AND NOT freed AND end_at > now() GROUP BY resource_id ORDER BY resource_id
""")
_FORGET = text("SELECT forget_freed(now() - make_interval(days => :days))")


async def claims(
    tx: Transaction, resource_ids: list[UUID], start: datetime, end: datetime
) -> Sequence[tuple[Any, ...]]:
    """What occupies the resources between `start` and `end`, as the fields of `search.Claim`: instants in epoch
    minutes, rounded outwards."""
    parameters = {"tenant": tx.tenant_id, "resources": resource_ids, "start": start, "end": end}
    rows: Sequence[Any] = (await tx.connection.execute(_CLAIMS, parameters)).all()
    return rows


async def blocks(tx: Transaction, resource_ids: list[UUID], start: datetime, end: datetime) -> Sequence[Row]:
    """External events (not padded yet) and time off of the resources between `start` and `end`."""
    parameters = {"tenant": tx.tenant_id, "resources": resource_ids, "start": start, "end": end}
    return (await tx.connection.execute(_BLOCKS, parameters)).mappings().all()


async def degraded(tx: Transaction) -> dict[UUID, datetime]:
    """Resources whose external calendar is not known now, and since when."""
    return {row.resource_id: row.since for row in await tx.connection.execute(_DEGRADED, {"tenant": tx.tenant_id})}


async def coming_busy(tx: Transaction) -> Sequence[Row]:
    """The stretch that external events to come span, by resource."""
    return (await tx.connection.execute(_COMING_BUSY, {"tenant": tx.tenant_id})).mappings().all()


async def forget_freed(tx: Transaction, days: int) -> None:
    """Drops what was freed that long ago, in every tenant."""
    await tx.connection.execute(_FORGET, {"days": days})
