"""What race tests share: attempts whose ends are counted, and a look at the whole truth past Row Level Security."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.errors import DeadlockDetected
from sqlalchemy.exc import DBAPIError

from booking import appointments, endings, holds, moves
from booking.appointments import Request
from booking.holds import Wish
from booking.model import Booking
from booking.settings import BookingSettings
from events import Transaction, new_id
from servicekit.auth import ANONYMOUS, Principal
from servicekit.capabilities import CustomerToken
from servicekit.problems import Problem

from .conftest import NEXT_WEEK, Clinic

STEP = timedelta(minutes=30)


def at(number: int) -> datetime:
    """The number-th half hour of a day next week."""
    return NEXT_WEEK + number * STEP


def admin_url(postgres_url: str, clinic: Clinic) -> str:
    """The clinic's database through the superuser, whom no policy binds."""
    return postgres_url.rsplit("/", 1)[0] + "/" + clinic.service.settings.database_url.rsplit("/", 1)[1]


# -- what workers do: each one transaction --------------------------------------------------------------------------


async def end_of(work: Awaitable[Any]) -> str:
    """`ok`, the code of the refusal, or `deadlock`; whatever else goes wrong is raised."""
    try:
        await work
    except Problem as refused:
        return refused.code
    except DeadlockDetected:
        return "deadlock"
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != "40P01":
            raise
        return "deadlock"
    return "ok"


async def ends_of(work: Iterable[Awaitable[Any]]) -> Counter[str]:
    """How so many attempts, all at once, ended."""
    return Counter(await asyncio.gather(*(end_of(one) for one in work)))


def owner_of(clinic: Clinic) -> Principal:
    """The clinic's owner."""
    return Principal(user_id=new_id(), roles={clinic.tenant_id: "owner"})


def wish(clinic: Clinic, slot_id: str, seats: int = 1) -> Wish:
    """A stranger's wish to hold the offered time."""
    settings, signer = clinic.service.settings, clinic.service.signer("offers")
    assert isinstance(settings, BookingSettings)
    return holds.wish(
        signer, settings, tenant_id=clinic.tenant_id, slot_id=slot_id, seats=seats, asking=ANONYMOUS, origin=None
    )


async def hold(clinic: Clinic, slot_id: str, seats: int = 1) -> UUID:
    """Holds the time; the hold's id."""
    wanted = wish(clinic, slot_id, seats)
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await holds.place(tx, wanted)
    return wanted.booking_id


async def release(clinic: Clinic, hold_id: UUID) -> None:
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await holds.release(tx, hold_id, owner_of(clinic))


async def requested(tx: Transaction, clinic: Clinic, held: Booking) -> Booking:
    """The locked hold as an appointment of somebody new; confirmed where the visit is free."""
    customer = CustomerToken(0, clinic.tenant_id, new_id(), new_id(), "pl", None, True)
    asking = owner_of(clinic)
    made, _ = await appointments.request(
        tx, held, Request(customer, {}), asking=asking, most_unverified=5, sealer=clinic.service.sealer("links")
    )
    return made


async def confirm(clinic: Clinic, hold_id: UUID, after: float = 0) -> UUID:
    """Turns a hold of a free visit into an appointment, `after` seconds into the transaction."""
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await asyncio.sleep(after)
        held = await holds.locked(tx, hold_id, owner_of(clinic))
        return (await requested(tx, clinic, held)).id


async def book(clinic: Clinic, slot_id: str, seats: int = 1) -> UUID:
    """Holds and confirms in one transaction."""
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        return (await requested(tx, clinic, await holds.make(tx, wish(clinic, slot_id, seats)))).id


async def cancel(clinic: Clinic, booking_id: UUID) -> None:
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await endings.cancel(tx, booking_id, owner_of(clinic), reason=None, charge_fee=False, preview=False)


async def move(clinic: Clinic, booking_id: UUID, slot_id: str) -> None:
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await moves.reschedule(tx, clinic.service.signer("offers"), booking_id, slot_id, owner_of(clinic))


async def expire_due(clinic: Clinic) -> int:
    """The job's work in this clinic: one booking a transaction; how many were due."""
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        statement = "SELECT id FROM due_bookings(10000) WHERE tenant_id = %(tenant)s"
        due = (await tx.connection.exec_driver_sql(statement, {"tenant": clinic.tenant_id})).scalars().all()
    for booking_id in due:
        async with clinic.service.database.transaction(clinic.tenant_id) as tx:
            await endings.end_overdue(tx, booking_id)
    return len(due)


@asynccontextmanager
async def meanwhile(*work: Awaitable[Any]) -> AsyncIterator[None]:
    """Endless work beside the race; what it fails of fails the test."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for end in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(end, Exception):
                raise end


async def forever(clinic: Clinic) -> None:
    """The expiry job, without a pause to speak of."""
    while True:
        await expire_due(clinic)
        await asyncio.sleep(0.005)


# -- the truth ------------------------------------------------------------------------------------------------------

# Bookings that keep a time now. A hold that ran out keeps nothing, whether the job has said so or not.
_LIVE = """b.seated AND (b.status IN ('pending_approval', 'confirmed', 'completed', 'no_show')
  OR b.status IN ('held', 'pending_payment') AND (b.claim_until > now() OR b.entry_id IS NOT NULL))"""
_USED = f"""
SELECT b.id, b.slot_id, (e->>'id')::uuid AS resource_id,
       tstzrange((e->>'claim_start')::timestamptz, (e->>'claim_end')::timestamptz) AS during, s.capacity
