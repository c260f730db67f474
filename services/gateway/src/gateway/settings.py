"""GATEWAY_… variables, and where the services are."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from servicekit.settings import CommonSettings


class GatewaySettings(CommonSettings):
    """The gateway owns nothing: it only has to know whom to ask."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_", extra="ignore", populate_by_name=True)

    availability_url: str = Field("http://127.0.0.1:8102", validation_alias="AVAILABILITY_URL")
    booking_url: str = Field("http://127.0.0.1:8103", validation_alias="BOOKING_URL")
    payment_url: str = Field("http://127.0.0.1:8104", validation_alias="PAYMENT_URL")
    calendar_sync_url: str = Field("http://127.0.0.1:8105", validation_alias="CALENDAR_SYNC_URL")
    notification_url: str = Field("http://127.0.0.1:8106", validation_alias="NOTIFICATION_URL")
    trusted_proxies: str = Field(
        "", validation_alias="TRUSTED_PROXIES", description="addresses whose X-Forwarded-For is believed, by commas"
    )
    rate_limit_scale: float = Field(1.0, gt=0, description="multiplies every limit")
    metrics_port: int = Field(0, description="where /metrics is served, apart from the public port; 0: nowhere")
