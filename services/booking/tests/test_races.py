"""Races: whatever happens at the same moment, nothing is sold twice, nobody deadlocks, nobody sees a 5xx.

Each has a control in test_races_controls.py that takes one guard away and has to see the harm.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlalchemy import text

from booking import blocking, sessions
from events import new_id
from events.contracts.availability import MaxRule, OfferingState, ResourceState
from events.contracts.calendar import Busy

from . import racing
from .conftest import Clinic
from .racing import (
    Truth,
    at,
    book,
    cancel,
    confirm,
    end_of,
    ends_of,
    expire_due,
    forever,
    hold,
    meanwhile,
    move,
    release,
)

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


# -- one slot -------------------------------------------------------------------------------------------------------


async def rush(clinic: Clinic, attempts: int) -> Counter[int]:
    """So many requests for one time over HTTP, 64 at once; how many answers of each status."""
    slot = clinic.offer(await clinic.offering(), [await clinic.resource(), await clinic.resource("room")])
    room, statuses = asyncio.Semaphore(64), Counter[int]()

    async def ask() -> None:
        async with room:
            statuses[(await clinic.hold(slot)).status_code] += 1

    await asyncio.gather(*(ask() for _ in range(attempts)))
    return statuses


async def test_of_a_thousand_at_one_slot_one_wins(clinic: Clinic, truth: Truth) -> None:
    assert await rush(clinic, 1_000) == {201: 1, 409: 999}
    assert truth.harms() == {}


@pytest.mark.long
async def test_of_ten_thousand_at_one_slot_one_wins(clinic: Clinic, truth: Truth) -> None:
    assert await rush(clinic, 10_000) == {201: 1, 409: 9_999}
    assert truth.harms() == {}


# -- several resources ----------------------------------------------------------------------------------------------


async def crowd(clinic: Clinic, slots: list[str], *, workers: int, turns: int, seed: int = 1) -> Counter[str]:
    """Workers who hold what they can get of these, and give it back, over and over."""
    ends: Counter[str] = Counter()

    async def work(number: int) -> None:
        chance = random.Random(seed * 1000 + number)
        for _ in range(turns):
            wanted = racing.wish(clinic, chance.choice(slots))
            ends[end := await end_of(_place(clinic, wanted))] += 1
            if end == "ok" and chance.random() < 0.9:
                ends[await end_of(release(clinic, wanted.booking_id))] += 1

    await asyncio.gather(*(work(number) for number in range(workers)))
    return ends


async def _place(clinic: Clinic, wanted: racing.Wish) -> None:
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await racing.holds.place(tx, wanted)


async def test_offerings_that_share_rooms_in_opposite_orders_never_deadlock(clinic: Clinic, truth: Truth) -> None:
    anna, piotr = await clinic.resource(), await clinic.resource()
    rooms = [await clinic.resource("room") for _ in range(3)]
    one, other = await clinic.offering(), await clinic.offering()
    slots = [
        clinic.offer(kind, [who, *order], start=at(0) + part * racing.STEP / 3)
        for part in range(4)
        for kind, who, order in ((one, anna, rooms), (other, piotr, rooms[::-1]))
    ]
    ends = await crowd(clinic, slots, workers=16, turns=25)
    assert ends["slot-taken"] > 50
    assert_well(truth, ends)


async def test_candidates_in_opposite_orders_never_deadlock(clinic: Clinic, truth: Truth) -> None:
    """A refused candidate gives back its locks before the next is tried."""
    staff = [await clinic.resource() for _ in range(3)]
    rooms = [await clinic.resource("room") for _ in range(3)]
    kinds = [await clinic.offering() for _ in range(2)]
    pairs = [[who, room] for who in staff for room in rooms]
    slots = [clinic.offer(kind, *random.Random(turn).sample(pairs, 4)) for kind in kinds for turn in range(6)]
    ends = await crowd(clinic, slots, workers=16, turns=25, seed=2)
    assert ends["slot-taken"] > 50
    assert_well(truth, ends)


# -- the clock ------------------------------------------------------------------------------------------------------


async def confirm_against_expiry(clinic: Clinic, *, rounds: int, workers: int = 6) -> Counter[str]:
    """Holds of milliseconds: each is confirmed about when it runs out, while others want the time and the job runs."""
    resources = [await clinic.resource(), await clinic.resource("room"), await clinic.resource("equipment")]
    kind, other = await clinic.offering(), await clinic.offering()
    ends: Counter[str] = Counter()

    async def work(number: int, turn: int) -> None:
        chance = random.Random(turn * 100 + number)
        slot = clinic.offer(
            chance.choice((kind, other)), resources, start=at(turn) + number % 3 * racing.STEP / 3, hold_seconds=0.1
        )
        wanted = racing.wish(clinic, slot)
        ends[end := await end_of(_place(clinic, wanted))] += 1
        if end == "ok":
            await asyncio.sleep(chance.uniform(0, 0.1))
            ends[await end_of(confirm(clinic, wanted.booking_id, after=chance.choice((0, 0, 0.04))))] += 1

    async with meanwhile(forever(clinic)):
        for turn in range(rounds):
            for _ in range(3):
                await asyncio.gather(*(work(number, turn) for number in range(workers)))
    return ends


async def test_who_confirms_as_the_hold_runs_out_has_the_time_or_is_refused(clinic: Clinic, truth: Truth) -> None:
    ends = await confirm_against_expiry(clinic, rounds=12)
    assert_well(truth, ends)
    confirmed = truth.count("SELECT count(*) FROM booking WHERE tenant_id = %(tenant)s AND status = 'confirmed'")
    assert confirmed >= 6, ends
    await expire_due(clinic)
    assert truth.harms() == {}


# -- moves ----------------------------------------------------------------------------------------------------------


async def crossing_moves(clinic: Clinic, *, turns: int, resources: int = 2) -> tuple[Counter[str], list[UUID]]:
    """Four appointments that move among five times, all with the same resources, over and over."""
    kind = await clinic.offering()
    used = [await clinic.resource("practitioner" if n == 0 else "room") for n in range(resources)]
    slots = [clinic.offer(kind, used, start=at(number)) for number in range(5)]
    booked = [await book(clinic, slot) for slot in slots[:4]]
    ends: Counter[str] = Counter()

    async def work(number: int) -> None:
        chance = random.Random(number)
        for _ in range(turns):
            ends[await end_of(move(clinic, booked[number], chance.choice(slots)))] += 1

    await asyncio.gather(*(work(number) for number in range(4)))
    return ends, booked


async def test_crossing_moves_never_deadlock_and_lose_nobody(clinic: Clinic, truth: Truth) -> None:
    ends, booked = await crossing_moves(clinic, turns=30)
    assert ends["ok"] > 10
    assert_well(truth, ends)
    standing = "SELECT count(*) FROM booking WHERE tenant_id = %(tenant)s AND status = 'confirmed' AND seated"
    assert truth.count(standing) == len(booked)


async def test_a_move_that_overlaps_its_own_time_crosses_with_others(clinic: Clinic, truth: Truth) -> None:
    """Ten minutes on: the old claim and the new one overlap, and another visit is the neighbour."""
    kind, anna, piotr = await clinic.offering(), await clinic.resource(), await clinic.resource()
    slots = [clinic.offer(kind, [who], start=at(0) + n * racing.STEP / 3) for who in (anna, piotr) for n in range(9)]
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
    mixed = [clinic.offer(other, used, start=at(number) + racing.STEP / 3, hold_seconds=0.03) for number in range(5)]
    booked = [await book(clinic, slot) for slot in slots[:2]]

    async def work(number: int) -> Counter[str]:
        chance = random.Random(number)
        return Counter([await end_of(move(clinic, booked[number], chance.choice(slots))) for _ in range(25)])

    async with meanwhile(forever(clinic)):
        moved, held = await asyncio.gather(
            asyncio.gather(*(work(number) for number in range(2))), crowd(clinic, mixed, workers=8, turns=20)
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


# -- classes --------------------------------------------------------------------------------------------------------


async def last_seats(clinic: Clinic, *, workers: int, turns: int, capacity: int = 7) -> Counter[str]:
    """Everybody wants one to three of a class's seats, keeps them, gives them back or lets them run out."""
    kind = await clinic.offering(capacity=capacity)
    used = [await clinic.resource(), await clinic.resource("room")]
    slot, brief = clinic.offer(kind, used), clinic.offer(kind, used, hold_seconds=0.03)
    other = clinic.offer(await clinic.offering(), used)
    ends: Counter[str] = Counter()

    async def work(number: int) -> None:
        chance = random.Random(number)
        for _ in range(turns):
            if chance.random() < 0.15:
                ends[await end_of(hold(clinic, other))] += 1
                continue
            lasting = chance.random() < 0.6
            wanted = racing.wish(clinic, slot if lasting else brief, chance.randint(1, 3))
            ends[end := await end_of(_place(clinic, wanted))] += 1
            if end == "ok" and lasting:
                ends[await end_of(confirm(clinic, wanted.booking_id))] += 1
                if chance.random() < 0.8:
                    ends[await end_of(cancel(clinic, wanted.booking_id))] += 1

    async with meanwhile(forever(clinic)):
        await asyncio.gather(*(work(number) for number in range(workers)))
    return ends


