"""The gateway between tiny real services on a real port, and a real Kafka."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from aiohttp import web

from events import new_id
from gateway.main import Gateway, build
from gateway.settings import GatewaySettings
from servicekit.testing import free_port

TENANT = new_id()


@dataclass
class Services:
    """Stand-ins on a real port: they remember what reached them and answer what they are told to."""

    url: str
    seen: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    answers: dict[tuple[str, str], Any] = field(default_factory=dict)
    """By method and path: status, JSON and maybe headers, or a coroutine function that makes them of the body."""
    pause: float = 0.0

    async def handle(self, request: web.Request) -> web.Response:
        self.seen.append(request)
        self.bodies.append(await request.read())
        if request.path == "/health/ready":
            return web.json_response({})
        if request.path in ("/internal/tenants/alfa", f"/internal/tenants/{TENANT}"):
            settings = {"allowed_origins": ["https://klinika.example"]}
            return web.json_response({"tenant_id": str(TENANT), "slug": "alfa", "settings": settings})
        if request.path.endswith("/alternatives"):
            await asyncio.sleep(self.pause)
        found = self.answers.get((request.method, request.path))
        if found is None:
            return web.json_response(problem(404, "not-found"), status=404, content_type="application/problem+json")
        if callable(found):
            found = await found(json.loads(self.bodies[-1] or b"null"))
        status, document, *headers = found
        kind = "application/problem+json" if status >= 400 else "application/json"
        return web.json_response(document, status=status, content_type=kind, headers=headers[0] if headers else None)

    def last(self, path: str) -> tuple[web.Request, Any]:
        at = max(index for index, request in enumerate(self.seen) if request.path == path)
        return self.seen[at], json.loads(self.bodies[at] or b"null")

    def count(self, path: str) -> int:
        """How often the path was asked for."""
        return sum(request.path == path for request in self.seen)


def problem(status: int, code: str, **more: Any) -> dict[str, Any]:
    """A refusal's body."""
    return {"type": f"https://holdfast.dev/problems/{code}", "title": code, "status": status, "detail": "x"} | more


@contextlib.asynccontextmanager
async def running(settings: GatewaySettings) -> AsyncIterator[tuple[Gateway, httpx.AsyncClient]]:
    gateway = build(settings)
    server = uvicorn.Server(
        uvicorn.Config(
            gateway.app,
            port=settings.port,
            log_level="warning",
            lifespan="off",
            ws="websockets-sansio",
            proxy_headers=False,
        )
    )
    async with gateway.working():
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.02)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.port}") as client:
            yield gateway, client
        server.should_exit = True
        await serving
    await gateway.close()


@pytest.fixture(scope="session")
async def services() -> AsyncIterator[Services]:
    port = free_port()
    made = Services(f"http://127.0.0.1:{port}")
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield made
    await runner.cleanup()


@pytest.fixture(scope="session")
async def gateway(
    services: Services, kafka_bootstrap: str, keys_path: Path
) -> AsyncIterator[tuple[Gateway, httpx.AsyncClient]]:
    url = services.url
    settings = GatewaySettings(
        kafka_bootstrap=kafka_bootstrap, keys_path=keys_path, port=free_port(), identity_url=url, availability_url=url,
        booking_url=url, payment_url=url, calendar_sync_url=url,
        notification_url=f"http://127.0.0.1:{free_port()}", rate_limit_scale=100,
    )  # fmt: skip
    async with running(settings) as found:
        while not found[0].live.reading:
            await asyncio.sleep(0.05)
        yield found
