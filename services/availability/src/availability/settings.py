"""AVAILABILITY_… variables."""

from pydantic_settings import SettingsConfigDict

from servicekit.settings import ServiceSettings


class AvailabilitySettings(ServiceSettings):
    """What the availability service is told."""

    model_config = SettingsConfigDict(env_prefix="AVAILABILITY_", extra="ignore", populate_by_name=True)

    offer_seconds: int = 600
    """How long a slot_id may be used."""