async def test_the_last_seats_of_a_class_go_once_each(clinic: Clinic, truth: Truth) -> None:
    ends = await last_seats(clinic, workers=12, turns=15)
    assert ends["slot-taken"] > 10
    assert_well(truth, ends)
    await asyncio.sleep(0.05)
    await expire_due(clinic)
    assert truth.harms() == {}


async def call_off(clinic: Clinic, kind: OfferingState, who: ResourceState, turn: int) -> None:
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await sessions.cancel(tx, racing.owner_of(clinic), kind.offering_id, who.resource_id, at(turn), None)


async def test_a_session_that_is_called_off_keeps_no_seat_whoever_comes_or_goes(clinic: Clinic, truth: Truth) -> None:
    kind = await clinic.offering(capacity=5)
    used = [await clinic.resource(), await clinic.resource("room")]
    ends: Counter[str] = Counter()
    for turn in range(10):
        slot, elsewhere = clinic.offer(kind, used, start=at(turn)), clinic.offer(kind, used, start=at(turn + 50))
        first, second = await book(clinic, slot), await book(clinic, slot)
        ends += await ends_of(
            [
                *(hold(clinic, slot) for _ in range(4)),
                book(clinic, slot),
                move(clinic, first, elsewhere),
                call_off(clinic, kind, used[0], turn),
                cancel(clinic, second),
                hold(clinic, slot, 2),
                cancel(clinic, first),
            ]
        )
        assert truth.harms() == {}
        assert await end_of(hold(clinic, slot)) == "slot-taken"
    assert_well(truth, ends)


