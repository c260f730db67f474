"""The waitlist: what comes free goes to the first in line in the transaction that frees it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from booking import endings, handlers, jobs
from booking.repository import bookings
from events import new_id
from events.contracts.availability import OfferingState, ResourceState, WaitlistMatched
from events.contracts.calendar import Busy

from .conftest import NEXT_WEEK, Clinic, bearer, code

HOUR = timedelta(hours=1)
OFFERED = "booking.waitlist_offered.v1"


async def ask(
    clinic: Clinic,
    kind: OfferingState,
    start: datetime = NEXT_WEEK - HOUR,
    end: datetime = NEXT_WEEK + HOUR,
    *,
    who: dict[str, str] | None = None,
    **more: Any,
) -> httpx.Response:
    body = {"offering_id": str(kind.offering_id), "from": start.isoformat(), "to": end.isoformat()}
    body |= {"customer_token": clinic.customer()}
    return await clinic.client.post(f"{clinic.base}/waitlist", json=body | more, headers=who)


async def join(clinic: Clinic, kind: OfferingState, *window: datetime, **more: Any) -> dict[str, Any]:
    answer = await ask(clinic, kind, *window, **more)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def status(clinic: Clinic, entry: dict[str, Any]) -> str:
    return str((await clinic.get(entry, "waitlist"))["status"])


async def offered(clinic: Clinic, entry: dict[str, Any]) -> dict[str, Any]:
    """The hold that the entry was offered, with the token that its message carries."""
    seen = await clinic.get(entry, "waitlist")
    assert seen["status"] == "offered", seen
    said = [event for event in await clinic.said(OFFERED) if event["entry_id"] == entry["id"]]
    assert [event["booking_id"] for event in said] == [seen["hold_id"]]
    token = clinic.service.sealer("links").open(said[0]["manage"], seen["hold_id"])
    return {"id": seen["hold_id"], "manage_token": token}


async def leave(clinic: Clinic, entry: dict[str, Any]) -> httpx.Response:
    return await clinic.client.delete(f"{clinic.base}/waitlist/{entry['id']}", headers=bearer(entry))


async def run_out(clinic: Clinic, hold: dict[str, Any]) -> None:
    """Its time is over, and the job has not seen it."""
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await tx.connection.exec_driver_sql(
            "UPDATE booking SET claim_until = now(), expires_at = now() WHERE id = %s", (UUID(hold["id"]),)
        )


# -- what comes free ------------------------------------------------------------------------------------------------


class Freed:
    """The ways in which a time comes free. Each makes a booking of anna's time, and returns what frees it."""

    def __init__(self, clinic: Clinic, mode: str = "free", *, approval: bool = False) -> None:
        self.clinic, self.mode, self.approval = clinic, mode, approval

    async def prepare(self) -> None:
        self.kind = await self.clinic.offering(self.mode)
        self.anna = await self.clinic.resource(approval=self.approval)
        self.slot = self.clinic.offer(self.kind, [self.anna])

    async def cancelled(self) -> str:
        booking = await self.clinic.appointment(self.slot)
        self.free = lambda: self.clinic.do("PUT", booking, "cancel")
        return str(booking["id"])

    async def released(self) -> str:
        hold = (await self.clinic.hold(self.slot)).json()
        url = f"{self.clinic.base}/holds/{hold['id']}"
        self.free = lambda: self.clinic.client.delete(url, headers=bearer(hold))
        return str(hold["id"])

    async def expired(self) -> str:
        hold = (await self.clinic.hold(self.slot)).json()
        self.free = lambda: self.clinic.end(hold)
        return str(hold["id"])

    async def unpaid(self) -> str:
        self.mode = "full"
        await self.prepare()
        booking = await self.clinic.appointment(self.slot)
        self.free = lambda: self.clinic.end(booking)
        return str(booking["id"])

    async def rejected(self) -> str:
        self.approval = True
        await self.prepare()
        booking = await self.clinic.appointment(self.slot)
        self.free = lambda: self.clinic.do("POST", booking, "reject", who=self.clinic.staff())
        return str(booking["id"])

    async def undecided(self) -> str:
        self.approval = True
        await self.prepare()
        booking = await self.clinic.appointment(self.slot)
        self.free = lambda: self.clinic.end(booking)
        return str(booking["id"])

    async def moved(self) -> str:
        booking = await self.clinic.appointment(self.slot)
        later = self.clinic.offer(self.kind, [self.anna], start=NEXT_WEEK + 5 * HOUR)
        self.free = lambda: self.clinic.do("PUT", booking, "reschedule", {"slot_id": later})
        return str(booking["id"])

    async def unfulfillable(self) -> str:
        """Paid for, but its room has become busy; another one is free."""
        self.kind = await self.clinic.offering("full")
        first, second = await self.clinic.resource("room"), await self.clinic.resource("room")
        self.slot = self.clinic.offer(self.kind, [self.anna, first], [self.anna, second])
        booking = await self.clinic.appointment(self.slot)
        await self.clinic.tell(handlers.block_time, busy(self.clinic, first))
        self.free = lambda: self.clinic.pay(booking)
        return str(booking["id"])


