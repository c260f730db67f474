"""Conflicts: what lands on an appointment that stands is found once, listed for staff, and resolved by them."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import httpx
import pytest

from booking import handlers
from booking.repository import bookings
from events import Deleted, new_id
from events.contracts.availability import OfferingState, ResourceState, TimeOffState
from events.contracts.calendar import Busy

from .conftest import ALWAYS, NEXT_WEEK, Clinic, code

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
DETECTED, RESOLVED = "booking.conflict_detected.v1", "booking.conflict_resolved.v1"
NEVER: dict[str, Any] = {"time_zone": "Europe/Warsaw", "weekly": {}}
LOCAL = NEXT_WEEK.astimezone(ZoneInfo("Europe/Warsaw"))


@dataclass
class Visit:
    """A confirmed appointment with anna, and what may land on it."""

    clinic: Clinic
    kind: OfferingState
    anna: ResourceState
    booking: dict[str, Any]
    connection: UUID

    @property
    def id(self) -> str:
        return str(self.booking["id"])

    def busy(
        self, start: datetime, end: datetime, *, version: int = 1, key: str = "x", on: ResourceState | None = None
    ) -> Busy:
        return Busy(
            tenant_id=self.clinic.tenant_id, version=version, connection_id=self.connection,
            resource_id=(on or self.anna).resource_id, external_key=key, generation=1, start=start, end=end,
        )  # fmt: skip

    async def event(self, start: datetime = NEXT_WEEK, end: datetime = NEXT_WEEK + HOUR, **more: Any) -> Busy:
        """An event of anna's own calendar."""
        busy = self.busy(start, end, **more)
        await self.clinic.tell(handlers.block_time, busy)
        return busy

    async def gone(self, busy: Busy) -> None:
        deleted = Deleted(Busy.TYPE, busy.key(), self.clinic.tenant_id, busy.version + 1)
        await self.clinic.tell(handlers.unblock_time, deleted)

    async def away(
        self, start: datetime = NEXT_WEEK, end: datetime = NEXT_WEEK + HOUR, *, rrule: str | None = None,
        before: TimeOffState | None = None, on: ResourceState | None = None,
    ) -> TimeOffState:  # fmt: skip
        """Anna is away; or what was said of that before is changed."""
        state = TimeOffState(
            tenant_id=self.clinic.tenant_id, version=before.version + 1 if before else 1,
            time_off_id=before.time_off_id if before else new_id(), resource_id=(on or self.anna).resource_id,
            start=start, end=end, rrule=rrule, time_zone="Europe/Warsaw",
        )  # fmt: skip
        await self.clinic.tell(handlers.block_time_off, state)
        return state

    async def back(self, state: TimeOffState) -> None:
        deleted = Deleted(TimeOffState.TYPE, state.key(), self.clinic.tenant_id, state.version + 1)
        await self.clinic.tell(handlers.unblock_time_off, deleted)

    async def listed(self, status: str = "open") -> list[dict[str, Any]]:
        answer = await self.clinic.client.get(
            f"{self.clinic.base}/conflicts", params={"status": status}, headers=self.clinic.staff()
        )
        assert answer.status_code == 200, answer.text
        return list(answer.json()["data"])

    async def causes(self) -> list[str]:
        return [conflict["cause"] for conflict in await self.listed()]

    async def ends(self) -> list[str]:
        """How its conflicts ended, as listed and as told."""
        told = [event["resolution"] for event in await self.clinic.said(RESOLVED)]
        assert sorted(told) == sorted(conflict["resolution"] for conflict in await self.listed("resolved"))
        return told

    async def resolve(
        self, conflict: dict[str, Any], option: str, *, who: dict[str, str] | None = None
    ) -> httpx.Response:
        url = f"{self.clinic.base}/conflicts/{conflict['id']}/resolve"
        who = self.clinic.staff() if who is None else who
        return await self.clinic.client.post(url, json={"option": option}, headers=who)

    async def status(self) -> str:
        return str((await self.clinic.get(self.booking))["status"])