# -- blocks ---------------------------------------------------------------------------------------------------------


async def block(clinic: Clinic, resource_id: UUID, turn: int) -> None:
    """An external event lands on the time."""
    event = Busy(
        tenant_id=clinic.tenant_id, version=1, generation=1, connection_id=new_id(), external_key=f"e{turn}",
        resource_id=resource_id, start=at(turn), end=at(turn) + racing.STEP,
    )  # fmt: skip
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await blocking.put_external(tx, event)


async def blocks_against_holds(clinic: Clinic, *, rounds: int) -> Counter[str]:
    """At the moment when an external event lands: somebody books the time, somebody confirms an earlier hold of it,
    somebody moves to it."""
    kind, used = await clinic.offering(), [await clinic.resource(), await clinic.resource("room")]
    far = [clinic.offer(kind, used, start=at(200 + turn)) for turn in range(rounds)]
    ends: Counter[str] = Counter()
    for turn in range(rounds):
        slot = clinic.offer(kind, used, start=at(3 * turn))
        lands = block(clinic, used[turn % 2].resource_id, 3 * turn)
        if turn % 3 == 0:
            work = [book(clinic, slot), book(clinic, slot), lands]
        elif turn % 3 == 1:
            work = [confirm(clinic, await hold(clinic, slot)), lands]
        else:
            work = [move(clinic, await book(clinic, far[turn]), slot), lands]
        ends += await ends_of(work)
    return ends