def busy(clinic: Clinic, resource: ResourceState) -> Busy:
    return Busy(
        tenant_id=clinic.tenant_id, version=1, connection_id=new_id(), resource_id=resource.resource_id,
        external_key="x", generation=1, start=NEXT_WEEK, end=NEXT_WEEK + HOUR,
    )  # fmt: skip


WAYS: dict[str, Callable[[Freed], Awaitable[str]]] = {
    name: getattr(Freed, name)
    for name in ("cancelled", "released", "expired", "unpaid", "rejected", "undecided", "moved", "unfulfillable")
}


@pytest.mark.parametrize("way", WAYS)
async def test_the_first_in_line_gets_what_comes_free_in_the_same_transaction(clinic: Clinic, way: str) -> None:
    freed = Freed(clinic)
    await freed.prepare()
    gone = await WAYS[way](freed)
    first, second = await join(clinic, freed.kind), await join(clinic, freed.kind)
    assert await status(clinic, first) == "waiting"
    await freed.free()
    hold = await offered(clinic, first)
    assert await status(clinic, second) == "waiting"
    query = "SELECT count(DISTINCT xmin::text) AS n FROM booking WHERE id IN (:gone, :hold)"
    assert await clinic.stored(query, gone=UUID(gone), hold=UUID(hold["id"])) == [{"n": 1}]
    assert code(await clinic.hold(freed.slot)) == (409, "slot-taken")
    assert (await clinic.get(hold, "holds"))["status"] == "held"
    assert (await clinic.request(hold)).status_code == 201
    assert await status(clinic, first) == "taken"


async def test_nobody_in_line_leaves_the_time_to_the_public(clinic: Clinic) -> None:
    freed = Freed(clinic)
    await freed.prepare()
    await freed.cancelled()
    await freed.free()
    assert (await clinic.hold(freed.slot)).status_code == 201


async def test_a_time_that_has_begun_is_offered_to_nobody(clinic: Clinic) -> None:
    freed = Freed(clinic)
    await freed.prepare()
    gone = await freed.cancelled()
    entry = await join(clinic, freed.kind, NEXT_WEEK - 300 * HOUR)
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await tx.connection.exec_driver_sql("UPDATE booking SET start_at = now() WHERE id = %s", (UUID(gone),))
    await freed.free()
    assert await status(clinic, entry) == "waiting"


async def test_a_time_nearer_than_the_notice_is_offered_to_nobody(clinic: Clinic) -> None:
    soon = datetime.now(UTC).replace(second=0, microsecond=0) + HOUR
    kind, anna = await clinic.offering(), await clinic.resource()
    booking = await clinic.appointment(clinic.offer(kind, [anna], start=soon))
    await clinic.offers_now(kind, min_notice_minutes=120)
    entry = await join(clinic, kind, soon, soon + 5 * HOUR)
    assert (await clinic.do("PUT", booking, "cancel")).status_code == 200
    assert await status(clinic, entry) == "waiting"


