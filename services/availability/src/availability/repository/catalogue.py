"""The catalogue: locations, resources and offerings."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import RowMapping, Select, Table, func, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from availability.tables import location, offering, resource
from events import Transaction
from events.contracts.availability import ResourceType
from servicekit.problems import ValidationFailed

Kind = Literal["location", "resource", "offering"]
TABLES: dict[Kind, Table] = {"location": location, "resource": resource, "offering": offering}
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


async def every(tx: Transaction, kind: Kind) -> Sequence[Row]:
    """All that are not deleted, the oldest first."""
    table = TABLES[kind]
    query: Select[Any] = (
        select(table)
        .where(table.c.tenant_id == tx.tenant_id, table.c.deleted_at.is_(None))
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


async def keep_location(tx: Transaction, identity: UUID) -> Row | None:
    """A location that exists, kept from being deleted until the commit."""
    query: Select[Any] = select(location).where(
        location.c.tenant_id == tx.tenant_id, location.c.id == identity, location.c.deleted_at.is_(None)
    )
    query = query.with_for_update(read=True, key_share=True)
    row: Row | None = (await tx.connection.execute(query)).mappings().one_or_none()
    return row


async def resources_at(tx: Transaction, location_id: UUID) -> list[str]:
    """Slugs of the resources that are at a location."""
    query = select(resource.c.slug).where(
        resource.c.tenant_id == tx.tenant_id, resource.c.location_id == location_id, resource.c.deleted_at.is_(None)
    )
    return list((await tx.connection.execute(query.order_by(resource.c.slug))).scalars())


async def existing_offerings(tx: Transaction, identities: Iterable[UUID]) -> set[UUID]:
    """Those of the ids that are offerings of the clinic."""
    query = select(offering.c.id).where(
        offering.c.tenant_id == tx.tenant_id, offering.c.id.in_(list(identities)), offering.c.deleted_at.is_(None)
    )
    return set((await tx.connection.execute(query)).scalars())


async def is_referenced(tx: Transaction, kind: Literal["resource", "offering"], identity: UUID) -> bool:
    """Whether a booking of the last weeks or to come names it."""
    column = "resource_id" if kind == "resource" else "offering_id"
    query = text(f"SELECT EXISTS (SELECT FROM occupancy WHERE tenant_id = :tenant AND {column} = :id)")
    return bool((await tx.connection.execute(query, {"tenant": tx.tenant_id, "id": identity})).scalar_one())


def now() -> Any:
    """The transaction's time, as a value for `change`."""
    return func.now()
