"""Opening a Checkout: on the request path, for exactly what booking signed."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from events import Money, Transaction, new_id
from events.contracts.payment import CheckoutStarted
from payment import outcomes, repository
from payment.domain import Status, counts_as_nothing
from payment.errors import CheckoutRefused, HoldOver, RequestInvalid
from payment.providers.stripe import StripeAway, StripePayments, StripeRefused
from payment.repository import Payment
from payment.settings import PaymentSettings
from servicekit.capabilities import PaymentRequest, Settlement
from servicekit.database import Database
from servicekit.problems import Unavailable
from servicekit.signing import Expired, Forged, Signer

# Stripe takes 30 minutes at least; exactly 30 can be refused by the time it arrives. The hold's end closes it earlier.
SESSION_LIFE = timedelta(minutes=35)
# A try whose outcome is unknown is repeated under its own key, but not when its Session would be too short by then.
SAME_TRY_FOR = timedelta(minutes=4)
SETTLEMENT_SECONDS = 60
LOCALES = {"en", "pl", "es", "de"}


@dataclass(frozen=True, slots=True)
class Opened:
    """A Checkout that can be paid."""

    session_id: str
    checkout_url: str | None
    expires_at: datetime


def read_request(signer: Signer, text: str) -> PaymentRequest:
    """What is to be paid, as booking signed it."""
    try:
        return signer.verify(text, PaymentRequest, leeway=30)
    except Forged as error:
        raise RequestInvalid("The payment request is not one of ours. Nothing was charged.") from error
    except Expired as error:
        raise HoldOver("The payment request is too old. Nothing was charged; ask for the Checkout again.") from error


async def open_checkout(
    database: Database, stripe: StripePayments, settings: PaymentSettings, signer: Signer, request: PaymentRequest
) -> Opened | str:
    """The booking's one live Checkout, opened if need be; or a signed settlement when nothing is due.

    Three steps: the attempt is written down, Stripe is asked, the answer is stored. Whoever comes in between, or
    after a crash, asks Stripe under the same key and gets the same Session.
    """
    if counts_as_nothing(request.amount, request.currency):
        return await _settle(database, signer, request)
    async with database.transaction(request.tenant_id) as tx:
        payment = await _attempt(tx, request, settings)
    if payment.status is not Status.STARTING:
        assert payment.session_id is not None
        return Opened(payment.session_id, payment.url, payment.session_expires_at)
    try:
        session = await stripe.create_session(
            payment_id=payment.id,
            key=f"booking:{payment.booking_id}:checkout:{payment.attempt}",
            amount=payment.amount,
            currency=payment.currency,
            capture=payment.capture,
            expires_at=int(payment.session_expires_at.timestamp()),
            **payment.request,
        )
    except StripeAway as error:
        raise Unavailable("Stripe does not answer. Nothing was charged and the time is kept; try again.") from error
    except StripeRefused as error:
        async with database.transaction(request.tenant_id) as tx:
            payment = await repository.lock(tx, payment.id)
            await repository.update(tx, payment, status="closed", due_at=None, check_at=None)
        raise Unavailable(f"Stripe refuses the Checkout ({error.code}). Nothing was charged.") from error
    async with database.transaction(request.tenant_id) as tx:
        payment = await repository.lock(tx, payment.id)
        if payment.status is Status.STARTING:
            payment = await repository.update(
                tx,
                payment,
                status="open",
                session_id=session.id,
                url=session.url,
                check_at=timedelta(seconds=settings.reconcile_seconds),
            )
            started = CheckoutStarted(
                **await outcomes.fact(tx, payment),
                session_id=session.id,
                amount=Money(amount=payment.amount, currency=payment.currency),
                expires_at=session.expires_at,
            )
            await tx.emit(started, correlation_id=payment.booking_id)
    return Opened(session.id, session.url, session.expires_at)


async def _attempt(tx: Transaction, request: PaymentRequest, settings: PaymentSettings) -> Payment:
    account = await repository.lock_account(tx, request.booking_id, create=True)
    assert account is not None
    if account.ended:
        raise CheckoutRefused("This booking has ended. Nothing can be paid for it and nothing was charged.")
    if request.hold_ends <= time.time():
        raise HoldOver("The time to pay is over. Nothing was charged; book again.")
    attempts = await repository.of_booking(tx, request.booking_id)
    newest = attempts[0] if attempts else None
    if newest is not None:
        if newest.status in (Status.PROCESSING, Status.AUTHORIZED, Status.PAID):
            raise CheckoutRefused("This booking is being paid for already. Nothing more was charged.")
        fresh = newest.created_at > datetime.now(UTC) - SAME_TRY_FOR
        if newest.status is Status.OPEN or (newest.status is Status.STARTING and fresh):
            return newest
        if newest.status is Status.STARTING:
            await repository.update(tx, newest, status="closed", due_at=None)
    success = _back(request, settings)
    return await repository.insert(
        tx,
        id=(payment_id := new_id()),
        booking=request.booking_id,
        attempt=newest.attempt + 1 if newest else 1,
        mode=request.mode,
        capture=request.capture,
        amount=request.amount,
        currency=request.currency,
        status="starting",
        session_expires_at=datetime.now(UTC) + SESSION_LIFE,
        hold_ends=(hold_ends := datetime.fromtimestamp(request.hold_ends, UTC)),
        due_at=hold_ends,
        request={
            "name": request.offering_name,
            "locale": request.locale if request.locale in LOCALES else "auto",
            "success_url": success,
            "cancel_url": success,
            "metadata": _metadata(request, payment_id),
        },
    )


def _metadata(request: PaymentRequest, payment_id: UUID) -> dict[str, str]:
    """On both the Session and the PaymentIntent: what people look for in Stripe's dashboard. No personal data."""
    return {
        "tenant": str(request.tenant_id),
        "booking_id": str(request.booking_id),
        "hold_id": str(request.booking_id),
        "slot_id": str(request.slot_id),
        "product": str(request.offering_id),
        "actor": request.actor_kind,
        "user_id": str(request.user_id or ""),
        "payment_id": str(payment_id),
    }


def _back(request: PaymentRequest, settings: PaymentSettings) -> str:
    base = request.return_url or f"{settings.public_url}/manage/{request.booking_id}?clinic={request.tenant_id}"
    return f"{base}{'&' if '?' in base else '?'}appointment={request.booking_id}"


async def _settle(database: Database, signer: Signer, request: PaymentRequest) -> str:
    """Nothing is due: a payment of 0 that booking is told of twice, by the gateway at once and by its event."""
    async with database.transaction(request.tenant_id) as tx:
        account = await repository.lock_account(tx, request.booking_id, create=True)
        assert account is not None
        attempts = await repository.of_booking(tx, request.booking_id)
        if attempts:
            payment = attempts[0]
        else:
            payment = await repository.insert(
                tx,
                id=new_id(),
                booking=request.booking_id,
                attempt=1,
                mode=request.mode,
                capture=True,
                amount=0,
                currency=request.currency,
                status="paid",
                session_expires_at=datetime.now(UTC),
                hold_ends=datetime.fromtimestamp(request.hold_ends, UTC),
                due_at=None,
                request={},
            )
            await outcomes.announce(tx, payment, Status.PAID, amount=0)
    settlement = Settlement(int(time.time()) + SETTLEMENT_SECONDS, request.tenant_id, request.booking_id, payment.id)
    return signer.sign(settlement)