async def test_what_is_no_longer_offered_goes_to_nobody(clinic: Clinic) -> None:
    freed = Freed(clinic)
    await freed.prepare()
    await freed.cancelled()
    entry = await join(clinic, freed.kind)
    await clinic.offers_now(freed.kind, active=False)
    await freed.free()
    assert await status(clinic, entry) == "waiting"


# -- the offer ------------------------------------------------------------------------------------------------------


async def test_the_offer_says_until_when_and_its_token_opens_the_hold(clinic: Clinic) -> None:
    await clinic.open(version=2, waitlist_offer_minutes=45)
    freed = Freed(clinic)
    await freed.prepare()
    await freed.cancelled()
    person = new_id()
    entry = await join(clinic, freed.kind, customer_token=clinic.customer(person))
    before = datetime.now(UTC)
    await freed.free()
    (said,), hold = await clinic.said(OFFERED), await offered(clinic, entry)
    until = datetime.fromisoformat(said["offer_until"])
    assert timedelta(0) <= until - before - timedelta(minutes=45) < timedelta(seconds=20)
    assert (said["person_id"], said["locale"], said["visit"]["seats"]) == (str(person), "pl", 1)
    assert hold["manage_token"] not in str(await clinic.outbox())
    seen = await clinic.get(entry, "waitlist")
    assert seen["offer_until"] == said["offer_until"]
    assert (await clinic.get(hold, "holds"))["expires_at"] == said["offer_until"]


async def test_an_offer_ends_at_the_start_at_the_latest(clinic: Clinic) -> None:
    soon = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=10)
    kind, anna = await clinic.offering(), await clinic.resource()
    booking = await clinic.appointment(clinic.offer(kind, [anna], start=soon))
    entry = await join(clinic, kind, soon, soon + 5 * HOUR)
    await clinic.do("PUT", booking, "cancel")
    until = datetime.fromisoformat((await clinic.get(entry, "waitlist"))["offer_until"])
    assert timedelta(0) <= soon - until < timedelta(seconds=5)


async def test_the_public_overtakes_nobody_when_an_offer_runs_out(clinic: Clinic) -> None:
    freed = Freed(clinic)
    await freed.prepare()
    await freed.cancelled()
    first, second = await join(clinic, freed.kind), await join(clinic, freed.kind)
    await freed.free()
    hold = await offered(clinic, first)
    await run_out(clinic, hold)
    assert code(await clinic.hold(freed.slot)) == (409, "slot-taken")
    assert code(await clinic.request(hold)) == (410, "hold-expired")
    await jobs.end_overdue_bookings(clinic.service)
    assert await status(clinic, first) == "passed"
    assert code(await clinic.hold(freed.slot)) == (409, "slot-taken")
    assert (await clinic.request(await offered(clinic, second))).status_code == 201


@pytest.mark.parametrize("how", ["runs out", "released", "left"])
async def test_what_is_not_taken_goes_down_the_line_and_then_to_the_public(clinic: Clinic, how: str) -> None:
    freed = Freed(clinic)
    await freed.prepare()
    await freed.cancelled()
    line = [await join(clinic, freed.kind) for _ in range(3)]
    await freed.free()
    for number, entry in enumerate(line):
        hold = await offered(clinic, entry)
        assert [await status(clinic, other) for other in line[number + 1 :]] == ["waiting"] * (2 - number)
        if how == "runs out":
            await clinic.end(hold)
        elif how == "released":
            await clinic.client.delete(f"{clinic.base}/holds/{hold['id']}", headers=bearer(hold))
        else:
            assert (await leave(clinic, entry)).status_code == 204
        assert await status(clinic, entry) == "passed"
    assert (await clinic.hold(freed.slot)).status_code == 201


