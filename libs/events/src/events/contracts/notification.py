"""What notification says: messages that went out or could not."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from events.base import Event, declare
from events.topics import NOTIFICATION


class MessageFact(Event):
    """A fact about one message. Who it went to and what it said stays in notification's own tables."""

    message_id: UUID
    booking_id: UUID
    kind: Literal["email", "sms"]
    template: str = Field(examples=["booking_confirmed"])


@declare("notification.message_sent.v1", topic=NOTIFICATION, key="booking_id")
class MessageSent(MessageFact):
    """The provider took the message."""


@declare("notification.message_failed.v1", topic=NOTIFICATION, key="booking_id")
class MessageFailed(MessageFact):
    """The provider refused the message for good, or its fate is unknown and it was not sent again."""

    reason: str = Field(examples=["invalid_recipient"])
