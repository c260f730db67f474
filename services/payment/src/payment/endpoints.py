"""HTTP in."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request

from payment import checkouts, repository, webhooks
from payment.providers.stripe import StripePayments
from payment.schemas import CheckoutRequest, CheckoutView
from servicekit.edge import CallingService, PlainTx, service_of
from servicekit.service import Service

router = APIRouter()

Composed = Annotated[Service, Depends(service_of)]


@router.post("/v1/payments/webhook")
async def receive_webhook(
    request: Request, service: Composed, tx: PlainTx, stripe_signature: Annotated[str, Header()] = ""
) -> dict[str, bool]:
    """Stripe's raw request: verified, stored once, answered. It is acted on afterwards."""
    event = webhooks.verify(service.get(StripePayments), await request.body(), stripe_signature)
    acted_on = event.type in webhooks.ACTED_ON
    if await repository.receive(tx, event, status="received" if acted_on else "ignored") and acted_on:
        tx.wake("act_on_webhooks")
    return {"received": True}


@router.post("/internal/checkouts", response_model=CheckoutView, include_in_schema=False)
async def open_checkout(body: CheckoutRequest, service: Composed, _: CallingService) -> Any:
    """The booking's one live Checkout."""
    request = checkouts.read_request(service.signer("payment_requests"), body.payment_request)
    outcome = await checkouts.open_checkout(
        service.database,
        service.get(StripePayments),
        service.settings,  # type: ignore[arg-type]
        service.signer("settlements"),
        request,
    )
    if isinstance(outcome, str):
        return CheckoutView(status="settled", settlement=outcome)
    return CheckoutView(
        status="open",
        session_id=outcome.session_id,
        checkout_url=outcome.checkout_url,
        expires_at=outcome.expires_at,
    )
