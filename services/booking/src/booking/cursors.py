"""Cursors of lists: where the next page begins, as an opaque text."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from uuid import UUID

from servicekit.problems import ValidationFailed

Place = tuple[datetime, UUID]


def write(at: datetime, identity: UUID) -> str:
    """The cursor after a row."""
    return urlsafe_b64encode(f"{at.isoformat()} {identity}".encode()).decode()


def read(cursor: str | None) -> Place | None:
    """The place that a cursor names; 422 for one that is not ours."""
    if cursor is None:
        return None
    try:
        at, _, identity = urlsafe_b64decode(cursor).decode().partition(" ")
        return datetime.fromisoformat(at), UUID(identity)
    except ValueError as error:
        raise ValidationFailed.of("cursor", "is not one of ours") from error
