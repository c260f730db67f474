"""The composition root."""

from insight import handlers  # noqa: F401  (registered by being imported)
from insight.settings import InsightSettings
from insight.worker import Worker
from servicekit.service import Service


def build(settings: InsightSettings | None = None) -> Service:
    """The insight service: counts through Faust, and the health routes."""
    settings = settings or InsightSettings()
    # Faust brings the events, so the consumer runtime stays out.
    service = Service("insight", settings, consumes=False)
    worker = Worker(service.database, settings)
    service.provide(worker)
    service.background(worker.run)
    service.ready_when("faust", worker.is_ready)
    return service
