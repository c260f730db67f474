"""Series and their appointments."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from booking.model import Booking
from booking.repository.bookings import SELECTED, read
from events import Transaction
from servicekit.capabilities import CustomerToken


@dataclass(frozen=True, slots=True)
class Series:
    """One series. `refused`: `{start}` of occurrences that could not be had."""

    id: UUID
    offering_id: UUID
    rrule: str
    status: str
    user_id: UUID | None
    manage_token: bytes
    refused: list[dict[str, str]]
    created_at: datetime
    updated_at: datetime


_COLUMNS = "id, offering_id, rrule, status, user_id, manage_token, refused, created_at, updated_at"
_ADD = text("""
INSERT INTO series (id, tenant_id, offering_id, rrule, status, person_id, contact_id, user_id, manage_token)
VALUES (:id, :tenant, :offering, :rrule, 'active', :person, :contact, :user, :token)
""")
_FIND = text(f"SELECT {_COLUMNS} FROM series WHERE id = :id AND tenant_id = :tenant")
_SETTLE = text(f"""
UPDATE series SET refused = CAST(:refused AS jsonb), updated_at = now()
WHERE id = :id AND tenant_id = :tenant RETURNING {_COLUMNS}
""")
_CLOSE_IF_OVER = text(f"""
UPDATE series SET updated_at = now(), status = CASE WHEN EXISTS (
  SELECT FROM booking b WHERE b.series_id = series.id AND b.tenant_id = :tenant
    AND b.status IN ('pending_payment', 'pending_approval', 'confirmed')) THEN status ELSE 'cancelled' END
WHERE id = :id AND tenant_id = :tenant RETURNING {_COLUMNS}
""")
_BOOKINGS = text(f"""
SELECT {SELECTED} FROM booking WHERE series_id = :id AND tenant_id = :tenant ORDER BY start_at, id
""")


async def add(
    tx: Transaction, series_id: UUID, offering_id: UUID, rrule: str, customer: CustomerToken, token_hash: bytes
) -> None:
    """A new series, without appointments yet."""
    parameters = {
        "id": series_id,
        "tenant": tx.tenant_id,
        "offering": offering_id,
        "rrule": rrule,
        "person": customer.person_id,
        "contact": customer.contact_id,
        "user": customer.user_id,
        "token": token_hash,
    }
    await tx.connection.execute(_ADD, parameters)


async def find(tx: Transaction, series_id: UUID) -> Series | None:
    """The series, None when the tenant has none with this id."""
    row = (await tx.connection.execute(_FIND, {"id": series_id, "tenant": tx.tenant_id})).one_or_none()
    return _series(row) if row is not None else None


async def settle(tx: Transaction, series_id: UUID, refused: list[dict[str, Any]]) -> Series:
    """Notes which starts could not be had."""
    parameters = {"id": series_id, "tenant": tx.tenant_id, "refused": json.dumps(refused)}
    return _series((await tx.connection.execute(_SETTLE, parameters)).one())


async def close_if_over(tx: Transaction, series_id: UUID) -> Series:
    """The series is cancelled once none of its appointments is to come."""
    return _series((await tx.connection.execute(_CLOSE_IF_OVER, {"id": series_id, "tenant": tx.tenant_id})).one())


async def bookings_of(tx: Transaction, series_id: UUID) -> list[Booking]:
    """Its appointments by start."""
    rows = await tx.connection.execute(_BOOKINGS, {"id": series_id, "tenant": tx.tenant_id})
    return [read(row) for row in rows]


async def page(tx: Transaction, after: tuple[datetime, UUID] | None, limit: int) -> list[Series]:
    """Series in the order in which they were made."""
    parameters: dict[str, Any] = {"tenant": tx.tenant_id, "limit": limit}
    condition = ""
    if after is not None:
        condition = " AND (created_at, id) > (:at, :id)"
        parameters |= {"at": after[0], "id": after[1]}
    statement = text(
        f"SELECT {_COLUMNS} FROM series WHERE tenant_id = :tenant{condition} ORDER BY created_at, id LIMIT :limit"
    )
    return [_series(row) for row in await tx.connection.execute(statement, parameters)]


def _series(row: Row[Any]) -> Series:
    return Series(**row._mapping)
