"""HTTP in."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request

from payment import checkouts, refunds, repository, webhooks
from payment.providers.stripe import StripePayments
from payment.schemas import CheckoutRequest, CheckoutView, RefundList, RefundRequest, RefundView
from servicekit.auth import DESK, STAFF, Principal
from servicekit.edge import Asking, CallingService, PlainTx, TenantTx, service_of
from servicekit.idempotency import IdempotentRoute
from servicekit.problems import NotFound
from servicekit.service import Service

router = APIRouter()
for_staff = APIRouter(prefix="/v1/clinics/{clinic}", route_class=IdempotentRoute)

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


@for_staff.post("/appointments/{appointment_id}/refunds", status_code=201)
async def give_back(
    clinic: UUID, appointment_id: UUID, body: RefundRequest, asking: Asking, tx: TenantTx
) -> RefundView:
    """Gives back a part or all of what was paid (owner, manager, front desk); a fee that was kept may go back, too.
    The appointment stays as it is. `pending` until Stripe has taken it."""
    _require(asking, clinic, DESK)
    refund = await refunds.give(tx, appointment_id, body.amount, body.reason, by=asking.require_user())
    return RefundView.of(refund)


@for_staff.get("/appointments/{appointment_id}/refunds")
async def list_refunds(
    clinic: UUID,
    appointment_id: UUID,
    asking: Asking,
    tx: TenantTx,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: UUID | None = None,
) -> RefundList:
    """What went back or is on its way, oldest first, also what went back by itself (staff)."""
    _require(asking, clinic, STAFF)
    found = await refunds.of_appointment(tx, appointment_id, after=cursor, limit=limit + 1)
    page = found[:limit]
    following = page[-1].id if len(found) > limit else None
    return RefundList(data=[RefundView.of(refund) for refund in page], next_cursor=following)


def _require(asking: Principal, clinic: UUID, among: frozenset[str]) -> None:
    """401 without a user, 404 for who does not work there (whether it exists or not), 403 without the role."""
    asking.require_user()
    if not asking.is_staff(clinic):
        raise NotFound("There is no such appointment, or it is not yours to see.")
    asking.require_role(clinic, among)
