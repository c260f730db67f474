"""Searching over HTTP: hours, buffers, external calendars, holds, notice, classes, several resources, offers."""

import time
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from availability.offers import Clock
from events import Deleted, new_id
from events.contracts.booking import Occupancy
from events.contracts.calendar import Busy, CalendarConnectionDegraded
from events.contracts.identity import TenantChanged
from scheduling.instants import floor_minute
from servicekit.capabilities import Offer

WARSAW = ZoneInfo("Europe/Warsaw")
LUNCH = [["09:00", "12:30"], ["13:00", "17:00"]]


def workday(days: int = 7) -> date:
    """A Wednesday that far ahead or a little farther."""
    day = date.today() + timedelta(days=days)
    return day + timedelta(days=(2 - day.weekday()) % 7)


def at(day: date, clock: str, zone: ZoneInfo = WARSAW) -> datetime:
    hour, minute = clock.split(":")
    return datetime(day.year, day.month, day.day, int(hour), int(minute), tzinfo=zone).astimezone(UTC)


async def test_an_answer_has_the_contracts_shape(clinic, world):
    anna = await clinic.practitioner()
    offering = await clinic.offering(price={"amount": 30000, "currency": "pln"})
    day = workday()
    url = f"{clinic.base}/providers/any/availability?offering=check-up&from={day}&to={day}"
    answer = await world.client.get(url)
    assert answer.headers["cache-control"] == "no-store"
    found = answer.json()
    assert set(found) == {"time_zone", "generated_at", "degraded", "resume", "slots"}
    assert found["time_zone"] == "Europe/Warsaw"
    slot = found["slots"][0]
    assert set(slot) == {
        "slot_id", "start", "end", "local_start", "zone_abbreviation", "provider_id", "provider_ids", "offering_id",
        "remaining", "price",
    }  # fmt: skip
    assert datetime.fromisoformat(slot["start"]) == at(day, "09:00")
    assert datetime.fromisoformat(slot["end"]) == at(day, "09:30")
    assert datetime.fromisoformat(slot["local_start"]) == at(day, "09:00")
    assert slot["zone_abbreviation"] in ("CET", "CEST")
    assert (slot["provider_id"], slot["provider_ids"]) == (anna["id"], [anna["id"]])
    assert (slot["offering_id"], slot["remaining"], slot["price"]["amount"]) == (offering["id"], 1, 30000)


async def test_a_lunch_break_is_never_booked(clinic):
    await clinic.practitioner(weekly={"wed": LUNCH})
    offering = await clinic.offering(duration_minutes=60)
    day = workday()
    assert await clinic.starts(offering, day) == ["09:00", "10:00", "11:00", "13:00", "14:00", "15:00", "16:00"]
    assert await clinic.starts(offering, day + timedelta(days=1)) == []


async def test_an_override_replaces_a_day(clinic):
    day = workday()
    await clinic.practitioner()
    overrides = [{"date": str(day), "ranges": [["10:00", "11:00"]]}]
    body = {"weekly": {"wed": LUNCH}, "overrides": overrides}
    await clinic.call("PUT", "/resources/anna/schedule", body)
    assert await clinic.starts(await clinic.offering(), day) == ["10:00", "10:30"]


async def test_the_days_of_a_transition_have_their_hours(clinic):
    year = date.today().year + 1
    march = max(date(year, 3, d) for d in range(25, 32) if date(year, 3, d).weekday() == 6)
    october = max(date(year, 10, d) for d in range(25, 32) if date(year, 10, d).weekday() == 6)
    await clinic.practitioner(weekly={"sun": [["00:00", "06:00"]]})
    offering = await clinic.offering(duration_minutes=60, window_days=730)
    spring = await clinic.availability(offering, march)
    assert [slot["local_start"][11:16] for slot in spring["slots"]] == ["00:00", "01:00", "03:00", "04:00", "05:00"]
    assert [slot["zone_abbreviation"] for slot in spring["slots"]] == ["CET", "CET", "CEST", "CEST", "CEST"]
    autumn = await clinic.availability(offering, october)
    locals_ = [slot["local_start"][11:] for slot in autumn["slots"]]
    assert locals_ == [
        "00:00:00+02:00", "01:00:00+02:00", "02:00:00+02:00", "02:00:00+01:00", "03:00:00+01:00", "04:00:00+01:00",
        "05:00:00+01:00",
    ]  # fmt: skip


