"""What identity says: tenants and users. Never a name, address or phone of a person."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from events.base import Event, declare
from events.topics import IDENTITY


class TenantSettings(BaseModel):
    """What a clinic may set (api.md's `settings`), with the defaults."""

    model_config = ConfigDict(frozen=True)

    approval_minutes: int = Field(1440, ge=1, examples=[1440])
    external_buffer_minutes: int = Field(30, ge=0, multiple_of=5, examples=[30])
    waitlist_offer_minutes: int = Field(30, ge=1, le=1440, examples=[30])
    payment_grace_seconds: int = Field(120, ge=0, le=3600, examples=[120])
    allowed_origins: list[str] = Field(default_factory=list, examples=[[]])
    country: str | None = Field(None, examples=["PL"], description="ISO 3166-1 alpha-2")


@declare("identity.tenant_changed.v1", topic=IDENTITY, key="tenant_id")
class TenantChanged(Event):
    """A clinic as it is now. `active` is false once it was deleted."""

    slug: str = Field(examples=["alfa"])
    name: str = Field(examples=["Alfa"])
    time_zone: str = Field(examples=["Europe/Warsaw"])
    currency: str = Field(examples=["pln"])
    locales: list[str] = Field(examples=[["pl", "en"]])
    country: str | None = None
    settings: TenantSettings
    active: bool = True


@declare("identity.user_registered.v1", topic=IDENTITY, key="user_id")
class UserRegistered(Event):
    """An account was opened. `tenant_id` is the nil UUID: accounts belong to no clinic."""

    user_id: UUID


@declare("identity.member_changed.v1", topic=IDENTITY, key="tenant_id")
class MemberChanged(Event):
    """Somebody joined, left, or has another role in a clinic."""

    member_id: UUID
    user_id: UUID | None
    role: Literal["owner", "manager", "practitioner", "front_desk", "auditor", "operator"] | None = Field(
        description="None: no longer a member"
    )
