"""The composition root."""

from booking import handlers, hot, jobs
from booking.endpoints import ROUTERS
from booking.settings import BookingSettings
from servicekit.service import Service

__all__ = ["build", "handlers", "jobs"]


def build(settings: BookingSettings | None = None) -> Service:
    """The booking service."""
    service = Service("booking", settings or BookingSettings(), routers=ROUTERS)
    hot.install(service)
    return service
