"""The service as it runs, on a real port, between a broker in memory, a real PostgreSQL, the sandbox's Google, and a
stand-in for identity that knows keys and contacts."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, LiteralString, TypeVar
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
import uvicorn
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import OKPKey

from calendar_sync.main import build
from calendar_sync.settings import CalendarSyncSettings
from events import Deleted, Event, Money, new_id
from events.brokers.memory import MemoryBroker
from events.contracts.availability import CancellationPolicy, OfferingState, ResourceState
from events.contracts.booking import (
    AppointmentFact,
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingRescheduled,
    Visit,
)
from events.contracts.calendar import Busy
from events.contracts.identity import TenantChanged, TenantSettings
from events.envelope import seal, unseal
from events.topics import BUSY, CALENDAR
from servicekit import keys
from servicekit.service import Service
from servicekit.testing import free_port, sandbox_running

T = TypeVar("T")

POLL_SECONDS = 3.0
NEXT_WEEK = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=7)


@pytest.fixture(scope="session")
def sandbox_url(data_dir: Path) -> Iterator[str]:
    """The sandbox in a process of its own."""
    with sandbox_running(data_dir / "calendar-sandbox") as url:
        yield url


class Identity:
    """Identity's two routes that the service asks: keys and contacts."""

    def __init__(self, keys_path: Path) -> None:
        self._signing = OKPKey.import_key(keys.load(keys_path).tokens[0])
        self.contacts: dict[UUID, dict[str, Any]] = {}

    async def start(self) -> tuple[web.AppRunner, str]:
        app = web.Application()
        app.router.add_get("/v1/auth/jwks.json", self._jwks)
        app.router.add_get("/internal/tenants/{tenant}/contacts/{contact}", self._contact)
        runner = web.AppRunner(app)
        await runner.setup()
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        return runner, f"http://127.0.0.1:{port}"

    async def _jwks(self, _: web.Request) -> web.Response:
        return web.json_response({"keys": [self._signing.as_dict(private=False)]})

    async def _contact(self, request: web.Request) -> web.Response:
        found = self.contacts.get(UUID(request.match_info["contact"]))
        return web.json_response(found) if found else web.json_response({}, status=404)

    def token(self, user_id: UUID, roles: dict[UUID, str]) -> str:
        claims = {
            "iss": "holdfast",
            "sub": str(user_id),
            "exp": int(time.time()) + 600,
            "roles": {str(tenant): role for tenant, role in roles.items()},
        }
        header = {"alg": "Ed25519", "kid": self._signing.kid}
        return jwt.encode(header, claims, self._signing, algorithms=["Ed25519"])


class Admin:
    """A superuser's look into the service's tables, past Row Level Security."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def run(self, statement: LiteralString, *parameters: Any) -> list[Any]:
        """One statement, in a thread: it may wait for a lock that a task of this loop holds."""
        return await asyncio.to_thread(self._run, statement, parameters)

    def _run(self, statement: LiteralString, parameters: tuple[Any, ...]) -> list[Any]:
        with psycopg.connect(self._url, options="-c search_path=calendar_sync") as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []


@dataclass
class World:
    """Everything that runs."""

    service: Service
    broker: MemoryBroker
    identity: Identity
    http: httpx.AsyncClient
    url: str
    sandbox: str
    admin: Admin

    async def publish(self, *events: Event | Deleted) -> None:
        await self.broker.publish([seal(event, source="test")[1] for event in events], 1.0)

    def said(self, topic: str, tenant_id: UUID) -> list[Event | Deleted]:
        """What went out about the tenant, in each key's order."""
        logs = [log for partition, log in self.broker.logs.items() if partition.topic == topic]
        return [event for log in logs for event in map(unseal, log) if event.tenant_id == tenant_id]

    async def fault(self, fault: str, **more: Any) -> None:
        answer = await self.http.post(
            f"{self.sandbox}/_sandbox/faults", json={"provider": "google", "fault": fault} | more
        )
        assert answer.is_success, answer.text


