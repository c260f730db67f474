"""Identity on a real PostgreSQL, spoken to over its HTTP app."""

import itertools
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from events.brokers.memory import MemoryBroker
from identity.main import build
from identity.settings import IdentitySettings
from servicekit.auth import service_authorization
from servicekit.service import Service
from servicekit.testing import client_of

PASSWORD = "correct horse battery"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
async def service(service_environment: Callable[..., dict[str, Any]]) -> AsyncIterator[Service]:
    """Identity as in the sandbox."""
    environment = service_environment("identity", verify_email="off", allow_test_domains=True)
    built = build(IdentitySettings(**environment), MemoryBroker())
    yield built
    await built.close()


@pytest.fixture(scope="session")
async def client(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """Calls without a credential."""
    async with client_of(service) as opened:
        yield opened


@pytest.fixture(scope="session")
def internal(service: Service) -> dict[str, str]:
    """The header of another service."""
    return service_authorization(service.signer("services"), "gateway")


@dataclass
class User:
    """A signed-in user of a test."""

    id: str
    email: str
    access_token: str
    refresh_token: str

    @property
    def headers(self) -> dict[str, str]:
        """Authorization."""
        return {"Authorization": f"Bearer {self.access_token}"}


@dataclass
class Clinic:
    """A clinic of a test, with its owner."""

    id: str
    slug: str
    owner: User

    @property
    def url(self) -> str:
        """Its address."""
        return f"/v1/clinics/{self.id}"


def fresh_email() -> str:
    """An address that nobody has."""
    return f"Person{next(_numbers)}-{uuid.uuid4().hex[:8]}@example.test"


def clinic_body(**more: Any) -> dict[str, Any]:
    """A clinic that can be opened."""
    return {
        "slug": f"clinic-{uuid.uuid4().hex[:10]}",
        "name": "Alfa",
        "time_zone": "Europe/Warsaw",
        "currency": "pln",
        "locales": ["pl", "en"],
        "settings": {"country": "PL"},
    } | more


@pytest.fixture
def new_user(client: httpx.AsyncClient) -> Callable[..., Any]:
    """Registers a fresh user."""

    async def make(email: str | None = None) -> User:
        body = {"email": email or fresh_email(), "password": PASSWORD, "name": "Anna Nowak"}
        answer = await client.post("/v1/auth/register", json=body)
        assert answer.status_code == 201, answer.text
        document = answer.json()
        return User(
            document["user"]["id"], document["user"]["email"], document["access_token"], document["refresh_token"]
        )

    return make


@pytest.fixture
def new_clinic(client: httpx.AsyncClient, new_user: Callable[..., Any]) -> Callable[..., Any]:
    """Opens a fresh clinic of a fresh owner."""

    async def make(**more: Any) -> Clinic:
        owner = await new_user()
        answer = await client.post("/v1/clinics", json=clinic_body(**more), headers=owner.headers)
        assert answer.status_code == 201, answer.text
        owner.access_token = answer.json()["access_token"]
        return Clinic(answer.json()["id"], answer.json()["slug"], owner)

    return make
