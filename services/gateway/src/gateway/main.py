"""The composition root. The gateway owns no data: it asks the services, and tells open pages what changes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from prometheus_client import start_http_server

from gateway import endpoints, pages
from gateway.limits import Limits
from gateway.live import Live
from gateway.proxying import Proxy
from gateway.public import PublicApi
from gateway.settings import GatewaySettings
from gateway.upstream import Upstreams
from servicekit import keys, problems
from servicekit.service import Traced
from servicekit.signing import Signer

NEEDED = ("identity", "availability", "booking")


class Gateway:
    """Everything the gateway is made of."""

    name = "gateway"

    def __init__(self, settings: GatewaySettings) -> None:
        self.settings = settings
        self.failed = False
        secrets = keys.load(settings.keys_path)
        urls = {
            "identity": settings.identity_url,
            "availability": settings.availability_url,
            "booking": settings.booking_url,
            "payment": settings.payment_url,
            "calendar-sync": settings.calendar_sync_url,
            "notification": settings.notification_url,
        }
        signing = secrets.of("services")
        self.upstreams = Upstreams(urls, Signer(signing, "services"))
        self.limits = Limits(settings.rate_limit_scale, settings.trusted_proxies, next(iter(signing.values())))
        self.proxy = Proxy(self.upstreams, self.limits, Signer(secrets.of("settlements"), "settlements"))
        self.live = Live(settings.kafka_bootstrap)
        self.app = self._app()

    def _app(self) -> FastAPI:
        app = FastAPI(
            title="Holdfast",
            docs_url=None,
            redoc_url=None,
            openapi_url=None,
            telemetry={"tracing": False, "metrics": False, "logs": False},  # `Traced` does that; asked at each request
        )
        app.state.gateway = self
        problems.install(app)
        app.add_middleware(PublicApi, proxy=self.proxy)
        app.add_middleware(Traced)
        app.add_api_route("/health/live", self._live, include_in_schema=False)
        app.add_api_route("/health/ready", self._ready, include_in_schema=False)
        app.include_router(endpoints.router)
        app.include_router(pages.router)
        return app

    async def _live(self) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def _ready(self) -> JSONResponse:
        answers = await asyncio.gather(*(self.upstreams.ready(service) for service in NEEDED))
        checks = dict(zip(NEEDED, answers, strict=True)) | {"live": self.live.reading}
        ready = all(checks.values())
        return JSONResponse({"status": "ready" if ready else "starting", "checks": checks}, 200 if ready else 503)

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """The live feed runs inside."""
        if self.settings.metrics_port:
            start_http_server(self.settings.metrics_port, self.settings.host)
        stop = asyncio.Event()
        reading = asyncio.create_task(self.live.run(stop))
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(reading, return_exceptions=True)

    async def close(self) -> None:
        """Ends all connections."""
        await self.upstreams.close()


def build(settings: GatewaySettings | None = None) -> Gateway:
    """The gateway."""
    return Gateway(settings or GatewaySettings())
