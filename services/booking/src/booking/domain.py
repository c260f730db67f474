"""The saga on one screen: what each state makes of each thing that happens to a booking. Pure rules, no I/O."""

from collections.abc import Mapping
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
    RESCHEDULE = "reschedule"
    ARRIVE = "arrive"
    COMPLETE = "complete"
    MISS = "miss"  # the patient did not come
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
    MOVE = "move"
    MARK = "mark"
    FINISH = "finish"
    CHARGE_NO_SHOW = "charge_no_show"
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
    _T.RESCHEDULE: _A.REFUSE,
    _T.ARRIVE: _A.REFUSE,
    _T.COMPLETE: _A.REFUSE,
    _T.MISS: _A.REFUSE,
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
        _T.RESCHEDULE: _A.MOVE,
        _T.TIME_RAN_OUT: _A.TURN_DOWN,
    },
    _S.CONFIRMED: _OVER
    | {
        _T.CANCEL: _A.CALL_OFF,
        _T.APPROVE: _A.SAME_ANSWER,
        _T.RESCHEDULE: _A.MOVE,
        _T.ARRIVE: _A.MARK,
        _T.COMPLETE: _A.FINISH,
        _T.MISS: _A.CHARGE_NO_SHOW,
    },
    _S.EXPIRED: _OVER | {_T.RELEASE: _A.SAME_ANSWER, _T.MONEY: _A.REACQUIRE},
    _S.RELEASED: _OVER | {_T.RELEASE: _A.SAME_ANSWER},
    _S.REJECTED: _OVER | {_T.REJECT: _A.SAME_ANSWER},
    _S.CANCELLED: _OVER | {_T.CANCEL: _A.SAME_ANSWER},
    _S.UNFULFILLABLE: _OVER,
    # The clock completes a visit that nobody said anything of: the desk may still say that nobody came.
    _S.COMPLETED: _OVER | {_T.COMPLETE: _A.SAME_ANSWER, _T.MISS: _A.CHARGE_NO_SHOW},
    _S.NO_SHOW: _OVER | {_T.MISS: _A.SAME_ANSWER},
}
"""Total over state × trigger: a test walks it."""


def decide(state: State, trigger: Trigger) -> Action:
    """What the saga does."""
    return TRANSITIONS[state][trigger]


def fee_percent_of(terms: Mapping[str, int], *, start: datetime, now: datetime, percent: str) -> int:
    """The percentage that a policy's `percent` asks when the patient calls off or moves now: none until
    `free_until_minutes` before the start."""
    late = now > start - timedelta(minutes=terms["free_until_minutes"])
    return terms.get(percent, 0) if late else 0


def fee_of(percent: int, *, price: int, paid: int) -> int:
    """A percentage of the price in the smallest unit, rounded in the patient's favour, never more than was paid."""
    return min(price * percent // 100, paid)


LONGEST_APPROVAL = timedelta(days=5)  # an authorization lives about seven


def approval_deadline(now: datetime, start: datetime, *, approval_minutes: int, notice_minutes: int) -> datetime:
    """Until when the clinic may decide: its own limit, 5 days at most, and never past the start less its notice."""
    return min(
        now + timedelta(minutes=approval_minutes),
        now + LONGEST_APPROVAL,
        max(now, start - timedelta(minutes=notice_minutes)),
    )


def reminder_at(now: datetime, deadline: datetime) -> datetime:
    """When whoever has to approve is reminded: after half of the time."""
    return now + (deadline - now) / 2
