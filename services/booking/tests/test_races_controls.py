"""Controls: with one guard taken away, the same race does the harm. So the races can see it, and the guard is why not.

Each runs in a database of its own, a copy of a migrated one, and ends as soon as the harm is seen.
"""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text

from booking import endings, offers, waitlist
from booking.main import build
from booking.model import Booking
from booking.repository import slots
from booking.repository.slots import Candidate
from booking.settings import BookingSettings
from events import Transaction
from events.brokers.memory import MemoryBroker
from events.contracts.availability import MaxRule
from servicekit.capabilities import OfferedResource
from servicekit.migrate import create_roles, migrations_of, upgrade
from servicekit.testing import PASSWORD, Tokens, client_of

from . import races
from .conftest import Clinic, KnownPeople, ServiceEnvironment
from .racing import STEP, Truth, at, confirm, ends_of, hold

Change = tuple[str, str]
SECONDS = 25.0

# Slowed down, a race that the guard still wins is lost without it at once.
SLOW_CLAIMS = ("INSERT INTO claim (tenant_id", "PERFORM pg_sleep(0.002);\n          INSERT INTO claim (tenant_id")
SLOW_MOVES = ("resources := '[]';", "PERFORM pg_sleep(0.005); resources := '[]';")
SLOW_SEATS = (
    "UPDATE slot SET reserved = s.reserved",
    "PERFORM pg_sleep(0.005);\n      UPDATE slot SET reserved = s.reserved",
)
# Most losers are turned away by a look at what is committed; a race needs those whom it lets pass.
NO_LOOK = ("IF d IS NOT NULL THEN seen := array_append(seen, 'taken'); first := last + 1; CONTINUE; END IF;", "")


