"""What an offering asks of its resources and of those who book it: requirements, preferences, rules, members."""

from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from availability.domain import unmet
from events.contracts.availability import GapRule, MaxRule, NoOverlapRule, OfferingState


def needs(kind="practitioner", **more):
    return {"type": kind, "any_of": "all", "optional": False, "preferences": {}} | more


async def test_requirements_and_rules_are_kept_and_told(clinic, world):
    anna = await clinic.practitioner()
    piotr = await clinic.practitioner("Piotr")
    await clinic.resource("room", "Room 1")
    before = await clinic.offering("X-ray")
    requirements = [
        needs(any_of=[anna["id"], piotr["id"]], preferences={anna["id"]: 10, piotr["id"]: -5}),
        needs("room", preferences={}, optional=True),
    ]
    rules = [
        {"kind": "gap", "after_offering": before["id"], "minutes": 30, "of": "room"},
        {"kind": "max", "of": "practitioner", "per": "day", "count": 8},
        {"kind": "max", "of": "patient", "per": "week", "count": 1},
        {"kind": "no_overlap", "of": "patient"},
    ]
    more = {"requirements": requirements, "rules": rules, "members_only": True, "window_days": 90}
    made = await clinic.offering("Surgery", buffer_before_minutes=5, buffer_after_minutes=15, **more)
    assert {name: made[name] for name in more} == more
    assert made["warnings"] == []
    seen = await clinic.call("GET", "/offerings/surgery", who={})
    assert {name: seen[name] for name in more} == more
    assert "warnings" not in seen
    [state] = [one for one in await world.wait_sent(clinic.id, OfferingState, 2) if one.slug == "surgery"]
    assert (state.buffer_before_minutes, state.buffer_after_minutes, state.window_days) == (5, 15, 90)
    assert state.members_only
    assert state.rules == [
        GapRule(kind="gap", after_offering=UUID(before["id"]), minutes=30, of="room"),
        MaxRule(kind="max", of="practitioner", per="day", count=8),
        MaxRule(kind="max", of="patient", per="week", count=1),
        NoOverlapRule(kind="no_overlap"),
    ]
    assert state.requirements[0].preferences == {UUID(anna["id"]): 10, UUID(piotr["id"]): -5}
    assert [requirement.optional for requirement in state.requirements] == [False, True]


async def test_a_rule_may_name_its_own_offering_and_is_patched_away(clinic):
    made = await clinic.offering()
    gap = {"kind": "gap", "after_offering": made["id"], "minutes": 15}
    changed = await clinic.call("PATCH", "/offerings/check-up", {"rules": [gap], "members_only": True})
    assert changed["rules"] == [gap | {"of": "practitioner"}]
    changed = await clinic.call("PATCH", "/offerings/check-up", {"rules": None, "members_only": None})
    assert (changed["rules"], changed["members_only"]) == ([], False)


async def test_an_offering_that_a_rule_named_may_go(clinic):
    gone = await clinic.offering("Gone")
    await clinic.offering("Stays", rules=[{"kind": "gap", "after_offering": gone["id"], "minutes": 15}])
    await clinic.call("DELETE", "/offerings/gone", expect=204)
    changed = await clinic.call("PATCH", "/offerings/stays", {"name": "Still here"})
    assert len(changed["rules"]) == 1
    body = {"name": "New", "duration_minutes": 30, "rules": changed["rules"]}
    refused = await clinic.call("POST", "/offerings", body, expect=422)
    assert refused["errors"][0]["field"] == "rules.0.after_offering"


async def test_an_offering_of_another_clinic_is_not_known(clinic, make_clinic):
    other = await (await make_clinic()).offering()
    body = {
        "name": "X",
        "duration_minutes": 30,
        "rules": [{"kind": "gap", "after_offering": other["id"], "minutes": 5}],
    }
    await clinic.call("POST", "/offerings", body, expect=422)


async def test_what_nobody_can_meet_is_accepted_with_a_warning(clinic):
    made = await clinic.offering(requirements=[needs(), needs("room"), needs("equipment", optional=True)])
    assert [warning.split(":")[0] for warning in made["warnings"]] == ["requirements.0", "requirements.1"]
    await clinic.call("POST", "/resources", {"type": "practitioner", "name": "Anna"}, expect=201)
    await clinic.resource("room", "Room 1")
    changed = await clinic.call("PATCH", "/offerings/check-up", {"name": "Check"})
    assert "working hours" in changed["warnings"][0]
    await clinic.call("PUT", "/resources/anna/schedule", {"weekly": {"mon": [["09:00", "17:00"]]}})
    changed = await clinic.call("PATCH", "/offerings/check-up", {"description": "d"})
    assert changed["warnings"] == []
    await clinic.call("PATCH", "/resources/anna", {"active": False})
    changed = await clinic.call("PATCH", "/offerings/check-up", {"description": "e"})
    assert changed["warnings"][0].startswith("requirements.0: there is no active practitioner")


