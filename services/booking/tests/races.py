"""The races of booking, as often as one likes: each answers how its attempts ended.

test_races.py runs them as they are, test_races_controls.py with one guard taken away.
"""

import asyncio
import random
from collections import Counter
from uuid import UUID

from sqlalchemy import text

from booking import blocking, holds, sessions
from booking.holds import Wish
from events import new_id
from events.contracts.availability import MaxRule, OfferingState, ResourceState
from events.contracts.calendar import Busy

from .conftest import Clinic
from .racing import (
    STEP,
    at,
    book,
    cancel,
    confirm,
    end_of,
    ends_of,
    forever,
    hold,
    meanwhile,
    move,
    owner_of,
    release,
    requested,
    wish,
)


async def rush(clinic: Clinic, attempts: int) -> Counter[int]:
    """So many requests for one time over HTTP, 64 at once; how many answers of each status."""
    slot = clinic.offer(await clinic.offering(), [await clinic.resource(), await clinic.resource("room")])
    room, statuses = asyncio.Semaphore(64), Counter[int]()

    async def ask() -> None:
        async with room:
            statuses[(await clinic.hold(slot)).status_code] += 1

    await asyncio.gather(*(ask() for _ in range(attempts)))
    return statuses


async def crowd(clinic: Clinic, slots: list[str], *, workers: int, turns: int, seed: int = 1) -> Counter[str]:
    """Workers who hold what they can get of these, and give it back, over and over."""
    ends: Counter[str] = Counter()

    async def work(number: int) -> None:
        chance = random.Random(seed * 1000 + number)
        for _ in range(turns):
            wanted = wish(clinic, chance.choice(slots))
            ends[end := await end_of(place(clinic, wanted))] += 1
            if end == "ok" and chance.random() < 0.9:
                ends[await end_of(release(clinic, wanted.booking_id))] += 1

    await asyncio.gather(*(work(number) for number in range(workers)))
    return ends


async def place(clinic: Clinic, wanted: Wish) -> None:
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await holds.place(tx, wanted)


async def confirm_against_expiry(clinic: Clinic, *, rounds: int, workers: int = 6) -> Counter[str]:
    """Holds of milliseconds: each is confirmed about when it runs out, while others want the time and the job runs."""
    resources = [await clinic.resource(), await clinic.resource("room"), await clinic.resource("equipment")]
    kind, other = await clinic.offering(), await clinic.offering()
    ends: Counter[str] = Counter()

    async def work(number: int, turn: int) -> None:
        chance = random.Random(turn * 100 + number)
        slot = clinic.offer(
            chance.choice((kind, other)), resources, start=at(turn) + number % 3 * STEP / 3, hold_seconds=0.2
        )
        wanted = wish(clinic, slot)
        ends[end := await end_of(place(clinic, wanted))] += 1
        if end == "ok":
            await asyncio.sleep(chance.choice((chance.uniform(0, 0.05), chance.uniform(0.1, 0.2))))
            ends[await end_of(confirm(clinic, wanted.booking_id, after=chance.choice((0, 0, 0.04))))] += 1

    async with meanwhile(forever(clinic)):
        for turn in range(rounds):
            for _ in range(3):
                await asyncio.gather(*(work(number, turn) for number in range(workers)))
    return ends


async def crossing_moves(clinic: Clinic, *, turns: int) -> tuple[Counter[str], list[UUID]]:
    """Four appointments of two offerings that move among five times, all with the same resources, over and over."""
    kinds = [await clinic.offering(), await clinic.offering()]
    used = [await clinic.resource(), await clinic.resource("room")]
    slots = [[clinic.offer(kind, used, start=at(number)) for number in range(5)] for kind in kinds]
    booked = [await book(clinic, slots[number % 2][number]) for number in range(4)]
    ends: Counter[str] = Counter()

    async def work(number: int) -> None:
        chance = random.Random(number)
        for _ in range(turns):
            ends[await end_of(move(clinic, booked[number], chance.choice(slots[number % 2])))] += 1

    await asyncio.gather(*(work(number) for number in range(4)))
    return ends, booked


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
            wanted = wish(clinic, slot if lasting else brief, chance.randint(1, 3))
            ends[end := await end_of(place(clinic, wanted))] += 1
            if end == "ok" and lasting:
                ends[await end_of(confirm(clinic, wanted.booking_id))] += 1
                if chance.random() < 0.8:
                    ends[await end_of(cancel(clinic, wanted.booking_id))] += 1

    async with meanwhile(forever(clinic)):
        await asyncio.gather(*(work(number) for number in range(workers)))
    return ends


async def call_off(clinic: Clinic, kind: OfferingState, who: ResourceState, turn: int) -> None:
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await sessions.cancel(tx, owner_of(clinic), kind.offering_id, who.resource_id, at(turn), None)


async def called_off(clinic: Clinic, *, rounds: int) -> Counter[str]:
    """Sessions fall out while people come, go and move away."""
    kind = await clinic.offering(capacity=5)
    used = [await clinic.resource(), await clinic.resource("room")]
    ends: Counter[str] = Counter()
    for turn in range(rounds):
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
        ends["after"] += await end_of(hold(clinic, slot)) != "slot-taken"
    return +ends


