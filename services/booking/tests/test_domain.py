"""The saga's table, and the arithmetic of fees and deadlines."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking.domain import (
    TRANSITIONS,
    Action,
    State,
    Trigger,
    approval_deadline,
    decide,
    fee_of,
    fee_percent_of,
    reminder_at,
)

NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
FACTS = (Trigger.TIME_RAN_OUT, Trigger.CHECKOUT_CLOSED, Trigger.MONEY, Trigger.SAME_MONEY)


def test_the_table_is_total_over_state_and_trigger() -> None:
    assert set(TRANSITIONS) == set(State)
    for state, row in TRANSITIONS.items():
        assert set(row) == set(Trigger), state


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("fact", FACTS)
def test_facts_are_never_refused(state: State, fact: Trigger) -> None:
    assert decide(state, fact) is not Action.REFUSE


@pytest.mark.parametrize("state", State)
def test_money_is_accepted_taken_again_or_returned_in_every_state(state: State) -> None:
    assert decide(state, Trigger.MONEY) in (Action.ACCEPT, Action.REACQUIRE, Action.RETURN_MONEY)


@given(
    price=st.integers(0, 10**7),
    percent=st.integers(0, 100),
    paid=st.integers(0, 10**7),
    early=st.integers(-(10**4), 10**4),
)
def test_a_fee_is_never_more_than_was_paid_nor_rounded_against_the_patient(
    price: int, percent: int, paid: int, early: int
) -> None:
    terms = {"free_until_minutes": 1440, "fee_percent": percent}
    asked = fee_percent_of(terms, start=NOW + timedelta(minutes=early), now=NOW, percent="fee_percent")
    fee = fee_of(asked, price=price, paid=paid)
    assert 0 <= fee <= paid
    assert fee * 100 <= price * percent
    if early >= 1440:
        assert fee == 0


def test_the_approval_deadline_never_passes_the_notice_nor_five_days() -> None:
    soon = approval_deadline(NOW, NOW + timedelta(hours=3), approval_minutes=1440, notice_minutes=60)
    assert soon == NOW + timedelta(hours=2)
    far = approval_deadline(NOW, NOW + timedelta(days=90), approval_minutes=60 * 24 * 30, notice_minutes=0)
    assert far == NOW + timedelta(days=5)
    usual = approval_deadline(NOW, NOW + timedelta(days=90), approval_minutes=1440, notice_minutes=0)
    assert usual == NOW + timedelta(days=1)


def test_the_approver_is_reminded_after_half_of_the_time() -> None:
    assert reminder_at(NOW, NOW + timedelta(hours=4)) == NOW + timedelta(hours=2)