@pytest.mark.parametrize("zone", ["Europe/Warsaw", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC"])
def test_the_clock_says_what_datetime_says(zone):
    tz = ZoneInfo(zone)
    clock = Clock(tz)
    for minute in range(
        floor_minute(datetime(2027, 1, 1, tzinfo=UTC)), floor_minute(datetime(2028, 1, 1, tzinfo=UTC)), 55
    ):
        instant = datetime.fromtimestamp(minute * 60, UTC)
        local = instant.astimezone(tz)
        assert clock.local(minute) == (local.isoformat(), local.tzname())
        assert clock.utc(minute) == instant.strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_another_zone_shows_the_same_instants(clinic):
    await clinic.practitioner(weekly={"wed": [["09:00", "10:00"]]})
    offering = await clinic.offering()
    day = workday()
    home = await clinic.availability(offering, day)
    abroad = await clinic.availability(offering, day, tz="Asia/Tokyo")
    assert [slot["start"] for slot in home["slots"]] == [slot["start"] for slot in abroad["slots"]]
    assert abroad["time_zone"] == "Asia/Tokyo"
    assert abroad["slots"][0]["local_start"].endswith("+09:00")


async def test_buffers_of_both_visits_are_kept(clinic):
    anna = await clinic.practitioner(weekly={"wed": [["09:00", "13:00"]]}, buffer_after_minutes=10)
    offering = await clinic.offering(slot_step_minutes=15, buffer_before_minutes=5, buffer_after_minutes=5)
    day = workday()
    # 10:30–11:00 with its own buffers 10:25–11:10.
    await clinic.take(
        anna, at(day, "10:30"), at(day, "11:00"), claim_start=at(day, "10:25"), claim_end=at(day, "11:10")
    )
    starts = await clinic.starts(offering, day)
    # before it: start + 30 + 10 ≤ 10:25; after it: start − 5 ≥ 11:10
    assert starts == ["09:00", "09:15", "09:30", "09:45", "11:15", "11:30", "11:45", "12:00", "12:15", "12:30"]


async def test_an_offer_claims_the_visit_widened_by_the_larger_buffers(clinic, world):
    anna = await clinic.practitioner(buffer_before_minutes=15, buffer_after_minutes=5, approval_required=True)
    offering = await clinic.offering(buffer_before_minutes=5, buffer_after_minutes=10, hold_minutes=0.5)
    slot = (await clinic.availability(offering, workday(), tz="Asia/Tokyo"))["slots"][0]
    offer = world.service.signer("offers").verify(slot["slot_id"], Offer)
    start = int(datetime.fromisoformat(slot["start"]).timestamp())
    assert (offer.start, offer.end, offer.tenant_id) == (start, start + 1800, clinic.id)
    assert (offer.offering_id, offer.offering_version) == (UUID(offering["id"]), 1)
    assert (offer.hold_seconds, offer.capacity, offer.provider_chosen, offer.time_zone) == (30, 1, False, "Asia/Tokyo")
    assert 500 < offer.expires - time.time() <= 600
    [[placed]] = offer.candidates
    assert (placed.resource_id, placed.kind, placed.approval) == (UUID(anna["id"]), "p", True)
    assert (placed.claim_start, placed.claim_end) == (start - 15 * 60, start + (30 + 10) * 60)
    assert placed.schedule_version == 2
    chosen = (await clinic.availability(offering, workday(), provider="anna"))["slots"][0]
    assert world.service.signer("offers").verify(chosen["slot_id"], Offer).provider_chosen


async def test_external_events_are_padded_and_time_off_is_not(clinic, world):
    anna = await clinic.practitioner(weekly={"wed": [["09:00", "17:00"]]}, buffer_after_minutes=15)
    offering = await clinic.offering()
    day = workday()
    busy = Busy(
        tenant_id=clinic.id, version=1, connection_id=new_id(), resource_id=anna["id"], external_key="k",
        generation=1, start=at(day, "11:02"), end=at(day, "11:41"),
    )  # fmt: skip
    await world.publish(busy)
    away = {"start": at(day, "15:00").isoformat(), "end": at(day, "15:30").isoformat()}
    await clinic.call("POST", "/resources/anna/time-off", away, expect=201)
    starts = await clinic.starts(offering, day)
    # busy with its buffer: 10:32–12:11; the visit's own buffer does not count against either
    assert starts == [
        "09:00", "09:30", "10:00", "12:30", "13:00", "13:30", "14:00", "14:30", "15:30", "16:00", "16:30",
    ]  # fmt: skip
    clinic_now = TenantChanged(
        tenant_id=clinic.id, version=2, slug="c", name="C", time_zone="Europe/Warsaw", currency="pln", locales=[],
        settings={"external_buffer_minutes": 0},
    )  # fmt: skip
    await world.publish(clinic_now)
    assert "12:00" in await clinic.starts(offering, day)
    await world.publish(Deleted(Busy.TYPE, busy.key(), clinic.id, 2))
    assert "11:00" in await clinic.starts(offering, day)


async def test_a_hold_past_its_end_counts_as_free_before_the_word_of_it_comes(clinic):
    anna = await clinic.practitioner(weekly={"wed": [["09:00", "10:00"]]})
    offering = await clinic.offering()
    day = workday()
    now = datetime.now(UTC)
    await clinic.take(anna, at(day, "09:00"), at(day, "09:30"), expires_at=now + timedelta(seconds=0.6))
    assert await clinic.starts(offering, day) == ["09:30"]
    time.sleep(0.7)
    assert await clinic.starts(offering, day) == ["09:00", "09:30"]


async def test_notice_and_window_bound_what_is_offered(clinic):
    await clinic.practitioner(
        weekly={day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    )
    offering = await clinic.offering(min_notice_minutes=120, window_days=3)
    now = datetime.now(UTC)
    today = now.astimezone(WARSAW).date()
    slots = (await clinic.availability(offering, today, today + timedelta(days=20)))["slots"]
    first, last = (datetime.fromisoformat(slots[index]["start"]) for index in (0, -1))
    assert timedelta(minutes=119) < first - now < timedelta(minutes=151)
    assert last.astimezone(WARSAW).date() == today + timedelta(days=3)
    assert (await clinic.availability(offering, today - timedelta(days=9), today - timedelta(days=5)))["slots"] == []


async def test_only_listed_starts_are_offered(clinic):
    await clinic.practitioner(weekly={"wed": [["09:00", "20:00"]]})
    offering = await clinic.offering(starts={"wed": ["18:00", "08:00", "19:45"], "thu": ["10:00"]})
    assert await clinic.starts(offering, workday(), to=workday() + timedelta(days=1)) == ["18:00"]


async def test_any_lists_a_start_once_and_spreads_the_load(clinic, world):
    anna = await clinic.practitioner("Anna")
    piotr = await clinic.practitioner("Piotr")
    offering = await clinic.offering()
    day = workday()
    await clinic.take(anna, at(day, "09:00"), at(day, "09:30"))
    slots = (await clinic.availability(offering, day))["slots"]
    assert len(slots) == 16
    assert (slots[0]["provider_id"], slots[0]["provider_ids"], slots[0]["remaining"]) == (piotr["id"], [piotr["id"]], 1)
    assert (slots[1]["provider_ids"], slots[1]["remaining"]) == ([piotr["id"], anna["id"]], 2)
    offer = world.service.signer("offers").verify(slots[1]["slot_id"], Offer)
    assert [str(candidate[0].resource_id) for candidate in offer.candidates] == [piotr["id"], anna["id"]]
    assert len(await clinic.starts(offering, day, provider=anna["id"])) == 15


async def test_several_resources_are_all_needed(clinic, world):
    anna = await clinic.practitioner(weekly={"wed": [["09:00", "12:00"]]})
    rooms = [await clinic.resource("room", name, {"wed": [["09:00", "12:00"]]}) for name in ("Room 1", "Room 2")]
    scanner = await clinic.resource("equipment", "Scanner", {"wed": [["09:00", "12:00"]]}, approval_required=True)
    needs = [
        {"type": "practitioner"},
        {"type": "room", "any_of": [room["id"] for room in rooms]},
        {"type": "equipment"},
    ]
    offering = await clinic.offering(duration_minutes=60, requirements=needs)
    day = workday()
    slots = (await clinic.availability(offering, day))["slots"]
    assert [slot["local_start"][11:16] for slot in slots] == ["09:00", "10:00", "11:00"]
    offer = world.service.signer("offers").verify(slots[0]["slot_id"], Offer)
    named = [[str(one.resource_id) for one in candidate] for candidate in offer.candidates]
    assert named == [[anna["id"], room["id"], scanner["id"]] for room in rooms]
    assert [one.kind for one in offer.candidates[0]] == ["p", "r", "e"]
    assert [one.approval for one in offer.candidates[0]] == [False, False, True]

    await clinic.take(rooms[0], at(day, "09:00"), at(day, "11:00"))
    await clinic.take(rooms[1], at(day, "10:00"), at(day, "10:30"))
    await clinic.take(scanner, at(day, "11:30"), at(day, "12:00"))
    slots = (await clinic.availability(offering, day))["slots"]
    assert [slot["local_start"][11:16] for slot in slots] == ["09:00"]
    offer = world.service.signer("offers").verify(slots[0]["slot_id"], Offer)
    assert [[str(one.resource_id) for one in c] for c in offer.candidates] == [
        [anna["id"], rooms[1]["id"], scanner["id"]]
    ]


async def test_two_of_a_kind_are_two_different_ones(clinic, world):
    await clinic.practitioner("Anna", weekly={"wed": [["09:00", "10:00"]]})
    offering = await clinic.offering(
        duration_minutes=60, requirements=[{"type": "practitioner"}, {"type": "practitioner"}]
    )
    assert await clinic.starts(offering, workday()) == []
    await clinic.practitioner("Piotr", weekly={"wed": [["09:00", "10:00"]]})
    slots = (await clinic.availability(offering, workday()))["slots"]
    assert [len(slot["provider_ids"]) for slot in slots] == [2]
    for candidate in world.service.signer("offers").verify(slots[0]["slot_id"], Offer).candidates:
        assert len({one.resource_id for one in candidate}) == 2


async def test_a_room_without_hours_is_always_there_and_a_practitioner_never(clinic):
    await clinic.practitioner(weekly={"wed": [["09:00", "10:00"]]})
    await clinic.resource("practitioner", "Nobody")
    await clinic.resource("room", "Room")
    offering = await clinic.offering(requirements=[{"type": "practitioner"}, {"type": "room"}])
    assert await clinic.starts(offering, workday()) == ["09:00", "09:30"]
    assert await clinic.starts(offering, workday(), provider="nobody") == []


async def test_what_is_not_active_is_not_offered(clinic):
    await clinic.practitioner("Anna", weekly={"wed": [["09:00", "10:00"]]})
    offering = await clinic.offering()
    await clinic.call("PATCH", "/resources/anna", {"active": False})
    assert await clinic.starts(offering, workday()) == []
    params = {"offering": offering["id"]}
    await clinic.call("GET", "/providers/anna/availability", who={}, params=params, expect=404)
    await clinic.call("PATCH", f"/offerings/{offering['id']}", {"active": False})
    await clinic.call("GET", "/providers/any/availability", who={}, params=params, expect=404)


async def test_a_class_is_offered_until_its_last_seat(clinic, world):
    anna = await clinic.practitioner(weekly={"wed": [["18:00", "20:00"]]})
    offering = await clinic.offering("Yoga", duration_minutes=60, capacity=12)
    day = workday()
    first = (await clinic.availability(offering, day))["slots"][0]
    assert first["remaining"] == 12
    slot_id = new_id()
    fields = {
        "slot_id": slot_id, "owner_id": slot_id, "offering_id": offering["id"], "capacity": 12,
        "claim_start": at(day, "18:00"), "claim_end": at(day, "19:00"),
    }  # fmt: skip
    await clinic.take(anna, at(day, "18:00"), at(day, "19:00"), **fields, reserved=3)
    slots = (await clinic.availability(offering, day))["slots"]
    assert [slot["remaining"] for slot in slots] == [9, 12]
    assert slots[0]["provider_id"] == anna["id"]
    offer = world.service.signer("offers").verify(slots[0]["slot_id"], Offer)
    assert (offer.capacity, len(offer.candidates)) == (12, 1)
    assert offer.candidates[0][0].claim_start == int(at(day, "18:00").timestamp())
    await clinic.take(anna, at(day, "18:00"), at(day, "19:00"), **fields, reserved=12, version=2)
    assert await clinic.starts(offering, day) == ["19:00"]
    full = (await clinic.availability(offering, day, include="full"))["slots"]
    assert [(slot["remaining"], slot["capacity"], "slot_id" in slot) for slot in full] == [
        (0, 12, False),
        (12, 12, True),
    ]
    other = await clinic.offering("Massage", duration_minutes=60)
    assert await clinic.starts(other, day) == ["19:00"]


async def test_include_full_lists_what_only_claims_keep_away(clinic):
    anna = await clinic.practitioner(weekly={"wed": [["09:00", "11:00"]]})
    offering = await clinic.offering()
    day = workday()
    later = datetime.now(UTC) + timedelta(minutes=10)
    await clinic.take(anna, at(day, "09:00"), at(day, "09:30"), expires_at=later)
    away = {"start": at(day, "10:30").isoformat(), "end": at(day, "11:00").isoformat()}
    await clinic.call("POST", "/resources/anna/time-off", away, expect=201)
    found = (await clinic.availability(offering, day, include="full"))["slots"]
    shown = [(slot["local_start"][11:16], slot["remaining"], slot["held"], "slot_id" in slot) for slot in found]
    assert shown == [("09:00", 0, 1, False), ("09:30", 1, 0, True), ("10:00", 1, 0, True)]


async def test_limit_and_after_page_through(clinic):
    await clinic.practitioner(weekly={"wed": [["09:00", "11:00"]]})
    offering = await clinic.offering()
    first = (await clinic.availability(offering, workday(), limit=3))["slots"]
    assert [slot["local_start"][11:16] for slot in first] == ["09:00", "09:30", "10:00"]
    rest = await clinic.starts(offering, workday(), after=first[-1]["start"])
    assert rest == ["10:30"]
    nothing = await clinic.availability(offering, workday(), after=at(workday(), "10:30").isoformat())
    assert nothing["slots"] == []
    assert "reason" not in nothing  # there are free times, before


async def test_a_calendar_that_is_not_known_now_is_named(clinic, world):
    anna = await clinic.practitioner()
    offering = await clinic.offering()
    since = datetime.now(UTC)
    event = CalendarConnectionDegraded(
        tenant_id=clinic.id, version=2, connection_id=new_id(), resource_id=anna["id"], since=since, reason="r"
    )
    await world.publish(event)
    await world.publish(event.model_copy(update={"version": 1, "recovered": True}))
    degraded = (await clinic.availability(offering, workday()))["degraded"]
    assert [row["provider_id"] for row in degraded] == [anna["id"]]
    await world.publish(event.model_copy(update={"version": 3, "recovered": True}))
    assert (await clinic.availability(offering, workday()))["degraded"] == []


async def test_providers_are_listed_with_their_offerings_and_next_start(clinic):
    anna = await clinic.practitioner("Anna", weekly={"wed": [["09:00", "17:00"]]})
    piotr = await clinic.practitioner("Piotr", weekly={"wed": [["08:00", "17:00"]]})
    both = await clinic.offering("Both")
    only = await clinic.offering("Only", requirements=[{"type": "practitioner", "any_of": [anna["id"]]}])
    listed = (await clinic.call("GET", "/providers", who={}))["data"]
    assert [row["id"] for row in listed] == [anna["id"], piotr["id"]]
    assert listed[0]["offerings"] == [both["id"], only["id"]]
    fields = "id slug name bio location_id time_zone offerings next_available"
    assert set(listed[0]) == set(fields.split())
    first = (await clinic.availability(both, date.today(), date.today() + timedelta(days=14), provider="piotr"))[
        "slots"
    ][0]
    assert listed[1]["next_available"] == first["start"]
    narrowed = (await clinic.call("GET", "/providers", who={}, params={"offering": "only"}))["data"]
    assert [row["id"] for row in narrowed] == [anna["id"]]
    await clinic.call("GET", "/providers", who={}, params={"offering": "none"}, expect=404)


async def test_an_occupancy_row_without_a_catalogue_entry_does_no_harm(clinic, world):
    start = datetime.now(UTC) + timedelta(days=1)
    row = clinic.occupancy({"id": str(new_id())}, start, start + timedelta(hours=1))
    await world.publish(row)
    await world.publish(Deleted(Occupancy.TYPE, row.key(), clinic.id, 2))
