"""Offerings listed with their first free start."""

from datetime import date, datetime, timedelta

import pytest


async def first(clinic, offering):
    found = await clinic.availability(offering, date.today(), date.today() + timedelta(days=14))
    return found["slots"][0]


async def test_each_offering_names_its_first_free_start(clinic):
    await clinic.practitioner("Anna", weekly={"wed": [["10:00", "17:00"]]})
    piotr = await clinic.practitioner("Piotr", weekly={"wed": [["08:00", "17:00"]]})
    both = await clinic.offering("Both")
    await clinic.offering("Surgery", requirements=[{"type": "practitioner"}, {"type": "room"}])
    await clinic.offering("Hidden", active=False)
    listed = (await clinic.call("GET", "/offerings", who={}, params={"include": "next_slot"}))["data"]
    expected = (await first(clinic, both))["start"]
    assert {row["slug"]: row["next_slot"] for row in listed} == {
        "both": {"start": expected, "provider_id": piotr["id"]},
        "surgery": None,
    }
    assert all("next_slot" not in row for row in (await clinic.call("GET", "/offerings", who={}))["data"])
    own = (await clinic.call("GET", "/offerings", params={"include": "next_slot"}))["data"]
    assert [row["next_slot"] for row in own if row["slug"] == "hidden"] == [None]


async def test_what_is_taken_is_not_next(clinic):
    # Around the clock: at any time of the day the next slot is half an hour after this one.
    always = {day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    anna = await clinic.practitioner(weekly=always)
    offering = await clinic.offering()
    start = datetime.fromisoformat((await first(clinic, offering))["start"])
    await clinic.take(anna, start, start + timedelta(minutes=30))
    [row] = (await clinic.call("GET", "/offerings", who={}, params={"include": "next_slot", "limit": 1}))["data"]
    assert datetime.fromisoformat(row["next_slot"]["start"]) == start + timedelta(minutes=30)
    assert row["next_slot"]["start"] == (await first(clinic, offering))["start"]


@pytest.mark.parametrize("include", ["", "everything", "next_slot,prices"])
async def test_what_cannot_be_included_is_refused(clinic, include):
    refused = await clinic.call("GET", "/offerings", params={"include": include}, expect=422)
    assert refused["errors"][0]["field"] == "include"
