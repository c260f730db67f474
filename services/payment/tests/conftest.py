"""Payment as it runs: on a real port, between the sandbox's Stripe, a real PostgreSQL and a broker in memory."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx
import pytest
import uvicorn
from sqlalchemy import text

from events import Event, Money, new_id
from events.brokers.memory import MemoryBroker
from events.contracts.booking import (
    ApprovalRequested,
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingNoShow,
    BookingRescheduled,
    DifferencePaid,
    HoldReleased,
    Visit,
)
from events.contracts.payment import PaymentAuthorized, PaymentSucceeded
from events.envelope import seal, unseal
from payment import repository
from payment.main import build
from payment.settings import PaymentSettings
from servicekit.auth import service_authorization
from servicekit.capabilities import PaymentRequest
from servicekit.service import Service
from servicekit.testing import Tokens, eventually, free_port, sandbox_running

T = TypeVar("T")
SECRET = "whsec_test"
NEXT_WEEK = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=7)


def pln(amount: int) -> Money:
    return Money(amount=amount, currency="pln")


@dataclass
class Till:
    """Booking, the patient and the clinic's staff, as payment sees them."""

    service: Service
    broker: MemoryBroker
    url: str
    sandbox: httpx.AsyncClient
    payment: httpx.AsyncClient
    tokens: Tokens
    tenant_id: UUID = field(default_factory=new_id)

    def request(
        self, *, amount: int = 20000, mode: str = "full", capture: bool = True, hold_seconds: float = 600, **more: Any
    ) -> PaymentRequest:
        booking_id = more.pop("booking_id", new_id())
        return PaymentRequest(
            expires=int(time.time()) + 60, tenant_id=self.tenant_id, booking_id=booking_id, booking_version=2,
            mode=mode, capture=capture, amount=amount, currency="pln", price=amount,
            hold_ends=int(time.time() + hold_seconds), contact_id=new_id(), person_id=new_id(), locale="pl",
            slot_id=new_id(), offering_id=new_id(), offering_name="Hygiene", start=int(NEXT_WEEK.timestamp()),
            return_url=None, actor_kind="guest", user_id=None,
        )  # fmt: skip

    async def open(self, request: PaymentRequest) -> httpx.Response:
        text = self.service.signer("payment_requests").sign(request)
        headers = service_authorization(self.service.signer("services"), "gateway")
        return await self.payment.post("/internal/checkouts", json={"payment_request": text}, headers=headers)

    async def paid(self, **request: Any) -> PaymentRequest:
        """A booking that was paid for (or authorized), and that stands."""
        asked = self.request(**request)
        await self.pay(await self.checkout(asked))
        kind = PaymentSucceeded if asked.capture else PaymentAuthorized
        payment_id = (await self.heard(asked, kind)).payment_id
        if asked.capture:
            await self.tell(BookingConfirmed(**self.about(asked), **self.terms(asked), payment_id=payment_id))
        else:
            deadline = datetime.now(UTC) + timedelta(days=1)
            await self.tell(ApprovalRequested(**self.about(asked), price=pln(asked.price), deadline=deadline))
        return asked

    async def confirm(self, request: PaymentRequest) -> None:
        """The clinic approves."""
        payment_id = (await self.heard(request, PaymentAuthorized)).payment_id
        await self.tell(BookingConfirmed(**self.about(request), **self.terms(request), payment_id=payment_id))

    async def move(self, request: PaymentRequest, price: int, *, fee: int = 0) -> None:
        about = self.about(request)
        moved = {"previous": about["visit"], "by": "patient", "price": pln(price), "fee": pln(fee)}
        await self.tell(BookingRescheduled(**about, **moved))

    async def pay_difference(self, request: PaymentRequest, amount: int) -> PaymentRequest:
        """The visit moves to a time that costs so much more; that is paid under the id of the hold that kept it."""
        hold = self.request(amount=amount)
        await self.pay(await self.checkout(hold))
        payment_id = (await self.heard(hold, PaymentSucceeded)).payment_id
        hold_fact = {"tenant_id": self.tenant_id, "version": 4, "booking_id": hold.booking_id}
        await self.tell(HoldReleased(**hold_fact, visit=self.about(hold)["visit"]))
        await self.move(request, request.amount + amount)
        await self.tell(DifferencePaid(**hold_fact, payment_id=payment_id, appointment_id=request.booking_id))

        async def linked() -> bool:
            async with self.service.database.transaction(self.tenant_id) as tx:
                return len(await repository.of_appointment(tx, request.booking_id)) > 1

        await eventually(linked)
        return hold

    async def cancel(self, request: PaymentRequest, fee: int) -> None:
        await self.tell(BookingCancelled(**self.about(request), by="patient", fee=pln(fee), was_confirmed=True))

    async def no_show(self, request: PaymentRequest, fee: int) -> None:
        await self.tell(BookingNoShow(**self.about(request), fee=pln(fee)))

    async def complete(self, request: PaymentRequest) -> None:
        await self.tell(BookingCompleted(**self.about(request), by="staff"))

    async def give(
        self, request: PaymentRequest, amount: Any, *, role: str | None = "front_desk", **more: Any
    ) -> httpx.Response:
        """Staff give something back by hand."""
        headers = self.tokens.of(self.tenant_id, role) | more.pop("headers", {})
        return await self.payment.post(
            self.refunds_url(request), json={"amount": amount, "reason": "The room was cold"} | more, headers=headers
        )

    def refunds_url(self, request: PaymentRequest) -> str:
        return f"/v1/clinics/{self.tenant_id}/appointments/{request.booking_id}/refunds"

    async def refunds(self, request: PaymentRequest) -> list[dict[str, Any]]:
        headers = self.tokens.of(self.tenant_id, "practitioner")
        answer = await self.payment.get(self.refunds_url(request), headers=headers)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["data"]
        return found

    async def keeps(self, request: PaymentRequest, amount: int) -> None:
        """What booking and staff said has come: no more than this is kept."""

        async def so_much() -> bool:
            async with self.service.database.transaction(self.tenant_id) as tx:
                statement = text("SELECT keep FROM payment WHERE booking_id = :booking")
                keep = (await tx.connection.execute(statement, {"booking": request.booking_id})).scalar_one()
                return bool(keep == amount)

        await eventually(so_much)

    async def settled(self, request: PaymentRequest, *, captured: int, refunded: int, seconds: float = 15.0) -> None:
        """Stripe's books and ours come to these figures, and stay there."""

        async def agreed() -> bool:
            row = await self.ledger(request)
            return (row["captured"], row["refunded"]) == (captured, refunded) and (
                await self.balance(request) == captured - refunded
            )

        await eventually(agreed, seconds)

    async def checkout(self, request: PaymentRequest) -> str:
        opened = await self.open(request)
        assert opened.status_code == 200, opened.text
        return str(opened.json()["session_id"])

    async def pay(self, session_id: str, **body: Any) -> httpx.Response:
        return await self.sandbox.post(
            f"/_sandbox/stripe/checkout/{session_id}/pay", json=body or {"card": "4242424242424242"}
        )

    async def fault(self, fault: str, **more: Any) -> None:
        answer = await self.sandbox.post("/_sandbox/faults", json={"provider": "stripe", "fault": fault} | more)
        assert answer.status_code == 201, answer.text

    async def tell(self, event: Event) -> None:
        _, record = seal(event, source="booking")
        await self.broker.publish([record], 1)

    def about(self, request: PaymentRequest) -> dict[str, Any]:
        """The fields of an appointment's event."""
        visit = Visit(
            slot_id=request.slot_id, offering_id=request.offering_id, provider_id=None, resource_ids=[],
            start=NEXT_WEEK,            end=NEXT_WEEK + timedelta(minutes=30), seats=1,
        )  # fmt: skip
        return {
            "tenant_id": self.tenant_id, "version": 3, "booking_id": request.booking_id, "visit": visit,
            "person_id": request.person_id, "contact_id": request.contact_id, "locale": "pl",
        }  # fmt: skip

    def terms(self, request: PaymentRequest) -> dict[str, Any]:
        money = Money(amount=request.amount, currency="pln")
        return {"mode": request.mode, "price": money, "amount_due": money}

    def said(self, request: PaymentRequest) -> list[Any]:
        """What payment said about the booking, in order."""
        return [
            unseal(message)
            for partition, log in self.broker.logs.items()
            if partition.topic == "holdfast.payment"
            for message in log
            if message.key == str(request.booking_id)
        ]

    async def heard(self, request: PaymentRequest, kind: type[Event], seconds: float = 15.0) -> Any:
        async def look() -> Any:
            return next((event for event in self.said(request) if isinstance(event, kind)), None)

        return await eventually(look, seconds)

    async def ledger(self, request: PaymentRequest) -> dict[str, Any]:
        """Stripe's own books for the booking."""
        rows = (await self.sandbox.get("/_sandbox/stripe/ledger")).json()["data"]
        return next(row for row in rows if row["metadata"]["booking_id"] == str(request.booking_id))

    async def balance(self, request: PaymentRequest) -> int:
        """Our own books: what is kept of the booking's money."""
        async with self.service.database.transaction(self.tenant_id) as tx:
            statement = text(
                "SELECT coalesce(sum(CASE WHEN debit = 'stripe' THEN amount ELSE -amount END), 0)"
                " FROM ledger WHERE booking_id = :booking"
            )
            return int((await tx.connection.execute(statement, {"booking": request.booking_id})).scalar_one())


