"""Consents that were begun, and channels of notices."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from calendar_sync.model import Channel, Connection, Consent
from calendar_sync.repository.rows import CONNECTION, LEASE, connection_of, run
from events import Transaction

_BEGIN_CONSENT = text("""
INSERT INTO oauth_state (state_hash, tenant_id, connection_id, started_by, browser_hash, verifier_sealed, expires_at)
VALUES (:state, :tenant, :connection, :started_by, :browser, :verifier, now() + interval '10 minutes')
""")
_TAKE_CONSENT = text("""
UPDATE oauth_state SET used_at = now() WHERE state_hash = :state AND used_at IS NULL AND expires_at > now()
RETURNING connection_id, browser_hash, verifier_sealed
""")
_STATE_OWNER = text("SELECT tenant_id, id FROM state_owner(:state)")
_CHANNEL_OWNER = text("SELECT tenant_id, id FROM channel_owner(:channel)")
_CHANNEL_TOKEN = text("SELECT token_hash FROM channel WHERE id = :channel")
_BEGIN_CHANNEL = text(
    "INSERT INTO channel (id, tenant_id, connection_id, token_hash) VALUES (:id, :tenant, :connection, :token)"
)
_STORE_CHANNEL = text("UPDATE channel SET provider_resource = :resource, expires_at = :expires WHERE id = :id")
_SUPERSEDE = text(
    "UPDATE channel SET superseded_at = now() WHERE connection_id = :connection AND superseded_at IS NULL"
    " AND (CAST(:keep AS uuid) IS NULL OR id <> :keep)"
)
_GET_CHANNEL = text("SELECT id, connection_id, provider_resource FROM channel WHERE id = :id FOR UPDATE SKIP LOCKED")
_DROP_CHANNEL = text("DELETE FROM channel WHERE id = :id")
_CLAIM_WATCH = text(f"""
UPDATE connection SET watch_due_at = clock_timestamp() + :lasting
WHERE id = (SELECT id FROM connection WHERE id = :id AND deleted_at IS NULL AND grant_sealed IS NOT NULL
              AND status IN ('active', 'degraded') AND watch_due_at <= clock_timestamp() FOR UPDATE SKIP LOCKED)
RETURNING {CONNECTION}
""")
_WATCH_NEXT = text(
    "UPDATE connection SET watch_due_at = :due, watch_failures = :failures WHERE id = :id AND deleted_at IS NULL"
)


async def begin_consent(
    tx: Transaction, state_hash: bytes, connection_id: UUID, started_by: UUID, browser_hash: bytes, verifier: bytes
) -> None:
    """A state that is good once, for ten minutes."""
    await run(
        tx,
        _BEGIN_CONSENT,
        state=state_hash,
        tenant=tx.tenant_id,
        connection=connection_id,
        started_by=started_by,
        browser=browser_hash,
        verifier=verifier,
    )


async def state_owner(tx: Transaction, state_hash: bytes) -> tuple[UUID, UUID] | None:
    """(tenant, connection) of a state."""
    rows = await run(tx, _STATE_OWNER, state=state_hash)
    return (rows[0].tenant_id, rows[0].id) if rows else None


async def take_consent(tx: Transaction, state_hash: bytes) -> Consent | None:
    """Uses the state up; None when it was used or is over."""
    rows = await run(tx, _TAKE_CONSENT, state=state_hash)
    return Consent(**rows[0]._mapping) if rows else None


async def channel_owner(tx: Transaction, channel_id: UUID) -> tuple[UUID, UUID] | None:
    """(tenant, connection) of a channel."""
    rows = await run(tx, _CHANNEL_OWNER, channel=channel_id)
    return (rows[0].tenant_id, rows[0].id) if rows else None


async def channel_token_hash(tx: Transaction, channel_id: UUID) -> bytes | None:
    """What the channel's token has to hash to."""
    rows = await run(tx, _CHANNEL_TOKEN, channel=channel_id)
    return bytes(rows[0].token_hash) if rows else None


async def claim_watch(tx: Transaction, connection_id: UUID) -> Connection | None:
    """Leases the opening of a channel to one job; None when it is not due (any more)."""
    return connection_of(await run(tx, _CLAIM_WATCH, id=connection_id, lasting=LEASE))


async def watch_next(tx: Transaction, connection_id: UUID, due: datetime, failures: int) -> None:
    """When the next channel is to be opened."""
    await run(tx, _WATCH_NEXT, id=connection_id, due=due, failures=failures)


async def begin_channel(tx: Transaction, channel_id: UUID, connection_id: UUID, token_hash: bytes) -> None:
    """A channel that is about to be opened: its first notice may come before the answer does."""
    await run(tx, _BEGIN_CHANNEL, id=channel_id, tenant=tx.tenant_id, connection=connection_id, token=token_hash)


async def store_channel(tx: Transaction, channel_id: UUID, provider_resource: str, expires_at: datetime) -> None:
    """The channel is open."""
    await run(tx, _STORE_CHANNEL, id=channel_id, resource=provider_resource, expires=expires_at)


async def supersede_channels(tx: Transaction, connection_id: UUID, *, keep: UUID | None = None) -> None:
    """All of the connection's channels but one are to be closed."""
    await run(tx, _SUPERSEDE, connection=connection_id, keep=keep)


async def take_channel(tx: Transaction, channel_id: UUID) -> Channel | None:
    """A channel to be closed."""
    rows = await run(tx, _GET_CHANNEL, id=channel_id)
    return Channel(**rows[0]._mapping) if rows else None


async def drop_channel(tx: Transaction, channel_id: UUID) -> None:
    """Forgets a channel: its notices are refused."""
    await run(tx, _DROP_CHANNEL, id=channel_id)
