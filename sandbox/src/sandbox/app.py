"""The sandbox: every provider in one process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from sandbox import controls, pages, sendgrid, twilio
from sandbox.faults import Faults
from sandbox.faulty import FaultyResponses
from sandbox.google import endpoints as google
from sandbox.google import oauth
from sandbox.google.calendars import Calendars
from sandbox.google.errors import GoogleError
from sandbox.google.errors import answer_error as answer_google_error
from sandbox.problems import Refusal, answer_invalid, answer_refusal
from sandbox.settings import SandboxSettings
from sandbox.state import State
from sandbox.stripe import endpoints as stripe
from sandbox.stripe.errors import StripeError
from sandbox.stripe.errors import answer_error as answer_stripe_error
from sandbox.stripe.events import Events
from sandbox.stripe.payments import Payments

EXPIRES_EVERY_SECONDS = 5.0


def create_app(settings: SandboxSettings) -> FastAPI:
    """The app with its state on disk."""
    faults = Faults()
    state = State(settings.data)
    events = Events(state, faults, settings.stripe_webhook_url, settings.stripe_webhook_secret)
    calendars = Calendars(state, faults)
    payments = Payments(state, events, settings.public_url)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await events.resume()
        clock = asyncio.create_task(_expire(payments))
        yield
        clock.cancel()
        await events.close()
        await calendars.channels.close()
        state.close()

    app = FastAPI(title="Holdfast sandbox", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.store = state
    app.state.faults = faults
    app.state.events = events
    app.state.calendars = calendars
    app.state.payments = payments
    app.add_middleware(FaultyResponses, faults=faults, state=state)
    app.add_exception_handler(Refusal, answer_refusal)
    app.add_exception_handler(RequestValidationError, answer_invalid)
    app.add_exception_handler(StripeError, answer_stripe_error)
    app.add_exception_handler(GoogleError, answer_google_error)
    app.add_api_route("/health/live", _healthy)
    app.add_api_route("/health/ready", _healthy)
    routers = controls.router, google.staff, pages.router, sendgrid.router, twilio.router
    for router in (*routers, oauth.router, google.router, stripe.router):
        app.include_router(router)
    return app


async def _expire(payments: Payments) -> None:
    """Closes Checkouts in time, also those that nobody looks at."""
    while True:
        payments.expire_due()
        await asyncio.sleep(EXPIRES_EVERY_SECONDS)


async def _healthy() -> JSONResponse:
    return JSONResponse({"status": "ok"})
