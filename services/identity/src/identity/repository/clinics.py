"""Clinics, and how many appointments lie ahead of one."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from events import Transaction
from identity.errors import SlugTaken

_COLUMNS = """id, slug, name, time_zone, currency, locales, email, phone, address, settings, metadata, active, version,
  created_at, updated_at"""
_INSERT = text(f"""
INSERT INTO clinic (id, slug, name, time_zone, currency, locales, email, phone, address, settings, metadata)
VALUES (:id, :slug, :name, :time_zone, :currency, :locales, :email, :phone, :address,
        cast(:settings AS jsonb), cast(:metadata AS jsonb))
ON CONFLICT DO NOTHING RETURNING {_COLUMNS}
""")
_UPDATE = text(f"""
UPDATE clinic SET slug = :slug, name = :name, time_zone = :time_zone, currency = :currency, locales = :locales,
  email = :email, phone = :phone, address = :address, settings = cast(:settings AS jsonb),
  metadata = cast(:metadata AS jsonb), active = true, version = version + 1, updated_at = now()
WHERE id = :id RETURNING {_COLUMNS}
""")
_CLOSE = text(f"""
UPDATE clinic SET active = false, version = version + 1, updated_at = now() WHERE id = :id RETURNING {_COLUMNS}
""")
_BY_ID = text(f"SELECT {_COLUMNS} FROM clinic WHERE id = :id")
_BY_SLUG = text(f"SELECT {_COLUMNS} FROM clinic WHERE slug = :slug AND active")
_LOCK = text(f"SELECT {_COLUMNS} FROM clinic WHERE id = :id FOR UPDATE")

_KEEP_VISIT = text("""
INSERT INTO visit AS v (tenant_id, booking_id, starts_at, ahead, version)
VALUES (:tenant, :booking, :starts_at, :ahead, :version)
ON CONFLICT (tenant_id, booking_id) DO UPDATE SET starts_at = :starts_at, ahead = :ahead, version = :version
  WHERE v.version < :version
""")
_VISITS_AHEAD = text("SELECT count(*) FROM visit WHERE tenant_id = :tenant AND ahead AND starts_at > now()")
_FORGET_PAST = text("SELECT forget_past_visits()")


@dataclass(frozen=True, slots=True)
class Clinic:
    """One clinic. `settings` is the document of `TenantSettings`."""

    id: UUID
    slug: str
    name: str
    time_zone: str
    currency: str
    locales: list[str]
    email: str | None
    phone: str | None
    address: str | None
    settings: dict[str, Any]
    metadata: dict[str, str]
    active: bool
    version: int
    created_at: datetime
    updated_at: datetime


def _parameters(clinic_id: UUID, values: dict[str, Any]) -> dict[str, Any]:
    documents = {name: json.dumps(values[name]) for name in ("settings", "metadata")}
    return values | documents | {"id": clinic_id}


async def insert(tx: Transaction, clinic_id: UUID, values: dict[str, Any]) -> Clinic:
    """The new clinic; `SlugTaken` when another one that is not deleted has the slug."""
    row = (await tx.connection.execute(_INSERT, _parameters(clinic_id, values))).one_or_none()
    if row is None:
        raise SlugTaken(values["slug"])
    return Clinic(*row)


async def update(tx: Transaction, clinic_id: UUID, values: dict[str, Any]) -> Clinic:
    """Stores the whole content of a clinic that is (or is again) open; `SlugTaken` as for a new one."""
    try:
        return Clinic(*(await tx.connection.execute(_UPDATE, _parameters(clinic_id, values))).one())
    except IntegrityError as error:
        raise SlugTaken(values["slug"]) from error


async def close(tx: Transaction, clinic_id: UUID) -> Clinic:
    """Marks the clinic as deleted; its slug is free again."""
    return Clinic(*(await tx.connection.execute(_CLOSE, {"id": clinic_id})).one())


async def by_id(tx: Transaction, clinic_id: UUID) -> Clinic | None:
    """The clinic, deleted or not."""
    row = (await tx.connection.execute(_BY_ID, {"id": clinic_id})).one_or_none()
    return Clinic(*row) if row else None


async def by_slug(tx: Transaction, slug: str) -> Clinic | None:
    """The clinic that has this slug now."""
    row = (await tx.connection.execute(_BY_SLUG, {"slug": slug})).one_or_none()
    return Clinic(*row) if row else None


async def lock(tx: Transaction, clinic_id: UUID) -> Clinic | None:
    """The clinic, locked until the transaction ends: whoever changes it or its members comes through here."""
    row = (await tx.connection.execute(_LOCK, {"id": clinic_id})).one_or_none()
    return Clinic(*row) if row else None


async def keep_visit(tx: Transaction, booking_id: UUID, starts_at: datetime, *, ahead: bool, version: int) -> None:
    """Remembers whether an appointment stands, unless something newer is known."""
    await tx.connection.execute(
        _KEEP_VISIT,
        {"tenant": tx.tenant_id, "booking": booking_id, "starts_at": starts_at, "ahead": ahead, "version": version},
    )


async def visits_ahead(tx: Transaction) -> int:
    """How many appointments of the clinic lie ahead."""
    count: int = (await tx.connection.execute(_VISITS_AHEAD, {"tenant": tx.tenant_id})).scalar_one()
    return count


async def forget_past_visits(tx: Transaction) -> None:
    """Removes what is long over, in all clinics."""
    await tx.connection.execute(_FORGET_PAST)
