"""What has to be done with a payment to get it where it should be. Pure rules, no I/O."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Status(StrEnum):
    """Where a payment is, as far as Stripe has told us."""

    STARTING = "starting"  # written down; Stripe's answer is not known yet
    OPEN = "open"  # a Checkout Session that can be paid
    PROCESSING = "processing"  # complete, but the money takes its time
    AUTHORIZED = "authorized"
    PAID = "paid"
    VOIDED = "voided"  # the authorization was cancelled
    CLOSED = "closed"  # nobody paid, and nobody can any more


class Desired(StrEnum):
    """Where booking wants it to be."""

    OPEN = "open"
    CLOSED = "closed"
    CAPTURED = "captured"
    RETURNED = "returned"  # over: all but `keep` goes back


class Do(StrEnum):
    """The next call to Stripe."""

    NOTHING = "nothing"
    CLOSE = "close"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"


@dataclass(frozen=True, slots=True)
class Step:
    """What to do, with which amount in the smallest unit."""

    do: Do
    amount: int = 0


def next_step(
    status: Status,
    desired: Desired,
    *,
    amount: int,
    captured: int,
    refunded: int,
    keep: int,
    hold_is_over: bool,
) -> Step:
    """The one call that brings the payment nearer to where it should be; nothing when it is there, or must wait.

    `keep` is the most that is kept: of an authorization no more is charged, of a charge the rest goes back.
    """
    match status, desired:
        case ((Status.STARTING | Status.OPEN), _):
            wanted = desired in (Desired.CLOSED, Desired.RETURNED) or hold_is_over
            return Step(Do.CLOSE) if wanted else Step(Do.NOTHING)
        case Status.AUTHORIZED, (Desired.CAPTURED | Desired.RETURNED):
            return Step(Do.CAPTURE, min(keep, amount)) if keep else Step(Do.VOID)
        case Status.PAID, _:
            too_much = captured - refunded - keep
            return Step(Do.REFUND, too_much) if too_much > 0 else Step(Do.NOTHING)
        case _:
            return Step(Do.NOTHING)


def kept_at_most(keep: int, bound: int) -> int:
    """The most that is kept once no more than `bound` (a price, a fee) may be. It never rises: what has been promised
    to go back goes back, and a dearer price is another payment."""
    return max(0, min(keep, bound))


def refundable(*, captured: int, refunded: int, keep: int) -> int:
    """What staff may still give back: what was charged, less what went back or is on its way. Fees count as any other
    money that was kept."""
    return max(0, min(captured - refunded, keep))


# Stripe's least charge per currency; less counts as nothing. https://docs.stripe.com/currencies#minimum-charge-amounts
MINIMUM_CHARGE = {
    "usd": 50, "eur": 50, "gbp": 30, "pln": 200, "chf": 50, "czk": 1500, "dkk": 250, "huf": 17500, "mxn": 1000,
    "nok": 300, "ron": 200, "sek": 300, "cad": 50, "aud": 50,
}  # fmt: skip
OTHER_MINIMUM = 50


def counts_as_nothing(amount: int, currency: str) -> bool:
    """Whether Stripe would refuse so small a charge."""
    return amount < MINIMUM_CHARGE.get(currency, OTHER_MINIMUM)


@dataclass(frozen=True, slots=True)
class Seen:
    """What Stripe says of a Checkout Session and its PaymentIntent now."""

    session_status: str  # open | complete | expired
    payment_status: str  # paid | unpaid | no_payment_required
    intent_id: str | None
    intent_status: str | None
    received: int  # charged so far
    authorized: int  # may still be captured


def status_seen(seen: Seen) -> Status:
    """Our status for what Stripe says. The PaymentIntent decides where there is one, since a Session that was
    authorized only is `complete` and `unpaid`."""
    match seen.intent_status:
        case "succeeded":
            return Status.PAID
        case "requires_capture":
            return Status.AUTHORIZED
        case "processing":
            return Status.PROCESSING
        case "canceled":
            return Status.VOIDED if seen.session_status == "complete" else Status.CLOSED
    if seen.payment_status in ("paid", "no_payment_required") and seen.session_status == "complete":
        return Status.PAID
    return {"open": Status.OPEN, "expired": Status.CLOSED}.get(seen.session_status, Status.PROCESSING)


_ORDER = [Status.STARTING, Status.OPEN, Status.PROCESSING, Status.AUTHORIZED, Status.PAID]


def may_follow(now: Status, seen: Status) -> bool:
    """Whether a status may follow: only forward, since answers and webhooks overtake each other. A closed Session
    may still turn out to have been paid in its last instant."""
    if seen in (Status.VOIDED, Status.CLOSED):
        return now not in (Status.PAID, Status.VOIDED, Status.CLOSED)
    if now is Status.CLOSED:
        return seen in (Status.AUTHORIZED, Status.PAID, Status.PROCESSING)
    return now in _ORDER and _ORDER.index(seen) > _ORDER.index(now)


def retry_pause(failures: int) -> float:
    """Seconds until the next try after so many failures: 0.5, 1, 2 … up to a minute."""
    return float(min(0.5 * 2 ** min(failures, 10), 60.0))


def refund_pause(failures: int) -> timedelta:
    """How long until a refund that Stripe or the bank refused is tried again: a minute, doubling, at most 6 hours. It
    takes people or time to make it possible."""
    doublings: int = 2 ** min(failures, 10)
    return min(timedelta(minutes=doublings), timedelta(hours=6))


def check_pause(created: datetime, now: datetime, first: float) -> float:
    """Seconds until an open Checkout is looked at again: first soon, then ever more rarely, 2 minutes at most."""
    return float(min(max(first, (now - created).total_seconds() / 2), 120.0))
