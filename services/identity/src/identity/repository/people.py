"""People by the keyed hash of their address, and the sealed contact data of their appointments."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from events import Transaction

_FIND = text("SELECT id, wrapped_key, user_id FROM person WHERE tenant_id = :tenant AND address_hash = ANY (:hashes)")
_CREATE = text("""
INSERT INTO person (tenant_id, id, address_hash, wrapped_key, profile)
VALUES (:tenant, :id, :hash, :wrapped, :profile)
ON CONFLICT (tenant_id, address_hash) DO NOTHING RETURNING id, wrapped_key, user_id
""")
_LINK = text("UPDATE person SET user_id = :user_id WHERE tenant_id = :tenant AND id = :id")
_ADD_CONTACT = text("""
INSERT INTO contact (tenant_id, id, person_id, sealed, locale, time_zone)
VALUES (:tenant, :id, :person, :sealed, :locale, :time_zone)
""")
# Sorted, so that two requests of one person cannot wait for each other crosswise.
_ADD_TOKENS = text("""
INSERT INTO person_token (tenant_id, token, person_id)
SELECT :tenant, token, :person FROM unnest(cast(:tokens AS bytea[])) AS token ORDER BY token
ON CONFLICT DO NOTHING
""")
_CONTACT = text("""
SELECT c.id, c.person_id, p.wrapped_key, c.sealed, c.locale, c.time_zone
FROM contact c JOIN person p ON p.id = c.person_id WHERE c.tenant_id = :tenant AND c.id = :id
""")


@dataclass(frozen=True, slots=True)
class Person:
    """A person of one clinic."""

    id: UUID
    wrapped_key: bytes
    user_id: UUID | None


@dataclass(frozen=True, slots=True)
class SealedContact:
    """Contact data as it is stored, with the wrapped key of its person."""

    id: UUID
    person_id: UUID
    wrapped_key: bytes
    sealed: bytes
    locale: str
    time_zone: str | None


async def find(tx: Transaction, hashes: list[bytes]) -> Person | None:
    """The person with one of these address hashes."""
    row = (await tx.connection.execute(_FIND, {"tenant": tx.tenant_id, "hashes": hashes})).first()
    return Person(*row) if row else None


async def create(
    tx: Transaction, person_id: UUID, address_hash: bytes, wrapped_key: bytes, profile: bytes
) -> Person | None:
    """The new person; None when another transaction was faster."""
    parameters = {
        "tenant": tx.tenant_id,
        "id": person_id,
        "hash": address_hash,
        "wrapped": wrapped_key,
        "profile": profile,
    }
    row = (await tx.connection.execute(_CREATE, parameters)).one_or_none()
    return Person(*row) if row else None


async def link(tx: Transaction, person_id: UUID, user_id: UUID) -> None:
    """Notes whose account the person is."""
    await tx.connection.execute(_LINK, {"tenant": tx.tenant_id, "id": person_id, "user_id": user_id})


async def add_contact(
    tx: Transaction, contact_id: UUID, person_id: UUID, sealed: bytes, locale: str, time_zone: str | None
) -> None:
    """Stores the contact data that came with one request."""
    parameters = {
        "tenant": tx.tenant_id,
        "id": contact_id,
        "person": person_id,
        "sealed": sealed,
        "locale": locale,
        "time_zone": time_zone,
    }
    await tx.connection.execute(_ADD_CONTACT, parameters)


async def add_tokens(tx: Transaction, person_id: UUID, tokens: list[bytes]) -> None:
    """What the person can be found by from now on, too."""
    await tx.connection.execute(_ADD_TOKENS, {"tenant": tx.tenant_id, "person": person_id, "tokens": tokens})


async def contact(tx: Transaction, contact_id: UUID) -> SealedContact | None:
    """One contact of the clinic."""
    row = (await tx.connection.execute(_CONTACT, {"tenant": tx.tenant_id, "id": contact_id})).one_or_none()
    return SealedContact(*row) if row else None