async def block(clinic: Clinic, resource_id: UUID, turn: int) -> None:
    """An external event lands on the time."""
    event = Busy(
        tenant_id=clinic.tenant_id, version=1, generation=1, connection_id=new_id(), external_key=f"e{turn}",
        resource_id=resource_id, start=at(turn), end=at(turn) + STEP,
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
        gone, *others = await asyncio.gather(cancel(clinic, booked), *(_insist(clinic, slot) for _ in range(6)))
        assert gone is None
        for one in others:
            ends += one
            overtaken += one["ok"]
    return ends, overtaken


async def _insist(clinic: Clinic, slot: str) -> Counter[str]:
    return Counter([await end_of(hold(clinic, slot)) for _ in range(4)])


async def line_under_load(clinic: Clinic) -> Counter[str]:
    """Offers run out, are given up and taken, visits are cancelled and moved, the public wants them: all at once, with
    rooms that are candidates of several offers, and a rule that makes the locks exclusive."""
    rule = MaxRule(kind="max", of="practitioner", per="day", count=40)
    kinds = [await clinic.offering(), await clinic.offering(rules=[rule])]
    staff, rooms = [await clinic.resource(), await clinic.resource()], [await clinic.resource("room") for _ in range(2)]
    slots = [
        clinic.offer(kind, [who, rooms[0]], [who, rooms[1]], start=at(turn) + part * STEP / 3)
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
                wanted = wish(clinic, chance.choice(slots))
                ends[end := await end_of(take(clinic, wanted))] += 1
                mine += [wanted.booking_id] * (end == "ok")
            elif action < 0.8:
                ends[await end_of(cancel(clinic, mine.pop(chance.randrange(len(mine)))))] += 1
            else:
                ends[moved(await end_of(move(clinic, chance.choice(mine), chance.choice(slots))))] += 1

    async with meanwhile(forever(clinic), impatient(clinic)):
        await asyncio.gather(*(work(number) for number in range(10)))
    return ends


def moved(end: str) -> str:
    # Half of the times are of the other offering: that refusal comes before any lock.
    return "ok" if end == "validation-failed" else end


async def take(clinic: Clinic, wanted: Wish) -> None:
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await requested(tx, clinic, await holds.make(tx, wanted))


async def impatient(clinic: Clinic) -> None:
    """Lets offers to the line run out after a moment."""
    while True:
        await asyncio.sleep(0.02)
        async with clinic.service.database.transaction(clinic.tenant_id) as tx:
            await tx.connection.execute(text(_LET_THREE_RUN_OUT))


_LET_THREE_RUN_OUT = """
UPDATE booking SET claim_until = now() WHERE id IN (
  SELECT id FROM booking WHERE status = 'held' AND entry_id IS NOT NULL LIMIT 3 FOR UPDATE SKIP LOCKED)
"""


async def one_day(clinic: Clinic, rules: list[MaxRule], *, rounds: int) -> Counter[str]:
    """Everybody of a day cancels, there is a line, and others want the rooms that the line could fall back to."""
    rooms = [await clinic.resource("room") for _ in range(3)]
    kind, other, anna = await clinic.offering(rules=rules), await clinic.offering(), await clinic.resource()
    ends: Counter[str] = Counter()
    for turn in range(rounds):
        slots = [
            clinic.offer(kind, *([anna, rooms[(first + n) % 3]] for n in range(3)), start=at(10 * turn + first))
            for first in range(6)
        ]
        booked = [await book(clinic, slot) for slot in slots]
        await waits(clinic, kind, 6)
        near = [clinic.offer(other, rooms[::-1], start=at(10 * turn + first) + STEP / 3) for first in range(6)]
        ends += await ends_of(
            [
                *(cancel(clinic, one) for one in booked),
                *(hold(clinic, slot) for slot in near),
                *(move(clinic, booked[n], slots[(n + 3) % 6]) for n in range(2)),
            ]
        )
    return ends


async def late_money(clinic: Clinic, *, rounds: int) -> Counter[str]:
    """Two pay too late for any of two practitioners, one or both of whom are busy meanwhile: each takes what is left,
    and neither waits for the other for ever."""
    kind, rooms = await clinic.offering("full"), [await clinic.resource("room") for _ in range(2)]
    ends: Counter[str] = Counter()
    for turn in range(rounds):
        anna, piotr = await clinic.resource(), await clinic.resource()
        groups = [[anna, rooms[0]], [piotr, rooms[1]]]
        late = []
        for first in (0, 1):
            slot = clinic.offer(kind, groups[first], groups[1 - first], start=at(turn), hold_seconds=0.4, chosen=False)
            late.append(await clinic.appointment(slot))
        await asyncio.sleep(0.4)
        if turn % 3:
            await block(clinic, anna.resource_id, turn)
        if turn % 3 == 2:
            await block(clinic, piotr.resource_id, turn)
        ends += await ends_of([clinic.pay(late[0]), clinic.pay(late[1])])
    return ends


async def paid_differences(clinic: Clinic, *, rounds: int) -> Counter[str]:
    """Somebody pays for a dearer session as others move the same way and back, or cancel."""
    kind, anna = await clinic.offering("full", capacity=8), await clinic.resource()
    ends: Counter[str] = Counter()
    for turn in range(rounds):
        here, there = (clinic.offer(kind, [anna], start=at(2 * turn + n)) for n in (0, 1))
        dear = clinic.offer(kind, [anna], start=at(2 * turn + 1), amount=30000)
        booked = [await clinic.appointment(slot) for slot in (here, here, here, there, there)]
        for one in booked:
            await clinic.pay(one)
        moved = await clinic.do("PUT", booked[0], "reschedule", {"slot_id": dear})
        assert moved.status_code == 200, moved.text
        (kept,) = await clinic.stored("SELECT id FROM booking WHERE moves = :of", of=UUID(booked[0]["id"]))
        others = [UUID(one["id"]) for one in booked[1:]]
        work = [move(clinic, others[0], there), cancel(clinic, others[1]), move(clinic, others[2], here)]
        ends += await ends_of([clinic.pay({"id": str(kept["id"])}, 10000), *work, cancel(clinic, others[3])])
    return ends
