"""Accounts, their memberships over all clinics, and failed logins."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from events import Transaction
from identity.errors import EmailTaken

_COLUMNS = """id, email, email_verified, password_hash, name, phone, time_zone, locale, operator, version,
  created_at, updated_at"""

_INSERT = text(f"""
INSERT INTO account (id, email, email_folded, email_verified, password_hash, name, phone, time_zone, locale, operator)
VALUES (:id, :email, :folded, :verified, :password_hash, :name, :phone, :time_zone, :locale, :operator)
ON CONFLICT (email_folded) DO NOTHING RETURNING {_COLUMNS}
""")
_BY_EMAIL = text(f"SELECT {_COLUMNS} FROM account WHERE email_folded = :folded")
_BY_ID = text(f"SELECT {_COLUMNS} FROM account WHERE id = :id")
_LOCK = text(f"SELECT {_COLUMNS} FROM account WHERE id = :id FOR UPDATE")
_UPDATE = text(f"""
UPDATE account SET name = :name, phone = :phone, time_zone = :time_zone, locale = :locale,
                   version = version + 1, updated_at = now()
WHERE id = :id RETURNING {_COLUMNS}
""")
_RESEED = text(f"""
UPDATE account SET email = :email, email_folded = :folded, password_hash = :password_hash, name = :name,
                   operator = :operator, version = version + 1, updated_at = now()
WHERE id = :id RETURNING {_COLUMNS}
""")
_MEMBERSHIPS = text("SELECT tenant_id, slug, name, role FROM memberships_of(:id)")
_ACCEPT = text("SELECT tenant_id, id, role, version FROM accept_invitations(:id, :hashes)")

# One row a scope, counted in windows of a minute from the first failure. An attempt counts until it has succeeded,
# so that many at once are counted too.
_COUNT_ATTEMPT = text("""
INSERT INTO login_failure AS f (scope, since, failures) VALUES (:scope, now(), 1)
ON CONFLICT (scope) DO UPDATE SET
  failures = CASE WHEN f.since < now() - interval '1 minute' THEN 1 ELSE f.failures + 1 END,
  since = CASE WHEN f.since < now() - interval '1 minute' THEN now() ELSE f.since END
RETURNING failures, ceil(extract(epoch FROM since + interval '1 minute' - now()))::int AS seconds_left
""")
_TAKE_BACK = text("UPDATE login_failure SET failures = greatest(failures - 1, 0) WHERE scope = :scope")
_FORGET_FAILURES = text("DELETE FROM login_failure WHERE since < now() - interval '2 minutes'")


@dataclass(frozen=True, slots=True)
class Account:
    """One account."""

    id: UUID
    email: str
    email_verified: bool
    password_hash: str
    name: str
    phone: str | None
    time_zone: str | None
    locale: str | None
    operator: bool
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Membership:
    """A clinic that an account works in."""

    tenant_id: UUID
    slug: str
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """An invitation that became a membership."""

    tenant_id: UUID
    id: UUID
    role: str
    version: int


async def insert(tx: Transaction, values: dict[str, Any]) -> Account | None:
    """The new account; None when the address has one already."""
    row = (await tx.connection.execute(_INSERT, values)).one_or_none()
    return Account(*row) if row else None


async def by_email(tx: Transaction, folded: str) -> Account | None:
    """The account with this folded address."""
    row = (await tx.connection.execute(_BY_EMAIL, {"folded": folded})).one_or_none()
    return Account(*row) if row else None


async def by_id(tx: Transaction, user_id: UUID) -> Account | None:
    """The account."""
    row = (await tx.connection.execute(_BY_ID, {"id": user_id})).one_or_none()
    return Account(*row) if row else None


async def lock(tx: Transaction, user_id: UUID) -> Account | None:
    """The account, locked until the transaction ends."""
    row = (await tx.connection.execute(_LOCK, {"id": user_id})).one_or_none()
    return Account(*row) if row else None


async def update(tx: Transaction, user_id: UUID, values: dict[str, Any]) -> Account:
    """Stores name, phone, time_zone and locale."""
    return Account(*(await tx.connection.execute(_UPDATE, values | {"id": user_id})).one())


async def reseed(tx: Transaction, user_id: UUID, values: dict[str, Any]) -> Account:
    """Stores what seeding says; `EmailTaken` when another account has the address."""
    try:
        return Account(*(await tx.connection.execute(_RESEED, values | {"id": user_id})).one())
    except IntegrityError as error:
        raise EmailTaken from error


async def memberships(tx: Transaction, user_id: UUID) -> list[Membership]:
    """The clinics that the account works in, by slug."""
    return [Membership(*row) for row in await tx.connection.execute(_MEMBERSHIPS, {"id": user_id})]


async def accept_invitations(tx: Transaction, user_id: UUID, hashes: list[bytes]) -> list[Accepted]:
    """Turns the invitations of an address, in whatever clinic, into memberships of the account."""
    rows = await tx.connection.execute(_ACCEPT, {"id": user_id, "hashes": hashes})
    return [Accepted(*row) for row in rows]


async def count_attempt(tx: Transaction, scope: bytes) -> tuple[int, int]:
    """Counts a login attempt; returns the count within the window and the seconds until the window ends."""
    row = (await tx.connection.execute(_COUNT_ATTEMPT, {"scope": scope})).one()
    return row.failures, max(1, row.seconds_left)


async def take_attempt_back(tx: Transaction, scope: bytes) -> None:
    """The attempt succeeded: it was none of the failures."""
    await tx.connection.execute(_TAKE_BACK, {"scope": scope})


async def forget_failures(tx: Transaction) -> None:
    """Removes windows that are over."""
    await tx.connection.execute(_FORGET_FAILURES)
