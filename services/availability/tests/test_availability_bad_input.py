"""Bad input to what can be booked: a 422 that names the field, and nothing stored."""

from uuid import uuid4

import pytest
import pytest_asyncio

from events.contracts.availability import AvailabilityChanged, OfferingState, ResourceState

OFFERING = {"name": "New", "duration_minutes": 30}
WEEK = {"weekly": {"mon": [["09:00", "17:00"]]}}
HIGH = "2027-03-28"  # the clock skips from 02:00 to 03:00 in Warsaw


def weekly(*ranges):
    return {"weekly": {"mon": [list(one) for one in ranges]}}


def override(*ranges, date=HIGH):
    return WEEK | {"overrides": [{"date": date, "ranges": [list(one) for one in ranges]}]}


SCHEDULES = [
    # inverted, empty, endless, overlapping
    (weekly(("17:00", "09:00")), "weekly.mon[0]"),
    (weekly(("09:00", "09:00")), "weekly.mon[0]"),
    (weekly(("22:00", "02:00")), "weekly.mon[0]"),
    (weekly(("09:00",)), "weekly.mon[0]"),
    (weekly(("09:00", None)), "weekly.mon.0.1"),
    (weekly(("09:00", "10:00", "11:00")), "weekly.mon[0]"),
    (weekly(("09:00", "12:00"), ("11:55", "17:00")), "weekly.mon[1]"),
    (weekly(("09:00", "17:00"), ("12:00", "13:00")), "weekly.mon[1]"),
    (weekly(("09:00", "17:00"), ("09:00", "17:00")), "weekly.mon[1]"),
    (override(("17:00", "09:00")), "overrides[0].ranges[0]"),
    (override(("09:00", "12:00"), ("10:00", "11:00")), "overrides[0].ranges[1]"),
    (WEEK | {"valid_from": "2027-02-01", "valid_until": "2027-01-01"}, "valid_until"),
    # impossible local times and dates
    (weekly(("24:00", "24:00")), "weekly.mon[0][0]"),
    (weekly(("09:00", "25:00")), "weekly.mon[0][1]"),
    (weekly(("09:60", "17:00")), "weekly.mon[0][0]"),
    (weekly(("9:00", "17:00")), "weekly.mon[0][0]"),
    (weekly(("09:00", "17:03")), "weekly.mon[0][1]"),
    (weekly(("09:00", "17:00:00")), "weekly.mon[0][1]"),
    (override(("09:00", "17:00"), date="2027-02-29"), "overrides.0.date"),
    (WEEK | {"overrides": [{"date": HIGH, "ranges": []}] * 2}, "overrides[1].date"),
    (WEEK | {"valid_from": "tomorrow"}, "valid_from"),
    ({"weekly": {"monday": []}}, "weekly.monday"),
    ({}, "weekly"),
    # unknown zones, countries, fields
    (WEEK | {"time_zone": "Mars/Base"}, "time_zone"),
    (WEEK | {"time_zone": "CEST"}, "time_zone"),
    (WEEK | {"time_zone": "europe/warsaw"}, "time_zone"),
    (WEEK | {"holidays": {"country": "XX"}}, "holidays.country"),
    (WEEK | {"holidays": {"country": "Poland"}}, "holidays.country"),
    (WEEK | {"holidays": {"country": "PL", "region": "BY"}}, "holidays.region"),
    (WEEK | {"holidays": {}}, "holidays.country"),
    (WEEK | {"holiday": {"country": "PL"}}, "holiday"),
]