@dataclass
class Unguarded:
    """A clinic in a database where something is missing."""

    clinic: Clinic
    truth: Truth

    async def harm(self, race: Callable[[], Awaitable[Counter[str]]]) -> Counter[str]:
        """Runs the race until it does harm; what harm, and how often."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            ends = await race()
            found = Counter(self.truth.harms()) + Counter({"deadlock": ends["deadlock"]})
            if found:
                return found
        pytest.fail(f"no harm within {SECONDS} s: the race cannot see it")


Without = Callable[..., AbstractAsyncContextManager[Unguarded]]


@pytest.fixture(scope="module")
def template(postgres_url: str) -> str:
    """A migrated database that nobody is connected to, to copy."""
    name = f"test_guards_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = f"{postgres_url.rsplit('/', 1)[0]}/{name}"
    folder = migrations_of("booking")
    assert folder is not None
    create_roles(url, "booking", PASSWORD)
    upgrade(url, "booking", folder)
    return name


@pytest.fixture
def without(
    template: str, postgres_url: str, service_environment: ServiceEnvironment, identity: tuple[str, Tokens]
) -> Without:
    """Makes a copy without something: statements to run, and changes of the text of `take_slot`."""

    @asynccontextmanager
    async def make(*statements: str, take_slot: tuple[Change, ...] = ()) -> AsyncIterator[Unguarded]:
        name = f"{template}_{uuid.uuid4().hex[:6]}"
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            copy = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
            connection.execute(copy.format(sql.Identifier(name), sql.Identifier(template)))
        admin = f"{postgres_url.rsplit('/', 1)[0]}/{name}"
        with psycopg.connect(admin, autocommit=True, options="-c search_path=booking,public") as connection:
            for statement in statements:
                connection.execute(statement.encode())
            if take_slot:
                connection.execute(_changed(connection, "take_slot", take_slot).encode())
        login = f"postgresql://booking_app:{PASSWORD}@{admin.split('@', 1)[1]}"
        environment = service_environment("booking", pool_size=20, identity_url=identity[0]) | {"database_url": login}
        service = build(BookingSettings(**environment))
        service.people = KnownPeople()  # type: ignore[assignment]
        service.broker = MemoryBroker()
        async with client_of(service) as client:
            clinic = await Clinic(service, client, identity[1]).open()
            truth = Truth(admin, clinic.tenant_id)
            yield Unguarded(clinic, truth)
            truth.close()
        await service.close()

    return make


def _changed(connection: psycopg.Connection[Any], function: str, changes: tuple[Change, ...]) -> str:
    row = connection.execute("SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = %s", [function]).fetchone()
    assert row is not None
    source: str = row[0]
    for guard, instead in changes:
        assert guard in source, f"{function} has no such guard any more: {guard}"
        source = source.replace(guard, instead)
    return source


async def test_without_the_key_that_forbids_overlaps_times_are_sold_twice(without: Without) -> None:
    async with without(
        "ALTER TABLE claim DROP CONSTRAINT claim_never_twice",
        "ALTER TABLE claim ADD PRIMARY KEY (resource_id, during, owner_id)",
    ) as there:
        used = [await there.clinic.resource()]
        kinds = [await there.clinic.offering() for _ in range(3)]
        times = iter(range(10_000))

        async def race() -> Counter[str]:
            start = at(next(times))
            slots_ = [there.clinic.offer(kind, used, start=start + n * STEP / 6) for n, kind in enumerate(kinds)]
            return await ends_of(hold(there.clinic, slot) for slot in slots_ * 4)

        harm = await there.harm(race)
        assert {"two live claims overlap", "two bookings have one resource at one time"} <= set(harm)


async def test_with_claims_in_any_order_two_deadlock(without: Without, monkeypatch: pytest.MonkeyPatch) -> None:
    def as_it_comes(group: list[OfferedResource]) -> Candidate:
        made = in_order(group)
        claims = {claim.id: claim for claim in made.claims}
        return Candidate(
            made.provider_id, [claims[one.resource_id] for one in group], made.schedules, made.needs_approval
        )

    async def race(there: Unguarded) -> Counter[str]:
        staff = [await there.clinic.resource() for _ in range(2)]
        rooms = [await there.clinic.resource("room") for _ in range(3)]
        kind = await there.clinic.offering()
        orders = zip(staff, (rooms, rooms[::-1]), strict=True)
        slots_ = [there.clinic.offer(kind, [who, *order]) for who, order in orders]
        return await races.crowd(there.clinic, slots_, workers=8, turns=5)

    in_order = offers.candidate
    async with without(take_slot=(SLOW_CLAIMS, NO_LOOK)) as there:
        assert "deadlock" not in await race(there)
    monkeypatch.setattr(offers, "candidate", as_it_comes)
    unsorted = ("IF j > first AND p_resources[j - 1] >= p_resources[j] THEN", "IF false THEN")
    async with without(take_slot=(SLOW_CLAIMS, NO_LOOK, unsorted)) as there:
        assert (await there.harm(lambda: race(there)))["deadlock"]


async def test_without_their_locks_alone_crossing_moves_deadlock(without: Without) -> None:
    alone = ("PERFORM pg_advisory_xact_lock(hashtextextended", "PERFORM pg_advisory_xact_lock_shared(hashtextextended")

    async def race(there: Unguarded) -> Counter[str]:
        return (await races.crossing_moves(there.clinic, turns=5))[0]

    async with without(take_slot=(SLOW_MOVES, NO_LOOK)) as there:
        assert "deadlock" not in await race(there)
    async with without(take_slot=(SLOW_MOVES, NO_LOOK, alone)) as there:
        assert (await there.harm(lambda: race(there)))["deadlock"]


async def test_without_advisory_locks_a_block_and_a_visit_overlook_each_other(without: Without) -> None:
    shared = ("PERFORM pg_advisory_xact_lock_shared(hashtextextended(r::text, 0))", "NULL")
    alone = ("PERFORM pg_advisory_xact_lock(hashtextextended(r::text, 0))", "NULL")
    async with without(take_slot=(shared, alone)) as there:
        harm = await there.harm(lambda: races.blocks_against_holds(there.clinic, rounds=15))
        assert harm["a booking stands on a block and nobody is told"]


async def test_a_confirmation_without_locks_and_a_block_overlook_each_other(
    without: Without, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_locks(tx: Transaction, booking: Booking) -> None:
        return None

    monkeypatch.setattr(slots, "share_locks", no_locks)
    async with without() as there:
        harm = await there.harm(lambda: races.blocks_against_holds(there.clinic, rounds=15))
        assert harm["a booking stands on a block and nobody is told"]


async def test_seats_without_the_lock_of_their_slot_are_oversold(without: Without) -> None:
    times = iter(range(10_000))

    async def race(there: Unguarded) -> Counter[str]:
        kind, used = await there.clinic.offering(capacity=7), [await there.clinic.resource()]
        slot = there.clinic.offer(kind, used, start=at(next(times)))
        await hold(there.clinic, slot)
        return await ends_of(hold(there.clinic, slot, 2) for _ in range(6))

    async with without(take_slot=(SLOW_SEATS,)) as there:
        assert await race(there) == {"ok": 3, "slot-taken": 3}
        assert there.truth.harms() == {}
    locked = ("AND f.place_id = place FOR NO KEY UPDATE;", "AND f.place_id = place;")
    async with without(take_slot=(SLOW_SEATS, locked)) as there:
        harm = await there.harm(lambda: race(there))
        assert harm["a slot's counter is not its seats"]
        assert harm["a slot has sold more than its seats"]


async def test_a_confirmation_that_does_not_look_at_its_claims_sells_twice(
    without: Without, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = slots.keep_claims

    async def trusting(*given: Any) -> bool:
        await keep(*given)
        return True

    monkeypatch.setattr(slots, "keep_claims", trusting)
    async with without() as there:
        used, kinds = [await there.clinic.resource()], [await there.clinic.offering() for _ in range(2)]
        times = iter(range(10_000))

        async def race() -> Counter[str]:
            """It begins in time, and is overtaken by the end of its hold and by somebody else."""
            start = at(next(times))
            first = await hold(there.clinic, there.clinic.offer(kinds[0], used, start=start, hold_seconds=0.2))

            async def overtake() -> None:
                await asyncio.sleep(0.25)
                await confirm(there.clinic, await hold(there.clinic, there.clinic.offer(kinds[1], used, start=start)))

            return await ends_of([confirm(there.clinic, first, after=0.4), overtake()])

        harm = await there.harm(race)
        assert harm["two bookings have one resource at one time"]


async def test_a_time_that_is_handed_over_later_is_overtaken(without: Without, monkeypatch: pytest.MonkeyPatch) -> None:
    hand_over = waitlist.hand_over
    later: list[asyncio.Task[None]] = []

    async def in_another_transaction(there: Unguarded, gone: Booking, line: Any, locked: Any) -> None:
        await asyncio.sleep(0.05)
        async with there.clinic.service.database.transaction(gone.tenant_id) as tx:
            await hand_over(tx, gone, line, locked)

    async with without() as there:

        async def postponed(tx: Transaction, gone: Booking, line: Any, locked: Any = None) -> None:
            later.append(asyncio.ensure_future(in_another_transaction(there, gone, line, locked)))

        monkeypatch.setattr(waitlist, "hand_over", postponed)
        deadline, overtaken = time.monotonic() + SECONDS, 0
        while not overtaken and time.monotonic() < deadline:
            _, overtaken = await races.line_against_public(there.clinic, rounds=4)
        await asyncio.gather(*later)
        assert overtaken


async def test_with_shared_locks_cancellations_of_one_day_deadlock(
    without: Without, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def shared(tx: Transaction, resources: Any) -> None:
        await tx.connection.execute(slots._SHARE, {"resources": slots._in_order(resources)})

    monkeypatch.setattr(slots, "lock_alone", shared)
    rule = MaxRule(kind="max", of="practitioner", per="day", count=40)
    async with without() as there:
        harm = await there.harm(lambda: races.one_day(there.clinic, [rule], rounds=2))
        assert harm["deadlock"]


async def test_late_money_that_locks_one_slot_after_the_other_deadlocks(
    without: Without, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_locks(*_: Any) -> None:
        return None

    monkeypatch.setattr(slots, "lock_all", no_locks)
    async with without() as there:
        harm = await there.harm(lambda: races.late_money(there.clinic, rounds=3))
        assert harm["deadlock"]


async def test_a_paid_difference_that_locks_one_slot_after_the_other_deadlocks(
    without: Without, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_locks(*_: Any) -> None:
        return None

    monkeypatch.setattr(slots, "lock_these", no_locks)
    async with without() as there:
        harm = await there.harm(lambda: races.paid_differences(there.clinic, rounds=2))
        assert harm["deadlock"]


async def test_a_session_that_is_called_off_without_its_lock_keeps_seats(
    without: Without, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlocked = text(slots._SESSIONS.text.replace(" FOR NO KEY UPDATE", ""))
    assert unlocked.text != slots._SESSIONS.text
    monkeypatch.setattr(slots, "_SESSIONS", unlocked)
    async with without() as there:
        harm = await there.harm(lambda: races.called_off(there.clinic, rounds=5))
        assert harm["a seat is kept in a session that was called off"]


async def test_jobs_that_end_many_bookings_in_one_transaction_deadlock(without: Without) -> None:
    """Why the expiry job ends one booking a transaction."""
    async with without() as there:
        kind = await there.clinic.offering()
        staff = [await there.clinic.resource() for _ in range(6)]
        times = iter(range(10_000))

        async def end_many(hold_ids: list[UUID]) -> None:
            async with there.clinic.service.database.transaction(there.clinic.tenant_id) as tx:
                for hold_id in hold_ids:
                    await endings.end_overdue(tx, hold_id)
                    await asyncio.sleep(0.002)

        async def race() -> Counter[str]:
            start = at(next(times))
            wanted = [there.clinic.offer(kind, [who], start=start, hold_seconds=0.1) for who in staff]
            held = [await hold(there.clinic, slot) for slot in wanted]
            await asyncio.sleep(0.1)
            return await ends_of([end_many(held), end_many(held[::-1])])

        assert (await there.harm(race))["deadlock"]
