"""The service as a process of its own."""

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Any

import httpx

from servicekit.testing import eventually, free_port


async def test_it_serves_by_its_environment_and_ends_cleanly(
    service_environment: Callable[..., dict[str, Any]],
) -> None:
    given, port = service_environment("notification"), free_port()
    environment = os.environ | {
        "NOTIFICATION_DATABASE_URL": given["database_url"],
        "NOTIFICATION_PORT": str(port),
        "KAFKA_BOOTSTRAP": given["kafka_bootstrap"],
        "HOLDFAST_KEYS": str(given["keys_path"]),
    }
    client = httpx.AsyncClient()
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "notification", "api", env=environment)

    async def ready() -> bool:
        assert process.returncode is None
        try:
            return (await client.get(f"http://127.0.0.1:{port}/health/ready")).status_code == 200
        except httpx.TransportError:
            return False

    try:
        await eventually(ready, 30)
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 20)
        await client.aclose()
    assert process.returncode == 0
