"""What was sent, whoever was asked to send it."""

import time
from typing import Any

from sandbox.state import Document, State

SHOWN = ("id", "kind", "to", "subject", "text", "html", "attachments", "at")


def rfc3339() -> str:
    """Now."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def keep(state: State, message: Document) -> Document:
    """Stores a message with its id and time."""
    message_id = f"{state.count('message'):08d}"
    return state.put("message", message_id, {"id": message_id, "at": rfc3339()} | message)


def matching(state: State, kind: str | None, to: str | None) -> list[dict[str, Any]]:
    """What `/_sandbox/messages` shows, oldest first."""
    return [
        {name: message[name] for name in SHOWN}
        for message in state.all("message")
        if kind in (None, message["kind"]) and to in (None, message["to"])
    ]
