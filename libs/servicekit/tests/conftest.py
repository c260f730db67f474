"""A toy service with migrations, routes and a job, on the real PostgreSQL."""

import sys
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from events.brokers.memory import MemoryBroker
from servicekit.service import Service
from servicekit.testing import client_of

SOURCE = Path(__file__).parent / "toyshop" / "src"
if str(SOURCE) not in sys.path:
    sys.path.insert(0, str(SOURCE))


@pytest.fixture
def build_toyshop(service_environment: Callable[..., dict[str, Any]]) -> Callable[..., Service]:
    from toyshop.main import ToyshopSettings, build

    def make(**environment: Any) -> Service:
        return build(ToyshopSettings(**service_environment("toyshop", **environment)), broker=MemoryBroker())

    return make


@pytest.fixture
async def toyshop(build_toyshop: Callable[..., Service]) -> AsyncIterator[Service]:
    service = build_toyshop()
    yield service
    await service.close()


@pytest.fixture
async def client(toyshop: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(toyshop) as found:
        yield found


@pytest.fixture
def clinic() -> str:
    """A fresh tenant."""
    return str(uuid.uuid4())