async def test_a_block_that_lands_as_a_time_is_taken_is_seen_by_one_of_them(clinic: Clinic, truth: Truth) -> None:
    ends = await blocks_against_holds(clinic, rounds=60)
    assert ends["ok"] >= 60  # the blocks, and whoever was faster
    assert_well(truth, ends)


# -- the line -------------------------------------------------------------------------------------------------------


async def waits(clinic: Clinic, kind: OfferingState, count: int, hours: int = 100) -> None:
    """So many people wait for any time of the offering."""
    for _ in range(count):
        answer = await clinic.client.post(
            f"{clinic.base}/waitlist",
            json={
                "offering_id": str(kind.offering_id),
                "from": at(-1).isoformat(),
                "to": at(hours).isoformat(),
                "customer_token": clinic.customer(),
            },
        )
        assert answer.status_code == 201, answer.text


async def line_against_public(clinic: Clinic, *, rounds: int) -> tuple[Counter[str], int]:
    """As a time is given back, everybody wants it who is not in the line; how often somebody else than the first in
    line got it."""
    kind, used = await clinic.offering(), [await clinic.resource(), await clinic.resource("room")]
    ends: Counter[str] = Counter()
    overtaken = 0
    await waits(clinic, kind, rounds)
    for turn in range(rounds):
        slot = clinic.offer(kind, used, start=at(turn))
        booked = await book(clinic, slot)
        strangers = [end_of(hold(clinic, slot)) for _ in range(6)]
        gone, *others = await asyncio.gather(cancel(clinic, booked), *strangers)
        assert gone is None
        ends += Counter(others)
        overtaken += others.count("ok")
    return ends, overtaken


async def test_what_is_given_back_goes_to_the_line_and_never_to_the_public(clinic: Clinic, truth: Truth) -> None:
    ends, overtaken = await line_against_public(clinic, rounds=15)
    assert overtaken == 0
    assert_well(truth, ends)
    offered = truth.count("SELECT count(*) FROM waitlist WHERE tenant_id = %(tenant)s AND status = 'offered'")
    assert offered == 15


async def test_a_line_moves_on_under_load_without_deadlocks(clinic: Clinic, truth: Truth) -> None:
    """Offers run out, are given up and taken, visits are cancelled and moved, the public wants them: all at once, with
    rooms that are candidates of several offers, and a rule that makes the locks exclusive."""
    rule = MaxRule(kind="max", of="practitioner", per="day", count=40)
    kinds = [await clinic.offering(), await clinic.offering(rules=[rule])]
    staff, rooms = [await clinic.resource(), await clinic.resource()], [await clinic.resource("room") for _ in range(2)]
    slots = [
        clinic.offer(kind, [who, rooms[0]], [who, rooms[1]], start=at(turn) + part * racing.STEP / 3)
        for kind in kinds
        for who in staff
        for turn in range(3)
        for part in range(2)
    ]
    ends: Counter[str] = Counter()
    for kind in kinds:
        await waits(clinic, kind, 40)

    async def work(number: int) -> None:
        chance = random.Random(number)
        mine: list[UUID] = []
        for _ in range(20):
            action = chance.random()
            if action < 0.5 or not mine:
                wanted = racing.wish(clinic, chance.choice(slots))
                ends[end := await end_of(_book(clinic, wanted))] += 1
                mine += [wanted.booking_id] * (end == "ok")
            elif action < 0.8:
                ends[await end_of(cancel(clinic, mine.pop(chance.randrange(len(mine)))))] += 1
            else:
                ends[_moved(await end_of(move(clinic, chance.choice(mine), chance.choice(slots))))] += 1

    async with meanwhile(forever(clinic), _impatient(clinic)):
        await asyncio.gather(*(work(number) for number in range(10)))
    assert_well(truth, ends)


