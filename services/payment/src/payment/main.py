"""The composition root."""

from payment import endpoints, handlers, jobs
from payment.providers.stripe import StripePayments
from payment.settings import PaymentSettings
from servicekit.service import Service

__all__ = ["build", "handlers", "jobs"]


def build(settings: PaymentSettings | None = None) -> Service:
    """The payment service."""
    settings = settings or PaymentSettings()
    service = Service("payment", settings, routers=(endpoints.router, endpoints.for_staff))
    secrets = [secret.strip() for secret in settings.stripe_webhook_secret.split(",")]
    service.provide(StripePayments(settings.stripe_api_key, settings.stripe_api_base, secrets))
    return service
