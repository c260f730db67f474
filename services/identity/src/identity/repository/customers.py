"""People as the clinic's customers: listed, searched, changed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from events import Transaction
from servicekit.problems import ValidationFailed

_COLUMNS = "p.id, p.wrapped_key, p.profile, p.external_ref, p.version, p.created_at, p.updated_at"
_ONE = f"SELECT {_COLUMNS} FROM person p WHERE p.tenant_id = :tenant AND p.id = :id AND p.profile IS NOT NULL"
_FIND, _LOCK = text(_ONE), text(f"{_ONE} FOR NO KEY UPDATE")
_STORE = text(f"""
UPDATE person p SET profile = :profile, external_ref = :external_ref, version = p.version + 1, updated_at = now()
WHERE p.tenant_id = :tenant AND p.id = :id RETURNING {_COLUMNS}
""")
# A word may be stored under any of the keys; a person has to have all words.
_MATCHING = """
SELECT t.person_id FROM unnest(cast(:words AS int[]), cast(:tokens AS bytea[])) AS asked (word, token)
JOIN person_token t ON t.tenant_id = :tenant AND t.token = asked.token
GROUP BY t.person_id HAVING count(DISTINCT asked.word) = :count"""
_SEARCH = text(f"{_MATCHING} ORDER BY t.person_id DESC LIMIT :limit")
_INCOMPLETE = text("SELECT tenant_id, id FROM incomplete_people(:most)")
_COMPLETE = text("""
UPDATE person SET profile = :profile WHERE tenant_id = :tenant AND id = :id AND profile IS NULL
""")
_CONTACTS = text("""
SELECT c.id, p.wrapped_key, c.sealed, c.locale FROM contact c JOIN person p ON p.id = c.person_id
WHERE c.tenant_id = :tenant AND c.person_id = :id ORDER BY c.created_at DESC, c.id DESC
""")


@dataclass(frozen=True, slots=True)
class SealedCustomer:
    """A customer as they are stored."""

    id: UUID
    wrapped_key: bytes
    profile: bytes
    external_ref: str | None
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class OldContact:
    """A contact of a person who has no profile yet."""

    id: UUID
    wrapped_key: bytes
    sealed: bytes
    locale: str


async def page(
    tx: Transaction,
    *,
    words: list[list[bytes]] | None,
    external_ref: str | None,
    updated_since: datetime | None,
    sort: str,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[SealedCustomer]:
    """Customers in order; `words` as for `search`, None for everybody. `sort` is a column, with `-` in front the
    newest first."""
    column, descending = sort.removeprefix("-"), sort.startswith("-")
    assert column in ("created_at", "updated_at")  # not the client's text: one of two
    conditions = ["p.tenant_id = :tenant", "p.profile IS NOT NULL"]
    parameters: dict[str, Any] = {"tenant": tx.tenant_id, "limit": limit}
    if words is not None:
        conditions.append(f"p.id IN ({_MATCHING})")
        parameters |= _asked(words)
    if external_ref is not None:
        conditions.append("p.external_ref = :external_ref")
        parameters["external_ref"] = external_ref
    if updated_since is not None:
        conditions.append("p.updated_at >= :updated_since")
        parameters["updated_since"] = updated_since
    if after is not None:
        conditions.append(f"(p.{column}, p.id) {'<' if descending else '>'} (:after_at, :after_id)")
        parameters |= {"after_at": after[0], "after_id": after[1]}
    order = f"p.{column} DESC, p.id DESC" if descending else f"p.{column}, p.id"
    statement = f"SELECT {_COLUMNS} FROM person p WHERE {' AND '.join(conditions)} ORDER BY {order} LIMIT :limit"
    return [SealedCustomer(*row) for row in await tx.connection.execute(text(statement), parameters)]


async def search(tx: Transaction, words: list[list[bytes]], limit: int) -> list[UUID]:
    """Who has, for each word, one of its tokens; newest first. Nobody when there are no words."""
    if not words:
        return []
    parameters = {"tenant": tx.tenant_id, "limit": limit} | _asked(words)
    return list((await tx.connection.execute(_SEARCH, parameters)).scalars())


def _asked(words: list[list[bytes]]) -> dict[str, Any]:
    pairs = [(number, token) for number, tokens in enumerate(words) for token in tokens]
    return {
        "words": [number for number, _ in pairs],
        "tokens": [token for _, token in pairs],
        "count": len(words),
    }


async def find(tx: Transaction, person_id: UUID) -> SealedCustomer | None:
    """The customer."""
    row = (await tx.connection.execute(_FIND, {"tenant": tx.tenant_id, "id": person_id})).one_or_none()
    return SealedCustomer(*row) if row else None


async def lock(tx: Transaction, person_id: UUID) -> SealedCustomer | None:
    """The customer, locked until the transaction ends."""
    row = (await tx.connection.execute(_LOCK, {"tenant": tx.tenant_id, "id": person_id})).one_or_none()
    return SealedCustomer(*row) if row else None


async def store(tx: Transaction, person_id: UUID, profile: bytes, external_ref: str | None) -> SealedCustomer:
    """The customer with a new content; 422 when another one of the clinic has the external_ref."""
    parameters = {"tenant": tx.tenant_id, "id": person_id, "profile": profile, "external_ref": external_ref}
    try:
        return SealedCustomer(*(await tx.connection.execute(_STORE, parameters)).one())
    except IntegrityError as error:
        raise ValidationFailed.of("external_ref", "belongs to another customer of this clinic") from error


async def incomplete(tx: Transaction, most: int) -> list[tuple[UUID, UUID]]:
    """(tenant, person) of people without a profile, in whatever clinic."""
    return [(row.tenant_id, row.id) for row in await tx.connection.execute(_INCOMPLETE, {"most": most})]


async def contacts_of(tx: Transaction, person_id: UUID) -> list[OldContact]:
    """All contacts of a person, newest first."""
    rows = await tx.connection.execute(_CONTACTS, {"tenant": tx.tenant_id, "id": person_id})
    return [OldContact(*row) for row in rows]


async def complete(tx: Transaction, person_id: UUID, profile: bytes) -> None:
    """Gives a person without a profile one."""
    await tx.connection.execute(_COMPLETE, {"tenant": tx.tenant_id, "id": person_id, "profile": profile})
