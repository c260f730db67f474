"""The composition root."""

from calendar_sync import endpoints, handlers, jobs
from calendar_sync.providers.google import Google
from calendar_sync.sealing import Sealer
from calendar_sync.settings import CalendarSyncSettings
from events.brokers import Broker
from servicekit.service import Service

REGISTERED = (handlers, jobs)
"""Importing these registers what the service reacts to and does by the clock."""


def build(settings: CalendarSyncSettings | None = None, broker: Broker | None = None) -> Service:
    """The service from its settings (from the environment unless given)."""
    settings = settings or CalendarSyncSettings()
    service = Service("calendar_sync", settings, routers=(endpoints.router,), broker=broker)
    service.provide(settings)
    service.provide(Sealer(service.keys.of("answers")))
    service.provide(jobs.FormerWork())
    service.provide(Google(settings, lambda: service.http.session))
    return service
