"""Clock in."""

from booking import endings, waitlist
from booking.repository import bookings
from booking.repository import waitlist as entries
from booking.settings import BookingSettings
from servicekit import idempotency
from servicekit.jobs import every
from servicekit.service import Service


@every(1.0)
async def end_overdue_bookings(service: Service) -> None:
    """Makes seen what is true already: holds, grace and approvals whose time ran out. One booking a transaction."""
    async with service.database.transaction() as tx:
        due = await bookings.due(tx)
    for tenant_id, booking_id in due:
        async with service.database.transaction(tenant_id) as tx:
            await endings.end_overdue(tx, booking_id)


@every(60.0)
async def complete_past_visits(service: Service) -> None:
    """Visits that nobody said anything of are over."""
    settings = service.settings
    assert isinstance(settings, BookingSettings)
    async with service.database.transaction() as tx:
        over = await bookings.over(tx, settings.complete_after_minutes)
    for tenant_id, booking_id in over:
        async with service.database.transaction(tenant_id) as tx:
            await endings.complete_over(tx, booking_id)


@every(10.0)
async def remind_approvers(service: Service) -> None:
    """Half of the time to decide is over."""
    async with service.database.transaction() as tx:
        undecided = await bookings.undecided(tx)
    for tenant_id, booking_id in undecided:
        async with service.database.transaction(tenant_id) as tx:
            await endings.remind_approver(tx, booking_id)


@every(60.0)
async def end_outlived_waiting(service: Service) -> None:
    """Nothing came free within the window."""
    async with service.database.transaction() as tx:
        outlived = await entries.outlived(tx)
    for tenant_id, entry_id in outlived:
        async with service.database.transaction(tenant_id) as tx:
            await waitlist.outlive(tx, entry_id)


@every(3600.0)
async def purge_idempotency(service: Service) -> None:
    """Forgets stored answers after a day."""
    async with service.database.transaction() as tx:
        await idempotency.purge(tx)
