"""HTTP shapes between services: customers, lookups, seeding."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from events.contracts.identity import TenantSettings
from identity.schemas import Country, CurrencyCode, Locales, Name, Password, SettingsContent, Short, Slug, Strict, Zone
from servicekit.auth import Role


class Customer(BaseModel):
    """The `customer` of a public request."""

    name: Name
    email: Short | None = None
    phone: Short | None = None
    locale: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*$")] | None = Field(
        None, description="BCP 47; where we do not speak the language, the clinic's own is used"
    )
    time_zone: Zone | None = None


class CustomerRequest(BaseModel):
    """A customer, and the access token that the request came with."""

    customer: Customer
    user_token: str | None = None


class CustomerAnswer(BaseModel):
    """The customer as a person, signed (`servicekit.capabilities.CustomerToken`, 10 minutes)."""

    customer_token: str
    person_id: UUID
    contact_id: UUID


class PeopleQuery(BaseModel):
    """Beginnings of names, an e-mail address, the end of a phone number."""

    q: Annotated[str, StringConstraints(max_length=200)]
    limit: int = Field(200, ge=1, le=1_000)


class PeopleFound(BaseModel):
    """People of the clinic."""

    person_ids: list[UUID]


class TenantView(BaseModel):
    """A clinic as other services ask for it."""

    tenant_id: UUID
    slug: str
    name: str
    time_zone: str
    currency: str
    locales: list[str]
    active: bool
    settings: TenantSettings


class Recipient(BaseModel):
    """Whom a clinic's alerts go to."""

    email: str
    name: str
    locale: str


class UserContact(BaseModel):
    """An account's contact data."""

    user_id: UUID
    name: str
    email: str
    phone: str | None
    locale: str


class SeedUser(Strict):
    """An account as it is to be."""

    email: Short
    password: Password
    name: Name
    operator: bool = False


class SeedTenant(Strict):
    """A clinic as it is to be, with its first owner."""

    slug: Slug
    name: Name
    time_zone: Zone
    currency: CurrencyCode
    locales: Locales
    email: Short | None = None
    country: Country | None = None
    settings: SettingsContent = Field(default_factory=SettingsContent)
    owner_id: UUID

    def content(self) -> dict[str, Any]:
        """The clinic's content; the country is one of its settings."""
        content = self.model_dump(mode="json", exclude={"owner_id", "country"})
        if self.country:
            content["settings"]["country"] = self.country
        return content


class SeedMember(Strict):
    """A membership as it is to be."""

    user_id: UUID
    role: Role
