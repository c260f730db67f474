"""Our appointments in the calendars of their practitioners: moved to the desired state, whatever happened before."""

from datetime import timedelta
from uuid import UUID

from calendar_sync import grants
from calendar_sync.domain import EventText, backoff, event_body, event_id
from calendar_sync.errors import NotHereYet
from calendar_sync.model import Connection, WantedEvent
from calendar_sync.providers import CalendarFailure, Grant, NotOurs, Unreachable
from calendar_sync.providers.google import Google
from calendar_sync.repository import appointments, connections
from events import Transaction
from events.contracts.availability import OfferingState, ResourceState
from events.contracts.booking import AppointmentFact, BookingRescheduled
from events.contracts.calendar import CalendarEventWritten
from servicekit import copies
from servicekit.problems import NotFound, Unavailable
from servicekit.service import Service

MOST_PAUSE = 300.0


async def want(tx: Transaction, fact: AppointmentFact, *, confirmed: bool) -> None:
    """The appointment stands, or does not any more: every calendar of its provider is to say so."""
    if fact.visit.provider_id is not None:
        await appointments.meet(tx, fact.visit.provider_id)
    if not await appointments.keep_appointment(tx, fact, confirmed=confirmed):
        return
    if await appointments.want_events(tx, fact, confirmed=confirmed):
        tx.wake("write_events")


async def move(tx: Transaction, fact: BookingRescheduled) -> None:
    """The appointment has another time or practitioner: the same event moves, or goes from one practitioner's
    calendars into another's."""
    # Both in a fixed order: two that swap practitioners would otherwise wait for each other.
    for provider_id in sorted({fact.visit.provider_id, fact.previous.provider_id} - {None}, key=str):
        assert provider_id is not None
        await appointments.meet(tx, provider_id)
    if await appointments.move_appointment(tx, fact) and await appointments.want_events(tx, fact, confirmed=True):
        tx.wake("write_events")


async def write(service: Service, tenant_id: UUID, ids: tuple[UUID, UUID]) -> bool:
    """Moves one calendar to the desired state of one appointment. False: somebody else does."""
    booking_id, connection_id = ids
    async with service.database.transaction(tenant_id) as tx:
        wanted = await appointments.claim_write(tx, booking_id, connection_id, replica=service.settings.replica)
        connection = await connections.get_connection(tx, connection_id)
        offering, provider = await _catalogue(tx, wanted)
    if wanted is None or connection is None or connection.grant_sealed is None:
        return False
    grant = grants.unseal(service, connection)
    etag: str | None
    try:
        if wanted.present:
            etag = await _put(service, grant, connection, wanted, offering, provider)
        else:
            etag = None
            await _remove(service, grant, connection, wanted)
    except (CalendarFailure, Unavailable, NotHereYet) as failure:
        async with service.database.transaction(tenant_id) as tx:
            await _store_failure(tx, wanted, failure)
        return True
    async with service.database.transaction(tenant_id) as tx:
        await grants.keep_renewed(tx, service, grant, connection_id)
        if await appointments.store_written(tx, wanted, etag):
            await tx.emit(
                CalendarEventWritten(
                    tenant_id=tenant_id,
                    version=wanted.version,
                    connection_id=connection_id,
                    booking_id=booking_id,
                    deleted=not wanted.present,
                )
            )
    return True


async def _catalogue(tx: Transaction, wanted: WantedEvent | None) -> tuple[OfferingState | None, ResourceState | None]:
    if wanted is None:
        return None, None
    offering = await copies.find(tx, OfferingState, f"offering:{wanted.offering_id}")
    return offering, await copies.find(tx, ResourceState, f"resource:{wanted.provider_id}")


async def _put(
    service: Service,
    grant: Grant,
    connection: Connection,
    wanted: WantedEvent,
    offering: OfferingState | None,
    provider: ResourceState | None,
) -> str:
    if offering is None or provider is None:
        raise NotHereYet("the catalogue")
    body = event_body(
        await _text(service, connection.tenant_id, wanted.contact_id, offering),
        tenant_id=connection.tenant_id,
        booking_id=wanted.booking_id,
        calendar_id=connection.calendar_id,
        version=wanted.version,
        start=wanted.starts_at,
        end=wanted.ends_at,
        time_zone=provider.time_zone,
    )
    return await service.get(Google).put_event(grant, connection.calendar_id, body, known=wanted.written)


async def _remove(service: Service, grant: Grant, connection: Connection, wanted: WantedEvent) -> None:
    calendar_id = connection.calendar_id
    its_id = event_id(connection.tenant_id, wanted.booking_id, calendar_id)
    await service.get(Google).remove_event(grant, calendar_id, its_id)


async def _text(service: Service, tenant_id: UUID, contact_id: UUID, offering: OfferingState) -> EventText:
    """Who comes, as the clinic knows it now; without a name once the person was erased."""
    try:
        contact = await service.people.contact(tenant_id, contact_id)
    except NotFound:
        return EventText(offering.name, None, None, None)
    return EventText(offering.name, contact.name, contact.email, contact.phone)


async def _store_failure(tx: Transaction, wanted: WantedEvent, failure: Exception) -> None:
    """It is tried again. When the calendar refuses us, a read finds out what that means for the connection."""
    pause = backoff(wanted.failures, most=MOST_PAUSE)
    if isinstance(failure, Unreachable):
        pause = max(pause, timedelta(seconds=min(failure.retry_after, MOST_PAUSE)))
    if isinstance(failure, CalendarFailure) and not isinstance(failure, Unreachable | NotOurs):
        await connections.want_read(tx, wanted.connection_id)
        tx.wake("read_calendars")
    await appointments.store_not_written(tx, wanted, reason=str(failure), pause=pause)
