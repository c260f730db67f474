"""Clock in."""

from collections.abc import Awaitable, Callable, Iterable
from uuid import UUID

import structlog

from booking import endings, waitlist
from booking.repository import bookings
from booking.repository import waitlist as entries
from booking.settings import BookingSettings
from events import Transaction
from servicekit import idempotency
from servicekit.jobs import every
from servicekit.service import Service

log = structlog.get_logger(__name__)


@every(1.0)
async def end_overdue_bookings(service: Service) -> None:
    """Makes seen what is true already: holds, grace and approvals whose time ran out."""
    async with service.database.transaction() as tx:
        due = await bookings.due(tx)
    await _each(service, due, endings.end_overdue)


@every(60.0)
async def complete_past_visits(service: Service) -> None:
    """Visits that nobody said anything of are over."""
    settings = service.settings
    assert isinstance(settings, BookingSettings)
    async with service.database.transaction() as tx:
        over = await bookings.over(tx, settings.complete_after_minutes)
    await _each(service, over, endings.complete_over)


@every(10.0)
async def remind_approvers(service: Service) -> None:
    """Half of the time to decide is over."""
    async with service.database.transaction() as tx:
        undecided = await bookings.undecided(tx)
    await _each(service, undecided, endings.remind_approver)


@every(60.0)
async def end_outlived_waiting(service: Service) -> None:
    """Nothing came free within the window."""
    async with service.database.transaction() as tx:
        outlived = await entries.outlived(tx)
    await _each(service, outlived, waitlist.outlive)


@every(3600.0)
async def purge_idempotency(service: Service) -> None:
    """Forgets stored answers after a day."""
    async with service.database.transaction() as tx:
        await idempotency.purge(tx)


async def _each(
    service: Service, found: Iterable[tuple[UUID, UUID]], work: Callable[[Transaction, UUID], Awaitable[None]]
) -> None:
    """One piece a transaction, so that no two wait for each other in a circle. What fails is raised at the end: it must
    not keep the others waiting."""
    failures: list[Exception] = []
    for tenant_id, identity in found:
        try:
            async with service.database.transaction(tenant_id) as tx:
                await work(tx, identity)
        except Exception as error:  # the edge of this piece: raised with the others', when all have had their turn
            log.exception("a piece of a job failed and will be tried again", tenant=str(tenant_id), id=str(identity))
            failures.append(error)
    if failures:
        raise ExceptionGroup(f"{len(failures)} pieces of work failed", failures)
