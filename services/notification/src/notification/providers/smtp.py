"""Any mail server, by SMTP."""

from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate
from urllib.parse import unquote, urlsplit
from uuid import UUID

import aiosmtplib

from notification.providers.outcomes import Away, Outcome, Refused, Unknown
from notification.providers.shapes import Email


class Smtp:
    """See `EmailProvider`. The URL is `smtp://user:password@host:587` or `smtps://…`."""

    def __init__(self, url: str, timeout: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise ValueError("NOTIFICATION_SMTP_URL has to be smtp://[user:password@]host[:port] or smtps://…")
        self._tls = parts.scheme == "smtps"
        self._host = parts.hostname
        self._port = parts.port or (465 if self._tls else 587)
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._timeout = timeout

    async def send(self, message_id: UUID, email: Email) -> str:
        """See `EmailProvider`. Our id makes the Message-ID."""
        message = _message(message_id, email)
        try:
            await aiosmtplib.send(
                message,
                hostname=self._host,
                port=self._port,
                username=self._user,
                password=self._password,
                use_tls=self._tls,
                timeout=self._timeout,
            )
        except aiosmtplib.SMTPConnectError as error:
            raise Away("smtp_unreachable") from error
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _refusal(error.recipients[0].code) from None
        except aiosmtplib.SMTPResponseException as error:
            raise _refusal(error.code) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Unknown("outcome_unknown") from error
        return str(message["Message-ID"])


def _refusal(code: int) -> Outcome:
    """4yz may be tried again, 5yz not (RFC 5321, 4.2.1)."""
    return Away(f"smtp_{code}") if 400 <= code < 500 else Refused(f"smtp_{code}")


def _message(message_id: UUID, email: Email) -> EmailMessage:
    message = EmailMessage()
    message["Message-ID"] = f"<{message_id}@{email.sender.rpartition('@')[2]}>"
    message["Date"] = formatdate()
    message["From"] = Address(email.sender_name, addr_spec=email.sender)
    message["To"] = Address(email.to_name or "", addr_spec=email.to)
    message["Subject"] = email.subject
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation notes in answer
    message.set_content(email.text)
    message.add_alternative(email.html, subtype="html")
    for attachment in email.attachments:
        main, _, sub = attachment.content_type.partition("/")
        message.add_attachment(
            attachment.content, maintype=main, subtype=sub, filename=attachment.filename, params=attachment.parameters
        )
    return message
