"""Providers by themselves: SMTP against a real server, and calls that reach nobody."""

from collections.abc import Iterator
from email import message_from_bytes, policy
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

from events import new_id
from notification.providers import Attachment, Away, Channels, Email, Refused, Unknown
from notification.providers.outcomes import seconds_of
from notification.providers.sendgrid import SendGrid, _mail
from notification.providers.smtp import Smtp
from notification.providers.twilio import Twilio
from notification.settings import NotificationSettings
from servicekit.testing import free_port

CALENDAR = Attachment("visit.ics", "text/calendar", b"BEGIN:VCALENDAR", {"method": "REQUEST", "charset": "utf-8"})
EMAIL = Email(
    "no-reply@holdfast.test", "Klinika Żółw, Warszawa", "jan@example.test", "Jan Żuk", "Potwierdzone: czw.", "Cześć",
    "<p>Cześć</p>", (CALENDAR,),
)  # fmt: skip


class MailServer:
    """Takes, refuses or drops what comes."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.answer = "250 OK"

    async def handle_RCPT(self, server: SMTP, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if self.answer.startswith("rcpt "):
            return self.answer.removeprefix("rcpt ")
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:
        self.taken.append(message_from_bytes(envelope.content, policy=policy.default))
        if self.answer == "drop":
            server.transport.abort()
        return self.answer


@pytest.fixture
def mail_server() -> Iterator[tuple[MailServer, Smtp]]:
    """A mail server, and the provider that talks to it."""
    handler, port = MailServer(), free_port()
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    yield handler, Smtp(f"smtp://127.0.0.1:{port}", 2.0)
    controller.stop()


async def test_smtp_carries_text_html_and_calendar(mail_server: tuple[MailServer, Smtp]) -> None:
    handler, smtp = mail_server
    message_id = new_id()
    assert await smtp.send(message_id, EMAIL) == f"<{message_id}@holdfast.test>"
    (message,) = handler.taken
    assert message["From"] == '"Klinika Żółw, Warszawa" <no-reply@holdfast.test>'
    assert message["To"] == "Jan Żuk <jan@example.test>"
    assert message.get_body(("plain",)).get_content().strip() == "Cześć"
    assert message.get_body(("html",)).get_content().strip() == "<p>Cześć</p>"
    (calendar,) = message.iter_attachments()
    assert calendar.get_content_type() == "text/calendar"
    assert calendar["Content-Type"].params["method"] == "REQUEST"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("550 no", Refused),
        ("451 later", Away),
        ("rcpt 550 nobody", Refused),
        ("rcpt 450 full", Away),
        ("drop", Unknown),
    ],
)
async def test_smtp_tells_refusals_from_doubts(
    mail_server: tuple[MailServer, Smtp], answer: str, outcome: type[Exception]
) -> None:
    handler, smtp = mail_server
    handler.answer = answer
    with pytest.raises(outcome):
        await smtp.send(new_id(), EMAIL)


async def test_where_nobody_listens_nothing_was_sent() -> None:
    port = free_port()
    here = f"http://127.0.0.1:{port}"
    with pytest.raises(Away):
        await Smtp(f"smtp://127.0.0.1:{port}", 1).send(new_id(), EMAIL)
    with pytest.raises(Away):
        await SendGrid("SG.test", here, 1).send(new_id(), EMAIL)
    with pytest.raises(Away):
        await Twilio("AC0", "token", "+15005550006", here, 1).send(new_id(), "+48500100200", "Hello")


async def test_a_wrong_key_and_a_refused_number_fail_for_good(providers_url: str) -> None:
    with pytest.raises(Refused, match="sendgrid_401"):
        await SendGrid("wrong", providers_url, 2).send(new_id(), EMAIL)
    with pytest.raises(Refused, match="twilio_21604"):
        await Twilio("AC0", "token", "+15005550006", providers_url, 2).send(new_id(), "", "Hello")


def test_sendgrid_is_given_our_id_and_the_calendar() -> None:
    message_id = new_id()
    request = _mail(message_id, EMAIL).get()
    assert request["custom_args"] == {"message_id": str(message_id)}
    assert request["personalizations"] == [{"to": [{"email": "jan@example.test", "name": "Jan Żuk"}]}]
    assert [part["type"] for part in request["content"]] == ["text/plain", "text/html"]
    (attached,) = request["attachments"]
    assert (attached["type"], attached["filename"]) == ("text/calendar", "visit.ics")


def test_smtp_is_chosen_when_it_is_set(settings_of: Any) -> None:
    def channels(**more: Any) -> Channels:
        settings: NotificationSettings = settings_of(**more)
        return Channels.of(settings)

    assert isinstance(channels().email, SendGrid)
    assert isinstance(channels(smtp_url="smtps://u:p%40@mail.test").email, Smtp)
    assert channels(sendgrid_api_key="", twilio_auth_token="") == Channels(None, None, "no-reply@holdfast.test")
    with pytest.raises(ValueError, match="NOTIFICATION_SMTP_URL"):
        channels(smtp_url="mail.test")


def test_retry_after_is_read_in_seconds() -> None:
    assert [seconds_of(value) for value in ("30", None, "Wed, 21 Oct 2026 07:28:00 GMT", "-1")] == [
        30.0,
        None,
        None,
        None,
    ]
