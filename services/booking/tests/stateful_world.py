"""Booking and availability in one process, without a broker: a pump carries each one's outbox to the other's handlers,
in order, so that the read model is in step whenever it has run dry."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from datetime import date, datetime
from typing import Any, TypeVar
from uuid import UUID

import httpx
from sqlalchemy import text

from availability import main as availability_main
from availability import offerings, resources, times_off
from availability.schemas import OfferingBody, Schedule, SeededResource, TimeOffBody
from availability.settings import AvailabilitySettings
from booking import main as booking_main
from booking.settings import BookingSettings
from events import Deleted, Event, new_id
from events.brokers.memory import MemoryBroker
from events.contracts.identity import TenantChanged, TenantSettings
from events.envelope import Envelope, Message, as_headers, seal, unseal
from events.handlers import handlers_of
from servicekit.auth import Principal
from servicekit.service import Service
from servicekit.testing import client_of

from .conftest import KnownPeople

T = TypeVar("T")
_TAKE = text("""
WITH taken AS (DELETE FROM outbox WHERE headers ->> 'tenantid' = :tenant RETURNING id, topic, key, headers, payload)
SELECT * FROM taken ORDER BY id
""")


class NoEnds:
    """No live topic: nobody watches."""

    async def read(self) -> dict[int, int]:
        """No offsets."""
        return {}

    async def close(self) -> None:
        """Nothing is open."""


class Loop:
    """An event loop in a thread of its own, for tests that are not coroutines."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of the work, which is done in the loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def close(self) -> None:
        """Ends the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class Composed:
    """Both services, and how what one says comes to the other."""

    def __init__(self, environment: Callable[..., dict[str, Any]]) -> None:
        broker = MemoryBroker()
        self.booking = booking_main.build(BookingSettings(**environment("booking")))
        self.booking.people = KnownPeople()  # type: ignore[assignment]
        self.booking.broker = broker
        settings = AvailabilitySettings(**environment("availability"))
        self.availability = availability_main.build(settings, broker=broker, ends=NoEnds())

    async def deliver(self, service: Service, message: Message) -> None:
        """One message to one service's handler, if it has one, in a transaction of its own."""
        handler = handlers_of(service.name).get((message.type, message.value is None))
        if handler is not None:
            envelope = Envelope.of(message)
            async with service.database.transaction(envelope.tenant_id, cause=envelope) as tx:
                await handler.react(unseal(message), tx)

    async def tell(self, event: Event | Deleted) -> None:
        """What another service says, to both."""
        _, record = seal(event, source="test")
        message = Message(record.topic, record.key, record.value, record.headers, 0, 0)
        for service in (self.booking, self.availability):
            await self.deliver(service, message)

    async def pump(self, tenant_id: UUID) -> int:
        """Carries what both have said, until neither says anything new; how many messages."""
        carried = 0
        while True:
            before = carried
            for source, target in ((self.booking, self.availability), (self.availability, self.booking)):
                async with source.database.transaction() as tx:
                    found = (await tx.connection.execute(_TAKE, {"tenant": str(tenant_id)})).all()
                for row in found:
                    value = row.payload.encode() if row.payload is not None else None
                    message = Message(row.topic, row.key, value, as_headers(row.headers.items()), 0, row.id)
                    await self.deliver(target, message)
                carried += len(found)
            if carried == before:
                return carried

    async def close(self) -> None:
        """Ends all connections."""
        await self.booking.close()
        await self.availability.close()


class Clinic:
    """A clinic that both services know; its catalogue is availability's, its visits booking's."""

    def __init__(self, composed: Composed, time_zone: str, external_buffer: int) -> None:
        self.composed = composed
        self.tenant_id = new_id()
        self.owner = Principal(user_id=new_id(), roles={self.tenant_id: "owner"})
        self.card = TenantChanged(
            tenant_id=self.tenant_id, version=1, slug="clinic", name="Clinic", time_zone=time_zone, currency="pln",
            locales=["pl"], settings=TenantSettings(external_buffer_minutes=external_buffer),
        )  # fmt: skip

    async def resource(self, body: dict[str, Any]) -> UUID:
        """A new resource, or the one with the `id` that is given as it is from now on."""
        identity = body.pop("id", None) or new_id()
        async with self.composed.availability.database.transaction(self.tenant_id) as tx:
            await resources.seed(tx, identity, SeededResource(**body), self.card)
        return identity

    async def offering(self, body: dict[str, Any]) -> UUID:
        """A new offering."""
        identity = new_id()
        async with self.composed.availability.database.transaction(self.tenant_id) as tx:
            await offerings.seed(tx, identity, OfferingBody(**body), self.card)
        return identity

    async def reschedule(self, resource_id: UUID, schedule: Schedule) -> None:
        """Other working hours."""
        async with self.composed.availability.database.transaction(self.tenant_id) as tx:
            await resources.put_schedule(tx, str(resource_id), schedule, None)

    async def add_time_off(self, resource_id: UUID, start: datetime, end: datetime) -> UUID:
        """The resource is away."""
        async with self.composed.availability.database.transaction(self.tenant_id) as tx:
            row = await times_off.add(tx, str(resource_id), TimeOffBody(start=start, end=end), self.owner)
        identity: UUID = row["id"]
        return identity

    async def remove_time_off(self, resource_id: UUID, identity: UUID) -> None:
        """It is there after all."""
        async with self.composed.availability.database.transaction(self.tenant_id) as tx:
            await times_off.delete(tx, str(resource_id), identity, self.owner)

    async def search(self, offering: UUID, first: date, last: date, provider: str = "any") -> list[dict[str, Any]]:
        """The slots that availability shows."""
        async with client_of(self.composed.availability) as client:
            url = f"/v1/clinics/{self.tenant_id}/providers/{provider}/availability"
            query = {"offering": str(offering), "from": first.isoformat(), "to": last.isoformat()}
            answer: httpx.Response = await client.get(url, params=query)
        assert answer.status_code == 200, answer.text
        slots: list[dict[str, Any]] = answer.json()["slots"]
        return slots

    def expires(self) -> int:
        """When an offer made now ends, in epoch seconds."""
        return int(time.time()) + 600