def test_requirements_are_met_together_or_not_at_all():
    a, b = ({"id": uuid4(), "type": "room", "schedule": None} for _ in range(2))
    only_a = needs("room", any_of=[str(a["id"])])
    assert unmet([needs("room"), only_a], [a, b]) == []
    assert unmet([only_a, needs("room")], [a, b]) == []
    assert len(unmet([only_a, only_a], [a, b])) == 1
    assert len(unmet([needs("room")] * 3, [a, b])) == 1
    assert unmet([needs("room"), needs("room"), needs("room", optional=True)], [a, b]) == []


ROOM = str(uuid4())


@pytest_asyncio.fixture(scope="module")
async def untouched(make_clinic):
    """One clinic, with one offering, for all that is refused."""
    made = await make_clinic()
    await made.offering()
    return made


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"requirements": [needs(optional=True), needs("room", optional=True)]}, "requirements"),
        ({"requirements": [needs(optional="perhaps")]}, "requirements.0.optional"),
        ({"requirements": [needs(preferences={ROOM: 1})]}, f"requirements.0.preferences.{ROOM}"),
        ({"requirements": [needs(preferences={"anna": 1})]}, "requirements.0.preferences"),
        ({"requirements": [needs(preferences={ROOM: 1001})]}, "requirements.0.preferences"),
        ({"requirements": [needs(preferences={ROOM: 0.5})]}, "requirements.0.preferences"),
        ({"requirements": [needs(preferences=None)]}, "requirements.0.preferences"),
        ({"requirements": [needs("car")]}, "requirements.0.type"),
        ({"requirements": [needs("room")] * 11}, "requirements"),
        ({"rules": [{"kind": "gap", "after_offering": ROOM, "minutes": 30}]}, "rules.0.after_offering"),
        ({"rules": [{"kind": "gap", "minutes": 30}]}, "rules.0"),
        ({"rules": [{"kind": "gap", "after_offering": ROOM, "minutes": 7}]}, "rules.0"),
        ({"rules": [{"kind": "gap", "after_offering": ROOM, "minutes": -5}]}, "rules.0"),
        ({"rules": [{"kind": "gap", "after_offering": ROOM, "minutes": 30, "of": "patient"}]}, "rules.0"),
        ({"rules": [{"kind": "max", "of": "room", "per": "day", "count": 1}]}, "rules.0"),
        ({"rules": [{"kind": "max", "of": "patient", "per": "month", "count": 1}]}, "rules.0"),
        ({"rules": [{"kind": "max", "of": "patient", "per": "day", "count": 0}]}, "rules.0"),
        ({"rules": [{"kind": "no_overlap", "of": "practitioner"}]}, "rules.0"),
        ({"rules": [{"kind": "weather"}]}, "rules.0"),
        ({"rules": [{"kind": "no_overlap", "of": "patient"}] * 21}, "rules"),
        ({"members_only": "yes, please"}, "members_only"),
    ],
)  # fmt: skip
async def test_a_wrong_requirement_or_rule_is_named_and_not_stored(untouched, change, field):
    clinic = untouched
    body = {"name": "New", "duration_minutes": 30} | change
    refused = await clinic.call("POST", "/offerings", body, expect=422)
    assert any(error["field"].startswith(field) for error in refused["errors"]), refused
    before = await clinic.call("GET", "/offerings/check-up")
    refused = await clinic.call("PATCH", "/offerings/check-up", change, expect=422)
    assert any(error["field"].startswith(field) for error in refused["errors"]), refused
    assert await clinic.call("GET", "/offerings/check-up") == before
    assert len((await clinic.call("GET", "/offerings"))["data"]) == 1


async def test_a_preference_is_for_one_of_those_that_may_serve(clinic):
    anna = await clinic.practitioner()
    piotr = await clinic.practitioner("Piotr")
    room = await clinic.resource("room", "Room 1")
    for any_of, preferred in ([[anna["id"]], piotr["id"]], ["all", room["id"]]):
        body = {"name": "X", "duration_minutes": 30}
        body["requirements"] = [needs(any_of=any_of, preferences={preferred: 1})]
        refused = await clinic.call("POST", "/offerings", body, expect=422)
        assert refused["errors"][0]["field"] == f"requirements.0.preferences.{preferred}"
