"""Days, why there is nothing, and the next free time of each."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from availability.slots import Slots
from events import new_id

WARSAW = ZoneInfo("Europe/Warsaw")
ALL = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY = date.today() + timedelta(days=10)


def at(clock: str, day: date = DAY) -> datetime:
    hour, minute = clock.split(":")
    return datetime(day.year, day.month, day.day, int(hour), int(minute), tzinfo=WARSAW).astimezone(UTC)


async def days(clinic, offering, first, last, provider="any", **more):
    params = {"offering": offering["id"], "from": str(first), "to": str(last), **more}
    return (await clinic.call("GET", f"/providers/{provider}/availability/days", who={}, params=params))["data"]


async def reason(clinic, offering, first, last=None, **more):
    answer = await clinic.availability(offering, first, last, **more)
    assert answer["slots"] == []
    return answer["reason"]


async def test_each_day_says_how_many_starts_it_has_and_why_it_has_none(clinic):
    anna = await clinic.practitioner(weekly={name: [["09:00", "10:00"]] for name in ALL})
    overrides = [{"date": str(DAY + timedelta(days=2)), "ranges": []}]
    body = {"weekly": {name: [["09:00", "10:00"]] for name in ALL}, "overrides": overrides}
    await clinic.call("PUT", "/resources/anna/schedule", body)
    offering = await clinic.offering()
    await clinic.take(anna, at("09:00"), at("09:30"))
    await clinic.take(anna, at("09:00", DAY + timedelta(days=1)), at("10:00", DAY + timedelta(days=1)))
    rows = await days(clinic, offering, DAY, DAY + timedelta(days=3))
    assert rows == [
        {"date": str(DAY), "free": 1, "first_start": f"{at('09:30'):%Y-%m-%dT%H:%M:%SZ}"},
        {"date": str(DAY + timedelta(days=1)), "free": 0, "first_start": None, "reason": "full"},
        {"date": str(DAY + timedelta(days=2)), "free": 0, "first_start": None, "reason": "closed"},
        {
            "date": str(DAY + timedelta(days=3)),
            "free": 2,
            "first_start": f"{at('09:00', DAY + timedelta(days=3)):%Y-%m-%dT%H:%M:%SZ}",
        },
    ]
    past = await days(clinic, offering, date.today() - timedelta(days=9), date.today() - timedelta(days=8))
    assert [(row["free"], row["reason"]) for row in past] == [(0, "closed")] * 2


async def test_days_count_what_the_search_lists(clinic):
    anna = await clinic.practitioner()
    offering = await clinic.offering(slot_step_minutes=15)
    for number in range(5):
        day = DAY + timedelta(days=number)
        await clinic.take(anna, at(f"{9 + number}:15", day), at(f"{10 + number}:00", day))
    last = DAY + timedelta(days=20)
    listed = (await clinic.availability(offering, DAY, last, tz="Asia/Tokyo"))["slots"]
    by_date = {}
    for slot in listed:
        by_date.setdefault(slot["local_start"][:10], []).append(slot["start"])
    for row in await days(clinic, offering, DAY, last, tz="Asia/Tokyo"):
        starts = by_date.get(row["date"], [])
        assert (row["free"], row["first_start"]) == (len(starts), starts[0] if starts else None)


async def test_holidays_close_unless_an_override_says_otherwise(clinic):
    year = date.today().year + 1
    first, second = date(year, 12, 25), date(year, 12, 26)
    body = {
        "weekly": {name: [["09:00", "10:00"]] for name in ALL},
        "holidays": {"country": "PL"},
        "overrides": [{"date": str(second), "ranges": [["09:00", "09:30"]]}],
    }
    await clinic.practitioner()
    await clinic.call("PUT", "/resources/anna/schedule", body)
    offering = await clinic.offering(window_days=730)
    assert await reason(clinic, offering, first) == "holiday"
    rows = await days(clinic, offering, first, second + timedelta(days=1))
    assert [(row["free"], row.get("reason")) for row in rows] == [(0, "holiday"), (1, None), (2, None)]


async def test_an_empty_answer_says_why(clinic):
    anna = await clinic.practitioner(weekly={name: [["09:00", "10:00"]] for name in ALL if name != "sun"})
    offering = await clinic.offering(window_days=30)
    monday = DAY + timedelta(days=-DAY.weekday() % 7)
    assert await reason(clinic, offering, monday + timedelta(days=6)) == "closed"
    assert await reason(clinic, offering, date.today() + timedelta(days=40)) == "outside_window"
    assert await reason(clinic, offering, date.today() - timedelta(days=4)) == "outside_window"
    await clinic.take(anna, at("09:00", monday), at("10:00", monday))
    assert await reason(clinic, offering, monday) == "full"
    roomed = await clinic.offering("Roomed", requirements=[{"type": "practitioner"}, {"type": "room"}])
    assert await reason(clinic, roomed, monday) == "no_resources"
    twice = await clinic.offering("Twice", requirements=[{"type": "practitioner"}, {"type": "practitioner"}])
    assert await reason(clinic, twice, monday) == "no_resources"
    away = {"start": at("08:00", monday).isoformat(), "end": at("12:00", monday).isoformat()}
    await clinic.call("POST", "/resources/anna/time-off", away, expect=201)
    assert await reason(clinic, offering, monday) == "closed"
    noticed = await clinic.offering("Later", min_notice_minutes=60 * 24 * 20)
    assert await reason(clinic, noticed, monday + timedelta(days=1)) == "outside_window"


async def test_time_off_that_comes_back_keeps_its_local_time(clinic):
    await clinic.practitioner(weekly={name: [["09:00", "11:00"]] for name in ALL})
    offering = await clinic.offering(duration_minutes=60)
    away = {
        "start": at("09:00").isoformat(), "end": at("10:00").isoformat(), "rrule": "FREQ=DAILY;INTERVAL=2;COUNT=200",
    }  # fmt: skip
    made = await clinic.call("POST", "/resources/anna/time-off", away, expect=201)
    for number in (0, 1, 2, 90, 199, 200, 300):
        expected = ["10:00"] if number % 2 == 0 else ["09:00", "10:00"]
        assert await clinic.starts(offering, DAY + timedelta(days=number)) == expected, number
    await clinic.call("DELETE", f"/resources/anna/time-off/{made['id']}", expect=204)
    assert await clinic.starts(offering, DAY) == ["09:00", "10:00"]


async def test_a_change_of_the_catalogue_is_seen_by_the_next_request(clinic):
    anna = await clinic.practitioner(weekly={name: [["09:00", "10:00"]] for name in ALL})
    offering = await clinic.offering()
    assert await clinic.starts(offering, DAY) == ["09:00", "09:30"]
    await clinic.call("PATCH", f"/offerings/{offering['id']}", {"duration_minutes": 20})
    assert await clinic.starts(offering, DAY) == ["09:00", "09:20", "09:40"]
    await clinic.call("PATCH", "/resources/anna", {"slug": "ann"})
    assert len(await clinic.starts(offering, DAY, provider="ann")) == 3
    await clinic.call(
        "GET", "/providers/anna/availability", who={}, params={"offering": offering["id"]}, expect=404
    )  # its former name
    piotr = await clinic.practitioner("Piotr", weekly={name: [["12:00", "12:20"]] for name in ALL})
    assert (await clinic.starts(offering, DAY))[-1] == "12:00"
    await clinic.call("DELETE", f"/resources/{anna['id']}", expect=204)
    assert await clinic.starts(offering, DAY) == ["12:00"]
    await clinic.call("DELETE", f"/resources/{piotr['id']}", expect=204)
    assert await clinic.starts(offering, DAY) == []
    await clinic.call("DELETE", f"/offerings/{offering['id']}", expect=204)
    await clinic.call("GET", "/providers/any/availability", who={}, params={"offering": offering["id"]}, expect=404)


async def test_what_is_asked_again_is_answered_again_only_while_nothing_has_changed(clinic, world):
    anna = await clinic.practitioner(weekly={name: [["09:00", "10:00"]] for name in ALL})
    offering = await clinic.offering()

    async def ids(**more):
        return [slot["slot_id"] for slot in (await clinic.availability(offering, DAY, **more))["slots"]]

    first = await ids()
    assert await ids() == first  # the work of signing is not done twice
    assert len(await ids(limit=1)) == 1
    assert len(await ids(provider="anna")) == 2
    held = await clinic.take(anna, at("09:00"), at("09:30"), expires_at=datetime.now(UTC) + timedelta(seconds=0.6))
    assert len(await ids()) == 1
    await asyncio.sleep(0.7)
    assert len(await ids()) == 2  # no event said so
    await world.publish(held.model_copy(update={"version": 2, "expires_at": None}))
    assert len(await ids()) == 1
    await clinic.call("PATCH", f"/offerings/{offering['id']}", {"price": {"amount": 100, "currency": "pln"}})
    assert (await clinic.availability(offering, DAY))["slots"][0]["price"]["amount"] == 100


async def test_providers_of_a_date_are_those_with_a_free_start_on_it(clinic):
    anna = await clinic.practitioner("Anna", weekly={name: [["09:00", "10:00"]] for name in ALL})
    piotr = await clinic.practitioner("Piotr", weekly={name: [["09:00", "10:00"]] for name in ALL})
    await clinic.offering(duration_minutes=60)
    await clinic.take(anna, at("09:00"), at("10:00"))

    async def ids(day):
        answer = await clinic.call("GET", "/providers", who={}, params={"date": str(day)})
        return [row["id"] for row in answer["data"]]

    assert await ids(DAY) == [piotr["id"]]
    assert await ids(DAY + timedelta(days=1)) == [anna["id"], piotr["id"]]
    listed = (await clinic.call("GET", "/providers", who={}, params={"date": str(DAY)}))["data"]
    assert datetime.fromisoformat(listed[0]["next_available"]) == at("09:00")
    await clinic.call("GET", "/providers", who={}, params={"date": "soon"}, expect=422)


async def test_the_next_slot_of_an_offering_is_its_first_that_can_be_held(clinic, world):
    anna = await clinic.practitioner("Anna", weekly={name: [["00:00", "24:00"]] for name in ALL})
    room = await clinic.resource("room", "Room")
    free = await clinic.offering("Free", min_notice_minutes=60 * 24)
    roomed = await clinic.offering("Roomed", requirements=[{"type": "room"}])
    never = await clinic.offering("Never", requirements=[{"type": "equipment"}])
    now = datetime.now(UTC)
    await clinic.take(room, now - timedelta(hours=1), now + timedelta(hours=20))
    slots = world.service.get(Slots)
    wanted = [UUID(one["id"]) for one in (free, roomed, never)] + [new_id()]
    found = await slots.next_slots(clinic.id, wanted)
    assert found[wanted[0]]["provider_id"] == UUID(anna["id"])
    assert timedelta(hours=23, minutes=59) < found[wanted[0]]["start"] - now <= timedelta(hours=24, minutes=31)
    assert found[wanted[1]]["provider_id"] is None
    assert found[wanted[1]]["start"] >= now + timedelta(hours=20)
    assert found[wanted[2]] is None
    assert found[wanted[3]] is None
    assert await slots.next_slots(clinic.id, []) == {}


async def test_days_are_described_in_the_openapi_document(world):
    document = (await world.client.get("/openapi.json")).json()
    for path in ("availability", "availability/days"):
        described = document["paths"][f"/v1/clinics/{{clinic}}/providers/{{provider}}/{path}"]["get"]
        names = {one["name"] for one in described["parameters"]}
        assert {"clinic", "provider", "offering", "from", "to", "tz", "override"} <= names
        assert "application/json" in described["responses"]["200"]["content"]