@pytest.fixture
async def visit(clinic: Clinic) -> Visit:
    kind, anna = await clinic.offering(), await clinic.resource()
    return Visit(clinic, kind, anna, await clinic.appointment(clinic.offer(kind, [anna])), new_id())


# -- what lands on a visit ------------------------------------------------------------------------------------------


async def test_an_external_event_on_a_visit_is_found_once_and_told(visit: Visit) -> None:
    await visit.event()
    await visit.event(version=2)
    await visit.event(key="another")
    (said,), (listed,) = await visit.clinic.said(DETECTED), await visit.listed()
    assert (said["conflict_id"], said["booking_id"]) == (listed["id"], visit.id)
    assert (said["cause"], said["resource_id"]) == ("external_event", str(visit.anna.resource_id))
    assert (listed["appointment_id"], listed["cause"], listed["status"]) == (visit.id, "external_event", "open")
    assert (listed["start"], listed["repair"]["offering_id"]) == (
        visit.booking["slot"]["start"],
        str(visit.kind.offering_id),
    )
    assert listed["repair"]["broken_resource_id"] == str(visit.anna.resource_id)
    assert await visit.status() == "confirmed"


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        (-HOUR, -30 * MINUTE, False),
        (-HOUR, -29 * MINUTE, True),
        (59 * MINUTE, 2 * HOUR, True),
        (60 * MINUTE, 2 * HOUR, False),
        (-200 * HOUR, 200 * HOUR, True),
    ],
)
async def test_an_external_event_nearer_than_the_clinics_buffer_is_a_conflict(
    visit: Visit, start: timedelta, end: timedelta, found: bool
) -> None:
    await visit.event(NEXT_WEEK + start, NEXT_WEEK + end)
    assert await visit.causes() == ["external_event"] * found


async def test_a_wider_buffer_around_external_events_finds_conflicts_and_a_narrower_one_ends_them(visit: Visit) -> None:
    await visit.event(NEXT_WEEK - 2 * HOUR, NEXT_WEEK - HOUR)
    assert await visit.causes() == []
    await visit.clinic.open(version=2, external_buffer_minutes=90)
    assert await visit.causes() == ["external_event"]
    await visit.clinic.open(version=3, external_buffer_minutes=30)
    assert (await visit.causes(), await visit.ends()) == ([], ["gone"])


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [(-HOUR, timedelta(), False), (-HOUR, MINUTE, True), (29 * MINUTE, HOUR, True), (30 * MINUTE, HOUR, False)],
)
async def test_time_off_is_a_conflict_without_a_buffer(
    visit: Visit, start: timedelta, end: timedelta, found: bool
) -> None:
    await visit.away(NEXT_WEEK + start, NEXT_WEEK + end)
    assert await visit.causes() == ["time_off"] * found


async def test_time_off_that_comes_back_lands_on_each_visit_that_it_meets(visit: Visit) -> None:
    clinic = visit.clinic
    wall = LOCAL.replace(tzinfo=None)
    zone = ZoneInfo("Europe/Warsaw")
    starts = [(wall + timedelta(weeks=n)).replace(tzinfo=zone).astimezone(UTC) for n in range(4)]
    for start in starts[1:]:
        await clinic.appointment(clinic.offer(visit.kind, [visit.anna], start=start))
    weekly = await visit.away(NEXT_WEEK, NEXT_WEEK + HOUR, rrule="FREQ=WEEKLY;COUNT=3")
    shown = [datetime.fromisoformat(conflict["start"]) for conflict in await visit.listed()]
    assert shown == starts[:3]
    await visit.away(NEXT_WEEK, NEXT_WEEK + HOUR, rrule="FREQ=WEEKLY;COUNT=2", before=weekly)
    shown = [datetime.fromisoformat(conflict["start"]) for conflict in await visit.listed()]
    assert shown == starts[:2]
    assert await visit.ends() == ["gone"]


async def test_a_visit_that_waits_for_approval_has_conflicts_too(clinic: Clinic) -> None:
    kind, anna = await clinic.offering(), await clinic.resource(approval=True)
    visit = Visit(clinic, kind, anna, await clinic.appointment(clinic.offer(kind, [anna])), new_id())
    assert await visit.status() == "pending_approval"
    await visit.event()
    assert await visit.causes() == ["external_event"]
    assert (await clinic.do("POST", visit.booking, "reject", who=clinic.staff())).status_code == 200
    assert await visit.ends() == ["gone"]


