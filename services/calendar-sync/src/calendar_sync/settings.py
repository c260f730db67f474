"""What the service is told: CALENDAR_SYNC_… variables."""

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from servicekit.settings import ServiceSettings


class CalendarSyncSettings(ServiceSettings):
    """Addresses and credentials of the calendar providers; the defaults are the providers' own addresses."""

    model_config = SettingsConfigDict(env_prefix="CALENDAR_SYNC_")

    google_api_endpoint: str = "https://www.googleapis.com/calendar/v3/"
    google_auth_url: str = "https://accounts.google.com/o/oauth2/v2/auth"
    google_token_url: str = "https://oauth2.googleapis.com/token"
    google_client_id: str = Field("", description="empty: Google calendars cannot be connected here")
    google_client_secret: SecretStr = SecretStr("")
    google_timeout_seconds: float = Field(10.0, gt=0, description="of one call, before it is tried again")
    default_calendar_id: str = Field(
        "primary",
        description="the calendar when none is named; $provider and $clinic stand for the slugs",
    )
    poll_seconds: float = Field(60.0, gt=0, description="between reads that no notice asked for")
