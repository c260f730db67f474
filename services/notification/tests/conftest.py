"""Notification as it runs: on a real port, between the sandbox's SendGrid and Twilio, a real PostgreSQL, a broker in
memory, and an identity that answers its internal routes over HTTP."""

import asyncio
import base64
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
from fastapi import FastAPI, Header, HTTPException
from joserfc import jwt
from joserfc.jwk import OKPKey

from events import Event, Money, new_id
from events.brokers.memory import MemoryBroker
from events.contracts.availability import CancellationPolicy, OfferingState, ResourceState
from events.contracts.booking import (
    AppointmentRequested,
    BookingCancelled,
    BookingConfirmed,
    BookingRescheduled,
    Visit,
)
from events.contracts.identity import TenantChanged, TenantSettings
from events.envelope import seal, unseal
from notification import repository
from notification.main import build
from notification.repository import Message
from notification.settings import NotificationSettings
from servicekit import keys
from servicekit.service import Service
from servicekit.testing import eventually, free_port, sandbox_running

T = TypeVar("T")
NEXT_WEEK = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=7)
PLN_200 = Money(amount=20000, currency="pln")


class Directory:
    """Identity's internal routes, for people that tests make up."""

    def __init__(self, keys_path: Path) -> None:
        self.contacts: dict[UUID, dict[str, Any]] = {}
        self.alerts: dict[UUID, dict[str, Any]] = {}
        self.users: dict[UUID, dict[str, Any]] = {}
        self.away = False
        self.app = FastAPI()
        self.app.get("/internal/tenants/{tenant}/contacts/{contact}")(self._contact)
        self.app.get("/internal/tenants/{tenant}/alerts")(self._alerts)
        self.app.get("/internal/users/{user}")(self._user)
        self.app.get("/v1/auth/jwks.json")(self._jwks)
        self._key = OKPKey.import_key(keys.load(keys_path).tokens[0])

    async def _jwks(self) -> dict[str, Any]:
        return {"keys": [self._key.as_dict(private=False)]}

    def token(self, tenant_id: UUID, role: str | None) -> dict[str, str]:
        """The header of somebody who works there in this role; of a stranger without one."""
        roles = {str(tenant_id): role} if role else {}
        claims = {"iss": "holdfast", "sub": str(new_id()), "exp": int(time.time()) + 600, "roles": roles}
        token = jwt.encode({"alg": "Ed25519", "kid": self._key.kid}, claims, self._key, algorithms=["Ed25519"])
        return {"Authorization": f"Bearer {token}"}

    def _look(self, entries: dict[UUID, dict[str, Any]], key: UUID, authorization: str) -> dict[str, Any]:
        if self.away:
            raise HTTPException(503)
        if not authorization.startswith("Bearer svc."):
            raise HTTPException(401)
        if key not in entries:
            raise HTTPException(404)
        return entries[key]

    async def _contact(self, tenant: UUID, contact: UUID, authorization: str = Header("")) -> dict[str, Any]:
        return self._look(self.contacts, contact, authorization)

    async def _alerts(self, tenant: UUID, authorization: str = Header("")) -> dict[str, Any]:
        return self._look(self.alerts, tenant, authorization)

    async def _user(self, user: UUID, authorization: str = Header("")) -> dict[str, Any]:
        return self._look(self.users, user, authorization)


