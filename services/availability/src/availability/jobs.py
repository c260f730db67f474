"""What the service does by the clock."""

from availability import repository
from availability.waiting import Waiting
from servicekit import idempotency
from servicekit.jobs import every
from servicekit.service import Service

FREED_DAYS = 30


@every(3600.0)
async def forget(service: Service) -> None:
    """Drops versions of freed rows once nothing older can come any more, and old idempotent answers."""
    async with service.database.transaction() as tx:
        await repository.forget_freed(tx, FREED_DAYS)
        await idempotency.purge(tx)


@every(5.0)
async def match_waiting(service: Service) -> None:
    """Finds those who wait for what came free; woken when something has."""
    await service.get(Waiting).match()
