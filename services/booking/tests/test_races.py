"""Races: whatever happens at the same moment, nothing is sold twice, nobody deadlocks, nobody sees a 5xx.

Each has a control in test_races_controls.py that takes one guard away and has to see the harm.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from uuid import UUID

import pytest

from events.contracts.availability import MaxRule

from . import races, racing
from .conftest import Clinic
from .racing import STEP, Truth, at, book, cancel, end_of, ends_of, expire_due, forever, meanwhile, move

FINE = {"ok", "slot-taken", "illegal-transition", "hold-expired", "not-found"}


@pytest.fixture
def truth(clinic: Clinic, postgres_url: str) -> Iterator[Truth]:
    looking = Truth(racing.admin_url(postgres_url, clinic), clinic.tenant_id)
    yield looking
    looking.close()


def assert_well(truth: Truth, ends: Counter[str]) -> None:
    """No harm in the tables, no end but a success or a refusal that somebody else explains."""
    assert set(ends) <= FINE, ends
    assert truth.harms() == {}


async def test_of_a_thousand_at_one_slot_one_wins(clinic: Clinic, truth: Truth) -> None:
    assert await races.rush(clinic, 1_000) == {201: 1, 409: 999}
    assert truth.harms() == {}


@pytest.mark.long
async def test_of_ten_thousand_at_one_slot_one_wins(clinic: Clinic, truth: Truth) -> None:
    assert await races.rush(clinic, 10_000) == {201: 1, 409: 9_999}
    assert truth.harms() == {}


async def test_offerings_that_share_rooms_in_opposite_orders_never_deadlock(clinic: Clinic, truth: Truth) -> None:
    anna, piotr = await clinic.resource(), await clinic.resource()
    rooms = [await clinic.resource("room") for _ in range(3)]
    one, other = await clinic.offering(), await clinic.offering()
    slots = [
        clinic.offer(kind, [who, *order], start=at(0) + part * STEP / 3)
        for part in range(4)
        for kind, who, order in ((one, anna, rooms), (other, piotr, rooms[::-1]))
    ]
    ends = await races.crowd(clinic, slots, workers=16, turns=25)
    assert ends["slot-taken"] > 50
    assert_well(truth, ends)


async def test_candidates_in_opposite_orders_never_deadlock(clinic: Clinic, truth: Truth) -> None:
    """A refused candidate gives back its locks before the next is tried."""
    staff = [await clinic.resource() for _ in range(3)]
    rooms = [await clinic.resource("room") for _ in range(3)]
    kinds = [await clinic.offering() for _ in range(2)]
    pairs = [[who, room] for who in staff for room in rooms]
    slots = [clinic.offer(kind, *random.Random(turn).sample(pairs, 4)) for kind in kinds for turn in range(6)]
    ends = await races.crowd(clinic, slots, workers=16, turns=25, seed=2)
    assert ends["slot-taken"] > 50
    assert_well(truth, ends)


async def test_who_confirms_as_the_hold_runs_out_has_the_time_or_is_refused(clinic: Clinic, truth: Truth) -> None:
    ends = await races.confirm_against_expiry(clinic, rounds=12)
    assert_well(truth, ends)
    confirmed = truth.count("SELECT count(*) FROM booking WHERE tenant_id = %(tenant)s AND status = 'confirmed'")
    assert 3 <= confirmed <= ends["ok"], ends
    await expire_due(clinic)
    assert truth.harms() == {}


async def test_crossing_moves_never_deadlock_and_lose_nobody(clinic: Clinic, truth: Truth) -> None:
    ends, booked = await races.crossing_moves(clinic, turns=30)
    assert ends["ok"] > 10
    assert_well(truth, ends)
    standing = "SELECT count(*) FROM booking WHERE tenant_id = %(tenant)s AND status = 'confirmed' AND seated"
    assert truth.count(standing) == len(booked)


async def test_a_move_that_overlaps_its_own_time_crosses_with_others(clinic: Clinic, truth: Truth) -> None:
    """Ten minutes on: the old claim and the new one overlap, and another visit is the neighbour."""
    kind, anna, piotr = await clinic.offering(), await clinic.resource(), await clinic.resource()
    slots = [clinic.offer(kind, [who], start=at(0) + n * STEP / 3) for who in (anna, piotr) for n in range(9)]
    booked = [await book(clinic, slots[index]) for index in (0, 3, 6, 9, 12)]

    async def work(number: int) -> Counter[str]:
        chance = random.Random(number)
        return Counter([await end_of(move(clinic, booked[number], chance.choice(slots))) for _ in range(20)])

    ends = sum(await asyncio.gather(*(work(number) for number in range(5))), Counter[str]())
    assert ends["ok"] > 10
    assert_well(truth, ends)


async def test_moves_and_holds_want_the_same_times(clinic: Clinic, truth: Truth) -> None:
    kind, other = await clinic.offering(), await clinic.offering()
    used = [await clinic.resource(), await clinic.resource("room")]
    slots = [clinic.offer(kind, used, start=at(number)) for number in range(5)]
    mixed = [clinic.offer(other, used, start=at(number) + STEP / 3, hold_seconds=0.03) for number in range(5)]
    booked = [await book(clinic, slot) for slot in slots[:2]]

    async def work(number: int) -> Counter[str]:
        chance = random.Random(number)
        return Counter([await end_of(move(clinic, booked[number], chance.choice(slots))) for _ in range(25)])

    async with meanwhile(forever(clinic)):
        moved, held = await asyncio.gather(
            asyncio.gather(*(work(number) for number in range(2))), races.crowd(clinic, mixed, workers=8, turns=20)
        )
    assert sum(moved, Counter[str]())["ok"] > 3
    assert_well(truth, sum(moved, held))


async def test_a_move_and_a_cancellation_of_one_appointment(clinic: Clinic, truth: Truth) -> None:
    """Also of two at once, each moving into the other's freed time."""
    kind, used = await clinic.offering(), [await clinic.resource(), await clinic.resource("room")]
    slots = [clinic.offer(kind, used, start=at(number)) for number in range(4)]
    ends: Counter[str] = Counter()
    for turn in range(25):
        booked = [await book(clinic, slots[0]), await book(clinic, slots[1])]
        pairs = [(booked[0], slots[1 + turn % 3]), (booked[1], slots[(turn % 2) * 3])]
        ends += await ends_of(
            one
            for booking, slot in pairs
            for one in (move(clinic, booking, slot), cancel(clinic, booking), move(clinic, booking, slots[2]))
        )
        assert truth.count("SELECT count(*) FROM claim WHERE tenant_id = %(tenant)s") == 0
    assert ends["ok"] >= 50
    assert_well(truth, ends)


