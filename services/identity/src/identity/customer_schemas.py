"""HTTP shapes of customers and of the audit."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from events.base import Instant
from identity.schemas import Locale, Metadata, Name, Short, Strict, lines, printable
from servicekit.auth import Role

Notes = Annotated[str, StringConstraints(strip_whitespace=True, max_length=5_000), AfterValidator(lines)]
ExternalRef = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(printable)]
Sort = Literal["created_at", "-created_at", "updated_at", "-updated_at"]


class CustomerContent(Strict):
    """All of a customer that staff may set."""

    name: Name
    email: Short | None = None
    phone: Short | None = None
    locale: Locale | None = None
    external_ref: ExternalRef | None = Field(None, description="the clinic's own number of the person")
    metadata: Metadata = Field(default_factory=dict)
    notes: Notes | None = Field(None, description="for the desk; the customer never sees them")

    def profile(self) -> dict[str, Any]:
        """What of it is stored sealed."""
        return self.model_dump(exclude={"external_ref"})


class CustomerPatch(Strict):
    """A JSON Merge Patch of a customer: what is absent stays, null empties."""

    name: str | None = None
    email: str | None = None
    phone: str | None = None
    locale: str | None = None
    external_ref: str | None = None
    metadata: dict[str, str | None] | None = None
    notes: str | None = None


class CustomerView(BaseModel):
    """A customer of the clinic, as staff see them."""

    id: UUID
    name: str
    email: str | None
    phone: str | None
    locale: str | None
    external_ref: str | None
    metadata: dict[str, str]
    notes: str | None
    created_at: Instant
    updated_at: Instant


class CustomerPage(BaseModel):
    """Customers in the order asked for."""

    data: list[CustomerView]
    next_cursor: str | None


class AuditActor(BaseModel):
    """Who did it."""

    user_id: UUID | None = Field(description="null: nobody, it happened by the clock")
    role: Role | None = Field(None, description="at that time, where it was noted")


class AuditLine(BaseModel):
    """One thing that somebody did; never what they read or wrote."""

    id: str
    at: Instant
    actor: AuditActor
    action: str = Field(examples=["customer.read"])
    subject: UUID | None = Field(description="whom or what it was done to")
    detail: str | None = Field(examples=["name, phone"])


class AuditPage(BaseModel):
    """The newest first."""

    data: list[AuditLine]
    next_cursor: str | None
