"""What people allowed us, sealed in the database and open only while a provider is called."""

import json
from datetime import UTC, datetime
from uuid import UUID

from calendar_sync.model import Connection
from calendar_sync.providers import Grant
from calendar_sync.repository import connections
from calendar_sync.sealing import Sealer
from events import Transaction
from servicekit.service import Service


def seal(service: Service, grant: Grant, connection_id: UUID) -> bytes:
    """The grant as it is stored with its connection."""
    document = {
        "access_token": grant.access_token,
        "refresh_token": grant.refresh_token,
        "expires_at": grant.expires_at.timestamp(),
    }
    return service.get(Sealer).seal(json.dumps(document), _place(connection_id))


def unseal(service: Service, connection: Connection) -> Grant:
    """The grant of a connection that has one."""
    assert connection.grant_sealed is not None
    document = json.loads(service.get(Sealer).open(connection.grant_sealed, _place(connection.id)))
    expires_at = datetime.fromtimestamp(document["expires_at"], UTC)
    return Grant(document["access_token"], document["refresh_token"], expires_at)


async def keep_renewed(tx: Transaction, service: Service, grant: Grant, connection_id: UUID) -> None:
    """Stores the tokens again if the provider renewed them on the way."""
    if grant.renewed:
        await connections.store_renewed_grant(tx, connection_id, seal(service, grant, connection_id))


def _place(connection_id: UUID) -> str:
    return f"connection:{connection_id}"
