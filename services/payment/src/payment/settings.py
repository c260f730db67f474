"""PAYMENT_… variables."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from servicekit.settings import ServiceSettings


class PaymentSettings(ServiceSettings):
    """Stripe's keys and address, and how patient we are."""

    model_config = SettingsConfigDict(env_prefix="PAYMENT_", extra="ignore", populate_by_name=True)

    stripe_api_key: str
    stripe_api_base: str = "https://api.stripe.com"
    stripe_webhook_secret: str = Field(description="several, separated by commas, while one is being replaced")
    booking_url: str = Field("http://127.0.0.1:8103", validation_alias="BOOKING_URL")
    reconcile_seconds: float = Field(15.0, description="how long a webhook may be missing before we ask Stripe")
    remind_seconds: float = Field(60.0, description="how long booking may be silent before it is told again")
    ask_seconds: float = Field(900.0, description="how long booking may be silent before it is asked directly")