async def test_who_takes_the_offer_and_does_not_pay_is_passed_over(clinic: Clinic) -> None:
    freed = Freed(clinic, "full")
    await freed.prepare()
    await freed.cancelled()
    first, second = await join(clinic, freed.kind), await join(clinic, freed.kind)
    await freed.free()
    booking = (await clinic.request(await offered(clinic, first))).json()
    assert (booking["status"], await status(clinic, first)) == ("pending_payment", "taken")
    await run_out(clinic, booking)
    assert code(await clinic.hold(freed.slot)) == (409, "slot-taken")
    await clinic.end(booking)
    assert await status(clinic, first) == "passed"
    await offered(clinic, second)
    await clinic.pay(booking)  # too late: the next in line has it
    assert (await clinic.get(booking))["status"] == "unfulfillable"
    await offered(clinic, second)


async def test_who_took_the_offer_and_calls_off_later_has_had_their_turn(clinic: Clinic) -> None:
    freed = Freed(clinic)
    await freed.prepare()
    await freed.cancelled()
    first, second = await join(clinic, freed.kind), await join(clinic, freed.kind)
    await freed.free()
    booking = (await clinic.request(await offered(clinic, first))).json()
    await clinic.do("PUT", booking, "cancel")
    assert await status(clinic, first) == "taken"
    await offered(clinic, second)


async def test_the_price_is_todays(clinic: Clinic) -> None:
    freed = Freed(clinic, "full")
    await freed.prepare()
    await freed.cancelled()
    entry = await join(clinic, freed.kind)
    price = freed.kind.price.model_copy(update={"amount": 25000})
    await clinic.offers_now(freed.kind, price=price)
    await freed.free()
    hold = await offered(clinic, entry)
    assert (await clinic.get(hold, "holds"))["slot"]["price"]["amount"] == 25000
    assert (await clinic.request(hold)).json()["payment"]["amount_due"] == 25000


async def test_a_newer_schedule_does_not_matter_while_its_hours_fit(clinic: Clinic) -> None:
    freed = Freed(clinic)
    await freed.prepare()
    await freed.cancelled()
    entry = await join(clinic, freed.kind)
    await clinic.has_now(freed.anna, schedule_version=2)
    await freed.free()
    assert (await clinic.request(await offered(clinic, entry))).status_code == 201


@pytest.mark.parametrize("change", [{"schedule": {"time_zone": "UTC", "weekly": {}}}, {"active": False}])
async def test_what_nobody_works_at_any_more_is_offered_to_nobody(clinic: Clinic, change: dict[str, Any]) -> None:
    freed = Freed(clinic)
    await freed.prepare()
    await freed.cancelled()
    entry = await join(clinic, freed.kind)
    await clinic.has_now(freed.anna, schedule_version=2, **change)
    await freed.free()
    assert await status(clinic, entry) == "waiting"


# -- whose turn it is -----------------------------------------------------------------------------------------------


async def test_the_wish_for_a_practitioner_and_the_window_are_kept(clinic: Clinic) -> None:
    freed = Freed(clinic)
    await freed.prepare()
    await freed.cancelled()
    visit, end = NEXT_WEEK, NEXT_WEEK + timedelta(minutes=30)
    minute = timedelta(minutes=1)
    other = await clinic.resource()
    skipped = [
        await join(clinic, freed.kind, provider_id=str(other.resource_id)),
        await join(clinic, freed.kind, visit - HOUR, end - minute),
        await join(clinic, freed.kind, visit + minute, end + HOUR),
        await join(clinic, await clinic.offering()),
    ]
    fits = await join(clinic, freed.kind, visit, end, provider_id=str(freed.anna.resource_id))
    await freed.free()
    await offered(clinic, fits)
    assert [await status(clinic, entry) for entry in skipped] == ["waiting"] * 4


async def test_who_gives_a_time_back_does_not_get_it_again(clinic: Clinic) -> None:
    kind, anna, person = await clinic.offering(), await clinic.resource(), new_id()
    booking = await clinic.appointment(clinic.offer(kind, [anna]), customer_token=clinic.customer(person))
    own = await join(clinic, kind, customer_token=clinic.customer(person))
    other = await join(clinic, kind)
    await clinic.do("PUT", booking, "cancel")
    assert await status(clinic, own) == "waiting"
    await offered(clinic, other)


