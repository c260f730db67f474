"""Conflicts of appointments with what landed on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from booking.model import Booking
from booking.repository import bookings
from events import Transaction


@dataclass(frozen=True, slots=True)
class Conflict:
    """One of them. `status`: open or resolved, then with its resolution."""

    id: UUID
    booking_id: UUID
    resource_id: UUID
    cause: str
    status: str
    resolution: str | None
    created_at: datetime
    resolved_at: datetime | None


_COLUMNS = "id, booking_id, resource_id, cause, status, resolution, created_at, resolved_at"
# What the clinic has decided to keep as it is does not come up again for the same reason at the same time.
_ADD = text("""
INSERT INTO conflict (id, tenant_id, booking_id, resource_id, cause, start_at)
SELECT :id, :tenant, :booking, :resource, :cause, :start
WHERE NOT EXISTS (SELECT FROM conflict WHERE booking_id = :booking AND resource_id = :resource AND cause = :cause
                    AND start_at = :start AND resolution = 'keep')
ON CONFLICT (booking_id, resource_id, cause) WHERE status = 'open' DO NOTHING
RETURNING 1
""")
_FIND = text(f"SELECT {_COLUMNS} FROM conflict WHERE id = :id AND tenant_id = :tenant")
_OPEN_ON = text(f"""
SELECT {_COLUMNS} FROM conflict
WHERE tenant_id = :tenant AND resource_id = :resource AND status = 'open' AND cause = ANY(:causes) ORDER BY id
""")
_OPEN_OF = text(f"""
SELECT {_COLUMNS} FROM conflict WHERE tenant_id = :tenant AND booking_id = :booking AND status = 'open' ORDER BY id
""")
_CLOSE = text("""
UPDATE conflict SET status = 'resolved', resolution = :resolution, resolved_at = now()
WHERE id = :id AND tenant_id = :tenant AND status = 'open' RETURNING 1
""")
_RESOLVED_HERE = text("""
SELECT EXISTS (SELECT FROM conflict WHERE id = :id AND tenant_id = :tenant AND resolved_at = now())
""")


async def add(tx: Transaction, conflict_id: UUID, booking: Booking, resource_id: UUID, cause: str) -> bool:
    """A new open conflict; False when it is known, or was decided to be kept."""
    parameters = {
        "id": conflict_id,
        "tenant": tx.tenant_id,
        "booking": booking.id,
        "resource": resource_id,
        "cause": cause,
        "start": booking.start_at,
    }
    return (await tx.connection.execute(_ADD, parameters)).scalar_one_or_none() is not None


async def find(tx: Transaction, conflict_id: UUID) -> Conflict | None:
    """The conflict, None when the tenant has none with this id."""
    row = (await tx.connection.execute(_FIND, {"id": conflict_id, "tenant": tx.tenant_id})).one_or_none()
    return _conflict(row) if row is not None else None


async def open_on(tx: Transaction, resource_id: UUID, causes: Sequence[str]) -> list[Conflict]:
    """Open ones that the resource has for one of these causes."""
    parameters = {"tenant": tx.tenant_id, "resource": resource_id, "causes": list(causes)}
    return [_conflict(row) for row in await tx.connection.execute(_OPEN_ON, parameters)]


async def open_of(tx: Transaction, booking_id: UUID) -> list[Conflict]:
    """Open ones of a booking."""
    rows = await tx.connection.execute(_OPEN_OF, {"tenant": tx.tenant_id, "booking": booking_id})
    return [_conflict(row) for row in rows]


async def page(tx: Transaction, status: str, after: UUID | None, limit: int) -> list[Conflict]:
    """Conflicts in the order in which they were found."""
    parameters: dict[str, Any] = {"tenant": tx.tenant_id, "status": status, "limit": limit, "after": after}
    statement = text(
        f"SELECT {_COLUMNS} FROM conflict WHERE tenant_id = :tenant AND status = :status"
        f"{' AND id > :after' if after else ''} ORDER BY id LIMIT :limit"
    )
    if after is None:
        del parameters["after"]
    return [_conflict(row) for row in await tx.connection.execute(statement, parameters)]


async def booking_of(tx: Transaction, conflict: Conflict) -> Booking:
    """The appointment that it is about."""
    booking = await bookings.find(tx, conflict.booking_id)
    assert booking is not None  # a foreign key
    return booking


async def close(tx: Transaction, conflict_id: UUID, resolution: str) -> bool:
    """Resolves an open conflict; False when it was resolved already."""
    parameters = {"id": conflict_id, "tenant": tx.tenant_id, "resolution": resolution}
    return (await tx.connection.execute(_CLOSE, parameters)).scalar_one_or_none() is not None


async def resolved_here(tx: Transaction, conflict_id: UUID) -> bool:
    """Whether it is this transaction that has resolved the conflict, and not one that was faster."""
    return bool((await tx.connection.execute(_RESOLVED_HERE, {"id": conflict_id, "tenant": tx.tenant_id})).scalar_one())


def _conflict(row: Row[Any]) -> Conflict:
    return Conflict(**row._mapping)
