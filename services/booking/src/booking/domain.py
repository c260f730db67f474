"""The saga on one screen: what each state makes of each thing that happens to a booking. Pure rules, no I/O."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class State(StrEnum):
    """A hold (`held`, `released`, `expired`) or the appointment it became."""

    HELD = "held"
    RELEASED = "released"
    EXPIRED = "expired"
    PENDING_PAYMENT = "pending_payment"
    PENDING_APPROVAL = "pending_approval"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    COMPLETED = "completed"
    NO_SHOW = "no_show"
    CANCELLED = "cancelled"
    UNFULFILLABLE = "unfulfillable"


class Trigger(StrEnum):
    """Requests of people (an illegal one is refused) and facts (never refused)."""

    REQUEST = "request"  # the patient says who they are
    RENEW = "renew"
    RELEASE = "release"
    APPROVE = "approve"
    REJECT = "reject"
    CANCEL = "cancel"
    CHECKOUT = "checkout"  # another try to pay
    TIME_RAN_OUT = "time_ran_out"  # of the hold, its grace, or the approval
    CHECKOUT_CLOSED = "checkout_closed"  # unpaid, for good
    MONEY = "money"  # paid or authorized
    SAME_MONEY = "same_money"  # the payment that the booking stands on, told again


class Action(StrEnum):
    """What is then done."""

    NOTHING = "nothing"
    REFUSE = "refuse"
    CONVERT = "convert"
    EXTEND = "extend"
    FREE = "free"
    ACCEPT = "accept"  # confirm, or ask for approval where that is needed
    CONFIRM = "confirm"
    TURN_DOWN = "turn_down"
    CALL_OFF = "call_off"
    PAY_AGAIN = "pay_again"
    REACQUIRE = "reacquire"  # take the time again, or give the money back
    RETURN_MONEY = "return_money"
    SAME_ANSWER = "same_answer"  # already so: answered as the first time


_S, _T, _A = State, Trigger, Action

_REFUSE_REQUESTS = {
    _T.REQUEST: _A.REFUSE,
    _T.RENEW: _A.REFUSE,
    _T.RELEASE: _A.REFUSE,
    _T.APPROVE: _A.REFUSE,
    _T.REJECT: _A.REFUSE,
    _T.CANCEL: _A.REFUSE,
    _T.CHECKOUT: _A.REFUSE,
}
_OVER = _REFUSE_REQUESTS | {
    _T.TIME_RAN_OUT: _A.NOTHING,
    _T.CHECKOUT_CLOSED: _A.NOTHING,
    _T.MONEY: _A.RETURN_MONEY,
    _T.SAME_MONEY: _A.NOTHING,
}

TRANSITIONS: dict[State, dict[Trigger, Action]] = {
    _S.HELD: _OVER
    | {
        _T.REQUEST: _A.CONVERT,
        _T.RENEW: _A.EXTEND,
        _T.RELEASE: _A.FREE,
        _T.TIME_RAN_OUT: _A.FREE,
    },
    _S.PENDING_PAYMENT: _OVER
    | {
        _T.RENEW: _A.EXTEND,
        _T.CANCEL: _A.CALL_OFF,
        _T.CHECKOUT: _A.PAY_AGAIN,
        _T.TIME_RAN_OUT: _A.FREE,
        _T.CHECKOUT_CLOSED: _A.FREE,
        _T.MONEY: _A.ACCEPT,
        _T.SAME_MONEY: _A.ACCEPT,
    },
    _S.PENDING_APPROVAL: _OVER
    | {
        _T.APPROVE: _A.CONFIRM,
        _T.REJECT: _A.TURN_DOWN,
        _T.CANCEL: _A.CALL_OFF,
        _T.TIME_RAN_OUT: _A.TURN_DOWN,
    },
    _S.CONFIRMED: _OVER | {_T.CANCEL: _A.CALL_OFF, _T.APPROVE: _A.SAME_ANSWER},
    _S.EXPIRED: _OVER | {_T.RELEASE: _A.SAME_ANSWER, _T.MONEY: _A.REACQUIRE},
    _S.RELEASED: _OVER | {_T.RELEASE: _A.SAME_ANSWER},
    _S.REJECTED: _OVER | {_T.REJECT: _A.SAME_ANSWER},
    _S.CANCELLED: _OVER | {_T.CANCEL: _A.SAME_ANSWER},
    _S.UNFULFILLABLE: _OVER,
    _S.COMPLETED: _OVER,
    _S.NO_SHOW: _OVER,
}
"""Total over state × trigger: a test walks it."""


def decide(state: State, trigger: Trigger) -> Action:
    """What the saga does."""
    return TRANSITIONS[state][trigger]


@dataclass(frozen=True, slots=True)
class CancellationTerms:
    """The offering's policy as it was when the appointment was requested."""

    free_until_minutes: int
    fee_percent: int


def cancellation_fee(terms: CancellationTerms, *, price: int, paid: int, start: datetime, now: datetime) -> int:
    """What is kept when the patient cancels now, in the smallest unit: nothing until `free_until_minutes` before the
    start; then the percentage of the price, rounded in the patient's favour, and never more than was paid."""
    if now <= start - timedelta(minutes=terms.free_until_minutes):
        return 0
    return min(price * terms.fee_percent // 100, paid)


LONGEST_APPROVAL = timedelta(days=5)  # an authorization lives about seven


def approval_deadline(now: datetime, start: datetime, *, approval_minutes: int, notice_minutes: int) -> datetime:
    """Until when the clinic may decide: its own limit, 5 days at most, and never past the start less its notice."""
    return min(
        now + timedelta(minutes=approval_minutes),
        now + LONGEST_APPROVAL,
        max(now, start - timedelta(minutes=notice_minutes)),
    )


def amount_due(mode: str, *, price: int, deposit: int | None, seats: int) -> int:
    """What has to be paid or authorized before the appointment stands. `price` is for all seats, `deposit` for one."""
    if mode == "free":
        return 0
    if mode == "deposit":
        return min(price, (deposit or 0) * seats)
    return price