async def test_what_is_for_members_passes_guests_by(clinic: Clinic) -> None:
    kind, anna, member = await clinic.offering(), await clinic.resource(), new_id()
    booking = await clinic.appointment(clinic.offer(kind, [anna]))
    guest = await join(clinic, kind)
    owner = await join(clinic, kind, customer_token=clinic.customer(user=member, verified=True))
    await clinic.offers_now(kind, members_only=True)
    await clinic.do("PUT", booking, "cancel")
    assert await status(clinic, guest) == "waiting"
    await offered(clinic, owner)


async def test_several_in_line_share_the_seats_that_come_free(clinic: Clinic) -> None:
    yoga, maria = await clinic.offering(capacity=4), await clinic.resource()
    slot = clinic.offer(yoga, [maria])
    three = await clinic.appointment(slot, seats=3)
    await clinic.appointment(slot)
    line = [await join(clinic, yoga, seats=seats) for seats in (2, 2, 1, 1)]
    await clinic.do("PUT", three, "cancel")
    assert [await status(clinic, entry) for entry in line] == ["offered", "waiting", "offered", "waiting"]
    assert code(await clinic.hold(slot)) == (409, "slot-taken")
    # Both seats of the first come back: the next who wants two gets them.
    await clinic.end(await offered(clinic, line[0]))
    assert [await status(clinic, entry) for entry in line] == ["passed", "offered", "offered", "waiting"]


async def test_the_public_overtakes_nobody_in_a_class_when_an_offer_runs_out(clinic: Clinic) -> None:
    yoga, maria = await clinic.offering(capacity=2), await clinic.resource()
    slot = clinic.offer(yoga, [maria])
    one = await clinic.appointment(slot)
    await clinic.appointment(slot)
    first, second = await join(clinic, yoga), await join(clinic, yoga)
    await clinic.do("PUT", one, "cancel")
    hold = await offered(clinic, first)
    await run_out(clinic, hold)
    assert code(await clinic.hold(slot)) == (409, "slot-taken")
    await clinic.end(hold)
    assert (await clinic.request(await offered(clinic, second))).status_code == 201
    assert code(await clinic.hold(slot)) == (409, "slot-taken")


async def test_a_class_that_everybody_left_is_offered_as_a_whole_again(clinic: Clinic) -> None:
    yoga, maria = await clinic.offering(capacity=2), await clinic.resource()
    slot = clinic.offer(yoga, [maria])
    both = await clinic.appointment(slot, seats=2)
    entry = await join(clinic, yoga)
    await clinic.do("PUT", both, "cancel")
    await offered(clinic, entry)
    assert (await clinic.hold(slot)).status_code == 201
    assert code(await clinic.hold(slot)) == (409, "slot-taken")


async def test_what_needs_no_practitioner_goes_down_the_line_too(clinic: Clinic) -> None:
    kind, room = await clinic.offering(), await clinic.resource("room", schedule=None)
    booking = await clinic.appointment(clinic.offer(kind, [room]))
    wishes = await join(clinic, kind, provider_id=str((await clinic.resource()).resource_id))
    entry = await join(clinic, kind)
    await clinic.do("PUT", booking, "cancel")
    hold = await offered(clinic, entry)
    assert await status(clinic, wishes) == "waiting"
    assert code(await clinic.hold(clinic.offer(kind, [room]))) == (409, "slot-taken")
    assert (await clinic.request(hold)).status_code == 201


async def test_who_leaves_while_a_time_is_offered_to_them_gives_it_up(clinic: Clinic) -> None:
    freed = Freed(clinic)
    await freed.prepare()
    gone = await freed.cancelled()
    first, second = await join(clinic, freed.kind), await join(clinic, freed.kind)
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        booking = await bookings.lock(tx, UUID(gone))
        assert booking is not None
        await endings.call_off(tx, booking, by_staff=True, by="staff", fee=0, reason=None)
        leaving = asyncio.create_task(leave(clinic, first))
        await asyncio.sleep(0.3)
        assert not leaving.done()
    assert (await leaving).status_code == 204
    assert await status(clinic, first) == "passed"
    await offered(clinic, second)


# -- what availability finds ----------------------------------------------------------------------------------------