async def test_who_waits_for_a_visit_that_is_moved_away_finds_it_where_it_is(clinic: Clinic, truth: Truth) -> None:
    """Several cancel at once what is just being moved: they waited for its former slot."""
    kind, used = await clinic.offering(), [await clinic.resource()]
    slots = [clinic.offer(kind, used, start=at(number)) for number in range(40)]
    ends: Counter[str] = Counter()

    async def later(seconds: float, booking_id: UUID) -> None:
        await asyncio.sleep(seconds)
        await cancel(clinic, booking_id)

    for turn in range(20):
        booked = await book(clinic, slots[turn])
        work = [move(clinic, booked, slots[39 - turn]), *(later(0.003 * n, booked) for n in range(24))]
        ends += await ends_of(work)
        assert truth.count("SELECT count(*) FROM claim WHERE tenant_id = %(tenant)s") == 0
    assert ends["ok"] >= 20 * 23, ends
    assert_well(truth, ends)


async def test_the_last_seats_of_a_class_go_once_each(clinic: Clinic, truth: Truth) -> None:
    ends = await races.last_seats(clinic, workers=12, turns=15)
    assert ends["slot-taken"] > 10
    assert_well(truth, ends)
    await asyncio.sleep(0.05)
    await expire_due(clinic)
    assert truth.harms() == {}


async def test_a_session_that_is_called_off_keeps_no_seat_whoever_comes_or_goes(clinic: Clinic, truth: Truth) -> None:
    ends = await races.called_off(clinic, rounds=10)
    assert ends["ok"] > 20
    assert_well(truth, ends)


async def test_a_block_that_lands_as_a_time_is_taken_is_seen_by_one_of_them(clinic: Clinic, truth: Truth) -> None:
    ends = await races.blocks_against_holds(clinic, rounds=60)
    assert ends["ok"] >= 60  # the blocks, and whoever was faster
    assert_well(truth, ends)


async def test_what_is_given_back_goes_to_the_line_and_never_to_the_public(clinic: Clinic, truth: Truth) -> None:
    ends, overtaken = await races.line_against_public(clinic, rounds=15)
    assert overtaken == 0
    assert_well(truth, ends)
    offered = truth.count("SELECT count(*) FROM waitlist WHERE tenant_id = %(tenant)s AND status = 'offered'")
    assert offered == 15


async def test_a_line_moves_on_under_load_without_deadlocks(clinic: Clinic, truth: Truth) -> None:
    """Offers run out, are given up and taken, visits are cancelled and moved, the public wants them: all at once, with
    rooms that are candidates of several offers, and a rule that makes the locks exclusive."""
    assert_well(truth, await races.line_under_load(clinic))


@pytest.mark.parametrize("ruled", [True, False])
async def test_cancellations_of_one_day_pass_on_to_the_line_at_once(clinic: Clinic, truth: Truth, ruled: bool) -> None:
    rule = MaxRule(kind="max", of="practitioner", per="day", count=40)
    ends = await races.one_day(clinic, [rule] if ruled else [], rounds=2)
    assert ends["ok"] >= 12
    assert_well(truth, ends)


async def test_late_money_for_each_others_times_never_deadlocks(clinic: Clinic, truth: Truth) -> None:
    assert await races.late_money(clinic, rounds=6) == {"ok": 12}
    assert truth.harms() == {}


async def test_a_paid_difference_and_moves_between_the_same_sessions_never_deadlock(
    clinic: Clinic, truth: Truth
) -> None:
    assert await races.paid_differences(clinic, rounds=8) == {"ok": 40}
    assert truth.harms() == {}
