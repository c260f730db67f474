"""What identity does by the clock: forgetting."""

from identity.repository import accounts, clinics, sessions
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