async def test_a_deactivated_resource_is_a_conflict_and_none_when_it_is_back(visit: Visit) -> None:
    anna = await visit.clinic.has_now(visit.anna, active=False)
    assert await visit.causes() == ["deactivated"]
    await visit.clinic.has_now(anna, active=True)
    assert await visit.causes() == []
    assert await visit.ends() == ["gone"]


async def test_a_schedule_without_the_visit_is_a_conflict_and_none_when_it_is_back(visit: Visit) -> None:
    anna = await visit.clinic.has_now(visit.anna, schedule=NEVER, schedule_version=2)
    assert await visit.causes() == ["schedule"]
    anna = await visit.clinic.has_now(anna, name="Anna")
    assert len(await visit.clinic.said(DETECTED)) == 1
    await visit.clinic.has_now(anna, schedule=ALWAYS, schedule_version=3)
    assert await visit.causes() == []
    assert await visit.ends() == ["gone"]


async def test_who_is_inactive_and_comes_back_with_other_hours_has_the_other_conflict(visit: Visit) -> None:
    anna = await visit.clinic.has_now(visit.anna, active=False)
    await visit.clinic.has_now(anna, active=True, schedule=NEVER, schedule_version=2)
    assert await visit.causes() == ["schedule"]
    assert await visit.ends() == ["gone"]


async def test_a_day_that_is_closed_from_now_on_is_a_conflict(visit: Visit) -> None:
    closed = ALWAYS | {"overrides": [{"date": LOCAL.date().isoformat(), "ranges": []}]}
    await visit.clinic.has_now(visit.anna, schedule=closed, schedule_version=2)
    assert await visit.causes() == ["schedule"]


async def test_public_holidays_that_the_clinic_begins_to_keep_are_conflicts(clinic: Clinic) -> None:
    kind, anna = await clinic.offering(), await clinic.resource()
    year = datetime.now(UTC).year + 1
    holiday = datetime(year, 1, 6, 10, tzinfo=UTC)  # Epiphany, in Poland
    booking = await clinic.appointment(clinic.offer(kind, [anna], start=holiday))
    await clinic.appointment(clinic.offer(kind, [anna], start=holiday + timedelta(days=1)))
    visit = Visit(clinic, kind, anna, booking, new_id())
    await clinic.has_now(anna, schedule=ALWAYS | {"holidays": {"country": "PL"}}, schedule_version=2)
    assert [(one["appointment_id"], one["cause"]) for one in await visit.listed()] == [(visit.id, "schedule")]


async def test_what_lands_on_a_room_is_a_conflict_of_the_visit_in_it(clinic: Clinic) -> None:
    kind, anna, room = await clinic.offering(), await clinic.resource(), await clinic.resource("room", schedule=None)
    visit = Visit(clinic, kind, anna, await clinic.appointment(clinic.offer(kind, [anna, room])), new_id())
    await visit.event(on=room)
    (listed,) = await visit.listed()
    assert listed["resource_id"] == listed["repair"]["broken_resource_id"] == str(room.resource_id)
    assert set(listed["repair"]["resource_ids"]) == {str(anna.resource_id), str(room.resource_id)}
    assert listed["repair"]["provider_id"] == str(anna.resource_id)
    await visit.away(on=room)
    await visit.event(key="y")
    assert sorted(await visit.causes()) == ["external_event", "external_event", "time_off"]


async def test_every_appointment_of_a_class_has_its_own_conflict(clinic: Clinic) -> None:
    yoga, maria = await clinic.offering(capacity=3), await clinic.resource()
    made = [await clinic.appointment(clinic.offer(yoga, [maria])) for _ in range(2)]
    visit = Visit(clinic, yoga, maria, made[0], new_id())
    await visit.event()
    assert [one["appointment_id"] for one in await visit.listed()] == [one["id"] for one in made]


