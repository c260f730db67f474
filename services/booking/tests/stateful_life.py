"""What happens in a clinic, as steps: what people do, what the clock does, what keeps people away. After each, booking
and availability are brought into step. What always holds is in test_stateful.py."""

import itertools
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from sqlalchemy import text

from availability.schemas import Schedule
from availability.waiting import Waiting
from booking import sessions, waitlist
from events import Deleted, new_id
from events.contracts.calendar import Busy
from servicekit.capabilities import CustomerToken

from . import racing
from .racing import end_of
from .stateful_reference import Kind, Need, Thing, weekly
from .stateful_world import Clinic, Composed, Loop

ZONES = ("Europe/Warsaw", "America/New_York", "Asia/Kathmandu")
HOURS = (weekly(("09:00", "12:00")), weekly(("08:30", "10:00"), ("10:30", "12:30")), weekly(("10:00", "11:00")))
NUMBERS = st.integers(0, 9_999)


class AsRaced:
    """What the helpers of races need of a clinic."""

    def __init__(self, service: Any, tenant_id: UUID) -> None:
        self.service = service
        self.tenant_id = tenant_id


class ClinicLife(RuleBasedStateMachine):
    """One clinic's life."""

    composed: Composed
    loop: Loop

    # -- the clinic ----------------------------------------------------------------------------------------------------

    @initialize(chance=st.randoms(use_true_random=False))
    def open(self, chance: random.Random) -> None:
        self.chance = random.Random(chance.getrandbits(32))
        zone = self.chance.choice(ZONES)
        self.tz = ZoneInfo(zone)
        self.clinic = Clinic(self.composed, zone, self.chance.choice((0, 15, 30)))
        self.first: date = datetime.now(self.tz).date() + timedelta(days=9)
        self.last = self.first + timedelta(days=1)
        self.times_off: list[tuple[UUID, UUID]] = []
        self.busy: list[Busy] = []
        self.versions = itertools.count(1)
        self.things: list[Thing] = []
        self.kinds: list[Kind] = []
        self.loop.run(self._open())

    async def _open(self) -> None:
        await self.composed.tell(self.clinic.card)
        for kind, least, most in (("practitioner", 1, 3), ("room", 1, 2), ("equipment", 0, 1)):
            for _ in range(self.chance.randint(least, most)):
                await self._add_thing(kind)
        for number in range(self.chance.randint(2, 4)):
            await self._add_kind(number)
        await self.composed.pump(self.clinic.tenant_id)

    async def _add_thing(self, kind: str) -> None:
        chance = self.chance
        hours = chance.choice(HOURS) if kind == "practitioner" or chance.random() < 0.5 else None
        thing = Thing(kind, chance.choice((0, 0, 5, 10)), chance.choice((0, 0, 5, 15)), hours)
        body = {
            "type": kind, "name": f"{kind} {len(self.things)}", "buffer_before_minutes": thing.before,
            "buffer_after_minutes": thing.after, "schedule": {"weekly": hours} if hours else None,
        }  # fmt: skip
        thing.id = await self.clinic.resource(body)
        self.things.append(thing)

    async def _add_kind(self, number: int) -> None:
        chance = self.chance
        by_type = {
            kind: [one for one in self.things if one.type == kind] for kind in ("practitioner", "room", "equipment")
        }
        needs = [self._need(by_type["practitioner"])] if number == 0 or chance.random() < 0.85 else []
        if not needs or chance.random() < 0.5:
            needs.append(self._need(by_type["room"], optional=bool(needs) and chance.random() < 0.3))
        if by_type["equipment"] and chance.random() < 0.3:
            needs.append(self._need(by_type["equipment"], optional=chance.random() < 0.5))
        if len(by_type["practitioner"]) > 1 and chance.random() < 0.2 and needs[0].things[0].type == "practitioner":
            needs.append(Need(by_type["practitioner"]))
        duration = chance.choice((20, 30, 45))
        kind = Kind(
            duration, chance.choice((duration, 15, 30)), chance.choice((0, 0, 5)), chance.choice((0, 0, 10)),
            chance.choice((1, 1, 1, 2, 3)), needs, self._rules(),
        )  # fmt: skip
        body = {
            "name": f"offering {number}", "duration_minutes": kind.duration, "slot_step_minutes": kind.step,
            "buffer_before_minutes": kind.before, "buffer_after_minutes": kind.after, "capacity": kind.capacity,
            "requirements": [
                {"type": need.things[0].type, "any_of": [str(one.id) for one in need.things], "optional": need.optional,
                 "preferences": {str(need.things[-1].id): chance.choice((0, 5))}}
                for need in needs
            ],
            "rules": kind.rules,
        }  # fmt: skip
        kind.id = await self.clinic.offering(body)
        self.kinds.append(kind)

    def _need(self, among: list[Thing], *, optional: bool = False) -> Need:
        return Need(self.chance.sample(among, self.chance.randint(1, len(among))), optional)

    def _rules(self) -> list[dict[str, Any]]:
        chance, found = self.chance, []
        if self.kinds and chance.random() < 0.4:
            found.append(
                {"kind": "gap", "after_offering": str(chance.choice(self.kinds).id), "minutes": chance.choice((15, 45)),
                 "of": chance.choice(("practitioner", "room"))}
            )  # fmt: skip
        if chance.random() < 0.3:
            per, count = chance.choice(("day", "week")), chance.randint(1, 3)
            found.append({"kind": "max", "of": "practitioner", "per": per, "count": count})
        return found

    # -- what people do ------------------------------------------------------------------------------------------------

    @rule(number=NUMBERS, seats=st.integers(1, 2))
    def hold(self, number: int, seats: int) -> None:
        kind = self.kinds[number % len(self.kinds)]
        if (slot := self._shown(kind, number, seats)) is not None:
            self._do(racing.hold(self._clinic, slot["slot_id"], seats if self._one(slot) else 1), {"ok"})

    @rule(number=NUMBERS)
    def book(self, number: int) -> None:
        kind = self.kinds[number % len(self.kinds)]
        if (slot := self._shown(kind, number)) is not None:
            self._do(racing.book(self._clinic, slot["slot_id"]), {"ok"})

    @rule(number=NUMBERS)
    @precondition(lambda self: self._live("held"))
    def confirm(self, number: int) -> None:
        """Refused where something came to lie on the time, or its hours are gone, since it was held."""
        self._do(racing.confirm(self._clinic, self._pick("held", number)[0]), {"ok", "slot-taken", "offer-expired"})

    @rule(number=NUMBERS)
    @precondition(lambda self: self._live("held"))
    def release(self, number: int) -> None:
        self._do(racing.release(self._clinic, self._pick("held", number)[0]), {"ok"})

    @rule(number=NUMBERS)
    @precondition(lambda self: self._live("confirmed"))
    def cancel(self, number: int) -> None:
        self._do(racing.cancel(self._clinic, self._pick("confirmed", number)[0]), {"ok"})

    @rule(number=NUMBERS)
    @precondition(lambda self: self._live("confirmed"))
    def move(self, number: int) -> None:
        booking_id, offering_id, seats = self._pick("confirmed", number)
        kind = next(one for one in self.kinds if one.id == offering_id)
        if (slot := self._shown(kind, number, seats)) is not None and (seats == 1 or self._one(slot)):
            self._do(racing.move(self._clinic, booking_id, slot["slot_id"]), {"ok"})

    @rule(number=NUMBERS)
    def call_off(self, number: int) -> None:
        """A class's session, whether somebody is in it or not."""
        classes = [kind for kind in self.kinds if kind.capacity > 1]
        if classes and (slot := self._shown(classes[number % len(classes)], number)) is not None:
            nobodys = slot["provider_id"] is None  # such a session is known once somebody has a seat
            self._do(self._call_off(slot), {"ok", "illegal-transition"} if nobodys else {"ok"})

    async def _call_off(self, slot: dict[str, Any]) -> None:
        async with self.composed.booking.database.transaction(self.clinic.tenant_id) as tx:
            await sessions.cancel(
                tx, self.clinic.owner, UUID(slot["offering_id"]),
                UUID(slot["provider_id"]) if slot["provider_id"] else None,
                datetime.fromisoformat(slot["start"]), None,
            )  # fmt: skip

    @rule(number=NUMBERS)
    def wait(self, number: int) -> None:
        kind = self.kinds[number % len(self.kinds)]
        self._do(self._wait(kind), {"ok"})

    async def _wait(self, kind: Kind) -> None:
        customer = CustomerToken(0, self.clinic.tenant_id, new_id(), new_id(), "pl", None, True)
        opens = datetime.combine(self.first, datetime.min.time(), self.tz)
        window = waitlist.Window(kind.id, None, opens, opens + timedelta(days=2), 1)
        async with self.composed.booking.database.transaction(self.clinic.tenant_id) as tx:
            sealer = self.composed.booking.sealer("links")
            await waitlist.join(tx, window, customer, sealer, staff=True, most_unverified=5)

    # -- what the clock does -------------------------------------------------------------------------------------------

    @rule(number=NUMBERS)
    @precondition(lambda self: self._live("held"))
    def run_out(self, number: int) -> None:
        """And the job sees it."""
        self._do(self._run_out(self._pick("held", number)[0]), {"ok"})

    @rule(number=NUMBERS)
    @precondition(lambda self: self._live("held"))
    def run_out_unseen(self, number: int) -> None:
        """No job has run yet: what one has to itself is free at once. A class's seats, and what was offered to somebody
        in the line, are the job's."""
        unseen = "AND entry_id IS NULL AND (SELECT capacity FROM slot WHERE slot.id = slot_id) = 1"
        if found := self._rows(
            f"SELECT id FROM booking WHERE status = 'held' AND seated {unseen} ORDER BY created_at, id"
        ):
            self._do(self._let_run_out(found[number % len(found)][0]), {"ok"})

    @rule()
    def see(self) -> None:
        """The jobs run."""
        self._do(self._see(), {"ok"})

    async def _run_out(self, hold_id: UUID) -> None:
        await self._let_run_out(hold_id)
        await racing.expire_due(self._clinic)

    async def _let_run_out(self, hold_id: UUID) -> None:
        tenant_id, one = self.clinic.tenant_id, {"id": hold_id}
        async with self.composed.booking.database.transaction(tenant_id) as tx:
            past = "now() - interval '1 s'"
            await tx.connection.execute(
                text(f"UPDATE booking SET claim_until = {past}, expires_at = {past} WHERE id = :id"), one
            )
            await tx.connection.execute(
                text(f"UPDATE claim SET expires_at = {past} WHERE owner_id = :id AND expires_at <> 'infinity'"), one
            )
        async with self.composed.availability.database.transaction(tenant_id) as tx:
            await tx.connection.execute(
                text(f"UPDATE occupancy SET expires_at = {past} WHERE owner_id = :id AND expires_at IS NOT NULL"), one
            )

    async def _see(self) -> None:
        await racing.expire_due(self._clinic)
        await self.composed.availability.get(Waiting).match()

    # -- what keeps people away ----------------------------------------------------------------------------------------

    @rule(number=NUMBERS)
    def go_away(self, number: int) -> None:
        thing = self.things[number % len(self.things)]
        start = self._some_time(number)

        async def add() -> None:
            identity = await self.clinic.add_time_off(thing.id, start, start + timedelta(minutes=5 + number % 12 * 10))
            self.times_off.append((thing.id, identity))

        self._do(add(), {"ok"})

    @rule(number=NUMBERS)
    @precondition(lambda self: self.times_off)
    def come_back(self, number: int) -> None:
        self._do(self.clinic.remove_time_off(*self.times_off.pop(number % len(self.times_off))), {"ok"})

    @rule(number=NUMBERS)
    def be_busy(self, number: int) -> None:
        thing = self.things[number % len(self.things)]
        start = self._some_time(number)
        event = Busy(
            tenant_id=self.clinic.tenant_id, version=next(self.versions), connection_id=new_id(), external_key="e",
            generation=1, resource_id=thing.id, start=start, end=start + timedelta(minutes=5 + number % 7 * 10),
        )  # fmt: skip
        self.busy.append(event)
        self._do(self.composed.tell(event), {"ok"})

    @rule(number=NUMBERS)
    @precondition(lambda self: self.busy)
    def be_free(self, number: int) -> None:
        event = self.busy.pop(number % len(self.busy))
        gone = Deleted(Busy.TYPE, event.key(), event.tenant_id, next(self.versions))
        self._do(self.composed.tell(gone), {"ok"})

    @rule(number=NUMBERS)
    def work_otherwise(self, number: int) -> None:
        """A practitioner has other hours from now on."""
        who = [thing for thing in self.things if thing.type == "practitioner"][number % 3 % self._practitioners()]
        who.hours = HOURS[number // 3 % len(HOURS)]
        self._do(self.clinic.reschedule(who.id, Schedule(weekly=who.hours)), {"ok"})

    def _practitioners(self) -> int:
        return sum(thing.type == "practitioner" for thing in self.things)

    def _some_time(self, number: int) -> datetime:
        opens = datetime.combine(self.first, datetime.min.time(), self.tz) + timedelta(days=number % 2, hours=8)
        return (opens + timedelta(minutes=number // 2 % 60 * 5)).astimezone(UTC)

    # -- means ---------------------------------------------------------------------------------------------------------

    @property
    def _clinic(self) -> Any:
        """As the helpers of races take it: a service and a tenant."""
        return AsRaced(self.composed.booking, self.clinic.tenant_id)

    def _do(self, work: Any, ends: set[str]) -> None:
        """Does it, and brings both services into step."""
        ended = self.loop.run(end_of(work))
        assert ended in ends, ended
        self.loop.run(self.composed.pump(self.clinic.tenant_id))

    def _shown(self, kind: Kind, number: int, seats: int = 1) -> dict[str, Any] | None:
        """One of the slots that are shown, with so many seats; of any provider, or of one."""
        provider = "any"
        if seats > 1 or number % 3 == 0:
            leader = kind.needs[0].things[number % len(kind.needs[0].things)]
            provider = str(leader.id) if leader.type == "practitioner" else "any"
        found = self.loop.run(self.clinic.search(kind.id, self.first, self.last, provider))
        fitting = [slot for slot in found if slot["remaining"] >= seats]
        if number % 2:
            fitting = fitting[:4]  # where others are likely to be, too
        return fitting[number // 7 % len(fitting)] if fitting else None

    @staticmethod
    def _one(slot: dict[str, Any]) -> bool:
        """Whether all the seats that remain are one provider's."""
        return len(slot["provider_ids"]) == 1

    def _live(self, status: str) -> list[Any]:
        statement = (
            "SELECT id, offering_id, seats FROM booking WHERE status = :status AND seated AND claim_until > now()"
        )
        return self._rows(f"{statement} ORDER BY created_at, id", status=status)

    def _pick(self, status: str, number: int) -> Any:
        found = self._live(status)
        return found[number % len(found)]

    def _rows(self, statement: str, **parameters: Any) -> list[Any]:
        return self.loop.run(self._read(self.composed.booking, statement, parameters))

    async def _read(self, service: Any, statement: str, parameters: dict[str, Any]) -> list[Any]:
        async with service.database.transaction(self.clinic.tenant_id) as tx:
            return list((await tx.connection.execute(text(statement), parameters)).all())