@dataclass
class Clinic:
    """A fresh clinic with one offering, one practitioner and one patient, whose booking things happen to."""

    service: Service
    broker: MemoryBroker
    sandbox: httpx.AsyncClient
    directory: Directory
    tenant_id: UUID = field(default_factory=new_id)
    booking_id: UUID = field(default_factory=new_id)
    contact_id: UUID = field(default_factory=new_id)
    offering_id: UUID = field(default_factory=new_id)
    provider_id: UUID = field(default_factory=new_id)
    user_id: UUID = field(default_factory=new_id)
    start: datetime = NEXT_WEEK
    locale: str = "en"

    @property
    def patient(self) -> str:
        return f"patient-{self.tenant_id.hex}@example.test"

    @property
    def phone(self) -> str:
        return f"+48{self.tenant_id.int % 10**9:09d}"

    @property
    def alerts(self) -> str:
        return f"clinic-{self.tenant_id.hex}@example.test"

    @property
    def practitioner(self) -> str:
        return f"anna-{self.tenant_id.hex}@example.test"

    def people(self, *, phone: bool = True, email: bool = True, time_zone: str | None = None) -> None:
        self.directory.contacts[self.contact_id] = {
            "contact_id": str(self.contact_id), "person_id": str(new_id()), "name": "Jan Żuk",
            "email": self.patient if email else None, "phone": self.phone if phone else None, "locale": "en",
            "time_zone": time_zone,
        }  # fmt: skip
        self.directory.alerts[self.tenant_id] = {"email": self.alerts, "name": "Reception", "locale": "en"}
        self.directory.users[self.user_id] = {
            "user_id": str(self.user_id), "name": "Anna Nowak", "email": self.practitioner, "phone": None,
            "locale": "pl",
        }  # fmt: skip

    def catalogue(self, reminders: list[int] | None = None) -> list[Event]:
        common = {"tenant_id": self.tenant_id, "version": 1}
        return [
            TenantChanged(
                **common, slug="alfa", name="Klinika Alfa", time_zone="Europe/Warsaw", currency="pln",
                locales=["pl", "en"], settings=TenantSettings(),
            ),
            OfferingState(
                **common, offering_id=self.offering_id, slug="whitening", name="Whitening", active=True,
                duration_minutes=60, capacity=1, price=PLN_200, mode="full", hold_seconds=600,
                min_notice_minutes=0, cancellation=CancellationPolicy(free_until_minutes=1440, fee_percent=50),
                reminders_minutes=[1440, 60] if reminders is None else reminders,
            ),
            ResourceState(
                **common, resource_id=self.provider_id, type="practitioner", slug="anna", name="Anna Nowak",
                active=True, time_zone="Europe/Warsaw", approval_required=False, user_id=self.user_id,
                schedule_version=1,
            ),
        ]  # fmt: skip

    def about(self, version: int) -> dict[str, Any]:
        """The fields of an appointment's event."""
        return {
            "tenant_id": self.tenant_id, "version": version, "booking_id": self.booking_id, "visit": self.visit(),
            "person_id": new_id(), "contact_id": self.contact_id, "locale": self.locale,
        }  # fmt: skip

    def visit(self) -> Visit:
        return Visit(
            slot_id=new_id(), offering_id=self.offering_id, provider_id=self.provider_id,
            resource_ids=[self.provider_id], start=self.start, end=self.start + timedelta(minutes=60), seats=1,
        )  # fmt: skip

    def requested(self, version: int = 2) -> AppointmentRequested:
        return AppointmentRequested(
            **self.about(version), mode="full", price=PLN_200, amount_due=PLN_200,
            expires_at=datetime.now(UTC) + timedelta(minutes=10),
        )  # fmt: skip

    def confirmed(self, version: int = 3) -> BookingConfirmed:
        return BookingConfirmed(
            **self.about(version), mode="full", price=PLN_200, amount_due=PLN_200, payment_id=new_id()
        )

    def cancelled(self, version: int = 4) -> BookingCancelled:
        return BookingCancelled(
            **self.about(version), by="patient", fee=Money(amount=5000, currency="pln"), was_confirmed=True
        )

    def rescheduled(
        self, version: int, start: datetime, *, by: str = "patient", provider_id: UUID | None = None, price: int = 20000
    ) -> BookingRescheduled:
        """The visit is at `start` from now on (and with that practitioner)."""
        previous = self.visit()
        self.start, self.provider_id = start, provider_id or self.provider_id
        fee = Money(amount=0, currency="pln")
        moved = {"previous": previous, "by": by, "price": Money(amount=price, currency="pln"), "fee": fee}
        return BookingRescheduled(**self.about(version), **moved)

    async def tell(self, *events: Event) -> None:
        """The events as their topics bring them."""
        await self.broker.publish([seal(event, source="test")[1] for event in events], 1)

    async def fault(self, fault: str, provider: str = "sendgrid", **more: Any) -> None:
        answer = await self.sandbox.post("/_sandbox/faults", json={"provider": provider, "fault": fault} | more)
        assert answer.status_code == 201, answer.text

    async def inbox(self, to: str, count: int = 1, seconds: float = 15.0) -> list[dict[str, Any]]:
        """What came to an address, once it is at least so much."""

        async def look() -> list[dict[str, Any]] | None:
            found: list[dict[str, Any]] = (await self.sandbox.get("/_sandbox/messages", params={"to": to})).json()[
                "data"
            ]
            return found if len(found) >= count else None

        return await eventually(look, seconds)

    async def arrived(self, to: str) -> list[str]:
        """The subjects (or texts, of SMS) at an address now."""
        found = (await self.sandbox.get("/_sandbox/messages", params={"to": to})).json()["data"]
        return [message["subject"] or message["text"] for message in found]

    async def messages(self) -> list[Message]:
        async with self.service.database.transaction(self.tenant_id) as tx:
            return await repository.messages_of(tx, self.booking_id)

    async def settled(self, template: str, kind: str = "email", recipient: str = "contact") -> Message:
        """The message once it is no longer on its way."""

        async def look() -> Message | None:
            return next(
                (
                    message
                    for message in await self.messages()
                    if (message.template, message.kind) == (template, kind)
                    and message.recipient.startswith(recipient)
                    and message.status not in ("queued", "sending")
                ),
                None,
            )

        return await eventually(look)

    def said(self) -> list[Any]:
        """What notification said about the booking, in order."""
        return [unseal(message) for message in self.records()]

    def records(self) -> list[Any]:
        return [
            message
            for partition, log in self.broker.logs.items()
            if partition.topic == "holdfast.notification"
            for message in log
            if message.key == str(self.booking_id)
        ]


