"""The whole service as a process, on a real PostgreSQL and a real Kafka."""

import asyncio
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer

from events import new_id
from events.base import Money
from events.brokers.kafka import KafkaBroker
from events.contracts.booking import BookingConfirmed, Visit
from events.contracts.identity import TenantChanged
from events.envelope import seal
from events.topics import IDENTITY
from servicekit import keys
from servicekit.auth import HttpClient, TokenVerifier, service_authorization
from servicekit.people import People
from servicekit.signing import Signer
from servicekit.testing import free_port

from .conftest import PASSWORD, clinic_body, fresh_email


@pytest.fixture
async def running(
    service_database: Callable[[str], str], kafka_bootstrap: str, keys_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    """`python -m identity all`, ready."""
    port = free_port()
    environment = os.environ | {
        "IDENTITY_DATABASE_URL": service_database("identity"),
        "IDENTITY_PORT": str(port),
        "IDENTITY_VERIFY_EMAIL": "off",
        "IDENTITY_ALLOW_TEST_DOMAINS": "1",
        "IDENTITY_URL": f"http://127.0.0.1:{port}",
        "KAFKA_BOOTSTRAP": kafka_bootstrap,
        "HOLDFAST_KEYS": str(keys_path),
        "HOLDFAST_ENV": "development",
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "identity", "all", env=environment)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
            await eventually(lambda: is_ready(client), seconds=40)
            yield client
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 20) == 0


async def is_ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health/ready")).status_code == 200
    except httpx.TransportError:
        return False


async def eventually(holds: Callable[[], Any], seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():
            await asyncio.sleep(0.05)


async def test_other_services_verify_tokens_and_read_contacts(running: httpx.AsyncClient, keys_path: Path) -> None:
    body = {"email": fresh_email(), "password": PASSWORD, "name": "Anna Nowak"}
    document = (await running.post("/v1/auth/register", json=body)).json()
    headers = {"Authorization": f"Bearer {document['access_token']}"}
    clinic = (await running.post("/v1/clinics", json=clinic_body(), headers=headers)).json()
    base, http = str(running.base_url), HttpClient()
    signer = Signer(keys.load(keys_path).of("services"), "services")
    try:
        person = await TokenVerifier(f"{base}/v1/auth/jwks.json", http).principal(clinic["access_token"])
        assert str(person.user_id) == document["user"]["id"]
        assert person.roles == {uuid.UUID(clinic["id"]): "owner"}
        assert (person.verified, person.operator) == (True, False)
        answer = await running.post(
            f"/internal/tenants/{clinic['id']}/customers",
            json={"customer": {"name": "Jan", "email": body["email"]}, "user_token": clinic["access_token"]},
            headers=service_authorization(signer, "gateway"),
        )
        people = People(base, http, signer, "notification")
        contact = await people.contact(uuid.UUID(clinic["id"]), uuid.UUID(answer.json()["contact_id"]))
        assert (contact.name, contact.locale) == ("Jan", "pl")
    finally:
        await http.close()


async def test_what_identity_says_arrives_and_what_booking_says_counts(
    running: httpx.AsyncClient, kafka_bootstrap: str
) -> None:
    body = {"email": fresh_email(), "password": PASSWORD, "name": "Anna Nowak"}
    token = (await running.post("/v1/auth/register", json=body)).json()["access_token"]
    opened = await running.post("/v1/clinics", json=clinic_body(), headers={"Authorization": f"Bearer {token}"})
    assert opened.status_code == 201, opened.text
    clinic = opened.json()

    consumer = AIOKafkaConsumer(IDENTITY, bootstrap_servers=kafka_bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async with asyncio.timeout(15):
            async for message in consumer:
                if (message.key or b"").decode() == clinic["id"]:
                    break
    finally:
        await consumer.stop()
    assert dict(message.headers)["ce_type"] == TenantChanged.TYPE.encode()
    assert json.loads(message.value)["slug"] == clinic["slug"]
    assert body["email"].lower() not in message.value.decode().lower()

    start, price = datetime.now(UTC) + timedelta(days=1), Money(amount=0, currency="pln")
    visit = Visit(
        slot_id=new_id(),
        offering_id=new_id(),
        provider_id=None,
        resource_ids=[],
        start=start,
        end=start + timedelta(minutes=30),
        seats=1,
    )
    fact = BookingConfirmed(
        tenant_id=uuid.UUID(clinic["id"]),
        version=1,
        booking_id=new_id(),
        visit=visit,
        person_id=new_id(),
        contact_id=new_id(),
        locale="pl",
        mode="free",
        price=price,
        amount_due=price,
    )
    broker = KafkaBroker(kafka_bootstrap, "test")
    await broker.publish([seal(fact, source="booking")[1]], 10)
    await broker.close()

    async def refused() -> bool:
        # A version that never was: a DELETE that comes before the event is 412 and deletes nothing.
        headers = {"Authorization": f"Bearer {clinic['access_token']}", "If-Match": '"0"'}
        answer = await running.request("DELETE", f"/v1/clinics/{clinic['id']}", headers=headers)
        return answer.status_code == 409

    await eventually(refused)
