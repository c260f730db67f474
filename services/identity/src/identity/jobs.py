"""What identity does by the clock: forgetting, and completing what an older version stored."""

from identity import customers
from identity.repository import accounts, clinics, sessions
from identity.repository import customers as stored
from identity.sealing import PeopleKeys
from servicekit import idempotency
from servicekit.jobs import every
from servicekit.service import Service


@every(600.0)
async def forget_the_past(service: Service) -> None:
    """Removes what nobody can ask for any more: sessions, failed logins, stored answers, past visits."""
    async with service.database.transaction() as tx:
        await sessions.purge(tx)
        await accounts.forget_failures(tx)
        await idempotency.purge(tx)
        await clinics.forget_past_visits(tx)


@every(600.0)
async def complete_people(service: Service) -> None:
    """Makes people of before there were profiles visible to staff; one a transaction, until there are no more."""
    while True:
        async with service.database.transaction() as tx:
            found = await stored.incomplete(tx, 100)
        for tenant_id, person_id in found:
            async with service.database.transaction(tenant_id) as tx:
                await customers.complete(tx, service.get(PeopleKeys), person_id)
        if not found:
            return
