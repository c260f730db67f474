"""Outside APIs behind small protocols. What a provider answers is one of four: taken, refused, away, or unknown."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from notification.providers.outcomes import Away, Refused, Unknown
from notification.providers.sendgrid import SendGrid
from notification.providers.shapes import Attachment, Email
from notification.providers.smtp import Smtp
from notification.providers.twilio import Twilio
from notification.settings import NotificationSettings

__all__ = ["Attachment", "Away", "Channels", "Email", "EmailProvider", "Refused", "SmsProvider", "Unknown"]


class EmailProvider(Protocol):
    """Sends one e-mail, at most once a call. Raises `Refused`, `Away` or `Unknown`."""

    async def send(self, message_id: UUID, email: Email) -> str:
        """Returns the provider's name for it."""
        ...


class SmsProvider(Protocol):
    """Sends one SMS, at most once a call. Raises `Refused`, `Away` or `Unknown`."""

    async def send(self, message_id: UUID, phone: str, text: str) -> str:
        """Returns the provider's name for it."""
        ...


@dataclass(frozen=True, slots=True)
class Channels:
    """How messages go out; None where nothing is configured."""

    email: EmailProvider | None
    sms: SmsProvider | None
    from_email: str

    @classmethod
    def of(cls, settings: NotificationSettings) -> "Channels":
        """The providers that the settings name."""
        timeout = settings.provider_timeout_seconds
        email: EmailProvider | None = None
        if settings.smtp_url:
            email = Smtp(settings.smtp_url, timeout)
        elif settings.sendgrid_api_key:
            email = SendGrid(settings.sendgrid_api_key, settings.sendgrid_host, timeout)
        sms: SmsProvider | None = None
        if settings.twilio_account_sid and settings.twilio_auth_token and settings.twilio_from:
            sms = Twilio(
                settings.twilio_account_sid,
                settings.twilio_auth_token,
                settings.twilio_from,
                settings.twilio_api_base,
                timeout,
            )
        return cls(email, sms, settings.from_email)
