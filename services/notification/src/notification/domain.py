"""Which messages there are, when they are still true, and when they go out. Pure rules, no I/O."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

HISTORY = timedelta(days=2)
"""Events older than this are history (a service set up anew reads its topics from the start): remembered, not told."""

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(minutes=10)
MOST_ATTEMPTS = 24
"""With these pauses a message is tried for about two and a half hours."""

PUT_OFF_FOR = timedelta(hours=24)
"""How long a message may wait for its recipient's limit. After that nobody needs it any more."""


class BookingStatus(StrEnum):
    """What the newest event about a booking made of it. `waiting` is an entry of the waiting list, `offered` a hold
    that came of one."""

    REQUESTED = "requested"
    PENDING_APPROVAL = "pending_approval"
    CONFIRMED = "confirmed"
    COMPLETED = "completed"
    NO_SHOW = "no_show"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    UNFULFILLABLE = "unfulfillable"
    EXPIRED = "expired"
    WAITING = "waiting"
    OFFERED = "offered"


class Template(StrEnum):
    """What can be said. Those that begin with `clinic` go to the clinic and its practitioners."""

    REQUEST_RECEIVED = "request_received"
    BOOKING_CONFIRMED = "booking_confirmed"
    REMINDER = "reminder"
    BOOKING_RESCHEDULED = "booking_rescheduled"
    BOOKING_CHANGED = "booking_changed"
    BOOKING_CANCELLED = "booking_cancelled"
    BOOKING_NO_SHOW = "booking_no_show"
    BOOKING_REJECTED = "booking_rejected"
    BOOKING_UNFULFILLABLE = "booking_unfulfillable"
    HOLD_EXPIRED = "hold_expired"
    MONEY_REFUNDED = "money_refunded"
    AUTHORIZATION_RELEASED = "authorization_released"
    PAYMENT_FAILED = "payment_failed"
    WAITLIST_JOINED = "waitlist_joined"
    WAITLIST_OFFERED = "waitlist_offered"
    CLINIC_APPROVAL = "clinic_approval"
    CLINIC_APPROVAL_DUE = "clinic_approval_due"
    CLINIC_CONFIRMED = "clinic_confirmed"
    CLINIC_RESCHEDULED = "clinic_rescheduled"
    CLINIC_CONFLICT = "clinic_conflict"
    CLINIC_CANCELLED = "clinic_cancelled"
    CLINIC_REFUND_FAILED = "clinic_refund_failed"

    @property
    def for_clinic(self) -> bool:
        """Whether staff read it: with the patient's name, without the patient's buttons."""
        return self.value.startswith("clinic")


TEXTED = frozenset(
    (Template.BOOKING_CONFIRMED, Template.BOOKING_RESCHEDULED, Template.REMINDER, Template.WAITLIST_OFFERED)
)
"""What also goes by SMS when there is a phone; everything else does only when there is no e-mail address."""

MOVED = frozenset((Template.BOOKING_RESCHEDULED, Template.BOOKING_CHANGED, Template.CLINIC_RESCHEDULED))
"""What tells of a move: to the time and the practitioner that the message's context names."""

_S = BookingStatus
_STANDS = frozenset((_S.CONFIRMED, _S.PENDING_APPROVAL))
TRUE_WHILE: dict[Template, frozenset[BookingStatus]] = {
    Template.REQUEST_RECEIVED: frozenset((_S.PENDING_APPROVAL,)),
    Template.CLINIC_APPROVAL: frozenset((_S.PENDING_APPROVAL,)),
    Template.CLINIC_APPROVAL_DUE: frozenset((_S.PENDING_APPROVAL,)),
    Template.BOOKING_CONFIRMED: frozenset((_S.CONFIRMED,)),
    Template.CLINIC_CONFIRMED: frozenset((_S.CONFIRMED,)),
    Template.BOOKING_RESCHEDULED: _STANDS,
    Template.BOOKING_CHANGED: _STANDS,
    Template.CLINIC_RESCHEDULED: _STANDS,
    Template.CLINIC_CONFLICT: _STANDS,
    Template.REMINDER: frozenset((_S.CONFIRMED,)),
    Template.BOOKING_NO_SHOW: frozenset((_S.NO_SHOW,)),
    Template.HOLD_EXPIRED: frozenset((_S.EXPIRED,)),
    Template.PAYMENT_FAILED: frozenset((_S.REQUESTED,)),
    Template.WAITLIST_JOINED: frozenset((_S.WAITING,)),
    Template.WAITLIST_OFFERED: frozenset((_S.OFFERED,)),
}
"""What a booking has to be for a message about it to be true; the others stay true for ever."""


def is_true(template: Template, status: BookingStatus) -> bool:
    """Whether the message may still be sent about a booking that is now in this status."""
    return template not in TRUE_WHILE or status in TRUE_WHILE[template]


def reminders(start: datetime, minutes_before: Iterable[int], now: datetime) -> list[datetime]:
    """When to remind of a visit, soonest first; times that have passed are skipped (api.md)."""
    times = {start - timedelta(minutes=minutes) for minutes in minutes_before}
    return sorted(time for time in times if time > now)


def money_left(terms: Mapping[str, Any]) -> int:
    """What of the patient's payment is still with the clinic (or reserved on the card), in the smallest unit, as far as
    a booking's terms tell: never more than the price, which may have fallen since."""
    if not terms.get("paid"):
        return 0
    left: int = min(terms["amount_due"] - terms.get("refunded", 0), terms["price"])
    return max(0, left)


def retry_pause(attempts: int, asked: float | None) -> timedelta:
    """How long to wait after so many attempts, at least as long as the provider asked for (seconds)."""
    doublings: int = 2 ** min(max(attempts - 1, 0), 20)
    pause = min(FIRST_PAUSE * doublings, LONGEST_PAUSE)
    return max(pause, timedelta(seconds=min(asked or 0.0, 3600.0)))