def found(clinic: Clinic, entry: dict[str, Any], slot_id: str, version: int = 1) -> WaitlistMatched:
    return WaitlistMatched(
        tenant_id=clinic.tenant_id, version=version, entry_id=UUID(entry["id"]), slot_id=slot_id, start=NEXT_WEEK
    )


async def test_a_time_that_availability_found_is_held_for_who_waits(clinic: Clinic) -> None:
    kind, anna = await clinic.offering(), await clinic.resource()
    slot, entry = clinic.offer(kind, [anna]), await join(clinic, kind)
    await clinic.tell(handlers.hold_for_waiting, found(clinic, entry, slot))
    hold = await offered(clinic, entry)
    await clinic.tell(handlers.hold_for_waiting, found(clinic, entry, slot, 2))
    assert len(await clinic.said(OFFERED)) == 1
    assert code(await clinic.hold(slot)) == (409, "slot-taken")
    assert (await clinic.request(hold)).status_code == 201


async def test_a_found_time_that_somebody_took_meanwhile_leaves_the_entry_waiting(clinic: Clinic) -> None:
    kind, anna = await clinic.offering(), await clinic.resource()
    slot, entry = clinic.offer(kind, [anna]), await join(clinic, kind)
    assert (await clinic.hold(slot)).status_code == 201
    await clinic.tell(handlers.hold_for_waiting, found(clinic, entry, slot))
    assert await status(clinic, entry) == "waiting"
    later = clinic.offer(kind, [anna], start=NEXT_WEEK + timedelta(minutes=30))
    await clinic.tell(handlers.hold_for_waiting, found(clinic, entry, later, 2))
    await offered(clinic, entry)


async def test_a_time_found_for_who_waits_no_more_stays_free(clinic: Clinic) -> None:
    kind, anna = await clinic.offering(), await clinic.resource()
    slot, entry = clinic.offer(kind, [anna]), await join(clinic, kind)
    assert (await leave(clinic, entry)).status_code == 204
    await clinic.tell(handlers.hold_for_waiting, found(clinic, entry, slot))
    await clinic.tell(handlers.hold_for_waiting, found(clinic, {"id": str(new_id())}, slot))
    assert (await clinic.hold(slot)).status_code == 201


# -- joining, seeing, leaving ---------------------------------------------------------------------------------------


async def test_availability_is_told_who_waits_and_when_they_wait_no_more(clinic: Clinic) -> None:
    kind = await clinic.offering()
    one, other = await join(clinic, kind, seats=1), await join(clinic, kind)
    rows = {record["key"]: record for record in await clinic.records()}
    row = rows[f"waitlist:{one['id']}"]["payload"]
    assert (row["entry_id"], row["offering_id"], row["seats"]) == (one["id"], str(kind.offering_id), 1)
    assert (row["start"], row["end"]) == (one["from"], one["to"])
    assert len(await clinic.said("booking.waitlist_joined.v1")) == 2
    await leave(clinic, one)
    slot = clinic.offer(kind, [await clinic.resource()])
    await clinic.tell(handlers.hold_for_waiting, found(clinic, other, slot))
    rows = {record["key"]: record for record in await clinic.records()}
    assert [rows[f"waitlist:{entry['id']}"]["payload"] for entry in (one, other)] == [None, None]


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("to", {"to": (NEXT_WEEK - 2 * HOUR).isoformat()}),
        ("to", {"to": (NEXT_WEEK - HOUR + timedelta(minutes=29)).isoformat()}),
        ("to", {"to": (NEXT_WEEK + timedelta(days=366)).isoformat()}),
        ("to", {"from": "2020-01-01T10:00:00Z", "to": "2020-01-01T12:00:00Z"}),
        ("seats", {"seats": 2}),
        ("seats", {"seats": 0}),
        ("from", {"from": "2030-01-01T10:00:00"}),
        ("provider_id", {"provider_id": str(new_id())}),
        ("customer", {"customer_token": "nonsense"}),
    ],
)
async def test_a_window_in_which_no_visit_could_lie_is_refused_by_its_field(
    clinic: Clinic, field: str, change: dict[str, Any]
) -> None:
    answer = await ask(clinic, await clinic.offering(), **change)
    assert code(answer) == (422, "validation-failed")
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not await clinic.stored("SELECT 1 FROM waitlist")


