"""Connecting a practitioner's calendar: the consent is begun, comes back, and the calendar is read at once."""

import asyncio
import base64
import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from string import Template
from uuid import UUID

from calendar_sync import grants, mirroring
from calendar_sync.errors import NoSuchConnection, NoSuchProvider, NotAPractitioner, NotSetUp, StateRefused
from calendar_sync.model import Connection, Consent
from calendar_sync.providers import CalendarFailure
from calendar_sync.providers.google import Google
from calendar_sync.repository import channels, connections
from calendar_sync.sealing import Sealer
from calendar_sync.settings import CalendarSyncSettings
from events import Deleted, Transaction, new_id
from events.contracts.availability import ResourceState
from events.contracts.calendar import Busy, CalendarConnectionDegraded, ExternalBusyChanged
from events.contracts.identity import TenantChanged
from servicekit import copies
from servicekit.auth import MANAGERS, STAFF, Principal
from servicekit.problems import Forbidden
from servicekit.service import Service


@dataclass(frozen=True, slots=True)
class Wish:
    """Somebody who may wants this calendar of this practitioner connected."""

    provider: ResourceState
    calendar_id: str
    asked_by: UUID


@dataclass(frozen=True, slots=True)
class Begun:
    """A consent that waits for its person."""

    connection_id: UUID
    authorize_url: str
    browser_secret: str
    """Has to come back from the browser in which the consent was begun."""


@dataclass(frozen=True, slots=True)
class ComingBack:
    """What the provider's redirect brings. `browser` says that it is a browser's navigation; the secret is the one
    it was given when the consent began."""

    state: str
    code: str | None
    browser: bool
    browser_secret: str | None


async def understand(service: Service, tenant_id: UUID, asking: Principal, named: str, calendar_id: str | None) -> Wish:
    """What the request asks for, with the copies it needs awaited. Raises 401, 403, `NoSuchProvider`,
    `NotAPractitioner`, `NotSetUp`, and `Unavailable` when a copy does not come. Call it outside a transaction."""
    settings = service.get(CalendarSyncSettings)
    asking.require_role(tenant_id, STAFF)
    provider = await _await_provider(service, tenant_id, named)
    require_control(asking, tenant_id, provider)
    if not settings.google_client_id:
        raise NotSetUp("google")
    if calendar_id is None:
        clinic = await copies.await_copy(service.database, tenant_id, TenantChanged, str(tenant_id))
        calendar_id = Template(settings.default_calendar_id).substitute(provider=provider.slug, clinic=clinic.slug)
    return Wish(provider, calendar_id, asking.require_user())


async def _await_provider(service: Service, tenant_id: UUID, named: str) -> ResourceState:
    """The practitioner with this id or slug, waiting for the copy for up to 2 s: a client may be faster than Kafka."""
    deadline = time.monotonic() + copies.WAIT_SECONDS
    while True:
        async with service.database.transaction(tenant_id) as tx:
            resources = await copies.every(tx, ResourceState)
        found = next((one for one in resources if named in (str(one.resource_id), one.slug)), None)
        if found is not None:
            if found.type != "practitioner" or not found.active:
                raise NotAPractitioner()
            return found
        if time.monotonic() >= deadline:
            raise NoSuchProvider(named)
        await asyncio.sleep(0.02)


def require_control(asking: Principal, tenant_id: UUID, provider: ResourceState | None) -> None:
    """401, or 403 for everyone but managers and the practitioner whose calendar it is."""
    asking.require_role(tenant_id, STAFF)
    own = provider is not None and provider.user_id == asking.user_id
    if not (own or asking.is_staff(tenant_id, MANAGERS)):
        raise Forbidden("A calendar is connected by its practitioner or by a manager of the clinic. Nothing changed.")


async def begin(tx: Transaction, service: Service, wish: Wish, browser_secret: str | None = None) -> Begun:
    """Makes the connection (or takes the one there is) and says where the person consents. A browser that has begun
    another consent keeps its secret, so that both may come back."""
    connection = await connections.begin_connection(tx, new_id(), wish.provider.resource_id, "google", wish.calendar_id)
    state, fresh, verifier = (secrets.token_urlsafe(48) for _ in range(3))
    browser_secret = browser_secret or fresh
    sealed = service.get(Sealer).seal(verifier, f"consent:{connection.id}")
    await channels.begin_consent(tx, _hash(state), connection.id, wish.asked_by, _hash(browser_secret), sealed)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    url = service.get(Google).authorize_url(state=state, challenge=challenge)
    return Begun(connection.id, url, browser_secret)


