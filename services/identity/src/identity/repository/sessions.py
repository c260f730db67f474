"""Sessions and their chains of refresh tokens, which are stored as hashes."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from events import Transaction

LIFE_DAYS = 30

_OPEN = text("INSERT INTO session (id, user_id) VALUES (:id, :user_id)")
_ISSUE = text(f"""
INSERT INTO refresh_token (token_hash, session_id, expires_at)
VALUES (:hash, :session_id, now() + interval '{LIFE_DAYS} days')
""")
# The session's row is locked too, so that a logout and a refresh of the same session cannot pass each other.
_TAKE = text("""
SELECT t.session_id, s.user_id, t.used_at IS NOT NULL AS used,
       s.revoked_at IS NULL AND t.expires_at > now() AS alive
FROM refresh_token t JOIN session s ON s.id = t.session_id
WHERE t.token_hash = :hash FOR UPDATE
""")
_USE = text("UPDATE refresh_token SET used_at = now() WHERE token_hash = :hash")
_REVOKE = text("UPDATE session SET revoked_at = now() WHERE id = :id AND revoked_at IS NULL")
_SESSION_OF = text("SELECT session_id FROM refresh_token WHERE token_hash = :hash")
_PURGE_TOKENS = text("DELETE FROM refresh_token WHERE expires_at < now()")
_PURGE = text("""
DELETE FROM session s WHERE s.created_at < now() - interval '1 day'
  AND NOT EXISTS (SELECT 1 FROM refresh_token t WHERE t.session_id = s.id)
""")


@dataclass(frozen=True, slots=True)
class Taken:
    """A refresh token that was shown, its row locked."""

    session_id: UUID
    user_id: UUID
    used: bool
    alive: bool


async def open_session(tx: Transaction, session_id: UUID, user_id: UUID) -> None:
    """Begins a session."""
    await tx.connection.execute(_OPEN, {"id": session_id, "user_id": user_id})


async def issue(tx: Transaction, session_id: UUID, token_hash: bytes) -> None:
    """Adds the session's next refresh token."""
    await tx.connection.execute(_ISSUE, {"hash": token_hash, "session_id": session_id})


async def take(tx: Transaction, token_hash: bytes) -> Taken | None:
    """The token's row and its session's, locked; None for one we never gave out."""
    row = (await tx.connection.execute(_TAKE, {"hash": token_hash})).one_or_none()
    return Taken(*row) if row else None


async def use(tx: Transaction, token_hash: bytes) -> None:
    """Marks the token as used."""
    await tx.connection.execute(_USE, {"hash": token_hash})


async def revoke(tx: Transaction, session_id: UUID) -> None:
    """Ends the session: none of its tokens is good any more."""
    await tx.connection.execute(_REVOKE, {"id": session_id})


async def session_of(tx: Transaction, token_hash: bytes) -> UUID | None:
    """The session that the token belongs to."""
    found: UUID | None = (await tx.connection.execute(_SESSION_OF, {"hash": token_hash})).scalar_one_or_none()
    return found


async def purge(tx: Transaction) -> None:
    """Removes tokens that are too old to be used, and sessions that have none left."""
    await tx.connection.execute(_PURGE_TOKENS)
    await tx.connection.execute(_PURGE)