FROM booking b JOIN slot s ON s.id = b.slot_id, jsonb_array_elements(b.resources) e
WHERE b.tenant_id = %(tenant)s AND {_LIVE}
"""
HARMS = {
    "two live claims overlap": """
        SELECT count(*) FROM claim a JOIN claim b ON a.resource_id = b.resource_id AND a.during && b.during
          AND (a.during, a.owner_id) < (b.during, b.owner_id)
        WHERE a.tenant_id = %(tenant)s AND a.expires_at > now() AND b.expires_at > now()""",
    "two bookings have one resource at one time": f"""
        WITH used AS ({_USED})
        SELECT count(*) FROM used a JOIN used b
          ON a.resource_id = b.resource_id AND a.during && b.during AND a.id < b.id
        WHERE a.slot_id <> b.slot_id OR a.capacity = 1""",
    "a live booking has not the claims that it says": f"""
        WITH used AS ({_USED})
        SELECT count(*) FROM used u WHERE NOT EXISTS (
          SELECT FROM claim c WHERE c.resource_id = u.resource_id AND c.during = u.during AND c.expires_at > now()
            AND c.owner_id = CASE WHEN u.capacity = 1 THEN u.id ELSE u.slot_id END)""",
    "a claim has no owner": f"""
        SELECT count(*) FROM claim c WHERE c.tenant_id = %(tenant)s AND c.expires_at > now() AND NOT EXISTS (
          SELECT FROM booking b WHERE (b.id = c.owner_id OR b.slot_id = c.owner_id) AND {_LIVE})""",
    "a slot's counter is not its seats": """
        SELECT count(*) FROM slot s WHERE s.tenant_id = %(tenant)s AND s.reserved <> (
          SELECT coalesce(sum(b.seats), 0) FROM booking b WHERE b.slot_id = s.id AND b.seated)""",
    "a slot has sold more than its seats": f"""
        SELECT count(*) FROM slot s WHERE s.tenant_id = %(tenant)s AND s.capacity < (
          SELECT coalesce(sum(b.seats), 0) FROM booking b WHERE b.slot_id = s.id AND {_LIVE})""",
    "a slot's status is not its counter's": """
        SELECT count(*) FROM slot s WHERE s.tenant_id = %(tenant)s
          AND s.status <> 'cancelled' AND (s.status = 'blocked') <> (s.reserved = s.capacity)""",
    "a booking stands on a block and nobody is told": """
        SELECT count(*) FROM booking b, clinic c WHERE b.tenant_id = %(tenant)s AND c.tenant_id = b.tenant_id
          AND b.status IN ('pending_approval', 'confirmed')
          AND EXISTS (SELECT FROM block k, jsonb_array_elements(b.resources) e
            WHERE k.tenant_id = b.tenant_id AND k.resource_id = (e->>'id')::uuid
              AND k.during && tstzrange(b.start_at - c.external_buffer, b.end_at + c.external_buffer)
              AND (k.kind = 'external_event' OR k.during && tstzrange(b.start_at, b.end_at))
              AND NOT EXISTS (SELECT FROM conflict x WHERE x.booking_id = b.id AND x.resource_id = k.resource_id))""",
    "a seat is kept in a session that was called off": """
        SELECT count(*) FROM slot s WHERE s.tenant_id = %(tenant)s AND s.status = 'cancelled' AND s.reserved > 0""",
}


class Truth:
    """Counts harm by SQL over the tables as they are, and the server's deadlocks since it began to look."""

    def __init__(self, url: str, tenant_id: UUID) -> None:
        self.connection = psycopg.connect(url, autocommit=True, options="-c search_path=booking,public")
        self.tenant_id = tenant_id
        self._deadlocks = self._counted()

    def _counted(self) -> int:
        # A backend tells what it counted when it is idle, at most a second later: the race's ends count them at once.
        row = self.connection.execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
        assert row is not None
        return int(row[0])

    def harms(self) -> dict[str, int]:
        """What is wrong now, by sentence, with how often; empty when all is well."""
        found = {name: self.count(statement) for name, statement in HARMS.items()}
        found["deadlocks"] = self._counted() - self._deadlocks
        return {name: count for name, count in found.items() if count}

    def count(self, statement: str, **parameters: Any) -> int:
        """The one number of a statement."""
        row = self.connection.execute(statement, {"tenant": self.tenant_id} | parameters).fetchone()  # type: ignore[arg-type]
        assert row is not None
        return int(row[0])

    def close(self) -> None:
        """Ends the connection."""
        self.connection.close()
