"""Clock in."""

from booking import appointments, repository
from servicekit import idempotency
from servicekit.jobs import every
from servicekit.service import Service


@every(1.0)
async def end_overdue_bookings(service: Service) -> None:
    """Makes seen what is true already: holds, grace and approvals whose time ran out. One booking a transaction."""
    async with service.database.transaction() as tx:
        due = await repository.due(tx)
    for tenant_id, booking_id in due:
        async with service.database.transaction(tenant_id) as tx:
            await appointments.end_overdue(tx, booking_id)


@every(3600.0)
async def purge_idempotency(service: Service) -> None:
    """Forgets stored answers after a day."""
    async with service.database.transaction() as tx:
        await idempotency.purge(tx)
