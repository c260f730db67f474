"""HTTP shapes."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from events.base import Instant


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