@pytest.fixture(scope="session")
async def world(
    service_environment: Callable[..., dict[str, Any]], keys_path: Path, sandbox_url: str, postgres_url: str
) -> AsyncIterator[World]:
    """The service with its worker, at its own address."""
    identity = Identity(keys_path)
    runner, identity_url = await identity.start()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = CalendarSyncSettings(
        **service_environment(
            "calendar-sync",
            public_url=url,
            identity_url=identity_url,
            google_api_endpoint=f"{sandbox_url}/calendar/v3/",
            google_auth_url=f"{sandbox_url}/o/oauth2/v2/auth",
            google_token_url=f"{sandbox_url}/token",
            google_client_id="sandbox",
            google_client_secret="sandbox",
            google_timeout_seconds=3.0,
            default_calendar_id="$provider@$clinic.test",
            poll_seconds=POLL_SECONDS,
        )
    )
    broker = MemoryBroker()
    service = build(settings, broker)
    server = uvicorn.Server(
        uvicorn.Config(service.app, port=port, log_config=None, lifespan="off", timeout_graceful_shutdown=2)
    )
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]
    async with service.working(), httpx.AsyncClient(trust_env=False, timeout=20) as http:
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        admin_url = postgres_url.rsplit("/", 1)[0] + f"/{service.database.engine.url.database}"
        yield World(service, broker, identity, http, url, sandbox_url, Admin(admin_url))
        server.should_exit = True
        await serving
    await service.close()
    await runner.cleanup()


