"""The service on a real PostgreSQL with a broker in memory, its relay and its consumer running; a clinic a test."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio

from availability.live import LiveCursor
from availability.main import build
from availability.settings import AvailabilitySettings
from availability.slots import Slots
from events import Deleted, Event, new_id
from events.brokers.memory import MemoryBroker
from events.contracts.booking import Occupancy
from events.contracts.identity import TenantChanged, TenantSettings
from events.envelope import seal, unseal
from servicekit.auth import service_authorization
from servicekit.service import Service
from servicekit.testing import Tokens, client_of

WEEK = {day: [["09:00", "12:30"], ["13:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}
EVERY_DAY = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}


class MemoryEnds:
    """The end offsets of the broker in memory."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    async def read(self) -> dict[int, int]:
        return {
            partition.number: len(log)
            for partition, log in list(self._broker.logs.items())
            if partition.topic == "holdfast.availability"
        }

    async def close(self) -> None:
        return None


@dataclass
class World:
    """The running service as tests use it."""

    service: Service
    broker: MemoryBroker
    client: httpx.AsyncClient
    tokens: Tokens

    async def publish(self, event: Event | Deleted) -> None:
        """Sends an event and waits until the service has handled all there is."""
        _, record = seal(event, source="test")
        await self.broker.publish([record], 5)
        await self.settle()

    async def settle(self) -> None:
        """Until the consumer has no lag."""
        assert self.service.consumer is not None
        async with asyncio.timeout(10):
            while True:
                await asyncio.sleep(0.02)
                flows = list(self.service.consumer._flows.values())
                if self.service.consumer.lag() == 0 and not any(flow.in_flight for flow in flows):
                    return

    def sent(self, tenant: UUID, kind: type[Event]) -> list[Any]:
        """What the service emitted in a tenant, by partition; tombstones as `Deleted`."""
        messages = [m for p, log in list(self.broker.logs.items()) for m in log if m.type == kind.TYPE]
        return [event for m in messages if (event := unseal(m)).tenant_id == tenant]

    async def wait_sent(self, tenant: UUID, kind: type[Event], count: int) -> list[Any]:
        """The same, once there are so many."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                while len(self.sent(tenant, kind)) < count:
                    await asyncio.sleep(0.01)
        return self.sent(tenant, kind)


@pytest_asyncio.fixture(scope="session")
async def world(
    service_environment: Callable[..., dict[str, Any]], identity: tuple[str, Tokens]
) -> AsyncIterator[World]:
    url, tokens = identity
    broker = MemoryBroker()
    settings = AvailabilitySettings(**service_environment("availability", identity_url=url))
    service = build(settings, broker=broker, ends=MemoryEnds(broker))
    async with client_of(service) as client, service.working():
        assert service.consumer is not None
        await service.consumer.started.wait()
        yield World(service, broker, client, tokens)
    await service.close()


@dataclass
class Clinic:
    """A fresh clinic with its owner."""

    world: World
    id: UUID
    owner: dict[str, str]

    @property
    def base(self) -> str:
        return f"/v1/clinics/{self.id}"

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        who: dict[str, str] | None = None,
        expect: int = 200,
        **more: Any,
    ) -> Any:
        """A request under the clinic's address by its owner (`who={}`: a stranger); the answer's JSON."""
        headers = (self.owner if who is None else who) | more.pop("headers", {})
        answer = await self.world.client.request(method, self.base + path, json=body, headers=headers, **more)
        assert answer.status_code == expect, answer.text
        return answer.json() if answer.content else None

    async def practitioner(self, name: str = "Anna", weekly: Any = None, **more: Any) -> dict[str, Any]:
        return await self.resource("practitioner", name, EVERY_DAY if weekly is None else weekly, **more)

    async def resource(self, kind: str, name: str, weekly: Any = None, **more: Any) -> dict[str, Any]:
        made: dict[str, Any] = await self.call("POST", "/resources", {"type": kind, "name": name, **more}, expect=201)
        if weekly:
            await self.call("PUT", f"/resources/{made['id']}/schedule", {"weekly": weekly})
        return made

    async def offering(self, name: str = "Check-up", **more: Any) -> dict[str, Any]:
        body = {"name": name, "duration_minutes": 30, **more}
        made: dict[str, Any] = await self.call("POST", "/offerings", body, expect=201)
        return made

    async def availability(self, offering: Any, day: Any, to: Any = None, provider: str = "any", **more: Any) -> Any:
        params = {"offering": offering["id"], "from": str(day), "to": str(to or day), **more}
        return await self.call("GET", f"/providers/{provider}/availability", who={}, params=params)

    async def starts(self, offering: Any, day: Any, **more: Any) -> list[str]:
        """Local "HH:MM" of all free starts of a day."""
        found = await self.availability(offering, day, **more)
        return [slot["local_start"][11:16] for slot in found["slots"]]

    def occupancy(self, resource: Any, start: Any, end: Any, **more: Any) -> Occupancy:
        fields: dict[str, Any] = {
            "tenant_id": self.id,
            "version": 1,
            "owner_id": new_id(),
            "resource_id": resource["id"],
            "slot_id": new_id(),
            "offering_id": new_id(),
            "provider_id": resource["id"],
            "claim_start": start,
            "claim_end": end,
            "start": start,
            "end": end,
            "expires_at": None,
            "capacity": 1,
            "reserved": 1,
        }
        return Occupancy(**(fields | more))

    async def take(self, resource: Any, start: Any, end: Any, **more: Any) -> Occupancy:
        row = self.occupancy(resource, start, end, **more)
        await self.world.publish(row)
        return row


@pytest.fixture(scope="session")
def make_clinic(world: World) -> Callable[..., Awaitable[Clinic]]:
    """Makes a fresh clinic that the service has heard of."""

    async def make(**more: Any) -> Clinic:
        tenant = new_id()
        settings = TenantSettings(**more.pop("settings", {}))
        fields: dict[str, Any] = {
            "tenant_id": tenant,
            "version": 1,
            "slug": "c",
            "name": "C",
            "time_zone": "Europe/Warsaw",
            "currency": "pln",
            "locales": ["pl"],
            "settings": settings,
        }
        await world.publish(TenantChanged(**(fields | more)))
        return Clinic(world, tenant, world.tokens.of(tenant, "owner"))

    return make


@pytest_asyncio.fixture
async def clinic(make_clinic: Callable[..., Awaitable[Clinic]]) -> Clinic:
    """A fresh clinic in Warsaw."""
    return await make_clinic()


@pytest.fixture
def slots(world: World) -> Slots:
    """The searching part."""
    return world.service.get(Slots)


@pytest.fixture
def cursor(world: World) -> LiveCursor:
    """The live cursor."""
    return world.service.get(LiveCursor)


@pytest.fixture
def service_token(world: World) -> dict[str, str]:
    """What another service sends along."""
    return service_authorization(world.service.signer("services"), "gateway")
