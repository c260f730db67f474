"""A clinic in booking's own tables, and offers as availability signs them."""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from booking import learning
from booking.holds import Wish, wish
from booking.main import build
from booking.settings import BookingSettings
from events import Money, new_id
from events.brokers.memory import MemoryBroker
from events.contracts.availability import CancellationPolicy, OfferingState, ResourceState
from events.contracts.identity import TenantChanged, TenantSettings
from servicekit.auth import ANONYMOUS
from servicekit.capabilities import CustomerToken, Offer, OfferedResource
from servicekit.people import Contact
from servicekit.service import Service
from servicekit.testing import client_of

ServiceEnvironment = Callable[..., dict[str, Any]]
NEXT_WEEK = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=7)
ALWAYS = {
    "time_zone": "Europe/Warsaw",
    "weekly": {day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")},
}


class KnownPeople:
    """Contact data without identity running: booking's tests are about booking."""

    def __init__(self) -> None:
        self.contacts: dict[UUID, Contact] = {}

    async def contact(self, tenant_id: UUID, contact_id: UUID) -> Contact:
        return self.contacts[contact_id]


@dataclass
class Clinic:
    """A tenant with offerings and resources, and shortcuts for what a patient does."""

    service: Service
    client: httpx.AsyncClient
    tenant_id: UUID = field(default_factory=new_id)
    offerings: dict[UUID, OfferingState] = field(default_factory=dict)
    schedule_version: int = 1

    @property
    def base(self) -> str:
        return f"/v1/clinics/{self.tenant_id}"

    async def open(self, **settings: Any) -> "Clinic":
        async with self.service.database.transaction(self.tenant_id) as tx:
            await learning.keep_tenant(
                tx,
                TenantChanged(
                    tenant_id=self.tenant_id, version=1, slug="clinic", name="Clinic", time_zone="Europe/Warsaw",
                    currency="pln", locales=["pl"], settings=TenantSettings(**settings),
                ),
            )  # fmt: skip
        return self

    async def resource(self, kind: str = "practitioner", *, approval: bool = False) -> ResourceState:
        resource_id = new_id()
        state = ResourceState(
            tenant_id=self.tenant_id, version=1, resource_id=resource_id, type=kind, slug=f"r{resource_id.hex[-6:]}",
            name=kind, active=True, time_zone="Europe/Warsaw", approval_required=approval, schedule_version=1,
            schedule=ALWAYS,
        )  # fmt: skip
        async with self.service.database.transaction(self.tenant_id) as tx:
            await learning.keep_resource(tx, state)
        return state

    async def offering(
        self, mode: str = "free", *, price: int = 20000, capacity: int = 1, deposit: int | None = None, fee: int = 50
    ) -> OfferingState:
        offering_id = new_id()
        state = OfferingState(
            tenant_id=self.tenant_id, version=1, offering_id=offering_id, slug=f"o{offering_id.hex[-6:]}", name="Visit",
            active=True, duration_minutes=30, capacity=capacity, price=Money(amount=price, currency="pln"), mode=mode,
            deposit_amount=deposit, hold_seconds=600, min_notice_minutes=0,
            cancellation=CancellationPolicy(free_until_minutes=1440, fee_percent=fee), reminders_minutes=[60],
        )  # fmt: skip
        self.offerings[offering_id] = state
        async with self.service.database.transaction(self.tenant_id) as tx:
            await learning.keep_offering(tx, state)
        return state

    def offer(
        self,
        offering: OfferingState,
        *candidates: list[ResourceState],
        start: datetime = NEXT_WEEK,
        hold_seconds: float = 600,
        buffer: int = 0,
        lives: float = 600,
        chosen: bool = True,
    ) -> str:
        end = start + timedelta(minutes=offering.duration_minutes)
        offer = Offer(
            expires=int(time.time() + lives), tenant_id=self.tenant_id, offering_id=offering.offering_id,
            offering_version=1, start=int(start.timestamp()), end=int(end.timestamp()), amount=offering.price.amount,
            currency="pln", hold_seconds=hold_seconds, capacity=offering.capacity, provider_chosen=chosen,
            time_zone="Europe/Warsaw",
            candidates=[
                [
                    OfferedResource(
                        resource.resource_id, int(start.timestamp()) - 60 * buffer, int(end.timestamp()) + 60 * buffer,
                        resource.type[0], resource.schedule_version, resource.approval_required,
                    )
                    for resource in group
                ]
                for group in candidates
            ],
        )  # fmt: skip
        return self.service.signer("offers").sign(offer)

    def customer(self) -> str:
        person, contact = new_id(), new_id()
        self.service.people.contacts[contact] = Contact(  # type: ignore[attr-defined]
            contact_id=contact, person_id=person, name="Ewa", email="ewa@example.test", phone=None, locale="pl"
        )
        return self.service.signer("customers").sign(
            CustomerToken(int(time.time()) + 300, self.tenant_id, person, contact, "pl", None, False)
        )

    def wish(self, slot_id: str) -> Wish:
        settings = self.service.settings
        assert isinstance(settings, BookingSettings)
        signer = self.service.signer("offers")
        return wish(signer, settings, tenant_id=self.tenant_id, slot_id=slot_id, seats=1, asking=ANONYMOUS, origin=None)

    async def hold(self, slot_id: str, **more: Any) -> httpx.Response:
        return await self.client.post(f"{self.base}/holds", json={"slot_id": slot_id} | more)

    async def request(self, hold: dict[str, Any], **more: Any) -> httpx.Response:
        body = {"hold_id": hold["id"], "hold_token": hold["manage_token"], "customer_token": self.customer()}
        return await self.client.post(f"{self.base}/appointments", json=body | more)

    async def appointment(self, slot_id: str) -> dict[str, Any]:
        held = await self.hold(slot_id)
        assert held.status_code == 201, held.text
        made = await self.request(held.json())
        assert made.status_code == 201, made.text
        return dict(made.json())

    async def get(self, thing: dict[str, Any], kind: str = "appointments") -> dict[str, Any]:
        answer = await self.client.get(
            f"{self.base}/{kind}/{thing['id']}", headers={"Authorization": f"Bearer {thing['manage_token']}"}
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def outbox(self) -> list[tuple[str, dict[str, Any] | None]]:
        """What was said in this tenant: types and payloads in order."""
        import json

        from sqlalchemy import text

        async with self.service.database.transaction() as tx:
            rows = await tx.connection.execute(
                text(
                    "SELECT headers ->> 'ce_type' AS type, payload FROM outbox"
                    " WHERE headers ->> 'tenantid' = :tenant ORDER BY id"
                ),
                {"tenant": str(self.tenant_id)},
            )
            return [(row.type, json.loads(row.payload) if row.payload else None) for row in rows]

    async def said(self, event_type: str) -> list[dict[str, Any]]:
        return [payload for kind, payload in await self.outbox() if kind == event_type and payload]


@pytest.fixture(scope="session")
async def service(service_environment: ServiceEnvironment) -> AsyncIterator[Service]:
    """Booking without a relay: the tests read the outbox."""
    settings = BookingSettings(**service_environment("booking", pool_size=20))
    composed = build(settings)
    composed.people = KnownPeople()  # type: ignore[assignment]
    composed.broker = MemoryBroker()
    yield composed
    await composed.close()


@pytest.fixture
async def clinic(service: Service) -> AsyncIterator[Clinic]:
    """A fresh clinic."""
    async with client_of(service) as client:
        yield await Clinic(service, client).open()
