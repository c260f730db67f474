"""Notices: channels that the provider tells changes on. They are not wholly reliable, so polling goes on behind."""

import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from prometheus_client import Counter

from calendar_sync import grants
from calendar_sync.domain import backoff
from calendar_sync.errors import NoSuchChannel, NoticeRefused
from calendar_sync.providers import AccessRefused, CalendarFailure
from calendar_sync.providers.google import Google
from calendar_sync.repository import channels, connections
from servicekit.service import Service

RENEWED_AT = 0.8
"""Of a channel's life. Providers do not renew channels: the next one is opened before this one ends."""

REFUSED_PAUSE = timedelta(hours=1)
UNREACHABLE_PAUSE = 600.0

REFUSED_CLOSINGS = Counter("holdfast_calendar_channels_not_closed_total", "Channels left to end by themselves")


async def take_notice(service: Service, channel_id: UUID, token: str) -> None:
    """Something changed in the channel's calendar: it is read now. Raises `NoSuchChannel` or `NoticeRefused`."""
    async with service.database.transaction() as tx:
        owner = await channels.channel_owner(tx, channel_id)
    if owner is None:
        raise NoSuchChannel()
    tenant_id, connection_id = owner
    async with service.database.transaction(tenant_id) as tx:
        token_hash = await channels.channel_token_hash(tx, channel_id)
        if token_hash is None:
            raise NoSuchChannel()
        if not hmac.compare_digest(token_hash, _hash(token)):
            raise NoticeRefused()
        await connections.want_read(tx, connection_id)
        tx.wake("read_calendars")


async def open_channel(service: Service, tenant_id: UUID, connection_id: UUID) -> bool:
    """Opens the connection's next channel and lets go of the last. False: it is not due any more."""
    channel_id, token = uuid4(), secrets.token_urlsafe(32)
    async with service.database.transaction(tenant_id) as tx:
        connection = await channels.claim_watch(tx, connection_id)
        if connection is None:
            return False
        await channels.begin_channel(tx, channel_id, connection_id, _hash(token))
    grant = grants.unseal(service, connection)
    try:
        opened = await service.get(Google).open_channel(
            grant, connection.calendar_id, channel_id=str(channel_id), token=token
        )
    except CalendarFailure as failure:
        failures = connection.watch_failures + 1
        refused = isinstance(failure, AccessRefused)
        pause = REFUSED_PAUSE if refused else backoff(failures, most=UNREACHABLE_PAUSE)
        async with service.database.transaction(tenant_id) as tx:
            await channels.watch_next(tx, connection_id, datetime.now(UTC) + pause, failures)
            await channels.drop_channel(tx, channel_id)
        return True
    now = datetime.now(UTC)
    async with service.database.transaction(tenant_id) as tx:
        # As everywhere, the connection is locked before its channels.
        alive = await connections.lock_connection(tx, connection_id) is not None
        await channels.watch_next(tx, connection_id, now + (opened.expires_at - now) * RENEWED_AT, 0)
        await grants.keep_renewed(tx, service, grant, connection_id)
        await connections.want_read(tx, connection_id)  # for what changed before the channel was open
        await channels.store_channel(tx, channel_id, opened.provider_resource, opened.expires_at)
        await channels.supersede_channels(tx, connection_id, keep=channel_id if alive else None)
        tx.wake("read_calendars")
        tx.wake("close_channels")
    return True


async def close_channel(service: Service, tenant_id: UUID, channel_id: UUID) -> bool:
    """Tells the provider that a channel is not wanted any more, and forgets it either way: it ends by itself, and
    until then its notices are refused."""
    async with service.database.transaction(tenant_id) as tx:
        channel = await channels.take_channel(tx, channel_id)
        if channel is None:
            return False
        connection = await connections.any_connection(tx, channel.connection_id)
        await channels.drop_channel(tx, channel_id)
    if connection is not None and connection.grant_sealed is not None and channel.provider_resource is not None:
        grant = grants.unseal(service, connection)
        try:
            await service.get(Google).close_channel(
                grant, channel_id=str(channel_id), provider_resource=channel.provider_resource
            )
        except CalendarFailure:
            REFUSED_CLOSINGS.inc()
    async with service.database.transaction(tenant_id) as tx:
        await connections.forget_grant(tx, channel.connection_id)
    return True


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
