"""The composition root."""

import asyncio
import os
from typing import Any

from pydantic_settings import SettingsConfigDict

from servicekit.jobs import every
from servicekit.service import Service
from servicekit.settings import ServiceSettings
from toyshop.endpoints import router

RUNS: list[str] = []
FAILING_RUNS: set[int] = set()


class ToyshopSettings(ServiceSettings):
    """Settings."""

    model_config = SettingsConfigDict(env_prefix="TOYSHOP_", extra="ignore", populate_by_name=True)


@every(3600)
async def polish(service: Service) -> None:
    """Only ever runs at the start and when it is woken."""
    RUNS.append("polish")
    if len(RUNS) in FAILING_RUNS:
        raise RuntimeError("this run fails")


async def fail_when_told(stop: asyncio.Event) -> None:
    """A part that cannot go on."""
    if os.environ.get("TOYSHOP_FAILS"):
        raise RuntimeError("this part cannot go on")
    await stop.wait()


def build(settings: ToyshopSettings | None = None, **options: Any) -> Service:
    """The service."""
    service = Service("toyshop", settings or ToyshopSettings(), routers=(router,), **options)
    service.background(fail_when_told)
    return service
