"""Who waits for which time."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from events import Transaction


@dataclass(frozen=True, slots=True)
class Entry:
    """One place in the line. `hold_id` is the hold that it was offered, or will be."""

    id: UUID
    tenant_id: UUID
    offering_id: UUID
    provider_id: UUID | None
    start: datetime
    end: datetime
    seats: int
    status: str
    version: int
    hold_id: UUID
    hold_token: bytes
    hold_sealed: str
    offer_until: datetime | None
    person_id: UUID
    contact_id: UUID
    user_id: UUID | None
    locale: str
    manage_token: bytes
    created_at: datetime
    updated_at: datetime


_RANGE = {"start": "lower(during) AS start", "end": 'upper(during) AS "end"'}
_COLUMNS = ", ".join(_RANGE.get(field.name, field.name) for field in fields(Entry))
_ADD = text(f"""
INSERT INTO waitlist (id, tenant_id, offering_id, provider_id, during, seats, status, hold_id, hold_token, hold_sealed,
  person_id, contact_id, user_id, locale, manage_token)
VALUES (:id, :tenant, :offering, :provider, tstzrange(:start, :end), :seats, 'waiting', :hold, :hold_token, :sealed,
  :person, :contact, :user, :locale, :token)
RETURNING {_COLUMNS}
""")
_FIND = text(f"SELECT {_COLUMNS} FROM waitlist WHERE id = :id AND tenant_id = :tenant")
_LOCK = text(f"{_FIND.text} FOR UPDATE")
_LOCK_WAITING = text(f"{_FIND.text} AND status = 'waiting' FOR UPDATE SKIP LOCKED")
_LINE = text("""
SELECT id FROM waitlist WHERE tenant_id = :tenant AND offering_id = :offering AND status = 'waiting'
  AND (provider_id IS NULL OR provider_id = :provider) AND during @> tstzrange(:start, :end)
  AND person_id IS DISTINCT FROM CAST(:person AS uuid)
  AND NOT EXISTS (SELECT FROM slot WHERE slot.id = :slot AND slot.status = 'cancelled')
ORDER BY id LIMIT 50
""")
_CHANGE = text(f"""
UPDATE waitlist SET status = :status, offer_until = coalesce(CAST(:until AS timestamptz), offer_until),
  version = version + 1, updated_at = now()
WHERE id = :id AND tenant_id = :tenant RETURNING {_COLUMNS}
""")
_WAITING_OF = text("""
SELECT count(*) FROM waitlist WHERE tenant_id = :tenant AND person_id = :person AND status IN ('waiting', 'offered')
""")
_OUTLIVED = text("SELECT tenant_id, id FROM outlived_entries(:limit)")


async def add(tx: Transaction, values: dict[str, Any]) -> Entry:
    """A new entry at the end of the line."""
    return _entry((await tx.connection.execute(_ADD, values | {"tenant": tx.tenant_id})).one())


async def find(tx: Transaction, entry_id: UUID) -> Entry | None:
    """The entry, None when the tenant has none with this id."""
    return await _one(tx, _FIND, entry_id)


async def lock(tx: Transaction, entry_id: UUID) -> Entry | None:
    """The same, locked."""
    return await _one(tx, _LOCK, entry_id)


async def lock_waiting(tx: Transaction, entry_id: UUID) -> Entry | None:
    """The entry, locked, if it waits still and nobody else is offering it something now."""
    return await _one(tx, _LOCK_WAITING, entry_id)


async def line(
    tx: Transaction,
    offering_id: UUID,
    provider_id: UUID | None,
    start: datetime,
    end: datetime,
    but: UUID | None,
    slot_id: UUID,
) -> Sequence[UUID]:
    """Entries that wait for such a visit, the first in line first; `but` is a person who does not want it. None for a
    session that was called off."""
    parameters = {
        "tenant": tx.tenant_id,
        "offering": offering_id,
        "provider": provider_id,
        "start": start,
        "end": end,
        "person": but,
        "slot": slot_id,
    }
    return (await tx.connection.execute(_LINE, parameters)).scalars().all()


async def change(tx: Transaction, entry: Entry, status: str, until: datetime | None = None) -> Entry:
    """Another status of a locked entry; `until` when the offer ends."""
    parameters = {"id": entry.id, "tenant": tx.tenant_id, "status": status, "until": until}
    return _entry((await tx.connection.execute(_CHANGE, parameters)).one())


async def waiting_of(tx: Transaction, person_id: UUID) -> int:
    """How many places in lines the person has."""
    parameters = {"tenant": tx.tenant_id, "person": person_id}
    count: int = (await tx.connection.execute(_WAITING_OF, parameters)).scalar_one()
    return count


async def page(
    tx: Transaction, *, offering_id: UUID | None, status: str | None, after: UUID | None, limit: int
) -> list[Entry]:
    """Entries in the order of the line."""
    clauses = ["tenant_id = :tenant"]
    parameters: dict[str, Any] = {"tenant": tx.tenant_id, "limit": limit}
    for clause, name, value in (
        ("offering_id = :offering", "offering", offering_id),
        ("status = :status", "status", status),
        ("id > :after", "after", after),
    ):
        if value is not None:
            clauses.append(clause)
            parameters[name] = value
    statement = text(f"SELECT {_COLUMNS} FROM waitlist WHERE {' AND '.join(clauses)} ORDER BY id LIMIT :limit")
    return [_entry(row) for row in await tx.connection.execute(statement, parameters)]


async def outlived(tx: Transaction, limit: int = 200) -> list[tuple[UUID, UUID]]:
    """(tenant, entry) of those whose window is past, over all tenants."""
    return [(row.tenant_id, row.id) for row in await tx.connection.execute(_OUTLIVED, {"limit": limit})]


async def _one(tx: Transaction, statement: Any, entry_id: UUID) -> Entry | None:
    row = (await tx.connection.execute(statement, {"id": entry_id, "tenant": tx.tenant_id})).one_or_none()
    return _entry(row) if row is not None else None


def _entry(row: Row[Any]) -> Entry:
    return Entry(**row._mapping)
