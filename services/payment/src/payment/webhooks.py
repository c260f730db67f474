"""Stripe's webhooks: verified, stored once, answered; then acted on by what their object is now."""

from payment import outcomes, repository
from payment.errors import SignatureInvalid
from payment.providers.stripe import Forged, StripeAway, StripePayments, StripeRefused, WebhookEvent
from servicekit.database import Database

# What may change a payment. The rest says the same of a part of it, and is only noted.
ACTED_ON = frozenset(
    (
        "checkout.session.completed",
        "checkout.session.expired",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "payment_intent.payment_failed",
        "payment_intent.canceled",
        "refund.failed",
    )
)
FAILURES = {
    "payment_intent.payment_failed": "card_declined",
    "checkout.session.async_payment_failed": "async_payment_failed",
}


def verify(stripe: StripePayments, raw: bytes, signature: str) -> WebhookEvent:
    """The event, or 400 when Stripe did not sign it for us just now."""
    try:
        return stripe.read_webhook(raw, signature)
    except Forged as error:
        raise SignatureInvalid("The webhook's signature is not valid or too old. Nothing was done.") from error


async def act(database: Database, stripe: StripePayments, event: WebhookEvent) -> None:
    """Looks the event's object up at Stripe and takes in what it says now: repeated, late and reordered webhooks
    all lead to the same end. One whose payment is not ours (or not paid) is ignored."""
    async with database.transaction() as tx:
        found = await repository.payment_of(tx, event)
        if found is None:
            await repository.webhook_done(tx, event.id, "ignored")
            return
    tenant_id, payment_id = found
    async with database.transaction(tenant_id) as tx:
        payment = await repository.find(tx, payment_id)
    assert payment is not None
    assert payment.session_id is not None
    seen = await stripe.look(payment.session_id)
    async with database.transaction(tenant_id) as tx:
        payment = await repository.lock(tx, payment_id)
        payment = await outcomes.take_in(tx, payment, seen)
        if reason := FAILURES.get(event.type):
            await outcomes.fail(tx, payment, reason)
        if event.type == "refund.failed":
            await outcomes.refund_bounced(tx, payment, event.object_id)
        await repository.webhook_done(tx, event.id, "done")


async def act_on_all(database: Database, stripe: StripePayments) -> None:
    """Acts on what was received, until nothing is left. When Stripe is away the rest waits for the next turn."""
    while True:
        async with database.transaction() as tx:
            events = await repository.received(tx)
        if not events:
            return
        for event in events:
            try:
                await act(database, stripe, event)
            except StripeAway:
                return
            except StripeRefused:
                # The object is not there for our key: another account's, or from before a reset.
                async with database.transaction() as tx:
                    await repository.webhook_done(tx, event.id, "ignored")
