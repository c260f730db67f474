"""SendGrid and Twilio by their SDKs."""

import base64
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import httpx
import pytest
from python_http_client.exceptions import HTTPError
from sendgrid import SendGridAPIClient
from sendgrid.helpers import mail
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from .conftest import Sandbox, Shop


class Rerouted(TwilioHttpClient):  # type: ignore[misc]  # the SDK has no types
    """Sends every call to the sandbox."""

    def __init__(self, base: str) -> None:
        super().__init__(timeout=10)
        self._base = urlsplit(base)

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        """See `TwilioHttpClient`."""
        address = urlsplit(url)._replace(scheme=self._base.scheme, netloc=self._base.netloc)
        return super().request(method, urlunsplit(address), *args, **kwargs)


@pytest.fixture
def sendgrid(sandbox: Sandbox) -> SendGridAPIClient:
    """SendGrid's SDK."""
    return SendGridAPIClient("SG.x", host=sandbox.url)


@pytest.fixture
def twilio(sandbox: Sandbox) -> Client:
    """Twilio's SDK."""
    return Client("AC1", "token", http_client=Rerouted(sandbox.url))


def _address() -> str:
    return f"{uuid4().hex}@example.test"


def _messages(http: httpx.Client, **query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = http.get("/_sandbox/messages", params=query).json()["data"]
    return found


def test_a_mail_is_in_the_inbox_with_its_attachment(sendgrid: SendGridAPIClient, http: httpx.Client) -> None:
    to, content = _address(), b"BEGIN:VCALENDAR\r\n\x00\xff"
    message = mail.Mail(
        from_email="clinic@alfa.test", to_emails=to, subject="Zażółć", plain_text_content="text", html_content="<p>html"
    )
    file = mail.FileContent(base64.b64encode(content).decode())
    message.attachment = mail.Attachment(file, mail.FileName('wizyta "ż".ics'), mail.FileType("text/calendar"))
    answer = sendgrid.send(message)
    assert (answer.status_code, bool(answer.headers["X-Message-Id"])) == (202, True)
    (found,) = _messages(http, to=to)
    assert set(found) == {"id", "kind", "to", "subject", "text", "html", "attachments", "at"}
    assert [found[name] for name in ("kind", "subject", "text", "html")] == ["email", "Zażółć", "text", "<p>html"]
    assert base64.b64decode(found["attachments"][0]["content"]) == content
    assert found["attachments"][0]["content_type"] == "text/calendar"
    assert _messages(http, to=to, kind="email") == [found]
    assert _messages(http, to=to, kind="sms") == []
    page = http.get(f"/inbox/{found['id']}")
    assert "&lt;p&gt;html" in page.text
    kept = http.get(f"/inbox/{found['id']}/attachments/0")
    assert (kept.content, kept.headers["content-type"]) == (content, "text/calendar")
    assert http.get(f"/inbox/{found['id']}/attachments/1").status_code == 404


def _body(to: str) -> dict[str, Any]:
    return {
        "personalizations": [{"to": [{"email": to}]}],
        "from": {"email": "clinic@alfa.test"},
        "subject": "s",
        "content": [{"type": "text/plain", "value": "t"}],
    }


WRONG: list[tuple[str, Any]] = [
    ("personalizations", []), ("personalizations", [1]), ("personalizations", {"to": 1}),
    ("personalizations", [{"to": []}]), ("personalizations", [{"to": [{"email": "nobody"}]}]),
    ("personalizations", [{"to": [{"email": "a@b.test"}]}, {"to": "x"}]), ("from", None), ("from", []),
    ("subject", 1), ("subject", ""), ("content", None), ("content", [1]), ("content", [{"type": "text/plain"}]),
    ("content", [{"type": "text/html", "value": "h"}, {"type": "text/plain", "value": "t"}]),
    ("attachments", [{"content": "%%%", "filename": "a", "type": "a/b"}]), ("attachments", ["x"]),
    ("attachments", [{"content": "YQ==", "filename": "a\r\nb", "type": "a/b"}]),
    ("attachments", [{"content": "YQ==", "filename": "a", "type": "text/calendar; method=REQUEST"}]),
    ("custom_args", {"a": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_a_wrong_mail_reaches_nobody(sendgrid: SendGridAPIClient, http: httpx.Client, field: str, value: Any) -> None:
    before = len(_messages(http))
    with pytest.raises(HTTPError) as caught:
        sendgrid.send(_body(_address()) | {field: value})
    assert caught.value.status_code == 400
    assert caught.value.to_dict["errors"][0]["message"]
    assert len(_messages(http)) == before


def test_everybody_on_a_mail_gets_it(sendgrid: SendGridAPIClient, http: httpx.Client) -> None:
    addresses = [_address() for _ in range(4)]
    first = {"to": [{"email": addresses[0]}], "cc": [{"email": addresses[1]}], "bcc": [{"email": addresses[2]}]}
    second = {"to": [{"email": addresses[3]}], "subject": "other"}
    sendgrid.send(_body("") | {"personalizations": [first, second]})
    assert [_messages(http, to=address)[0]["subject"] for address in addresses] == ["s", "s", "s", "other"]


def test_sendgrid_wants_its_key_and_knows_no_other_call(sandbox: Sandbox, http: httpx.Client) -> None:
    with pytest.raises(HTTPError) as caught:
        SendGridAPIClient("nothing", host=sandbox.url).send(_body(_address()))
    assert caught.value.status_code == 401
    answer = http.get("/v3/templates")
    assert (answer.status_code, list(answer.json())) == (404, ["errors"])


def test_a_text_message_is_in_the_inbox(twilio: Client, http: httpx.Client) -> None:
    phone = f"+48{uuid4().int % 10**9:09d}"
    sent = twilio.messages.create(to=phone, from_="+15005550006", body="Zażółć")
    assert (sent.status, sent.to, sent.from_, sent.body) == ("queued", phone, "+15005550006", "Zażółć")
    fetched = twilio.messages(sent.sid).fetch()
    assert (fetched.status, fetched.date_sent is not None) == ("delivered", True)
    (found,) = _messages(http, to=phone, kind="sms")
    assert (found["text"], found["subject"], found["attachments"]) == ("Zażółć", None, [])
    assert http.get(f"/inbox/{found['id']}").status_code == 200
    service = twilio.messages.create(to=phone, messaging_service_sid="MG1", body="b")
    assert (service.from_, service.messaging_service_sid) == (None, "MG1")


@pytest.mark.parametrize(("params", "code"), [
    ({"to": "555", "from_": "+15005550006", "body": "b"}, 21211),
    ({"to": "+48123456789", "from_": "+15005550006"}, 21602),
    ({"to": "+48123456789", "body": "b"}, 21603),
    ({"to": "+48123456789", "from_": "+15005550006", "body": "b" * 1601}, 21617),
])  # fmt: skip
def test_a_wrong_text_message_has_twilios_code(twilio: Client, params: dict[str, str], code: int) -> None:
    with pytest.raises(TwilioRestException) as caught:
        twilio.messages.create(**params)
    assert (caught.value.status, caught.value.code) == (400, code)


def test_twilio_wants_the_accounts_own_credentials(shop: Shop, twilio: Client) -> None:
    path = "/2010-04-01/Accounts/AC1/Messages.json"
    for value in ("", "Basic %%%", "Basic w", "Basic /w==", "Basic QUMyOng=", "Bearer QUMxOng="):
        assert shop.http.post(path, headers={"Authorization": value}).json()["code"] == 20003, value
    with pytest.raises(TwilioRestException) as caught:
        twilio.messages("SMnone").fetch()
    assert (caught.value.status, caught.value.code) == (404, 20404)
    assert shop.http.get("/2010-04-01/Accounts.json").json()["code"] == 20404