async def test_what_is_only_held_or_unpaid_is_no_conflict(clinic: Clinic) -> None:
    kind, anna = await clinic.offering("full"), await clinic.resource()
    await clinic.hold(clinic.offer(kind, [anna]))
    unpaid = await clinic.appointment(clinic.offer(kind, [anna], start=NEXT_WEEK + 30 * MINUTE))
    visit = Visit(clinic, kind, anna, unpaid, new_id())
    await visit.event()
    await visit.away()
    await clinic.has_now(anna, schedule=NEVER, schedule_version=2)
    assert await visit.causes() == []


@pytest.mark.parametrize("change", [{"schedule": NEVER, "schedule_version": 2}, {"active": False}])
async def test_a_hold_whose_hours_are_gone_is_not_confirmed(clinic: Clinic, change: dict[str, Any]) -> None:
    paid, free, anna = await clinic.offering("full"), await clinic.offering(), await clinic.resource()
    unpaid = await clinic.appointment(clinic.offer(paid, [anna]))
    held = (await clinic.hold(clinic.offer(free, [anna], start=NEXT_WEEK + HOUR))).json()
    await clinic.has_now(anna, **change)
    await clinic.pay(unpaid)
    assert (await clinic.get(unpaid))["status"] == "unfulfillable"
    assert [said["reason"] for said in await clinic.said("booking.booking_unfulfillable.v1")] == ["stale"]
    refused = await clinic.request(held)
    assert code(refused) == (410, "offer-expired")
    assert not await clinic.said(DETECTED)


async def test_a_hold_survives_a_schedule_in_which_it_still_fits(clinic: Clinic) -> None:
    kind, anna = await clinic.offering("full"), await clinic.resource()
    unpaid = await clinic.appointment(clinic.offer(kind, [anna]))
    await clinic.has_now(anna, schedule_version=2)
    await clinic.pay(unpaid)
    assert (await clinic.get(unpaid))["status"] == "confirmed"


async def test_an_event_of_a_clinic_that_is_not_known_yet_is_kept(clinic: Clinic) -> None:
    other = Clinic(clinic.service, clinic.client, clinic.tokens)
    kind, anna = await other.offering(), await other.resource()
    event = Busy(
        tenant_id=other.tenant_id, version=1, connection_id=new_id(), resource_id=anna.resource_id, external_key="x",
        generation=1, start=NEXT_WEEK, end=NEXT_WEEK + HOUR,
    )  # fmt: skip
    await other.tell(handlers.block_time, event)
    await other.open()
    assert code(await other.hold(other.offer(kind, [anna]))) == (409, "slot-taken")


async def test_what_is_past_or_elsewhere_is_no_conflict(visit: Visit) -> None:
    now = datetime.now(UTC)
    await visit.event(now - 3 * HOUR, now - 2 * HOUR)
    await visit.event(on=await visit.clinic.resource(), key="b")
    await visit.away(on=await visit.clinic.resource())
    assert await visit.causes() == []


# -- what goes away by itself ---------------------------------------------------------------------------------------


async def test_an_event_that_moves_away_or_is_deleted_leaves_no_conflict(visit: Visit) -> None:
    moved = await visit.event()
    await visit.event(NEXT_WEEK + 5 * HOUR, NEXT_WEEK + 6 * HOUR, version=2)
    assert (await visit.causes(), await visit.ends()) == ([], ["gone"])
    await visit.event(version=3)
    assert await visit.causes() == ["external_event"]
    await visit.gone(moved.model_copy(update={"version": 3}))
    assert (await visit.causes(), await visit.ends()) == ([], ["gone", "gone"])


async def test_a_conflict_stays_while_another_event_lies_on_the_visit(visit: Visit) -> None:
    one, other = await visit.event(), await visit.event(key="other")
    await visit.gone(one)
    assert await visit.causes() == ["external_event"]
    await visit.gone(other)
    assert await visit.causes() == []


async def test_an_event_that_goes_leaves_the_conflict_with_time_off(visit: Visit) -> None:
    event, away = await visit.event(), await visit.away()
    assert await visit.causes() == ["external_event", "time_off"]
    await visit.gone(event)
    assert await visit.causes() == ["time_off"]
    await visit.back(away)
    assert (await visit.causes(), await visit.ends()) == ([], ["gone", "gone"])


