"""HTTP shapes."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from events.base import Instant
from payment.repository import Refund

MOST = 99_999_999  # Stripe's largest amount


class CheckoutRequest(BaseModel):
    """What booking signed."""

    model_config = ConfigDict(extra="forbid")

    payment_request: str


class CheckoutView(BaseModel):
    """A Checkout that is open, or the word that nothing is due."""

    status: Literal["open", "settled"]
    session_id: str | None = None
    checkout_url: str | None = None
    expires_at: Instant | None = None
    settlement: str | None = None


class RefundRequest(BaseModel):
    """What is to go back, in the smallest unit, and why."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    amount: Annotated[int, Field(strict=True, gt=0, le=MOST, examples=[5000])]
    reason: Annotated[str, Field(min_length=1, max_length=500, examples=["The room was cold"])]


class RefundView(BaseModel):
    """Money that goes back. `reason` is what staff said, else why it went back by itself, which `cause` always says.
    One that failed is followed by another try."""

    id: UUID
    amount: int
    currency: str
    status: Literal["pending", "succeeded", "failed"]
    reason: str
    cause: Literal["late", "surplus", "rejected", "cancelled", "staff"]
    created_at: Instant

    @classmethod
    def of(cls, refund: Refund) -> "RefundView":
        """As staff see it."""
        return cls.model_validate(
            {
                "id": refund.id,
                "amount": refund.amount,
                "currency": refund.currency,
                "status": "pending" if refund.status == "starting" else refund.status,
                "reason": refund.note or refund.reason,
                "cause": refund.reason,
                "created_at": refund.created_at,
            }
        )


class RefundList(BaseModel):
    """A page of refunds, oldest first."""

    data: list[RefundView]
    next_cursor: UUID | None
