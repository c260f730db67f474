"""A clinic in booking's own tables, and offers as availability signs them."""

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from booking import endings, handlers, learning
from booking.holds import Wish, wish
from booking.main import build
from booking.settings import BookingSettings
from events import Deleted, Event, Money, Transaction, new_id
from events.brokers.memory import MemoryBroker
from events.contracts.availability import CancellationPolicy, OfferingState, ResourceState, Rule
from events.contracts.identity import TenantChanged, TenantSettings
from events.contracts.payment import PaymentAuthorized, PaymentSucceeded
from servicekit.auth import ANONYMOUS
from servicekit.capabilities import CustomerToken, Offer, OfferedResource
from servicekit.people import Contact
from servicekit.service import Service
from servicekit.testing import Tokens, client_of

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


def bearer(thing: dict[str, Any]) -> dict[str, str]:
    """The header of whoever has the thing's manage token."""
    return {"Authorization": f"Bearer {thing['manage_token']}"}


def code(answer: httpx.Response) -> tuple[int, str]:
    """Status and problem code of a refusal."""
    return answer.status_code, answer.json()["type"].rsplit("/", 1)[-1]


@dataclass
class Clinic:
    """A tenant with offerings and resources, and shortcuts for what a patient does."""

    service: Service
    client: httpx.AsyncClient
    tokens: Tokens
    tenant_id: UUID = field(default_factory=new_id)
    offerings: dict[UUID, OfferingState] = field(default_factory=dict)
    schedule_version: int = 1

    @property
    def base(self) -> str:
        return f"/v1/clinics/{self.tenant_id}"

    async def open(self, *, version: int = 1, time_zone: str = "Europe/Warsaw", **settings: Any) -> "Clinic":
        async with self.service.database.transaction(self.tenant_id) as tx:
            await learning.keep_tenant(
                tx,
                TenantChanged(
                    tenant_id=self.tenant_id, version=version, slug="clinic", name="Clinic", time_zone=time_zone,
                    currency="pln", locales=["pl"], settings=TenantSettings(**settings),
                ),
            )  # fmt: skip
        return self

    def staff(self, role: str = "front_desk", user: UUID | None = None) -> dict[str, str]:
        """The header of somebody who works here."""
        return self.tokens.of(self.tenant_id, role, user, verified=True)

    def user(self, user: UUID | None = None) -> dict[str, str]:
        """The header of a signed-in patient."""
        return self.tokens.of(user=user, verified=True)

    async def resource(
        self, kind: str = "practitioner", *, approval: bool = False, user: UUID | None = None, **more: Any
    ) -> ResourceState:
        resource_id = new_id()
        state = ResourceState(
            tenant_id=self.tenant_id, version=1, resource_id=resource_id, type=kind, slug=f"r{resource_id.hex[-6:]}",
            name=kind, active=True, time_zone="Europe/Warsaw", approval_required=approval, schedule_version=1,
            user_id=user, **({"schedule": ALWAYS} | more),
        )  # fmt: skip
        async with self.service.database.transaction(self.tenant_id) as tx:
            await learning.keep_resource(tx, state)
        return state

    async def offering(
        self,
        mode: str = "free",
        *,
        price: int = 20000,
        capacity: int = 1,
        deposit: int | None = None,
        fee: int = 50,
        no_show_fee: int = 0,
        late_move_fee: int = 0,
        minutes: int = 30,
        rules: Iterable[Rule] = (),
        **more: Any,
    ) -> OfferingState:
        offering_id = more.pop("offering_id", None) or new_id()
        policy = CancellationPolicy(
            free_until_minutes=1440,
            fee_percent=fee,
            no_show_fee_percent=no_show_fee,
            late_move_fee_percent=late_move_fee,
        )
        fields: dict[str, Any] = {"min_notice_minutes": 0, "active": True} | more
        state = OfferingState(
            tenant_id=self.tenant_id, version=1, offering_id=offering_id, slug=f"o{offering_id.hex[-6:]}", name="Visit",
            duration_minutes=minutes, capacity=capacity, price=Money(amount=price, currency="pln"), mode=mode,
            deposit_amount=deposit, hold_seconds=600, cancellation=policy, reminders_minutes=[60], rules=list(rules),
            **fields,
        )  # fmt: skip
        return await self.offers_now(state)

    async def offers_now(self, state: OfferingState, **changes: Any) -> OfferingState:
        """The offering as it is from now on; with changes, in its next version."""
        if changes:
            state = state.model_copy(update=changes | {"version": state.version + 1})
        self.offerings[state.offering_id] = state
        async with self.service.database.transaction(self.tenant_id) as tx:
            await learning.keep_offering(tx, state)
        return state

    async def has_now(self, state: ResourceState, **changes: Any) -> ResourceState:
        """The resource with these changes, in its next version."""
        state = state.model_copy(update=changes | {"version": state.version + 1})
        async with self.service.database.transaction(self.tenant_id) as tx:
            await learning.keep_resource(tx, state)
        return state

    async def tell(self, react: Callable[[Any, Transaction], Awaitable[None]], event: Event | Deleted) -> None:
        """A handler's reaction, in a transaction of its own."""
        async with self.service.database.transaction(self.tenant_id) as tx:
            await react(event, tx)

    async def run_out(self, thing: dict[str, Any]) -> None:
        """The time of a hold, a checkout or an approval is over, and no job has seen it."""
        async with self.service.database.transaction(self.tenant_id) as tx:
            for change in (
                "UPDATE booking SET claim_until = now(), expires_at = now() WHERE id = :id",
                "UPDATE claim SET expires_at = now() WHERE owner_id = :id",
            ):
                await tx.connection.execute(text(change), {"id": UUID(thing["id"])})

    async def end(self, thing: dict[str, Any]) -> None:
        """The same, and the job has seen it."""
        await self.run_out(thing)
        async with self.service.database.transaction(self.tenant_id) as tx:
            await endings.end_overdue(tx, UUID(thing["id"]))

    def offer(
        self,
        offering: OfferingState,
        *candidates: list[ResourceState],
        start: datetime = NEXT_WEEK,
        hold_seconds: float = 600,
        buffer: int = 0,
        lives: float = 600,
        chosen: bool = True,
        amount: int | None = None,
        currency: str = "pln",
        override: bool = False,
    ) -> str:
        end = start + timedelta(minutes=offering.duration_minutes)
        offer = Offer(
            expires=int(time.time() + lives), tenant_id=self.tenant_id, offering_id=offering.offering_id,
            offering_version=offering.version, start=int(start.timestamp()), end=int(end.timestamp()),
            amount=offering.price.amount if amount is None else amount, currency=currency, hold_seconds=hold_seconds,
            capacity=offering.capacity, provider_chosen=chosen, time_zone="Europe/Warsaw", override=override,
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

    def customer(self, person: UUID | None = None, *, verified: bool = False, user: UUID | None = None) -> str:
        person, contact = person or new_id(), new_id()
        self.service.people.contacts[contact] = Contact(  # type: ignore[attr-defined]
            contact_id=contact, person_id=person, name="Ewa", email="ewa@example.test", phone=None, locale="pl"
        )
        return self.service.signer("customers").sign(
            CustomerToken(int(time.time()) + 300, self.tenant_id, person, contact, "pl", user, verified)
        )

    def wish(self, slot_id: str) -> Wish:
        settings = self.service.settings
        assert isinstance(settings, BookingSettings)
        signer = self.service.signer("offers")
        return wish(signer, settings, tenant_id=self.tenant_id, slot_id=slot_id, seats=1, asking=ANONYMOUS, origin=None)

    async def hold(self, slot_id: str, *, who: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        return await self.client.post(f"{self.base}/holds", json={"slot_id": slot_id} | more, headers=who)

    async def request(self, hold: dict[str, Any], *, who: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        body = {"hold_id": hold["id"], "hold_token": hold["manage_token"], "customer_token": self.customer()}
        return await self.client.post(f"{self.base}/appointments", json=body | more, headers=who)

    async def book(self, slot_id: str, *, who: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        """An appointment straight from the offer."""
        body = {"slot_id": slot_id, "customer_token": self.customer()} | more
        return await self.client.post(f"{self.base}/appointments", json=body, headers=who)

    async def appointment(self, slot_id: str, *, seats: int = 1, **more: Any) -> dict[str, Any]:
        held = await self.hold(slot_id, seats=seats)
        assert held.status_code == 201, held.text
        made = await self.request(held.json(), **more)
        assert made.status_code == 201, made.text
        return dict(made.json())

    async def pay(self, booking: dict[str, Any], amount: int = 20000, *, authorized: bool = False) -> UUID:
        """Payment's word that so much was paid for the booking (or authorized)."""
        payment_id, money = new_id(), Money(amount=amount, currency="pln")
        fact: dict[str, Any] = {"tenant_id": self.tenant_id, "version": 1, "booking_id": UUID(booking["id"])}
        async with self.service.database.transaction(self.tenant_id) as tx:
            if authorized:
                event = PaymentAuthorized(**fact, payment_id=payment_id, amount=money)
                await handlers.confirm_authorized_booking(event, tx)
            else:
                await handlers.confirm_paid_booking(PaymentSucceeded(**fact, payment_id=payment_id, amount=money), tx)
        return payment_id

    async def do(
        self,
        method: str,
        thing: dict[str, Any],
        action: str,
        body: Any = None,
        *,
        who: dict[str, str] | None = None,
        **query: Any,
    ) -> httpx.Response:
        """A request about an appointment: by the bearer of its manage token unless said otherwise."""
        url = f"{self.base}/appointments/{thing['id']}/{action}"
        return await self.client.request(
            method, url, json=body, headers=bearer(thing) if who is None else who, params=query
        )

    async def get(
        self, thing: dict[str, Any], kind: str = "appointments", *, who: dict[str, str] | None = None
    ) -> dict[str, Any]:
        answer = await self.client.get(f"{self.base}/{kind}/{thing['id']}", headers=who or bearer(thing))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def records(self, after: int = 0) -> list[dict[str, Any]]:
        """The outbox's rows of this tenant in order, after that id: {id, topic, key, headers, payload}."""
        query = """SELECT id, topic, key, headers, payload FROM outbox
                   WHERE headers ->> 'tenantid' = :tenant AND id > :after ORDER BY id"""
        async with self.service.database.transaction() as tx:
            rows = await tx.connection.execute(text(query), {"tenant": str(self.tenant_id), "after": after})
            return [
                dict(row) | {"payload": json.loads(row["payload"]) if row["payload"] else None}
                for row in rows.mappings()
            ]

    async def mark(self) -> int:
        """Where the outbox ends now: `records(after=…)` has what is said later."""
        return max((record["id"] for record in await self.records()), default=0)

    async def outbox(self) -> list[tuple[str, dict[str, Any] | None]]:
        """What was said in this tenant: types and payloads in order."""
        return [(record["headers"]["ce_type"], record["payload"]) for record in await self.records()]

    async def said(self, event_type: str, after: int = 0) -> list[dict[str, Any]]:
        return [
            record["payload"]
            for record in await self.records(after)
            if record["headers"]["ce_type"] == event_type and record["payload"]
        ]

    async def occupancy(self) -> dict[str, dict[str, Any]]:
        """The rows of occupancy as a reader of the topic knows them: a lower version than a seen one is ignored."""
        seen: dict[str, int] = {}
        rows: dict[str, dict[str, Any]] = {}
        for record in await self.records():
            key, version = record["key"], int(record["headers"]["version"])
            if record["headers"]["ce_type"] != "occupancy.row.v1" or version < seen.get(key, 0):
                continue
            seen[key] = version
            if record["payload"] is None:
                rows.pop(key, None)
            else:
                rows[key] = record["payload"]
        return rows

    async def stored(self, query: str, **parameters: Any) -> list[dict[str, Any]]:
        """Rows of booking's tables, as the tenant sees them."""
        async with self.service.database.transaction(self.tenant_id) as tx:
            return [dict(row) for row in (await tx.connection.execute(text(query), parameters)).mappings()]

    async def claims(self) -> set[tuple[UUID, datetime, datetime, UUID]]:
        """Live claims: resource, from, to, owner."""
        query = "SELECT resource_id, lower(during) AS low, upper(during) AS high, owner_id FROM claim"
        return {(row["resource_id"], row["low"], row["high"], row["owner_id"]) for row in await self.stored(query)}

    async def in_step(self) -> set[tuple[UUID, datetime, datetime, UUID]]:
        """The claims, after a look that what was said of occupancy is the same, and that seats are counted right."""
        said = {
            (
                UUID(row["resource_id"]),
                datetime.fromisoformat(row["claim_start"]),
                datetime.fromisoformat(row["claim_end"]),
                UUID(row["owner_id"]),
            )
            for row in (await self.occupancy()).values()
            if not row.get("cancelled")
        }
        claims = await self.claims()
        assert said == claims
        miscounted = """SELECT s.id, s.reserved, s.status FROM slot s WHERE s.reserved <> (
            SELECT coalesce(sum(b.seats), 0) FROM booking b WHERE b.slot_id = s.id AND b.seated)"""
        assert await self.stored(miscounted) == []
        return claims


@pytest.fixture(scope="session")
async def service(service_environment: ServiceEnvironment, identity: tuple[str, Tokens]) -> AsyncIterator[Service]:
    """Booking without a relay: the tests read the outbox."""
    settings = BookingSettings(**service_environment("booking", pool_size=20, identity_url=identity[0]))
    composed = build(settings)
    composed.people = KnownPeople()  # type: ignore[assignment]
    composed.broker = MemoryBroker()
    yield composed
    await composed.close()


@pytest.fixture
async def clinic(service: Service, identity: tuple[str, Tokens]) -> AsyncIterator[Clinic]:
    """A fresh clinic."""
    async with client_of(service) as client:
        yield await Clinic(service, client, identity[1]).open()
