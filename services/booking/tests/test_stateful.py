"""Whatever happens in a clinic, in any order: no two live claims overlap, no class sells more than its seats, what
availability shows can be held, and what it hides could not be had.

The state is the database's. stateful_life.py has the steps, stateful_reference.py the catalogue's rules once more.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from booking import holds
from servicekit.problems import Problem

from . import racing
from .racing import HARMS, end_of
from .stateful_life import AsRaced, ClinicLife
from .stateful_reference import Kind, Thing, weekly
from .stateful_world import Clinic, Composed, Loop

T = TypeVar("T")


class Undone(Exception):
    """Takes back what was only tried."""


class AnyClinic(ClinicLife):
    """One clinic's life, looked at after every step."""

    @invariant()
    def nothing_is_sold_twice(self) -> None:
        for name, statement in HARMS.items():
            ((count,),) = self._rows(statement.replace("%(tenant)s", ":tenant"), tenant=self.clinic.tenant_id)
            assert count == 0, name

    @invariant()
    def the_read_model_has_what_is_claimed(self) -> None:
        claims = "SELECT owner_id, resource_id, lower(during), upper(during) FROM claim WHERE expires_at > now()"
        taken = (
            "SELECT owner_id, resource_id, claim_start, claim_end FROM occupancy"
            " WHERE NOT freed AND NOT cancelled AND (expires_at IS NULL OR expires_at > now())"
        )
        known = self.loop.run(self._read(self.composed.availability, taken, {}))
        assert set(map(tuple, known)) == set(map(tuple, self._rows(claims)))

    @invariant()
    def what_is_shown_can_be_held_and_what_is_hidden_could_not_be_had(self) -> None:
        kind = self.chance.choice(self.kinds)
        self.loop.run(self._look(kind, self.chance.choice((None, *kind.needs[0].things))))

    async def _look(self, kind: Kind, leader: Thing | None) -> None:
        named = leader is not None and leader.type == "practitioner"
        leaders = [leader] if named and leader else kind.needs[0].things
        shown = await self.clinic.search(kind.id, self.first, self.last, str(leader.id) if named and leader else "any")
        grids = {one.id: set(kind.starts(one, self.first, self.last, self.tz)) for one in leaders}
        slots = await self._read(
            self.composed.booking, "SELECT start_at FROM slot WHERE offering_id = :id", {"id": kind.id}
        )
        used = {start for (start,) in slots}
        await self._can_be_held(kind, shown, grids, used)
        seen = {datetime.fromisoformat(slot["start"]) for slot in shown}
        # Of each leader alone: a start that somebody else can serve is shown all the same.
        hidden = [(one, start) for one in leaders for start in sorted(grids[one.id] - seen)]
        await self._cannot_be_had(kind, self._sample(hidden, lambda one: one[1] in used))

    def _sample(self, found: list[T], telling: Callable[[T], bool]) -> list[T]:
        """Some of them, most of those that tell more than others."""
        chosen = [one for one in found if telling(one)]
        others = [one for one in found if not telling(one)]
        return [*self.chance.sample(chosen, min(len(chosen), 6)), *self.chance.sample(others, min(len(others), 3))]

    async def _can_be_held(
        self, kind: Kind, shown: list[dict[str, Any]], grids: dict[UUID, set[datetime]], used: set[datetime]
    ) -> None:
        for slot in shown:
            start = datetime.fromisoformat(slot["start"])
            for provider in slot["provider_ids"]:
                stays = kind.capacity > 1  # an open session stays where it is when the hours change
                assert stays or start in grids[UUID(provider)], f"{start} is not on the grid of {provider}"
        for slot in self._sample(shown, lambda one: datetime.fromisoformat(one["start"]) in used):
            seats = slot["remaining"] if kind.capacity > 1 and self._one(slot) else 1
            end = await self._tried(slot["slot_id"], seats)
            assert end == "held", f"{slot['start']} is shown with {seats} seats and refused: {end}, {kind}"
            if 1 < seats < kind.capacity:
                assert (await self._tried(slot["slot_id"], seats + 1)).startswith("slot-taken"), slot

    async def _cannot_be_had(self, kind: Kind, hidden: list[tuple[Thing, datetime]]) -> None:
        known: dict[str, Any] = {"expires": self.clinic.expires()}
        for table, version in (("resource", "schedule_version"), ("offering", "version")):
            rows = await self._read(self.composed.booking, f"SELECT id, {version} FROM {table}", {})
            known |= {str(identity): number for identity, number in rows}
        signer = self.composed.booking.signer("offers")
        for leader, start in hidden:
            for group in kind.assignments(leader, start, self.tz):
                offer = signer.sign(kind.offer(group, start, tenant_id=self.clinic.tenant_id, known=known))
                end = await self._tried(offer, 1)
                assert end != "held", f"{start} with {', '.join(map(str, group))} could be had and is hidden: {kind}"

    async def _tried(self, slot_id: str, seats: int) -> str:
        """What a hold would say, without a trace."""
        try:
            async with self.composed.booking.database.transaction(self.clinic.tenant_id) as tx:
                await holds.place(tx, racing.wish(self._clinic, slot_id, seats))
                raise Undone
        except Undone:
            return "held"
        except Problem as refused:
            return f"{refused.code}: {refused.detail}"