async def test_an_event_that_goes_to_another_calendar_takes_its_conflict_along(visit: Visit) -> None:
    clinic, piotr = visit.clinic, await visit.clinic.resource()
    other = await clinic.appointment(clinic.offer(visit.kind, [piotr]))
    await visit.event()
    await visit.event(version=2, on=piotr)
    assert [one["appointment_id"] for one in await visit.listed()] == [other["id"]]


async def test_time_off_that_is_changed_takes_its_conflict_along(visit: Visit) -> None:
    away = await visit.away()
    await visit.away(NEXT_WEEK + 5 * HOUR, NEXT_WEEK + 6 * HOUR, before=away)
    assert (await visit.causes(), await visit.ends()) == ([], ["gone"])
    elsewhere = await visit.clinic.resource()
    again = await visit.away(before=away.model_copy(update={"version": 2}))
    assert await visit.causes() == ["time_off"]
    await visit.away(before=again, on=elsewhere)
    assert await visit.causes() == []


async def test_an_older_word_about_an_event_or_time_off_changes_nothing(visit: Visit) -> None:
    event = await visit.event(NEXT_WEEK + 5 * HOUR, NEXT_WEEK + 6 * HOUR, version=2)
    await visit.event()
    away = await visit.away(NEXT_WEEK + 5 * HOUR, NEXT_WEEK + 6 * HOUR)
    longer = away.model_copy(update={"version": 0, "start": NEXT_WEEK, "rrule": "FREQ=DAILY;COUNT=9"})
    await visit.clinic.tell(handlers.block_time_off, longer)
    assert await visit.causes() == []
    blocks = await visit.clinic.stored("SELECT lower(during) AS low FROM block")
    assert [row["low"] for row in blocks] == [event.start, away.start]


@pytest.mark.parametrize("how", ["cancelled", "moved", "completed"])
async def test_a_visit_that_ends_or_moves_takes_its_conflicts_along(visit: Visit, how: str) -> None:
    clinic = visit.clinic
    await visit.event()
    await visit.away()
    if how == "cancelled":
        answer = await clinic.do("PUT", visit.booking, "cancel")
    elif how == "moved":
        later = clinic.offer(visit.kind, [visit.anna], start=NEXT_WEEK + 5 * HOUR)
        answer = await clinic.do("PUT", visit.booking, "reschedule", {"slot_id": later})
    else:
        answer = await clinic.do("POST", visit.booking, "complete", who=clinic.staff())
    assert answer.status_code == 200, answer.text
    assert (await visit.causes(), await visit.ends()) == ([], ["gone", "gone"])


# -- seeing and resolving them --------------------------------------------------------------------------------------


async def test_conflicts_are_for_the_desk_and_practitioners(visit: Visit) -> None:
    clinic = visit.clinic
    await visit.event()
    (listed,) = await visit.listed()
    url = f"{clinic.base}/conflicts"
    for role in ("owner", "manager", "front_desk", "practitioner"):
        assert (await clinic.client.get(url, headers=clinic.staff(role))).status_code == 200
    assert code(await clinic.client.get(url)) == (401, "unauthenticated")
    for who in (clinic.user(), clinic.staff("auditor")):
        assert code(await clinic.client.get(url, headers=who)) == (403, "forbidden")
    assert code(await visit.resolve(listed, "keep", who={})) == (401, "unauthenticated")
    for who in (clinic.user(), clinic.staff("practitioner")):
        assert code(await visit.resolve(listed, "keep", who=who)) == (403, "forbidden")
    assert code(await visit.resolve({"id": new_id()}, "keep")) == (404, "not-found")
    assert await visit.causes() == ["external_event"]


async def test_conflicts_come_page_by_page(visit: Visit) -> None:
    await visit.event()
    await visit.away()
    await visit.clinic.has_now(visit.anna, active=False)
    found: list[str] = []
    cursor = None
    for _ in range(3):
        query = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        url = f"{visit.clinic.base}/conflicts"
        page = (await visit.clinic.client.get(url, params=query, headers=visit.clinic.staff())).json()
        found += [conflict["cause"] for conflict in page["data"]]
        cursor = page["next_cursor"]
    assert (found, cursor) == (["external_event", "time_off", "deactivated"], None)


