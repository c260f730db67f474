"""Clock in."""

from payment import answers, moving, repository, webhooks
from payment.providers.stripe import StripePayments
from payment.settings import PaymentSettings
from servicekit import idempotency
from servicekit.jobs import every
from servicekit.service import Service


@every(2.0)
async def act_on_webhooks(service: Service) -> None:
    """Woken by each webhook that was stored."""
    await webhooks.act_on_all(service.database, service.get(StripePayments))


@every(1.0)
async def move_payments(service: Service) -> None:
    """Brings payments to where booking wants them; also closes Checkouts at the end of their hold."""
    async with service.database.transaction() as tx:
        due = await repository.due(tx)
    for tenant_id, payment_id in due:
        await moving.move(service.database, service.get(StripePayments), tenant_id, payment_id)


@every(2.0)
async def reconcile(service: Service) -> None:
    """Settles what webhooks missed."""
    settings = service.settings
    assert isinstance(settings, PaymentSettings)
    async with service.database.transaction() as tx:
        unchecked = await repository.unchecked(tx)
    for tenant_id, payment_id in unchecked:
        await moving.check(
            service.database, service.get(StripePayments), tenant_id, payment_id, settings.reconcile_seconds
        )


@every(15.0)
async def remind_booking(service: Service) -> None:
    """Nobody forgets a payment."""
    assert isinstance(service.settings, PaymentSettings)
    await answers.remind(service, service.settings)


@every(3600.0)
async def purge_idempotency(service: Service) -> None:
    """Forgets stored answers after a day."""
    async with service.database.transaction() as tx:
        await idempotency.purge(tx)