OFFERINGS = [
    ({"window_days": 1000}, "window_days"),
    ({"window_days": 0}, "window_days"),
    ({"window_days": -1}, "window_days"),
    ({"capacity": 0}, "capacity"),
    ({"capacity": -1}, "capacity"),
    ({"buffer_before_minutes": -5}, "buffer_before_minutes"),
    ({"buffer_after_minutes": -5}, "buffer_after_minutes"),
    ({"buffer_after_minutes": 7}, "buffer_after_minutes"),
    ({"duration_minutes": 0}, "duration_minutes"),
    ({"duration_minutes": -30}, "duration_minutes"),
    ({"duration_minutes": 32}, "duration_minutes"),
    ({"slot_step_minutes": 0}, "slot_step_minutes"),
    ({"slot_step_minutes": 12}, "slot_step_minutes"),
    ({"min_notice_minutes": -60}, "min_notice_minutes"),
    ({"min_notice_minutes": 61}, "min_notice_minutes"),
    ({"hold_minutes": 0}, "hold_minutes"),
    ({"hold_minutes": -1}, "hold_minutes"),
    ({"price": {"amount": -1, "currency": "pln"}}, "price.amount"),
    ({"starts": {"tue": ["25:00"]}}, "starts"),
    ({"starts": {"tue": ["24:00"]}}, "starts"),
    ({"starts": {"tue": ["18:00", "18:00"]}}, "starts"),
    ({"starts": {"someday": ["18:00"]}}, "starts"),
    ({"reminders_minutes": [0]}, "reminders_minutes"),
    ({"reminders_minutes": [-60]}, "reminders_minutes"),
    ({"cancellation": {"free_until_minutes": -5}}, "cancellation.free_until_minutes"),
    ({"cancellation": {"fee_percent": 101}}, "cancellation.fee_percent"),
    ({"requirements": []}, "requirements"),
    ({"requirements": [{"type": "room", "any_of": [str(uuid4())]}]}, "requirements.0.any_of"),
]

RESOURCES = [
    ({"buffer_before_minutes": -5}, "buffer_before_minutes"),
    ({"buffer_after_minutes": 7}, "buffer_after_minutes"),
    ({"time_zone": "Mars/Base"}, "time_zone"),
    ({"type": "car"}, "type"),
    ({"slug": "any"}, "slug"),
]


@pytest_asyncio.fixture(scope="module")
async def clinic(make_clinic):
    """One clinic for all of them: what is refused leaves it as it is, with Anna and her schedule."""
    made = await make_clinic()
    await made.practitioner()
    return made


@pytest.mark.parametrize(("body", "field"), SCHEDULES)
async def test_a_bad_schedule(clinic, world, body, field):
    before = await clinic.call("GET", "/resources/anna/schedule")
    refused = await clinic.call("PUT", "/resources/anna/schedule", body, expect=422)
    assert field in [error["field"] for error in refused["errors"]], refused
    assert await clinic.call("GET", "/resources/anna/schedule") == before
    assert len(world.sent(clinic.id, AvailabilityChanged)) <= 1  # of the schedule that was there before


@pytest.mark.parametrize(("change", "field"), OFFERINGS)
async def test_a_bad_offering(clinic, world, change, field):
    refused = await clinic.call("POST", "/offerings", OFFERING | change, expect=422)
    assert any(error["field"].startswith(field) for error in refused["errors"]), refused
    assert (await clinic.call("GET", "/offerings"))["data"] == []
    assert world.sent(clinic.id, OfferingState) == []


@pytest.mark.parametrize(("change", "field"), RESOURCES)
async def test_a_bad_resource(clinic, world, change, field):
    refused = await clinic.call("POST", "/resources", {"type": "room", "name": "R"} | change, expect=422)
    assert field in [error["field"] for error in refused["errors"]], refused
    assert [row["slug"] for row in (await clinic.call("GET", "/resources"))["data"]] == ["anna"]
    assert {state.slug for state in world.sent(clinic.id, ResourceState)} <= {"anna"}


async def test_holidays_are_kept_and_told(make_clinic, world):
    clinic = await make_clinic()
    await clinic.practitioner()
    body = WEEK | {"holidays": {"country": "DE", "region": "BY"}, "overrides": [{"date": "2027-01-06", "ranges": []}]}
    stored = await clinic.call("PUT", "/resources/anna/schedule", body)
    assert stored["holidays"] == {"country": "DE", "region": "BY"}
    assert await clinic.call("GET", "/resources/anna/schedule", who={}) == stored
    states = await world.wait_sent(clinic.id, ResourceState, 3)
    assert [state.schedule and state.schedule.get("holidays") for state in states] == [None, None, stored["holidays"]]
    assert states[-1].schedule == stored
    plain = await clinic.call("PUT", "/resources/anna/schedule", WEEK | {"holidays": {"country": "PL"}})
    assert plain["holidays"] == {"country": "PL"}
    await clinic.call("PUT", "/resources/anna/schedule", WEEK | {"holidays": None})
