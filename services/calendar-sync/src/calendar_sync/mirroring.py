"""The mirror: what an external calendar says, read incrementally and told to everyone as busy times.

Nothing is forgotten because it could not be read: what a calendar last said stays busy until a read says otherwise.
"""

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

from calendar_sync import grants
from calendar_sync.domain import RELISTED_AFTER, Changes, Listing, NotUnderstood, backoff, changes
from calendar_sync.model import Connection, Status
from calendar_sync.providers import AccessRevoked, CalendarFailure, Grant, SyncTokenGone, Unreachable
from calendar_sync.providers.google import Google
from calendar_sync.repository import appointments, channels, connections
from calendar_sync.settings import CalendarSyncSettings
from events import Deleted, Event, Transaction
from events.contracts.calendar import Busy, CalendarConnectionDegraded, ExternalBusyChanged
from servicekit.service import Service

TRIES_BEFORE_DEGRADED = 2
"""A provider that hiccups once is no news; its second failure in a row is."""

REFUSED_PAUSE = 300.0
UNREACHABLE_PAUSE = 60.0


async def read(service: Service, tenant_id: UUID, connection_id: UUID) -> bool:
    """Reads the calendar and stores what changed, or that it could not be read. False: somebody else reads it."""
    settings = service.get(CalendarSyncSettings)
    poll = settings.poll_seconds * random.uniform(0.9, 1.1)  # not all calendars at once, for ever
    async with service.database.transaction(tenant_id) as tx:
        connection = await connections.claim_read(tx, connection_id, replica=settings.replica, poll_seconds=poll)
    if connection is None:
        return False
    grant = grants.unseal(service, connection)
    now = datetime.now(UTC)
    try:
        listing = await _list(service.get(Google), grant, connection, now)
        async with service.database.transaction(tenant_id) as tx:
            await _store(tx, connection, listing, now)
            await grants.keep_renewed(tx, service, grant, connection_id)
    except (CalendarFailure, NotUnderstood) as failure:
        async with service.database.transaction(tenant_id) as tx:
            await _store_failure(tx, connection, failure, now)
            await grants.keep_renewed(tx, service, grant, connection_id)
    return True


async def _list(provider: Google, grant: Grant, connection: Connection, now: datetime) -> Listing:
    """What changed; everything when the provider forgot where we were, or the horizon has to move on."""
    if connection.activated_at is None:
        listing = await provider.changes(grant, connection.calendar_id, None, now)
        await provider.check(grant, connection.calendar_id)
        return listing
    stale = connection.listed_at is None or connection.listed_at < now - RELISTED_AFTER
    if connection.sync_token is not None and not stale:
        try:
            return await provider.changes(grant, connection.calendar_id, connection.sync_token, now)
        except SyncTokenGone:
            pass  # listed in full below; until that is stored, everything known stays as it is
    return await provider.changes(grant, connection.calendar_id, None, now)


async def _store(tx: Transaction, claimed: Connection, listing: Listing, now: datetime) -> None:
    """The mirror's change and what is said about it, in one transaction."""
    connection = await connections.lock_connection(tx, claimed.id)
    if connection is None or connection.lease != claimed.lease:
        return  # deleted, or read by somebody else meanwhile
    nothing_new = not (listing.full or listing.events)
    known = {} if nothing_new else await connections.mirrored(tx, connection.id)
    found = changes(known, listing, tenant_id=connection.tenant_id, calendar_id=connection.calendar_id, now=now)
    recovered = connection.degraded_since is not None
    version = connection.version + (1 if found or recovered else 0)
    generation = connection.generation + (1 if listing.full else 0)
    await connections.put_busy(tx, connection.id, generation, found.put)
    await connections.drop_busy(tx, connection.id, found.gone)
    await connections.store_read(
        tx,
        connection.id,
        version=version,
        generation=generation,
        sync_token=listing.sync_token,
        full=listing.full,
        now=now,
    )
    await tx.emit(*_told(connection, found, version, generation))
    if connection.degraded_since is not None:
        await tx.emit(_degraded(connection, version, since=connection.degraded_since, reason="read", recovered=True))
    if connection.status != "active":
        await _activate(tx, connection, now)


async def _activate(tx: Transaction, connection: Connection, now: datetime) -> None:
    """The calendar is in use (again): notices are asked for, and coming appointments are written to it."""
    if connection.activated_at is None or connection.status == "revoked":
        await channels.watch_next(tx, connection.id, due=now, failures=0)
        tx.wake("open_channels")
    if connection.activated_at is None:
        await appointments.meet(tx, connection.resource_id)
        await appointments.want_all_events(tx, connection.id)
    tx.wake("write_events")


async def _store_failure(
    tx: Transaction, claimed: Connection, failure: CalendarFailure | NotUnderstood, now: datetime
) -> None:
    connection = await connections.lock_connection(tx, claimed.id)
    if connection is None or connection.lease != claimed.lease:
        return
    status, pause = _consequence(connection, failure)
    known_until = connection.last_sync_at or now
    worse = status in ("degraded", "revoked")
    since = connection.degraded_since or (known_until if worse else None)
    news = worse and status != connection.status
    version = connection.version + (1 if news else 0)
    await connections.store_failure(
        tx,
        connection.id,
        status=status,
        version=version,
        since=since,
        reason=failure.reason if worse else connection.degraded_reason,
        pause=pause,
    )
    if news:
        await tx.emit(_degraded(connection, version, since=since or now, reason=failure.reason, recovered=False))


def _consequence(connection: Connection, failure: CalendarFailure | NotUnderstood) -> tuple[Status, timedelta | None]:
    """What the failure makes of the connection, and when it is read again."""
    failures = connection.failures + 1
    match failure:
        case AccessRevoked():
            return "revoked", None
        case Unreachable():
            enough = failures >= TRIES_BEFORE_DEGRADED
            asked_for = timedelta(seconds=min(failure.retry_after, REFUSED_PAUSE))
            return "degraded" if enough else connection.status, max(
                asked_for, backoff(failures, most=UNREACHABLE_PAUSE)
            )
        case _:
            return "degraded", backoff(failures, most=REFUSED_PAUSE)


def _told(connection: Connection, found: Changes, version: int, generation: int) -> list[Event | Deleted]:
    """The mirror's change as events: what is busy first, so that a moved event is never free in between."""
    if not found:
        return []
    tenant_id, resource_id = connection.tenant_id, connection.resource_id
    return [
        *(
            Busy(
                tenant_id=tenant_id,
                version=version,
                connection_id=connection.id,
                resource_id=resource_id,
                external_key=busy.external_key,
                generation=generation,
                start=busy.start,
                end=busy.end,
            )
            for busy in found.put
        ),
        *(Deleted(Busy.TYPE, f"{connection.id}:{key}", tenant_id, version) for key in found.gone),
        ExternalBusyChanged(
            tenant_id=tenant_id,
            version=version,
            connection_id=connection.id,
            resource_id=resource_id,
            added=found.added,
            removed=len(found.gone),
        ),
    ]


def _degraded(
    connection: Connection, version: int, *, since: datetime, reason: str, recovered: bool
) -> CalendarConnectionDegraded:
    return CalendarConnectionDegraded(
        tenant_id=connection.tenant_id,
        version=version,
        connection_id=connection.id,
        resource_id=connection.resource_id,
        since=since,
        recovered=recovered,
        reason=reason,
    )
