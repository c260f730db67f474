"""NOTIFICATION_… variables."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from servicekit.settings import ServiceSettings


class NotificationSettings(ServiceSettings):
    """Keys and addresses of the providers, and limits. E-mail goes by SMTP when its URL is set, else by SendGrid."""

    model_config = SettingsConfigDict(env_prefix="NOTIFICATION_", extra="ignore", populate_by_name=True)

    sendgrid_api_key: str = ""
    sendgrid_host: str = "https://api.sendgrid.com"
    smtp_url: str = ""
    """`smtp://user:password@host:587` (STARTTLS where the server offers it) or `smtps://…` (TLS from the start)."""
    from_email: str = "no-reply@holdfast.test"
    twilio_account_sid: str = ""
    twilio_auth_token: str = ""
    twilio_from: str = ""
    twilio_api_base: str = "https://api.twilio.com"
    provider_timeout_seconds: float = 10.0
    interrupted_after_seconds: float = 60.0
    """How long a message may be in a sender's hands before that sender counts as gone. Longer than all its waits."""
    messages_an_hour: int = Field(10, ge=1)
    """How many e-mails, and how many SMS, a patient's address gets in an hour, from all clinics together."""
