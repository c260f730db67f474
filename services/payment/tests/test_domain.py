"""What is done next, for every status and wish."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment.domain import Desired, Do, Seen, Status, may_follow, next_step, status_seen


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
        assert 0 < step.amount <= amount
    if desired is Desired.CAPTURED:
        assert step.do not in (Do.REFUND, Do.VOID)


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
