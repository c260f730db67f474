"""Money follows the visit: moved, missed, completed."""

import asyncio
import random

import pytest
from msgspec.structs import replace
from sqlalchemy import text

from events.contracts.booking import PaymentUnwanted
from events.contracts.payment import (
    CheckoutExpired,
    PaymentCaptured,
    PaymentSucceeded,
    PaymentVoided,
    RefundIssued,
)

from .conftest import Till


async def test_a_cheaper_time_gives_the_difference_back(till: Till) -> None:
    request = await till.paid()
    await till.move(request, 15000)
    issued = await till.heard(request, RefundIssued)
    assert (issued.amount.amount, issued.total_refunded.amount, issued.reason) == (5000, 5000, "surplus")
    await till.settled(request, captured=20000, refunded=5000)


@pytest.mark.parametrize("price", [20000, 25000])
async def test_the_same_or_a_dearer_price_moves_no_money(till: Till, price: int) -> None:
    request = await till.paid()
    await till.move(request, price)
    await asyncio.sleep(0.3)
    await till.settled(request, captured=20000, refunded=0)


async def test_a_deposit_stays_whole_while_the_price_is_above_it(till: Till) -> None:
    request = await till.paid(amount=5000, mode="deposit")
    await till.move(request, 12000)
    await asyncio.sleep(0.3)
    await till.settled(request, captured=5000, refunded=0)
    await till.move(request, 4000)
    await till.settled(request, captured=5000, refunded=1000)


async def test_less_is_charged_of_an_authorization_when_the_visit_became_cheaper(till: Till) -> None:
    request = await till.paid(mode="authorize", capture=False)
    await till.move(request, 15000)
    await till.confirm(request)
    assert (await till.heard(request, PaymentCaptured)).amount.amount == 15000
    await till.settled(request, captured=15000, refunded=0)


async def test_nothing_is_charged_of_an_authorization_when_the_visit_became_free(till: Till) -> None:
    request = await till.paid(mode="authorize", capture=False)
    await till.move(request, 0)
    await till.confirm(request)
    await till.heard(request, PaymentVoided)
    await till.settled(request, captured=0, refunded=0)


async def test_what_was_to_go_back_goes_back_although_the_next_move_is_dearer(till: Till) -> None:
    request = await till.paid()
    await till.move(request, 15000)
    await till.move(request, 18000)
    await till.settled(request, captured=20000, refunded=5000)


async def test_a_difference_that_was_paid_stands_and_is_the_first_to_go_back(till: Till) -> None:
    request = await till.paid()
    difference = await till.pay_difference(request, 6000)
    await till.settled(difference, captured=6000, refunded=0)
    await till.move(request, 25000)
    await till.settled(difference, captured=6000, refunded=1000)
    await till.move(request, 15000)
    await till.settled(difference, captured=6000, refunded=6000)
    await till.settled(request, captured=20000, refunded=5000)


async def test_a_difference_goes_back_when_its_appointment_ended(till: Till) -> None:
    request = await till.paid()
    difference = await till.pay_difference(request, 6000)
    await till.cancel(request, 9000)
    payment_id = (await till.heard(difference, PaymentSucceeded)).payment_id
    hold_fact = {"tenant_id": till.tenant_id, "version": 5, "booking_id": difference.booking_id}
    await till.tell(PaymentUnwanted(**hold_fact, payment_id=payment_id, reason="appointment_ended"))
    await till.settled(request, captured=20000, refunded=11000)
    await till.settled(difference, captured=6000, refunded=6000)


async def test_an_attempt_that_nobody_paid_does_not_count(till: Till) -> None:
    request = till.request(hold_seconds=2)
    await till.checkout(request)
    await till.heard(request, CheckoutExpired)
    async with till.service.database.transaction(till.tenant_id) as tx:
        await tx.connection.execute(text("UPDATE account SET ended = false"))
    again = replace(request, hold_ends=request.hold_ends + 600)
    await till.pay(await till.checkout(again))
    await till.heard(request, PaymentSucceeded)
    await till.move(request, 19000)
    await till.settled(request, captured=20000, refunded=1000)


async def test_a_move_and_then_a_cancellation_with_both_fees(till: Till) -> None:
    request = await till.paid()
    await till.move(request, 15000, fee=1000)
    await till.settled(request, captured=20000, refunded=5000)
    await till.cancel(request, 1000 + 7500)
    await till.settled(request, captured=20000, refunded=11500)
    assert [refund["cause"] for refund in await till.refunds(request)] == ["surplus", "cancelled"]


