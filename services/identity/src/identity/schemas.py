"""HTTP shapes of accounts, clinics and members."""

import re
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from events.base import Instant
from events.contracts.identity import TenantSettings
from identity.addresses import is_country
from identity.domain import CURRENCIES, LOCALES, slug_fault, time_zones
from servicekit.auth import Role

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d{1,5})?|https?://\[[0-9a-f:]+\](:\d{1,5})?")


def printable(text: str) -> str:
    """One line of text that can be shown anywhere."""
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError("must not have control characters")
    return text


def lines(text: str) -> str:
    """Lines of such text."""
    for line in text.splitlines():
        printable(line)
    return text


def _slug(slug: str) -> str:
    if fault := slug_fault(slug):
        raise ValueError(fault)
    return slug


def _time_zone(name: str) -> str:
    if name not in time_zones():
        raise ValueError("is not an IANA time zone such as Europe/Warsaw")
    return name


def _currency(code: str) -> str:
    if code not in CURRENCIES:
        raise ValueError("is not a lower-case ISO 4217 code such as pln")
    return code


def _locale(locale: str) -> str:
    if locale not in LOCALES:
        raise ValueError(f"is not one of {', '.join(LOCALES)}")
    return locale


def _unique(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _country(code: str) -> str:
    if not is_country(code.upper()):
        raise ValueError("is not an ISO 3166 country code such as PL")
    return code.upper()


def _origin(origin: str) -> str:
    if not _ORIGIN.fullmatch(origin.lower()):
        raise ValueError("is not an origin such as https://example.com")
    return origin.lower()


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(printable)]
Short = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=320), AfterValidator(printable)
]
Address = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), AfterValidator(lines)]
Password = Annotated[str, StringConstraints(min_length=8, max_length=200)]
Slug = Annotated[str, AfterValidator(_slug), Field(examples=["alfa"])]
Zone = Annotated[str, AfterValidator(_time_zone), Field(examples=["Europe/Warsaw"])]
CurrencyCode = Annotated[str, AfterValidator(_currency), Field(examples=["pln"])]
Locale = Annotated[str, AfterValidator(_locale), Field(examples=["pl"])]
Locales = Annotated[list[Locale], Field(min_length=1, examples=[["pl", "en"]]), AfterValidator(_unique)]
Country = Annotated[str, AfterValidator(_country), Field(examples=["PL"])]
Origin = Annotated[str, AfterValidator(_origin)]
# Stripe's limits of metadata.
Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(min_length=1, max_length=40), AfterValidator(printable)],
        Annotated[str, StringConstraints(max_length=500), AfterValidator(lines)],
    ],
    Field(max_length=50),
]


class Strict(BaseModel):
    """A body in which an unknown field is refused by name, not ignored."""

    model_config = ConfigDict(extra="forbid")


class Register(BaseModel):
    """Opens an account."""

    email: Short = Field(examples=["anna@example.com"])
    password: Password
    name: Name
    phone: Short | None = Field(None, description="with its country code", examples=["+48221234567"])
    time_zone: Zone | None = None
    locale: Locale | None = None


class Login(BaseModel):
    """Signs in."""

    email: Annotated[str, StringConstraints(max_length=320), AfterValidator(printable)]
    password: Annotated[str, StringConstraints(max_length=1000)]


class RefreshToken(BaseModel):
    """The refresh token, where it is not in the cookie."""

    refresh_token: Annotated[str, StringConstraints(max_length=200)] | None = None


class UserClinic(BaseModel):
    """A clinic that the user works in."""

    id: UUID
    slug: str
    name: str
    role: Role


class UserView(BaseModel):
    """An account as its owner sees it."""

    id: UUID
    email: str
    email_verified: bool
    name: str
    phone: str | None
    time_zone: str | None
    locale: str | None
    operator: bool
    clinics: list[UserClinic]
    created_at: Instant
    updated_at: Instant


class Tokens(BaseModel):
    """What registering, signing in and refreshing answer. With `?session=cookie` the refresh token is in the cookie."""

    user: UserView
    access_token: str
    refresh_token: str | None
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int = Field(description="of the access token, in seconds", examples=[900])


class UserPatch(Strict):
    """Changes of one's own account; null empties a field."""

    name: Name | None = None
    phone: Short | None = None
    time_zone: Zone | None = None
    locale: Locale | None = None


class UserContent(Strict):
    """What of an account its owner may change."""

    name: Name
    phone: Short | None = None
    time_zone: Zone | None = None
    locale: Locale | None = None


class SettingsContent(TenantSettings):
    """A clinic's settings as they are given: what is not a setting is refused by name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    allowed_origins: list[Origin] = Field(default_factory=list, max_length=50, examples=[["https://alfa.example"]])
    country: Country | None = Field(None, description="ISO 3166; phone numbers without a country code are there")


class ClinicContent(Strict):
    """All of a clinic that can be set."""

    slug: Slug
    name: Name
    time_zone: Zone
    currency: CurrencyCode
    locales: Locales
    email: Short | None = Field(None, description="alerts go there, else to the owner")
    address: Address | None = None
    phone: Short | None = None
    settings: SettingsContent = Field(default_factory=SettingsContent)
    metadata: Metadata = Field(default_factory=dict)


class ClinicPatch(Strict):
    """A JSON Merge Patch of a clinic: what is absent stays, null empties or resets."""

    slug: str | None = None
    name: str | None = None
    time_zone: str | None = None
    currency: str | None = None
    locales: list[str] | None = None
    email: str | None = None
    address: str | None = None
    phone: str | None = None
    settings: dict[str, object] | None = None
    metadata: dict[str, str | None] | None = None


class ClinicView(BaseModel):
    """A clinic's public card."""

    id: UUID
    slug: str
    name: str
    time_zone: str
    currency: str
    locales: list[str]
    email: str | None
    address: str | None
    phone: str | None
    settings: TenantSettings
    metadata: dict[str, str]
    created_at: Instant
    updated_at: Instant


class NewClinic(ClinicView):
    """A clinic that was just opened, with a token in which the caller is its owner."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int = Field(examples=[900])


class NewMember(Strict):
    """Takes somebody in, or invites them."""

    email: Short
    role: Role


class MemberPatch(Strict):
    """Gives another role."""

    role: Role


class MemberView(BaseModel):
    """Somebody who works in the clinic, or is invited to."""

    id: UUID
    user_id: UUID | None
    email: str
    name: str | None
    role: Role
    status: Literal["active", "invited"]
    created_at: Instant
    updated_at: Instant


class MemberPage(BaseModel):
    """Members by age."""

    data: list[MemberView]
    next_cursor: str | None
