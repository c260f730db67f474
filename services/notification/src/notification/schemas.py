"""HTTP shapes."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from events.base import Instant
from notification.repository import Message

Status = Literal["queued", "sending", "sent", "failed", "unknown", "dropped"]


class MessageView(BaseModel):
    """One message about an appointment, without what it said or the address it went to. `at` is when this became of it,
    or, while it is queued, when it goes out. `reason` says why it failed, was dropped, or waits (`recipient_limit`: its
    recipient has had as many in the last hour as one may get)."""

    id: UUID
    kind: Literal["email", "sms"]
    template: str
    to: Literal["patient", "clinic", "practitioner"]
    status: Status
    reason: str | None
    at: Instant
    created_at: Instant

    @classmethod
    def of(cls, message: Message) -> "MessageView":
        """As staff see it."""
        kind, _, _ = message.recipient.partition(":")
        return cls.model_validate(
            {
                "id": message.id,
                "kind": message.kind,
                "template": message.template.value,
                "to": {"contact": "patient", "user": "practitioner"}.get(kind, "clinic"),
                "status": message.status,
                "reason": message.reason,
                "at": message.due_at if message.status == "queued" else message.updated_at,
                "created_at": message.created_at,
            }
        )


class MessageList(BaseModel):
    """A page of messages, oldest first."""

    data: list[MessageView]
    next_cursor: UUID | None
