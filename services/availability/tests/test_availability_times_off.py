"""Time off over HTTP: once or again and again, and what others learn of it."""

import pytest
import pytest_asyncio

from events import Deleted
from events.contracts.availability import AvailabilityChanged, ResourceState, TimeOffState

NOON = {"start": "2027-03-22T11:00:00Z", "end": "2027-03-22T12:00:00Z"}  # a Monday, a week before the clocks change


async def test_recurring_time_off_is_kept_with_its_rule_and_zone(clinic, world):
    anna = await clinic.practitioner(time_zone="Europe/Vilnius")
    rule = "FREQ=WEEKLY;COUNT=3"
    made = await clinic.call("POST", "/resources/anna/time-off", NOON | {"rrule": rule, "reason": "r"}, expect=201)
    assert (made["rrule"], made["start"], made["end"]) == (rule, NOON["start"], NOON["end"])
    assert (await clinic.call("GET", "/resources/anna/time-off"))["data"] == [made]
    [state] = await world.wait_sent(clinic.id, TimeOffState, 1)
    assert (str(state.time_off_id), str(state.resource_id)) == (made["id"], anna["id"])
    assert (state.rrule, state.time_zone, state.version) == (rule, "Europe/Vilnius", 1)
    change = (await world.wait_sent(clinic.id, AvailabilityChanged, 2))[-1].changes[0]
    # The last one, on 5 April, ends at the same local time: an hour earlier in UTC.
    assert (change.start.isoformat(), change.end.isoformat()) == (
        "2027-03-22T11:00:00+00:00",
        "2027-04-05T11:00:00+00:00",
    )
    assert (await world.wait_sent(clinic.id, ResourceState, 3))[-1].schedule_version == 3


async def test_time_off_taken_back_is_a_tombstone(clinic, world):
    await clinic.practitioner()
    made = await clinic.call("POST", "/resources/anna/time-off", NOON, expect=201)
    for _ in range(2):
        await clinic.call("DELETE", f"/resources/anna/time-off/{made['id']}", expect=204)
    states = await world.wait_sent(clinic.id, TimeOffState, 2)
    assert [type(state) for state in states] == [TimeOffState, Deleted]
    assert [state.version for state in states] == [1, 2]
    assert states[1].key == f"time_off:{made['id']}"


async def test_a_deleted_resource_takes_its_time_off_along(clinic, world):
    await clinic.practitioner()
    await clinic.practitioner("Piotr")
    for name in ("anna", "anna", "piotr"):
        await clinic.call("POST", f"/resources/{name}/time-off", NOON, expect=201)
    await clinic.call("DELETE", "/resources/anna", expect=204)
    states = await world.wait_sent(clinic.id, TimeOffState, 5)
    assert sum(isinstance(state, Deleted) for state in states) == 2
    assert len((await clinic.call("GET", "/resources/piotr/time-off"))["data"]) == 1


@pytest_asyncio.fixture(scope="module")
async def untouched(make_clinic):
    """One clinic for all that is refused."""
    made = await make_clinic()
    await made.practitioner()
    return made


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"end": NOON["start"]}, "end"),
        ({"end": "2027-03-22T10:00:00Z"}, "end"),
        ({"end": None}, "end"),
        ({"end": "2028-03-24T11:00:00Z"}, "end"),
        ({"end": "9999-12-31T23:59:59Z"}, "end"),
        ({"start": "0001-01-01T00:00:00Z"}, "start"),
        ({"start": "2027-03-22T11:00:00"}, "start"),
        ({"start": "2027-02-30T11:00:00Z"}, "start"),
        ({"start": "2027-03-22T25:00:00Z"}, "start"),
        ({"rrule": "FREQ=WEEKLY"}, "rrule"),
        ({"rrule": "FREQ=DAILY;COUNT=5000"}, "rrule"),
        ({"rrule": "FREQ=DAILY;UNTIL=99991231T235959Z"}, "rrule"),
        ({"rrule": "FREQ=DAILY;UNTIL=20200101T000000Z"}, "rrule"),
        ({"rrule": "FREQ=HOURLY;COUNT=3"}, "rrule"),
        ({"rrule": "FREQ=MONTHLY;BYDAY=9MO;COUNT=3"}, "rrule"),
        ({"rrule": "every monday"}, "rrule"),
        ({"rrule": ""}, "rrule"),
        ({"rrule": "FREQ=DAILY;COUNT=2\u0000"}, "rrule"),
        ({"reason": "x" * 501}, "reason"),
        ({"until": "2028-01-01"}, "until"),
    ],
)  # fmt: skip
async def test_bad_time_off_is_named_and_not_stored(untouched, world, change, field):
    clinic = untouched
    before = await clinic.call("GET", "/resources/anna")
    refused = await clinic.call("POST", "/resources/anna/time-off", NOON | change, expect=422)
    assert [error["field"] for error in refused["errors"]] == [field], refused
    assert (await clinic.call("GET", "/resources/anna/time-off"))["data"] == []
    assert await clinic.call("GET", "/resources/anna") == before
    assert world.sent(clinic.id, TimeOffState) == []


async def test_an_endless_rule_is_told_what_it_needs(clinic):
    await clinic.practitioner()
    refused = await clinic.call("POST", "/resources/anna/time-off", NOON | {"rrule": "FREQ=DAILY"}, expect=422)
    assert "needs COUNT or UNTIL" in refused["errors"][0]["message"]