def _moved(end: str) -> str:
    # Half of the times are of the other offering: that refusal comes before any lock.
    return "ok" if end == "validation-failed" else end


async def _book(clinic: Clinic, wanted: racing.Wish) -> None:
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await racing.requested(tx, clinic, await racing.holds.make(tx, wanted))


async def _impatient(clinic: Clinic) -> None:
    """Lets offers to the line run out after a moment."""
    while True:
        await asyncio.sleep(0.02)
        async with clinic.service.database.transaction(clinic.tenant_id) as tx:
            await tx.connection.execute(text(_LET_THREE_RUN_OUT))


_LET_THREE_RUN_OUT = """
UPDATE booking SET claim_until = now() WHERE id IN (
  SELECT id FROM booking WHERE status = 'held' AND entry_id IS NOT NULL LIMIT 3 FOR UPDATE SKIP LOCKED)
"""


# -- late money -----------------------------------------------------------------------------------------------------


async def test_late_money_for_each_others_times_never_deadlocks(clinic: Clinic, truth: Truth) -> None:
    """Two paid too late for any of two practitioners, each held by the other meanwhile or blocked: both take what is
    left, and neither waits for the other for ever."""
    kind, rooms = await clinic.offering("full"), [await clinic.resource("room") for _ in range(2)]
    began = time.monotonic()
    for turn in range(12):
        anna, piotr = await clinic.resource(), await clinic.resource()
        groups = [[anna, rooms[0]], [piotr, rooms[1]]]
        late = []
        for first in (0, 1):
            slot = clinic.offer(kind, groups[first], groups[1 - first], start=at(turn), hold_seconds=0.12, chosen=False)
            late.append(await clinic.appointment(slot))
        await asyncio.sleep(0.13)
        if turn % 3:
            await block(clinic, anna.resource_id, turn)
        if turn % 3 == 2:
            await block(clinic, piotr.resource_id, turn)
        ends = await ends_of([clinic.pay(late[0]), clinic.pay(late[1])])
        assert ends == {"ok": 2}
        assert truth.harms() == {}
    assert time.monotonic() - began < 60


async def test_cancellations_of_one_day_pass_on_to_the_line_at_once(clinic: Clinic, truth: Truth) -> None:
    """With a rule that every new visit of the day is judged by, and with other rooms to fall back to."""
    rule = MaxRule(kind="max", of="practitioner", per="day", count=40)
    rooms = [await clinic.resource("room") for _ in range(3)]
    other = await clinic.offering()
    for rules in ([rule], []):
        kind, anna = await clinic.offering(rules=rules), await clinic.resource()
        for turn in range(2):
            slots = [
                clinic.offer(kind, *([anna, rooms[(first + n) % 3]] for n in range(3)), start=at(10 * turn + first))
                for first in range(6)
            ]
            booked = [await book(clinic, slot) for slot in slots]
            await waits(clinic, kind, 6)
            near = [
                clinic.offer(other, rooms[::-1], start=at(10 * turn + first) + racing.STEP / 3) for first in range(6)
            ]
            ends = await ends_of(
                [
                    *(cancel(clinic, one) for one in booked),
                    *(hold(clinic, slot) for slot in near),
                    *(move(clinic, booked[n], slots[(n + 3) % 6]) for n in range(2)),
                ]
            )
            assert_well(truth, ends)