@pytest.fixture(scope="module")
def any_clinic(service_environment: Callable[..., dict[str, Any]]) -> Iterator[type[AnyClinic]]:
    """The machine with both services under it."""
    loop = Loop()

    async def compose() -> Composed:
        return Composed(service_environment)

    composed = loop.run(compose())
    yield type("AnyClinicHere", (AnyClinic,), {"composed": composed, "loop": loop})
    loop.run(composed.close())
    loop.close()


def test_a_class_that_needs_no_practitioner_has_a_session_in_each_place(any_clinic: type[AnyClinic]) -> None:
    """And all that is shown can be held, until nothing is shown."""
    composed, loop = any_clinic.composed, any_clinic.loop

    async def fill() -> tuple[list[int], list[str]]:
        clinic = Clinic(composed, "Europe/Warsaw", 0)
        await composed.tell(clinic.card)
        for number in range(2):
            hours = {"weekly": weekly(("09:00", "10:00"))}
            await clinic.resource({"type": "room", "name": f"room {number}", "schedule": hours})
        needs = [{"type": "room", "any_of": "all"}]
        kind = await clinic.offering({"name": "open gym", "duration_minutes": 60, "capacity": 2, "requirements": needs})
        await composed.pump(clinic.tenant_id)
        day = datetime.now(UTC).date() + timedelta(days=9)
        remaining, ends = [], []
        while shown := await clinic.search(kind, day, day):
            remaining.append(shown[0]["remaining"])
            held = racing.hold(AsRaced(composed.booking, clinic.tenant_id), shown[0]["slot_id"])
            ends.append(await end_of(held))
            await composed.pump(clinic.tenant_id)
        return remaining, ends

    assert loop.run(fill()) == ([4, 3, 2, 1], ["ok"] * 4)


_ALWAYS: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "database": None,
    # A step costs dozens of statements: making a failure smaller would take longer than reading its steps.
    "phases": (Phase.explicit, Phase.generate),
}


def test_whatever_happens_shown_is_had_and_nothing_is_sold_twice(any_clinic: type[AnyClinic]) -> None:
    run_state_machine_as_test(
        any_clinic, settings=settings(max_examples=6, stateful_step_count=20, derandomize=True, **_ALWAYS)
    )


@pytest.mark.long
@pytest.mark.timeout(900)
def test_whatever_happens_many_times_over(any_clinic: type[AnyClinic]) -> None:
    run_state_machine_as_test(any_clinic, settings=settings(max_examples=60, stateful_step_count=40, **_ALWAYS))
