"""The composition root."""

from booking import endpoints, handlers, jobs
from booking.settings import BookingSettings
from servicekit.service import Service

__all__ = ["build", "handlers", "jobs"]


def build(settings: BookingSettings | None = None) -> Service:
    """The booking service."""
    return Service(
        "booking",
        settings or BookingSettings(),
        routers=(endpoints.router, endpoints.internal),
    )
