"""The composition root."""

from events.brokers import Broker
from notification import endpoints, handlers, jobs
from notification.providers import Channels
from notification.settings import NotificationSettings
from servicekit.service import Service

REGISTERED = (handlers, jobs)
"""Importing these registers what the service reacts to and does by the clock."""


def build(settings: NotificationSettings | None = None, broker: Broker | None = None) -> Service:
    """The service from its settings (from the environment unless given)."""
    settings = settings or NotificationSettings()
    service = Service("notification", settings, routers=(endpoints.router,), broker=broker)
    service.provide(settings)
    service.provide(Channels.of(settings))
    return service