async def test_another_time_resolves_a_conflict(visit: Visit) -> None:
    await visit.event()
    await visit.away()
    conflict, other = await visit.listed()
    later = visit.clinic.offer(visit.kind, [visit.anna], start=NEXT_WEEK + 5 * HOUR)
    answer = await visit.resolve(conflict, f"reschedule.{later}")
    assert answer.status_code == 200, answer.text
    resolved = answer.json()
    assert (resolved["id"], resolved["status"], resolved["resolution"]) == (conflict["id"], "resolved", "reschedule")
    assert resolved["appointment"]["slot"]["start"] == (NEXT_WEEK + 5 * HOUR).isoformat().replace("+00:00", "Z")
    assert (await visit.causes(), await visit.ends()) == ([], ["reschedule", "reschedule"])
    (said,) = await visit.clinic.said("booking.booking_rescheduled.v1")
    assert (said["by"], said["fee"]["amount"]) == ("staff", 0)
    assert code(await visit.resolve(other, "keep")) == (409, "illegal-transition")


async def test_somebody_else_at_the_same_time_resolves_a_conflict(visit: Visit) -> None:
    await visit.event()
    (conflict,) = await visit.listed()
    piotr = await visit.clinic.resource()
    elsewhere = visit.clinic.offer(visit.kind, [piotr], start=NEXT_WEEK + HOUR)
    wrong = await visit.resolve(conflict, f"substitute.{elsewhere}")
    assert (code(wrong), wrong.json()["errors"][0]["field"]) == ((422, "validation-failed"), "option")
    answer = await visit.resolve(conflict, f"substitute.{visit.clinic.offer(visit.kind, [piotr])}")
    assert (answer.status_code, answer.json()["resolution"]) == (200, "substitute")
    slot = (await visit.clinic.get(visit.booking))["slot"]
    assert (slot["start"], slot["provider_id"]) == (visit.booking["slot"]["start"], str(piotr.resource_id))
    assert await visit.ends() == ["substitute"]


async def test_the_waitlist_resolves_a_conflict_with_everything_back(clinic: Clinic) -> None:
    kind, anna = await clinic.offering("full", fee=100), await clinic.resource()
    soon = datetime.now(UTC).replace(second=0, microsecond=0) + 2 * HOUR
    person = new_id()
    booking = await clinic.appointment(clinic.offer(kind, [anna], start=soon), customer_token=clinic.customer(person))
    await clinic.pay(booking)
    visit = Visit(clinic, kind, anna, booking, new_id())
    await visit.event(soon, soon + HOUR)
    (conflict,) = await visit.listed()
    answer = await visit.resolve(conflict, "waitlist")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["resolution"], answer.json()["appointment"]["status"]) == ("waitlist", "cancelled")
    (said,) = await clinic.said("booking.booking_cancelled.v1")
    assert (said["by"], said["fee"]["amount"]) == ("staff", 0)
    (entry,) = await clinic.stored("SELECT *, upper(during) AS until FROM waitlist")
    assert (entry["person_id"], entry["offering_id"], entry["provider_id"]) == (person, kind.offering_id, None)
    assert (entry["status"], entry["until"]) == ("waiting", soon + timedelta(days=30))
    assert (await visit.causes(), await visit.ends()) == ([], ["waitlist"])
    # The time itself is blocked still: nobody gets it.
    assert code(await clinic.hold(clinic.offer(kind, [anna], start=soon))) == (409, "slot-taken")


async def test_what_is_kept_is_not_found_again_and_written_down(visit: Visit) -> None:
    clinic, boss = visit.clinic, new_id()
    await visit.event()
    (conflict,) = await visit.listed()
    answer = await visit.resolve(conflict, "keep", who=clinic.staff("manager", boss))
    assert (answer.status_code, answer.json()["appointment"]["status"]) == (200, "confirmed")
    await visit.event(version=2)
    assert (await visit.causes(), await visit.ends()) == ([], ["keep"])
    (line,) = await clinic.stored("SELECT actor, action, subject, detail FROM audit")
    assert line == {"actor": boss, "action": "conflict_kept", "subject": UUID(visit.id), "detail": "external_event"}
    await visit.away()
    assert await visit.causes() == ["time_off"]