async def finish(service: Service, back: ComingBack) -> Connection | None:
    """Takes the consent, stores the grant and reads the calendar; returns the connection as it is then, None when
    the person said no or the provider did not give the grant. Raises `StateRefused`."""
    tenant_id, consent = await _take_consent(service, back)
    if back.code is None:
        return None
    verifier = service.get(Sealer).open(consent.verifier_sealed, f"consent:{consent.connection_id}")
    try:
        grant = await service.get(Google).exchange(code=back.code, verifier=verifier)
    except CalendarFailure:
        return None
    async with service.database.transaction(tenant_id) as tx:
        await connections.store_grant(tx, consent.connection_id, grants.seal(service, grant, consent.connection_id))
    await mirroring.read(service, tenant_id, consent.connection_id)
    async with service.database.transaction(tenant_id) as tx:
        return await connections.get_connection(tx, consent.connection_id)


async def _take_consent(service: Service, back: ComingBack) -> tuple[UUID, Consent]:
    state_hash = _hash(back.state)
    async with service.database.transaction() as tx:
        owner = await channels.state_owner(tx, state_hash)
    if owner is None:
        raise StateRefused()
    tenant_id, connection_id = owner
    async with service.database.transaction(tenant_id) as tx:
        consent = await channels.take_consent(tx, state_hash)
        if consent is None or await connections.get_connection(tx, connection_id) is None:
            raise StateRefused()
        # Somebody could send another person the address of a consent they began themselves, and so read that
        # person's calendar. In a browser it has to be the one in which it began.
        given = _hash(back.browser_secret or "")
        if back.browser and not hmac.compare_digest(given, consent.browser_hash):
            raise StateRefused()
    return tenant_id, consent


async def visible(tx: Transaction, asking: Principal, *, after: UUID | None, limit: int) -> list[Connection]:
    """The clinic's connections for its staff; practitioners see their own."""
    asking.require_role(tx.tenant_id, STAFF)
    if asking.role_in(tx.tenant_id) != "practitioner":
        return await connections.list_connections(tx, after=after, limit=limit)
    own = [one for one in await copies.every(tx, ResourceState) if one.user_id == asking.user_id]
    if not own:
        return []
    return await connections.list_connections(tx, resource_id=own[0].resource_id, after=after, limit=limit)


async def disconnect_for(tx: Transaction, asking: Principal, connection_id: UUID) -> None:
    """Ends the connection for somebody who may; nothing happens when it was ended before. Raises
    `NoSuchConnection`."""
    asking.require_role(tx.tenant_id, STAFF)
    connection = await connections.any_connection(tx, connection_id)
    if connection is None:
        raise NoSuchConnection()
    provider = await copies.find(tx, ResourceState, f"resource:{connection.resource_id}")
    require_control(asking, tx.tenant_id, provider)
    await disconnect(tx, connection_id)


async def disconnect(tx: Transaction, connection_id: UUID) -> None:
    """What the calendar said is no longer asked for: its busy times go, and nothing more is written to it. Events
    already written stay with their owner."""
    connection = await connections.lock_connection(tx, connection_id)
    if connection is None:
        return
    keys = sorted(await connections.mirrored(tx, connection_id))
    version = connection.version + 1
    await connections.drop_busy(tx, connection_id, keys)
    await connections.delete_connection(tx, connection_id, version)
    await channels.supersede_channels(tx, connection_id)
    await connections.forget_grant(tx, connection_id)
    await tx.emit(*(Deleted(Busy.TYPE, f"{connection_id}:{key}", tx.tenant_id, version) for key in keys))
    if keys:
        await tx.emit(
            ExternalBusyChanged(
                tenant_id=tx.tenant_id,
                version=version,
                connection_id=connection_id,
                resource_id=connection.resource_id,
                added=0,
                removed=len(keys),
            )
        )
    if connection.degraded_since is not None:
        await tx.emit(
            CalendarConnectionDegraded(
                tenant_id=tx.tenant_id,
                version=version,
                connection_id=connection_id,
                resource_id=connection.resource_id,
                since=connection.degraded_since,
                recovered=True,
                reason="disconnected",
            )
        )
    tx.wake("close_channels")


async def disconnect_all(tx: Transaction, resource_id: UUID | None = None) -> None:
    """Ends every connection of the resource, of the whole clinic without one."""
    for connection_id in await connections.connections_of(tx, resource_id):
        await disconnect(tx, connection_id)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
