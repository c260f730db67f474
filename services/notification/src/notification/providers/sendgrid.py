"""SendGrid by its SDK, which blocks: called in a thread. It knows no idempotency key, so `Unknown` is final."""

import asyncio
import base64
import http.client
import logging
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from urllib.error import URLError
from uuid import UUID

from python_http_client.exceptions import HTTPError
from sendgrid import SendGridAPIClient
from sendgrid.helpers import mail

from notification.providers.outcomes import Away, Unknown, of_status
from notification.providers.shapes import Email

THREADS = 8

NEVER_CONNECTED = (ConnectionRefusedError, socket.gaierror, ssl.SSLCertVerificationError)
"""Failures before a byte of the message could have gone out; of any other it is not certain."""

# At DEBUG the SDK logs whole messages with their addresses.
logging.getLogger("python_http_client.client").setLevel(logging.WARNING)


class SendGrid:
    """See `EmailProvider`."""

    def __init__(self, api_key: str, host: str, timeout: float) -> None:
        self._client = SendGridAPIClient(api_key, host=host)
        self._client.client.timeout = timeout
        # Threads of its own: calls that hang must not hold up what else the process does in threads, name look-ups say.
        self._threads = ThreadPoolExecutor(THREADS, "sendgrid")

    async def send(self, message_id: UUID, email: Email) -> str:
        """See `EmailProvider`. Our id goes along in `custom_args`, to recognise the message by later."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._send, _mail(message_id, email))

    def _send(self, message: mail.Mail) -> str:
        try:
            response = self._client.send(message)
        except HTTPError as error:
            headers = error.headers or {}
            raise of_status("sendgrid", error.status_code, headers.get("Retry-After")) from None
        except URLError as error:
            if isinstance(error.reason, NEVER_CONNECTED):
                raise Away("sendgrid_unreachable") from error
            raise Unknown("outcome_unknown") from error
        except (OSError, http.client.HTTPException) as error:
            raise Unknown("outcome_unknown") from error
        return str(response.headers.get("X-Message-Id") or "")


def _mail(message_id: UUID, email: Email) -> mail.Mail:
    message = mail.Mail(
        from_email=mail.From(email.sender, email.sender_name),
        to_emails=mail.To(email.to, email.to_name),
        subject=email.subject,
        plain_text_content=email.text,
        html_content=email.html,
    )
    message.custom_arg = mail.CustomArg("message_id", str(message_id))
    for attachment in email.attachments:
        # SendGrid refuses a type with parameters; a calendar file says its method inside, too.
        message.attachment = mail.Attachment(
            mail.FileContent(base64.b64encode(attachment.content).decode()),
            mail.FileName(attachment.filename),
            mail.FileType(attachment.content_type),
            mail.Disposition("attachment"),
        )
    return message