async def test_a_fee_is_never_more_than_what_is_left(till: Till) -> None:
    request = await till.paid()
    await till.move(request, 5000)
    await till.cancel(request, 7000)
    await till.settled(request, captured=20000, refunded=15000)


async def test_who_did_not_come_gets_all_but_the_fee_back(till: Till) -> None:
    request = await till.paid()
    await till.no_show(request, 12000)
    assert (await till.heard(request, RefundIssued)).amount.amount == 8000
    await till.settled(request, captured=20000, refunded=8000)
    assert (await till.open(request)).status_code == 409


async def test_of_an_authorization_only_the_fee_is_charged_when_nobody_came(till: Till) -> None:
    request = await till.paid(mode="authorize", capture=False)
    await till.no_show(request, 5000)
    assert (await till.heard(request, PaymentCaptured)).amount.amount == 5000
    await till.settled(request, captured=5000, refunded=0)


async def test_a_completed_visit_charges_an_authorization_that_was_left_open(till: Till) -> None:
    request = await till.paid(mode="authorize", capture=False)
    await till.complete(request)
    await till.heard(request, PaymentCaptured)
    await till.settled(request, captured=20000, refunded=0)


async def test_a_completed_visit_that_was_paid_moves_no_money(till: Till) -> None:
    request = await till.paid()
    await till.complete(request)
    await asyncio.sleep(0.3)
    await till.settled(request, captured=20000, refunded=0)


async def test_the_difference_goes_back_once_although_the_answer_was_lost(till: Till) -> None:
    request = await till.paid()
    await till.fault("response_lost", match="POST /v1/refunds", times=3)
    await till.move(request, 15000)
    await till.settled(request, captured=20000, refunded=5000, seconds=30)
    assert len(await till.refunds(request)) == 1


async def test_news_of_a_booking_that_nobody_paid_for_is_no_news(till: Till) -> None:
    free, sold = till.request(), await till.paid()
    await till.move(free, 100)
    await till.complete(free)
    await till.no_show(free, 0)
    await till.move(sold, 15000)
    await till.settled(sold, captured=20000, refunded=5000)
    assert till.said(free) == []


class Story:
    """A booking that things happen to, and what ought to be kept of it, by a rule of its own: the least of the price,
    the fees and what staff left."""

    def __init__(self, till: Till, seed: int) -> None:
        self.till, self.dice = till, random.Random(seed)
        self.kept = self.charged = 20000
        self.over = False

    async def live(self) -> None:
        later = self.dice.random() < 0.4
        self.request = await self.till.paid(mode="authorize" if later else "full", capture=not later)
        self.uncaptured = later
        for _ in range(self.dice.randint(1, 5)):
            await self.happen(self.dice.choice(["move", "move", "refund", "confirm", "cancel", "no_show", "complete"]))
        if self.uncaptured:
            await self.happen("confirm")
        if self.uncaptured:  # over before it was confirmed: only the fee is charged
            self.charged = self.kept
        await self.till.settled(self.request, captured=self.charged, refunded=self.charged - self.kept, seconds=40)
        listed = await self.till.refunds(self.request)
        assert sum(one["amount"] for one in listed if one["status"] == "succeeded") == self.charged - self.kept

    async def happen(self, what: str) -> None:
        figure = self.dice.randint(0, 12000)
        match what:
            case "move" if not self.over:
                price = max(self.dice.choice([20000, 25000, 15000 - figure]), 0)
                await self.till.move(self.request, price)
                self.kept = min(self.kept, price)
            case "cancel" | "no_show" if not self.over:
                await (self.till.cancel if what == "cancel" else self.till.no_show)(self.request, figure)
                self.kept, self.over = min(self.kept, figure), True
            case "confirm" | "complete" if self.uncaptured and not self.over:
                await (self.till.confirm if what == "confirm" else self.till.complete)(self.request)
                await self.till.heard(self.request, PaymentCaptured if self.kept else PaymentVoided)
                self.uncaptured, self.charged = False, self.kept
            case "refund" if not self.uncaptured:
                answer = await self.till.give(self.request, figure + 1)
                assert answer.status_code == (201 if figure < self.kept else 422), answer.text
                self.kept -= figure + 1 if figure < self.kept else 0
        await self.till.keeps(self.request, self.kept)


async def test_the_books_are_exact_after_any_story(till: Till) -> None:
    stories = [Story(till, seed) for seed in range(16)]
    await asyncio.gather(*(story.live() for story in stories))
