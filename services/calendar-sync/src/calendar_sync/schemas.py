"""HTTP shapes."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from calendar_sync.model import Connection
from events.base import Instant

Kind = Literal["google"]


class Initiate(BaseModel):
    """Whose calendar is to be connected. `provider_id` is a practitioner's id or slug."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    provider_id: Annotated[str, Field(min_length=2, max_length=63)]
    kind: Kind
    calendar_id: Annotated[str, Field(min_length=1, max_length=254)] | None = None


class Initiated(BaseModel):
    """Where the person consents."""

    connection_id: UUID
    authorize_url: str


class ConnectionOut(BaseModel):
    """A connected calendar. `degraded_since`: its truth is not known since then, what it last said stays busy."""

    id: UUID
    provider_id: UUID
    kind: Kind
    status: Literal["pending", "active", "degraded", "revoked"]
    calendar_id: str
    last_sync_at: Instant | None
    degraded_since: Instant | None
    reason: str | None
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, connection: Connection) -> "ConnectionOut":
        """As the public may see it."""
        return cls.model_validate(
            {
                "id": connection.id,
                "provider_id": connection.resource_id,
                "kind": connection.kind,
                "status": connection.status,
                "calendar_id": connection.calendar_id,
                "last_sync_at": connection.last_sync_at,
                "degraded_since": connection.degraded_since,
                "reason": connection.degraded_reason,
                "created_at": connection.created_at,
                "updated_at": connection.updated_at,
            }
        )


class ConnectionList(BaseModel):
    """A page of connections."""

    data: list[ConnectionOut]
    next_cursor: UUID | None
