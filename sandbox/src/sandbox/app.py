"""The sandbox: every provider in one process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from sandbox import controls, messages, pages
from sandbox.faults import Faults, FaultyResponses
from sandbox.google import endpoints as google
from sandbox.google.calendars import Calendars
from sandbox.google.errors import GoogleError
from sandbox.google.errors import answer_error as answer_google_error
from sandbox.problems import Refusal, answer_refusal
from sandbox.settings import SandboxSettings
from sandbox.state import State
from sandbox.stripe import endpoints as stripe
from sandbox.stripe.errors import StripeError
from sandbox.stripe.errors import answer_error as answer_stripe_error
from sandbox.stripe.events import Events
from sandbox.stripe.payments import Payments


def create_app(settings: SandboxSettings) -> FastAPI:
    """The app with its state on disk."""
    faults = Faults()
    state = State(settings.data)
    events = Events(state, faults, settings.stripe_webhook_url, settings.stripe_webhook_secret)
    calendars = Calendars(state)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await events.resume()
        yield
        await events.close()
        await calendars.close()
        state.close()

    app = FastAPI(title="Holdfast sandbox", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.store = state
    app.state.faults = faults
    app.state.events = events
    app.state.calendars = calendars
    app.state.payments = Payments(state, events, settings.public_url)
    app.add_middleware(FaultyResponses, faults=faults)
    app.add_exception_handler(Refusal, answer_refusal)
    app.add_exception_handler(StripeError, answer_stripe_error)
    app.add_exception_handler(GoogleError, answer_google_error)
    app.add_api_route("/health/live", _healthy)
    app.add_api_route("/health/ready", _healthy)
    for router in (controls.router, google.staff, pages.router, messages.router, google.router, stripe.router):
        app.include_router(router)
    return app


async def _healthy() -> JSONResponse:
    return JSONResponse({"status": "ok"})
