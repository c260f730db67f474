"""HTTP shapes of holds and appointments."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from events.base import Instant, Money

AppointmentStatus = Literal[
    "pending_payment",
    "pending_approval",
    "confirmed",
    "rejected",
    "completed",
    "no_show",
    "cancelled",
    "expired",
    "unfulfillable",
]
PaymentStatus = Literal["none", "pending", "authorized", "paid", "failed", "voided", "partially_refunded", "refunded"]
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000)]


class Strict(BaseModel):
    """A request body: a field that is not known is refused by its name."""

    model_config = ConfigDict(extra="forbid")


class HoldCreate(Strict):
    """Hold the time of a `slot_id` from availability."""

    slot_id: str = Field(min_length=1, max_length=8000)
    seats: int = Field(1, ge=1, le=1000)


class SlotResource(BaseModel):
    """A resource that the hold has taken."""

    id: UUID
    type: str
    name: str


class SlotView(BaseModel):
    """The slot as availability showed it, and what was taken for it."""

    slot_id: str
    start: Instant
    end: Instant
    local_start: str
    zone_abbreviation: str
    provider_id: UUID | None
    provider_ids: list[UUID]
    offering_id: UUID
    seats: int
    remaining: int
    price: Money
    resources: list[SlotResource]


class HoldView(BaseModel):
    """A hold. `manage_token` is told once, when it is made."""

    id: UUID
    status: Literal["held", "converted", "released", "expired"]
    expires_at: Instant
    slot: SlotView
    manage_token: str | None = None


class AppointmentCreate(Strict):
    """Turns a hold into an appointment (or holds a slot and does so at once)."""

    hold_id: UUID | None = None
    hold_token: str | None = Field(None, max_length=200)
    slot_id: str | None = Field(None, min_length=1, max_length=8000)
    seats: int = Field(1, ge=1, le=1000)
    customer_token: str = Field(description="the request's `customer`, as identity signed it for the gateway")
    return_url: str | None = Field(None, max_length=2000)
    notes: Text | None = None
    consents: list[Annotated[str, StringConstraints(max_length=100)]] = Field(default_factory=list, max_length=20)
    metadata: dict[
        Annotated[str, StringConstraints(min_length=1, max_length=40, pattern=r"^[^\[\]]+$")],
        Annotated[str, StringConstraints(max_length=500)],
    ] = Field(default_factory=dict, max_length=50)
    external_ref: str | None = Field(None, min_length=1, max_length=255)
    pay: Literal["online", "desk"] | None = Field(None, description="staff: `desk` takes the money there")
    override: bool = Field(False, description="staff: breaks the clinic's rules, never what is taken")
    reason: Text | None = Field(None, description="with override: why; it goes into the audit")

    @model_validator(mode="after")
    def _one_of_both(self) -> "AppointmentCreate":
        if (self.hold_id is None) == (self.slot_id is None):
            raise ValueError("send either hold_id (with hold_token) or slot_id")
        return self

    @field_validator("return_url")
    @classmethod
    def _absolute(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("https://", "http://")):
            raise ValueError("has to be an absolute http(s) URL")
        return value


class CustomerView(BaseModel):
    """The contact data that came with the appointment."""

    id: UUID
    name: str | None
    email: str | None
    phone: str | None
    locale: str


class PaymentView(BaseModel):
    """What is due and what became of it, in the smallest unit."""

    status: PaymentStatus
    amount_due: int
    currency: str
    amount_paid: int
    amount_refunded: int
    session_id: str | None = None
    checkout_url: str | None = None
    expires_at: Instant | None = None


class RefundView(BaseModel):
    """What goes back."""

    amount: int
    currency: str
    fee: int
    status: Literal["none", "pending", "succeeded", "failed", "voided"]


class MoveView(BaseModel):
    """A dearer time that is held for the appointment until the difference is paid; then it moves there."""

    start: Instant
    end: Instant
    amount_due: int
    currency: str
    expires_at: Instant


class HistoryEntry(BaseModel):
    """One thing that happened."""

    at: Instant
    event: str
    by: str


class AppointmentView(BaseModel):
    """An appointment. `manage_token` is told once; `history` to staff alone."""

    id: UUID
    status: AppointmentStatus
    slot: SlotView
    customer: CustomerView | None
    payment: PaymentView
    manage_url: str
    manage_token: str | None = None
    external_ref: str | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    notes: str | None = None
    reason: str | None = Field(None, description="why it was cancelled or rejected, for staff")
    created_at: Instant
    updated_at: Instant
    approval_deadline: Instant | None = None
    arrived_at: Instant | None = None
    series_id: UUID | None = None
    pay: Literal["online", "desk"] | None = None
    history: list[HistoryEntry] | None = None
    refund: RefundView | None = None
    move: MoveView | None = None
    payment_request: str | None = Field(None, description="for the gateway, which takes it out")


class Cancellation(Strict):
    """Why, and whether staff charge the patient's fee."""

    reason: Text | None = None
    charge_fee: bool = False


class Rejection(Strict):
    """Why the clinic says no."""

    reason: Text | None = None


class Rescheduling(Strict):
    """The time that the visit moves to."""

    slot_id: str = Field(min_length=1, max_length=8000)


class SessionCancellation(Strict):
    """Which session of a class falls out."""

    offering_id: UUID
    provider_id: UUID | None = None
    start: Instant
    reason: Text | None = None


class SessionView(BaseModel):
    """A session that fell out, and the appointments that were called off with it."""

    offering_id: UUID
    provider_id: UUID | None
    start: Instant
    status: Literal["cancelled"]
    appointment_ids: list[UUID]


class AuditEntry(BaseModel):
    """One line of the audit."""

    id: str
    at: Instant
    actor: dict[str, Any]
    action: str
    subject: UUID
    detail: str | None


class Settle(Strict):
    """Payment's word that nothing is due."""

    settlement: str


class PaymentFactIn(Strict):
    """Payment's last resort: what happened, told directly."""

    payment_id: UUID
    kind: Literal["authorized", "succeeded"]
    amount: int = Field(ge=0)
    currency: str


class Agenda(BaseModel):
    """A page of appointments."""

    data: list[AppointmentView]
    next_cursor: str | None


def strip_unset(view: BaseModel, *optional: str) -> dict[str, Any]:
    """The view as JSON without these fields where they are None."""
    document: dict[str, Any] = view.model_dump(mode="json")
    for name in optional:
        if document.get(name) is None:
            document.pop(name, None)
    return document
