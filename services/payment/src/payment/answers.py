"""Nobody forgets: booking answers every success, or is told again, and at last asked."""

from datetime import timedelta
from uuid import UUID

import aiohttp
import structlog

from events import Transaction
from payment import desires, repository
from payment.domain import Status
from payment.repository import Payment
from payment.settings import PaymentSettings
from servicekit.auth import service_authorization
from servicekit.service import Service

log = structlog.get_logger(__name__)


async def note(tx: Transaction, booking_id: UUID) -> None:
    """Booking knows of the money and has put the decision off."""
    if await repository.lock_account(tx, booking_id) is None:
        return
    for payment in await repository.of_booking(tx, booking_id):
        if payment.status in (Status.AUTHORIZED, Status.PAID):
            await repository.update(tx, payment, answered=True)


async def remind(service: Service, settings: PaymentSettings) -> None:
    """After a minute of silence the event goes out again with the same id; after fifteen booking is asked directly."""
    async with service.database.transaction() as tx:
        silent = await repository.unanswered(tx, timedelta(seconds=settings.remind_seconds))
    for tenant_id, payment_id in silent:
        async with service.database.transaction(tenant_id) as tx:
            payment = await repository.lock(tx, payment_id)
            if payment.answered or payment.announced_at is None:
                continue
            log.error("booking has not answered a payment; it is told again", payment=str(payment_id))
            await repository.announce_again(tx, payment)
            age = (await repository.now(tx)) - payment.announced_at
        if age >= timedelta(seconds=settings.ask_seconds):
            await _ask(service, settings, payment)


async def _ask(service: Service, settings: PaymentSettings, payment: Payment) -> None:
    url = f"{settings.booking_url}/internal/tenants/{payment.tenant_id}/appointments/{payment.booking_id}/payments"
    body = {
        "payment_id": str(payment.id),
        "kind": "succeeded" if payment.status is Status.PAID else "authorized",
        "amount": payment.amount,
        "currency": payment.currency,
    }
    headers = service_authorization(service.signer("services"), "payment")
    try:
        async with service.http.session.post(url, json=body, headers=headers) as response:
            outcome = (await response.json())["outcome"] if response.status == 200 else None
    except (aiohttp.ClientError, TimeoutError) as error:
        log.error("booking could not be asked; it is asked again", payment=str(payment.id), error=str(error))
        return
    if outcome is None:
        return
    async with service.database.transaction(payment.tenant_id) as tx:
        if outcome == "returned":
            await desires.give_back(tx, payment.booking_id, payment.id, "late")
        elif outcome == "pending_approval":
            await note(tx, payment.booking_id)
        else:
            await desires.keep(tx, payment.booking_id, payment.id)