async def test_only_practitioners_are_wished_for_and_only_what_is_offered(clinic: Clinic) -> None:
    kind, room, anna = await clinic.offering(), await clinic.resource("room"), await clinic.resource()
    await clinic.has_now(anna, active=False)
    for resource in (room, anna):
        answer = await ask(clinic, kind, provider_id=str(resource.resource_id))
        assert answer.json()["errors"][0]["field"] == "provider_id"
    await clinic.offers_now(kind, active=False)
    assert (await ask(clinic, kind)).json()["errors"][0]["field"] == "offering_id"


async def test_an_unverified_address_waits_for_five_times_at_most(clinic: Clinic) -> None:
    kind, person = await clinic.offering(), new_id()
    for _ in range(5):
        await join(clinic, kind, customer_token=clinic.customer(person))
    assert code(await ask(clinic, kind, customer_token=clinic.customer(person))) == (429, "rate-limited")
    await join(clinic, kind, customer_token=clinic.customer(person), who=clinic.staff())
    await join(clinic, kind, customer_token=clinic.customer(person, verified=True))


async def test_a_place_in_line_is_for_staff_its_owner_and_the_bearer_of_its_token(clinic: Clinic) -> None:
    owner = new_id()
    entry = await join(clinic, await clinic.offering(), customer_token=clinic.customer(user=owner, verified=True))
    url = f"{clinic.base}/waitlist/{entry['id']}"
    for who in (clinic.staff("auditor"), clinic.user(owner), bearer(entry)):
        seen = await clinic.client.get(url, headers=who)
        assert (seen.status_code, "manage_token" in seen.json()) == (200, False)
    for who in ({}, clinic.user(), {"Authorization": "Bearer nonsense"}):
        assert code(await clinic.client.get(url, headers=who)) == (404, "not-found")
        assert code(await clinic.client.delete(url, headers=who)) == (404, "not-found")
    for _ in range(2):
        assert (await leave(clinic, entry)).status_code == 204
    assert await status(clinic, entry) == "passed"


async def test_staff_see_the_line_in_its_order(clinic: Clinic) -> None:
    kind, other = await clinic.offering(), await clinic.offering()
    line = [await join(clinic, kind) for _ in range(3)]
    elsewhere = await join(clinic, other)
    await leave(clinic, line[1])
    url = f"{clinic.base}/waitlist"

    async def listed(**query: Any) -> list[str]:
        answer = await clinic.client.get(url, params=query, headers=clinic.staff("practitioner"))
        assert answer.status_code == 200, answer.text
        return [entry["id"] for entry in answer.json()["data"]]

    everyone = [entry["id"] for entry in (*line, elsewhere)]
    assert await listed() == everyone
    assert await listed(offering=str(kind.offering_id)) == everyone[:3]
    assert await listed(status="waiting") == [everyone[0], everyone[2], everyone[3]]
    page = (await clinic.client.get(url, params={"limit": 3}, headers=clinic.staff())).json()
    assert await listed(limit=3, cursor=page["next_cursor"]) == everyone[3:]
    assert code(await clinic.client.get(url)) == (401, "unauthenticated")
    assert code(await clinic.client.get(url, headers=clinic.user())) == (403, "forbidden")


async def test_who_waited_in_vain_is_passed_when_the_window_is_over(clinic: Clinic) -> None:
    kind = await clinic.offering()
    over, waits = await join(clinic, kind), await join(clinic, kind)
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await tx.connection.exec_driver_sql(
            "UPDATE waitlist SET during = tstzrange(now() - interval '2 h', now()) WHERE id = %s", (UUID(over["id"]),)
        )
    await jobs.end_outlived_waiting(clinic.service)
    assert [await status(clinic, entry) for entry in (over, waits)] == ["passed", "waiting"]
    last = [record for record in await clinic.records() if record["key"] == f"waitlist:{over['id']}"][-1]
    assert last["payload"] is None
