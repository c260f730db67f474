"""BOOKING_… variables."""

from pydantic_settings import SettingsConfigDict

from servicekit.settings import ServiceSettings


class BookingSettings(ServiceSettings):
    """Limits on those who hold times without paying for them."""

    model_config = SettingsConfigDict(env_prefix="BOOKING_", extra="ignore", populate_by_name=True)

    max_live_holds_per_origin: int = 3
    max_holds_per_hour_per_origin: int = 20
    max_unverified_appointments: int = 5

    complete_after_minutes: int = 60
    """How long after its end a visit that nobody said anything of counts as completed."""
