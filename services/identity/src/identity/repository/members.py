"""Members of a clinic. Writers hold the clinic's row lock."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from events import Transaction
from identity.errors import MemberExists

# The order of `Member`.
_SELECT = """SELECT m.id, m.user_id, a.email, a.name, m.invited_sealed, m.role, m.version, m.created_at, m.updated_at
FROM member m LEFT JOIN account a ON a.id = m.user_id WHERE m.tenant_id = :tenant"""
_ALL = text(f"{_SELECT} AND (cast(:after AS uuid) IS NULL OR m.id > :after) ORDER BY m.id LIMIT :limit")
_ONE = text(f"{_SELECT} AND m.id = :id")
_OF_USER = text(f"{_SELECT} AND m.user_id = :user_id")
_OWNER = text(f"{_SELECT} AND m.role = 'owner' AND m.user_id IS NOT NULL ORDER BY m.created_at, m.id LIMIT 1")
_ROLE = text("SELECT role FROM member WHERE tenant_id = :tenant AND user_id = :user_id")
_OWNERS = text("SELECT count(*) FROM member WHERE tenant_id = :tenant AND role = 'owner' AND user_id IS NOT NULL")
_INSERT = text("""
INSERT INTO member (tenant_id, id, user_id, invited_hash, invited_sealed, role)
VALUES (:tenant, :id, :user_id, :hash, :sealed, :role) ON CONFLICT DO NOTHING RETURNING 1
""")
_INVITED = text("SELECT id FROM member WHERE tenant_id = :tenant AND invited_hash = ANY (:hashes)")
_ACTIVATE = text("""
UPDATE member SET user_id = :user_id, invited_hash = NULL, invited_sealed = NULL, role = :role,
                  version = version + 1, updated_at = now()
WHERE tenant_id = :tenant AND id = :id
""")
_SET_ROLE = text("""
UPDATE member SET role = :role, version = version + 1, updated_at = now() WHERE tenant_id = :tenant AND id = :id
""")
_DELETE = text("DELETE FROM member WHERE tenant_id = :tenant AND id = :id")


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who works in the clinic, or is invited to (then `user_id`, `email` and `name` are None)."""

    id: UUID
    user_id: UUID | None
    email: str | None
    name: str | None
    invited_sealed: bytes | None
    role: str
    version: int
    created_at: datetime
    updated_at: datetime


async def page(tx: Transaction, after: UUID | None, limit: int) -> list[Member]:
    """Members by id, which is by age."""
    parameters = {"tenant": tx.tenant_id, "after": after, "limit": limit}
    return [Member(*row) for row in await tx.connection.execute(_ALL, parameters)]


async def find(tx: Transaction, member_id: UUID) -> Member | None:
    """The member."""
    row = (await tx.connection.execute(_ONE, {"tenant": tx.tenant_id, "id": member_id})).one_or_none()
    return Member(*row) if row else None


async def of_user(tx: Transaction, user_id: UUID) -> Member | None:
    """The account's membership in the clinic."""
    row = (await tx.connection.execute(_OF_USER, {"tenant": tx.tenant_id, "user_id": user_id})).one_or_none()
    return Member(*row) if row else None


async def first_owner(tx: Transaction) -> Member | None:
    """The owner of longest standing."""
    row = (await tx.connection.execute(_OWNER, {"tenant": tx.tenant_id})).one_or_none()
    return Member(*row) if row else None


async def role_of(tx: Transaction, user_id: UUID) -> str | None:
    """The account's role in the clinic as it is now."""
    role: str | None = (
        await tx.connection.execute(_ROLE, {"tenant": tx.tenant_id, "user_id": user_id})
    ).scalar_one_or_none()
    return role


async def owners(tx: Transaction) -> int:
    """How many owners have an account."""
    count: int = (await tx.connection.execute(_OWNERS, {"tenant": tx.tenant_id})).scalar_one()
    return count


async def insert(tx: Transaction, member_id: UUID, user_id: UUID, role: str) -> None:
    """Adds an account; `MemberExists` when it is a member already."""
    await _insert(tx, member_id, user_id, None, None, role)


async def invite(tx: Transaction, member_id: UUID, invited_hash: bytes, sealed: bytes, role: str) -> None:
    """Adds an address without an account; `MemberExists` when it is invited already."""
    await _insert(tx, member_id, None, invited_hash, sealed, role)


async def _insert(
    tx: Transaction, member_id: UUID, user_id: UUID | None, invited: bytes | None, sealed: bytes | None, role: str
) -> None:
    parameters = {
        "tenant": tx.tenant_id,
        "id": member_id,
        "user_id": user_id,
        "hash": invited,
        "sealed": sealed,
        "role": role,
    }
    if (await tx.connection.execute(_INSERT, parameters)).scalar_one_or_none() is None:
        raise MemberExists


async def invited(tx: Transaction, hashes: list[bytes]) -> UUID | None:
    """The invitation of an address in the clinic."""
    found: UUID | None = (
        await tx.connection.execute(_INVITED, {"tenant": tx.tenant_id, "hashes": hashes})
    ).scalar_one_or_none()
    return found


async def activate(tx: Transaction, member_id: UUID, user_id: UUID, role: str) -> None:
    """Turns an invitation into a membership."""
    parameters = {"tenant": tx.tenant_id, "id": member_id, "user_id": user_id, "role": role}
    await tx.connection.execute(_ACTIVATE, parameters)


async def set_role(tx: Transaction, member_id: UUID, role: str) -> None:
    """Gives another role."""
    await tx.connection.execute(_SET_ROLE, {"tenant": tx.tenant_id, "id": member_id, "role": role})


async def delete(tx: Transaction, member_id: UUID) -> None:
    """Removes the member or the invitation."""
    await tx.connection.execute(_DELETE, {"tenant": tx.tenant_id, "id": member_id})
