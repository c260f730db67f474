"""Twilio by its SDK, which blocks: called in a thread. It knows no idempotency key either."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import requests
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client
from urllib3.exceptions import MaxRetryError, NewConnectionError

from notification.providers.outcomes import Away, Refused, Unknown, of_status

THREADS = 8

# At INFO the SDK logs requests.
logging.getLogger("twilio.http_client").setLevel(logging.WARNING)


class _Rerouted(TwilioHttpClient):  # type: ignore[misc]  # the SDK has no types
    """Sends every call to one base address. A connection a call: one kept open may have been closed by the other side
    meanwhile, and its error would look like a lost answer."""

    def __init__(self, base: str, timeout: float) -> None:
        super().__init__(pool_connections=False, timeout=timeout)
        self._base = urlsplit(base)

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:
        """See `TwilioHttpClient`; refusals that pass are ours already, with their Retry-After."""
        address = urlsplit(url)._replace(scheme=self._base.scheme, netloc=self._base.netloc)
        response = super().request(method, urlunsplit(address), *args, **kwargs)
        if response.status_code == 429 or response.status_code >= 500:
            raise of_status("twilio", response.status_code, (response.headers or {}).get("Retry-After"))
        return response


class Twilio:
    """See `SmsProvider`."""

    def __init__(self, account_sid: str, auth_token: str, sender: str, base: str, timeout: float) -> None:
        self._client = Client(account_sid, auth_token, http_client=_Rerouted(base, timeout))
        self._sender = sender
        self._threads = ThreadPoolExecutor(THREADS, "twilio")  # of its own, as SendGrid's

    async def send(self, message_id: UUID, phone: str, text: str) -> str:
        """See `SmsProvider`."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._send, phone, text)

    def _send(self, phone: str, text: str) -> str:
        try:
            return str(self._client.messages.create(to=phone, from_=self._sender, body=text).sid)
        except TwilioRestException as error:
            raise Refused(f"twilio_{error.code or error.status}") from None
        except requests.ConnectionError as error:
            if _never_connected(error):
                raise Away("twilio_unreachable") from error
            raise Unknown("outcome_unknown") from error
        except (requests.RequestException, TwilioException) as error:
            raise Unknown("outcome_unknown") from error


def _never_connected(error: requests.ConnectionError) -> bool:
    """Whether it is certain that not a byte went out."""
    inner = error.args[0] if error.args else None
    refused = isinstance(inner, MaxRetryError) and isinstance(inner.reason, NewConnectionError)
    return refused or isinstance(error, requests.ConnectTimeout)
