"""What the repository gives out."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

Status = Literal["pending", "active", "degraded", "revoked"]


@dataclass(frozen=True, slots=True)
class Connection:
    """One practitioner's calendar at a provider."""

    id: UUID
    tenant_id: UUID
    resource_id: UUID
    kind: str
    calendar_id: str
    status: Status
    version: int
    generation: int
    grant_sealed: bytes | None
    sync_token: str | None
    listed_at: datetime | None
    last_sync_at: datetime | None
    activated_at: datetime | None
    degraded_since: datetime | None
    degraded_reason: str | None
    failures: int
    lease: UUID | None
    watch_failures: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Consent:
    """A consent that was begun."""

    connection_id: UUID
    browser_hash: bytes
    verifier_sealed: bytes


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel of notices."""

    id: UUID
    connection_id: UUID
    provider_resource: str | None


@dataclass(frozen=True, slots=True)
class WantedEvent:
    """The desired state of one appointment in one calendar, leased to one writer. `written`: it was there before."""

    booking_id: UUID
    connection_id: UUID
    lease: UUID
    present: bool
    version: int
    written: bool
    failures: int
    provider_id: UUID | None
    offering_id: UUID
    contact_id: UUID
    starts_at: datetime
    ends_at: datetime
