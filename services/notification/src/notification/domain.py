"""Which messages there are, when they are still true, and when they go out. Pure rules, no I/O."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

HISTORY = timedelta(days=2)
"""Events older than this are history (a service set up anew reads its topics from the start): remembered, not told."""

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(minutes=10)
MOST_ATTEMPTS = 24
"""With these pauses a message is tried for about two and a half hours."""


class BookingStatus(StrEnum):
    """What the newest event about a booking made of it."""

    REQUESTED = "requested"
    PENDING_APPROVAL = "pending_approval"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    UNFULFILLABLE = "unfulfillable"
    EXPIRED = "expired"


class Template(StrEnum):
    """What can be said. Those that begin with `clinic` go to the clinic and its practitioners."""

    REQUEST_RECEIVED = "request_received"
    BOOKING_CONFIRMED = "booking_confirmed"
    REMINDER = "reminder"
    BOOKING_CANCELLED = "booking_cancelled"
    BOOKING_REJECTED = "booking_rejected"
    BOOKING_UNFULFILLABLE = "booking_unfulfillable"
    HOLD_EXPIRED = "hold_expired"
    MONEY_REFUNDED = "money_refunded"
    AUTHORIZATION_RELEASED = "authorization_released"
    PAYMENT_FAILED = "payment_failed"
    CLINIC_APPROVAL = "clinic_approval"
    CLINIC_CONFIRMED = "clinic_confirmed"
    CLINIC_CANCELLED = "clinic_cancelled"
    CLINIC_REFUND_FAILED = "clinic_refund_failed"

    @property
    def for_clinic(self) -> bool:
        """Whether staff read it: with the patient's name, without the patient's buttons."""
        return self.value.startswith("clinic")


TEXTED = frozenset((Template.BOOKING_CONFIRMED, Template.REMINDER))
"""What also goes by SMS when there is a phone; everything else does only when there is no e-mail address."""

_S = BookingStatus
TRUE_WHILE: dict[Template, frozenset[BookingStatus]] = {
    Template.REQUEST_RECEIVED: frozenset((_S.PENDING_APPROVAL,)),
    Template.CLINIC_APPROVAL: frozenset((_S.PENDING_APPROVAL,)),
    Template.BOOKING_CONFIRMED: frozenset((_S.CONFIRMED,)),
    Template.CLINIC_CONFIRMED: frozenset((_S.CONFIRMED,)),
    Template.REMINDER: frozenset((_S.CONFIRMED,)),
    Template.HOLD_EXPIRED: frozenset((_S.EXPIRED,)),
    Template.PAYMENT_FAILED: frozenset((_S.REQUESTED,)),
}
"""What a booking has to be for a message about it to be true; the others stay true for ever."""


def is_true(template: Template, status: BookingStatus) -> bool:
    """Whether the message may still be sent about a booking that is now in this status."""
    return template not in TRUE_WHILE or status in TRUE_WHILE[template]


def reminders(start: datetime, minutes_before: Iterable[int], now: datetime) -> list[datetime]:
    """When to remind of a visit, soonest first; times that have passed are skipped (api.md)."""
    times = {start - timedelta(minutes=minutes) for minutes in minutes_before}
    return sorted(time for time in times if time > now)


def retry_pause(attempts: int, asked: float | None) -> timedelta:
    """How long to wait after so many attempts, at least as long as the provider asked for (seconds)."""
    doublings: int = 2 ** min(max(attempts - 1, 0), 20)
    pause = min(FIRST_PAUSE * doublings, LONGEST_PAUSE)
    return max(pause, timedelta(seconds=min(asked or 0.0, 3600.0)))
