"""What is done next, for every status and wish."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment.domain import (
    Desired,
    Do,
    Seen,
    Status,
    kept_at_most,
    may_follow,
    next_step,
    refund_pause,
    refundable,
    status_seen,
)


@given(
    status=st.sampled_from(Status),
    desired=st.sampled_from(Desired),
    amount=st.integers(1, 10**6),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
    over=st.booleans(),
)
def test_no_step_gives_back_more_than_came_nor_charges_more_than_was_agreed(
    status: Status, desired: Desired, amount: int, shares: tuple[float, float, float], over: bool
) -> None:
    captured = int(amount * shares[0]) if status is Status.PAID else 0
    refunded = int(captured * shares[1])
    keep = int(amount * shares[2])
    step = next_step(status, desired, amount=amount, captured=captured, refunded=refunded, keep=keep, hold_is_over=over)
    if step.do is Do.REFUND:
        assert 0 < step.amount <= captured - refunded
        assert captured - refunded - step.amount == keep
    if step.do is Do.CAPTURE:
        assert 0 < step.amount <= keep
    if desired is Desired.OPEN:
        assert step.do not in (Do.CAPTURE, Do.VOID)
    if step.do is Do.VOID:
        assert keep == 0 or desired is not Desired.CAPTURED


def test_an_authorization_that_nothing_may_be_kept_of_is_cancelled() -> None:
    arguments = {"amount": 100, "captured": 0, "refunded": 0, "keep": 0, "hold_is_over": True}
    assert next_step(Status.AUTHORIZED, Desired.CAPTURED, **arguments).do is Do.VOID


class Books:
    """One payment as the rules move it: what booking and staff want, and what Stripe then does."""

    def __init__(self, amount: int, *, authorized: bool) -> None:
        self.amount = self.keep = amount
        self.status = Status.AUTHORIZED if authorized else Status.PAID
        self.desired = Desired.OPEN
        self.captured = 0 if authorized else amount
        self.refunded = 0
        self.by_staff: list[int] = []

    def want(self, wish: str, figure: int) -> None:
        match wish:
            case "move":
                if self.desired is not Desired.RETURNED:
                    self.keep = kept_at_most(self.keep, figure)
            case "end":
                self.keep, self.desired = kept_at_most(self.keep, figure), Desired.RETURNED
            case "charge" if self.desired is Desired.OPEN:
                self.desired = Desired.CAPTURED
            case "staff":
                left = refundable(captured=self.captured, refunded=self.refunded, keep=self.keep)
                if 0 < figure <= left:
                    self.keep = left - figure
                    self.by_staff.append(figure)
            case "step":
                self.step()

    def step(self) -> bool:
        step = next_step(
            self.status, self.desired, amount=self.amount, captured=self.captured, refunded=self.refunded,
            keep=self.keep, hold_is_over=True,
        )  # fmt: skip
        match step.do:
            case Do.CAPTURE:
                self.captured, self.status = step.amount, Status.PAID
            case Do.VOID:
                self.status = Status.VOIDED
            case Do.REFUND:
                # What staff began goes first, under its own amount.
                amount = self.by_staff.pop(0) if self.by_staff else step.amount
                assert amount <= step.amount
                self.refunded += amount
            case Do.NOTHING:
                assert not self.by_staff, "what staff gave back is on its way until it has gone"
                return False
        assert 0 <= self.refunded <= self.captured <= self.amount
        return True


@given(
    amount=st.integers(1, 1000),
    authorized=st.booleans(),
    wishes=st.lists(st.tuples(st.sampled_from(["move", "end", "charge", "staff", "step"]), st.integers(0, 1200))),
)
def test_whatever_is_wanted_in_whatever_order_the_books_end_at_what_may_be_kept(
    amount: int, authorized: bool, wishes: list[tuple[str, int]]
) -> None:
    books = Books(amount, authorized=authorized)
    bounds, staff = [amount], 0
    for wish, figure in wishes:
        before = sum(books.by_staff) + books.refunded
        ended = books.desired is Desired.RETURNED
        books.want(wish, figure)
        if wish == "staff":
            staff += sum(books.by_staff) + books.refunded - before
        if wish == "end" or (wish == "move" and not ended):
            bounds.append(figure)
    while books.step():
        pass
    kept = books.captured - books.refunded
    assert kept <= min(bounds), "never more than the cheapest price and the fee allow"
    if books.status is Status.PAID:
        assert kept >= min(bounds) - staff, "and nothing goes back that nobody wanted"
        assert kept == books.keep


def test_a_refund_that_was_refused_is_tried_ever_more_rarely() -> None:
    pauses = [refund_pause(failures) for failures in (0, 1, 2, 30)]
    assert pauses == [timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=4), timedelta(hours=6)]


@pytest.mark.parametrize("status", [Status.STARTING, Status.OPEN])
def test_an_open_checkout_is_closed_at_the_end_of_its_hold(status: Status) -> None:
    arguments = {"amount": 1, "captured": 0, "refunded": 0, "keep": 0}
    assert next_step(status, Desired.OPEN, hold_is_over=False, **arguments).do is Do.NOTHING
    assert next_step(status, Desired.OPEN, hold_is_over=True, **arguments).do is Do.CLOSE


def test_an_authorized_session_is_complete_and_unpaid_and_still_authorized() -> None:
    seen = Seen("complete", "unpaid", "pi", "requires_capture", 0, 100)
    assert status_seen(seen) is Status.AUTHORIZED


def test_status_only_moves_forward_but_a_closed_checkout_may_turn_out_paid() -> None:
    assert not may_follow(Status.PAID, Status.OPEN)
    assert not may_follow(Status.PAID, Status.CLOSED)
    assert may_follow(Status.CLOSED, Status.PAID)
    assert may_follow(Status.AUTHORIZED, Status.VOIDED)