@pytest.fixture(scope="session")
def payment_port() -> int:
    return free_port()


@pytest.fixture(scope="session")
def stripe_url(data_dir: Path, payment_port: int) -> Iterator[str]:
    """The sandbox, telling the payment service of these tests."""
    webhook = f"http://127.0.0.1:{payment_port}/v1/payments/webhook"
    told = {"SANDBOX_STRIPE_WEBHOOK_URL": webhook, "SANDBOX_STRIPE_WEBHOOK_SECRET": SECRET}
    with sandbox_running(data_dir / "payment-sandbox", **told) as url:
        yield url


@pytest.fixture(scope="session")
async def running(
    service_environment: Callable[..., dict[str, Any]],
    stripe_url: str,
    payment_port: int,
    identity: tuple[str, Tokens],
) -> AsyncIterator[tuple[Service, MemoryBroker]]:
    """The service with its jobs and handlers at work."""
    settings = PaymentSettings(
        **service_environment("payment", pool_size=8, port=payment_port, identity_url=identity[0]),
        stripe_api_key="sk_test_x",
        stripe_api_base=stripe_url,
        stripe_webhook_secret=SECRET,
        reconcile_seconds=1.0,
        remind_seconds=2.0,
    )
    service = build(settings)
    broker = MemoryBroker()
    service.broker = broker
    server = uvicorn.Server(uvicorn.Config(service.app, port=payment_port, log_level="warning", lifespan="off"))
    async with service.working():
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.02)
        yield service, broker
        server.should_exit = True
        await serving
    await service.close()


@pytest.fixture
async def till(
    running: tuple[Service, MemoryBroker], stripe_url: str, identity: tuple[str, Tokens]
) -> AsyncIterator[Till]:
    """A fresh tenant, no faults."""
    service, broker = running
    url = f"http://127.0.0.1:{service.settings.port}"
    async with httpx.AsyncClient(base_url=stripe_url) as sandbox, httpx.AsyncClient(base_url=url) as payment:
        await sandbox.delete("/_sandbox/faults")
        yield Till(service, broker, url, sandbox, payment, identity[1])
