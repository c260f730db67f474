"""What goes to an e-mail provider."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file; `parameters` belong to its content type."""

    filename: str
    content_type: str
    content: bytes
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Email:
    """One e-mail to one person."""

    sender: str
    sender_name: str
    to: str
    to_name: str | None
    subject: str
    text: str
    html: str
    attachments: tuple[Attachment, ...] = ()