@dataclass
class Clinic:
    """A fresh clinic with one practitioner, and what people do in it."""

    world: World
    tenant_id: UUID = field(default_factory=new_id)
    provider_id: UUID = field(default_factory=new_id)
    offering_id: UUID = field(default_factory=new_id)
    practitioner: UUID = field(default_factory=uuid4)

    @property
    def slug(self) -> str:
        return f"clinic-{self.tenant_id.hex[-8:]}"

    @property
    def calendar(self) -> str:
        return f"anna@{self.slug}.test"

    def auth(self, role: str = "manager", user_id: UUID | None = None) -> dict[str, str]:
        token = self.world.identity.token(user_id or uuid4(), {self.tenant_id: role})
        return {"Authorization": f"Bearer {token}"}

    def resource(self, resource_id: UUID, slug: str, **more: Any) -> ResourceState:
        return ResourceState(
            **{
                "tenant_id": self.tenant_id,
                "version": 1,
                "resource_id": resource_id,
                "type": "practitioner",
                "slug": slug,
                "name": slug.title(),
                "active": True,
                "time_zone": "Europe/Warsaw",
                "approval_required": False,
                "schedule_version": 1,
                **more,
            }
        )

    async def open(self, *, version: int = 1, active: bool = True) -> None:
        clinic = TenantChanged(
            tenant_id=self.tenant_id,
            version=version,
            active=active,
            slug=self.slug,
            name="Alfa",
            time_zone="Europe/Warsaw",
            currency="pln",
            locales=["pl"],
            settings=TenantSettings(),
        )
        offering = OfferingState(
            tenant_id=self.tenant_id,
            version=1,
            offering_id=self.offering_id,
            slug="checkup",
            name="Check-up",
            active=True,
            duration_minutes=30,
            capacity=1,
            price=Money(amount=0, currency="pln"),
            mode="free",
            hold_seconds=600,
            min_notice_minutes=0,
            cancellation=CancellationPolicy(),
            reminders_minutes=[],
        )
        room = self.resource(new_id(), "room-1", type="room")
        anna = self.resource(self.provider_id, "anna", user_id=self.practitioner)
        await self.world.publish(clinic, offering, anna, room)

    async def initiate(self, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
        return await self.world.http.post(
            f"{self.world.url}/v1/clinics/{self.tenant_id}/calendar/sync/initiate",
            json={"provider_id": "anna", "kind": "google"} | body,
            headers=headers or self.auth(),
        )

    async def connect(self, **body: Any) -> UUID:
        """Begins, consents, and comes back connected."""
        begun = await self.initiate(**body)
        assert begun.status_code == 202, begun.text
        page = await self.world.http.get(begun.json()["authorize_url"], follow_redirects=True)
        assert page.status_code == 200, page.text
        self.world.http.cookies.clear()
        return UUID(begun.json()["connection_id"])

    async def connections(self, headers: dict[str, str] | None = None) -> list[dict[str, Any]]:
        answer = await self.world.http.get(
            f"{self.world.url}/v1/clinics/{self.tenant_id}/calendar/connections", headers=headers or self.auth()
        )
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["data"]
        return found

    async def events(self) -> list[dict[str, Any]]:
        """What the practitioner sees in the calendar."""
        answer = await self.world.http.get(f"{self.world.sandbox}/_sandbox/google/{self.calendar}/events")
        assert answer.status_code == 200, answer.text
        return [event for event in answer.json()["data"] if event.get("status") != "cancelled"]

    async def add_event(self, *, days: int = 0, calendar: str | None = None, **more: Any) -> str:
        """The practitioner adds an event to the calendar; returns its id."""
        start = NEXT_WEEK + timedelta(days=days)
        event = {
            "summary": "Dentist",
            "start": {"dateTime": start.isoformat()},
            "end": {"dateTime": (start + timedelta(hours=1)).isoformat()},
        } | more
        answer = await self.world.http.post(
            f"{self.world.sandbox}/_sandbox/google/{calendar or self.calendar}/events", json=event
        )
        assert answer.is_success, answer.text
        event_id: str = answer.json()["id"]
        return event_id

    async def delete_event(self, event_id: str) -> None:
        answer = await self.world.http.delete(f"{self.world.sandbox}/_sandbox/google/{self.calendar}/events/{event_id}")
        assert answer.is_success, answer.text

    def busy(self) -> dict[str, Busy]:
        """The state of holdfast.busy as a reader from offset 0 has it; older versions are ignored."""
        rows: dict[str, Busy | None] = {}
        versions: dict[str, int] = {}
        for event in self.world.said(BUSY, self.tenant_id):
            key = event.key if isinstance(event, Deleted) else event.key()
            assert event.version > versions.get(key, 0), "a row's versions have to go up"
            versions[key] = event.version
            rows[key] = event if isinstance(event, Busy) else None
        return {key: row for key, row in rows.items() if row is not None}

    def said(self, kind: type[Event]) -> list[Any]:
        """Facts about calendars of this kind."""
        return [event for event in self.world.said(CALENDAR, self.tenant_id) if isinstance(event, kind)]

    def fact(
        self, kind: type[AppointmentFact], booking_id: UUID, version: int, *, days: int = 0, **more: Any
    ) -> AppointmentFact:
        start = NEXT_WEEK + timedelta(days=days)
        contact_id = UUID(int=booking_id.int ^ 1)
        self.world.identity.contacts[contact_id] = json.loads(
            json.dumps(
                {
                    "contact_id": str(contact_id),
                    "person_id": str(uuid4()),
                    "name": "Jan Nowak",
                    "email": "jan@example.test",
                    "phone": "+48123456789",
                    "locale": "pl",
                }
            )
        )
        visit = Visit(
            slot_id=new_id(),
            offering_id=self.offering_id,
            provider_id=self.provider_id,
            resource_ids=[self.provider_id],
            start=start,
            end=start + timedelta(minutes=30),
            seats=1,
        )
        return kind(
            **{
                "tenant_id": self.tenant_id,
                "version": version,
                "booking_id": booking_id,
                "visit": visit,
                "person_id": uuid4(),
                "contact_id": contact_id,
                "locale": "pl",
                **more,
            }
        )

    async def confirm(self, booking_id: UUID | None = None, *, version: int = 1, days: int = 0) -> UUID:
        booking_id = booking_id or new_id()
        free = Money(amount=0, currency="pln")
        await self.world.publish(
            self.fact(BookingConfirmed, booking_id, version, days=days, mode="free", price=free, amount_due=free)
        )
        return booking_id

    async def move(self, booking_id: UUID, *, version: int = 2, days: int = 1, before: "Clinic | None" = None) -> None:
        """The booking gets a time `days` after the usual one, and this clinic's practitioner instead of `before`'s."""
        free = Money(amount=0, currency="pln")
        previous = (before or self).fact(BookingCompleted, booking_id, 1, by="staff").visit
        await self.world.publish(
            self.fact(
                BookingRescheduled,
                booking_id,
                version,
                days=days,
                previous=previous,
                by="patient",
                price=free,
                fee=free,
            )
        )

    async def cancel(self, booking_id: UUID, *, version: int = 2) -> None:
        free = Money(amount=0, currency="pln")
        await self.world.publish(
            self.fact(BookingCancelled, booking_id, version, by="staff", fee=free, was_confirmed=True)
        )


@pytest.fixture
async def clinic(world: World) -> AsyncIterator[Clinic]:
    """A fresh clinic; faults that a test made are gone afterwards."""
    made = Clinic(world)
    await made.open()
    yield made
    await world.http.delete(f"{world.sandbox}/_sandbox/faults")
    world.http.cookies.clear()


@pytest.fixture
async def other_clinic(world: World) -> Clinic:
    """Another fresh clinic."""
    made = Clinic(world)
    await made.open()
    return made