async def test_what_was_kept_at_one_time_is_found_at_another(visit: Visit) -> None:
    clinic = visit.clinic
    await visit.event()
    await visit.resolve((await visit.listed())[0], "keep")
    later = clinic.offer(visit.kind, [visit.anna], start=NEXT_WEEK + 5 * HOUR)
    assert (await clinic.do("PUT", visit.booking, "reschedule", {"slot_id": later})).status_code == 200
    await visit.event(NEXT_WEEK + 5 * HOUR, NEXT_WEEK + 6 * HOUR, key="another")
    assert await visit.causes() == ["external_event"]


async def test_a_conflict_is_resolved_once(visit: Visit) -> None:
    await visit.event()
    (conflict,) = await visit.listed()
    assert (await visit.resolve(conflict, "keep")).status_code == 200
    later = visit.clinic.offer(visit.kind, [visit.anna], start=NEXT_WEEK + 5 * HOUR)
    for option in ("keep", "waitlist", f"reschedule.{later}"):
        assert code(await visit.resolve(conflict, option)) == (409, "illegal-transition")
    assert await visit.status() == "confirmed"


async def test_of_several_who_resolve_a_conflict_at_once_one_does(visit: Visit) -> None:
    await visit.event()
    (conflict,) = await visit.listed()
    later = visit.clinic.offer(visit.kind, [visit.anna], start=NEXT_WEEK + 5 * HOUR)
    options = ["keep", "waitlist", f"reschedule.{later}", "keep", "waitlist"]
    async with visit.clinic.service.database.transaction(visit.clinic.tenant_id) as tx:
        await bookings.lock(tx, UUID(visit.id))
        resolving = [asyncio.create_task(visit.resolve(conflict, option)) for option in options]
        await asyncio.sleep(0.5)  # all of them have seen it open
        assert not any(task.done() for task in resolving)
    answers = await asyncio.gather(*resolving)
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
    (said,) = await visit.clinic.said(RESOLVED)
    assert said["resolution"] == next(answer.json()["resolution"] for answer in answers if answer.status_code == 200)


@pytest.mark.parametrize("kind", ["reschedule", "substitute"])
async def test_a_repair_that_somebody_took_meanwhile_changes_nothing(visit: Visit, kind: str) -> None:
    clinic = visit.clinic
    await visit.event()
    (conflict,) = await visit.listed()
    piotr = await clinic.resource()
    slot = clinic.offer(visit.kind, [piotr], start=NEXT_WEEK + (5 * HOUR if kind == "reschedule" else 0 * HOUR))
    assert (await clinic.hold(slot)).status_code == 201
    assert code(await visit.resolve(conflict, f"{kind}.{slot}")) == (409, "slot-taken")
    assert (await visit.causes(), await visit.status()) == (["external_event"], "confirmed")
    assert (await clinic.get(visit.booking))["slot"]["start"] == visit.booking["slot"]["start"]


@pytest.mark.parametrize("option", ["unknown", "reschedule", "reschedule.", "keep.x", "waitlist.x", "substitute"])
async def test_an_option_that_is_none_is_refused(visit: Visit, option: str) -> None:
    await visit.event()
    (conflict,) = await visit.listed()
    answer = await visit.resolve(conflict, option)
    assert (code(answer), answer.json()["errors"][0]["field"]) == ((422, "validation-failed"), "option")
    assert await visit.causes() == ["external_event"]


@pytest.mark.parametrize("kind", ["reschedule", "substitute"])
async def test_a_repair_that_is_no_offer_of_ours_is_refused(visit: Visit, kind: str) -> None:
    await visit.event()
    (conflict,) = await visit.listed()
    assert code(await visit.resolve(conflict, f"{kind}.nonsense")) == (422, "offer-invalid")
    assert await visit.causes() == ["external_event"]