def attachment(message: dict[str, Any]) -> bytes:
    """The calendar file of an e-mail."""
    (part,) = message["attachments"]
    assert (part["filename"], part["content_type"]) == ("visit.ics", "text/calendar")
    return base64.b64decode(part["content"])


@pytest.fixture(scope="session")
def providers_url(data_dir: Path) -> Iterator[str]:
    """The sandbox as a process."""
    with sandbox_running(data_dir / "notification-sandbox") as url:
        yield url


@pytest.fixture(scope="session")
async def directory(keys_path: Path) -> AsyncIterator[tuple[Directory, str]]:
    """Identity's stand-in on a real port."""
    directory, port = Directory(keys_path), free_port()
    server = uvicorn.Server(uvicorn.Config(directory.app, port=port, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.02)
    yield directory, f"http://127.0.0.1:{port}"
    server.should_exit = True
    await serving


@pytest.fixture(scope="session")
def settings_of(
    service_environment: Callable[..., dict[str, Any]], providers_url: str, directory: tuple[Directory, str]
) -> Callable[..., NotificationSettings]:
    """The service's settings, with changes."""

    def make(**more: Any) -> NotificationSettings:
        values = service_environment(
            "notification", identity_url=directory[1], public_url="https://book.test", sendgrid_api_key="SG.test",
            sendgrid_host=providers_url, twilio_account_sid="AC" + "0" * 32, twilio_auth_token="test",
            twilio_from="+15005550006", twilio_api_base=providers_url, provider_timeout_seconds=2.5,
            messages_an_hour=1000,
        )  # fmt: skip
        return NotificationSettings(**(values | more))

    return make


@pytest.fixture(scope="session")
async def running(settings_of: Callable[..., NotificationSettings]) -> AsyncIterator[tuple[Service, MemoryBroker]]:
    """The service with its jobs and handlers at work."""
    broker = MemoryBroker()
    service = build(settings_of(pool_size=8), broker)
    async with service.working():
        yield service, broker
    await service.close()


@pytest.fixture(scope="session")
async def sandbox(providers_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """One client for the run: making one costs a third of a second."""
    async with httpx.AsyncClient(base_url=providers_url) as client:
        yield client


@pytest.fixture
async def clinic(
    running: tuple[Service, MemoryBroker], sandbox: httpx.AsyncClient, directory: tuple[Directory, str]
) -> Clinic:
    """A fresh clinic, no faults."""
    await sandbox.delete("/_sandbox/faults")
    directory[0].away = False
    clinic = Clinic(*running, sandbox, directory[0])
    clinic.people()
    return clinic
