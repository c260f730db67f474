"""Series: an offer for every occurrence of a rule, and for every visit of a series that moves."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from servicekit.capabilities import Offer

WARSAW = ZoneInfo("Europe/Warsaw")
ALL = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY = date.today() + timedelta(days=8)


def at(clock: str, day: date = DAY) -> datetime:
    hour, minute = clock.split(":")
    return datetime(day.year, day.month, day.day, int(hour), int(minute), tzinfo=WARSAW).astimezone(UTC)


def rfc(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


@pytest.fixture
def ask(clinic, world, service_token):
    """Asks an internal route."""

    async def call(path, body, expect=200, headers=None):
        url = f"/internal/tenants/{clinic.id}/{path}"
        answer = await world.client.post(url, json=body, headers=service_token if headers is None else headers)
        assert answer.status_code == expect, answer.text
        return answer.json()

    return call


async def slot_at(clinic, offering, instant, provider="anna"):
    day = instant.astimezone(WARSAW).date()
    slots = (await clinic.availability(offering, day, provider=provider))["slots"]
    return next(slot for slot in slots if slot["start"] == rfc(instant))


async def test_every_occurrence_keeps_its_local_time_and_its_provider(clinic, world, ask):
    anna = await clinic.practitioner("Anna")
    await clinic.practitioner("Piotr")
    offering = await clinic.offering()
    slot = await slot_at(clinic, offering, at("10:00"))
    found = (await ask("occurrences", {"slot_id": slot["slot_id"], "rrule": "FREQ=WEEKLY;COUNT=52"}))["occurrences"]
    assert len(found) == 52
    assert found[0]["start"] == slot["start"]
    offsets = set()
    for number, one in enumerate(found):
        assert one["start"] == rfc(at("10:00", DAY + timedelta(weeks=number)))
        offer = world.service.signer("offers").verify(one["slot_id"], Offer)
        assert rfc(datetime.fromtimestamp(offer.start, UTC)) == one["start"]
        assert [str(candidate[0].resource_id) for candidate in offer.candidates] == [anna["id"]]
        assert offer.provider_chosen
        assert one["alternatives"] == []
        offsets.add(one["start"][11:13])
    assert len(offsets) == 2  # a year has both of the zone's offsets


async def test_an_occurrence_that_cannot_be_has_alternatives(clinic, ask):
    anna = await clinic.practitioner("Anna")
    offering = await clinic.offering()
    slot = await slot_at(clinic, offering, at("10:00"))
    second = DAY + timedelta(days=1)
    await clinic.take(anna, at("10:00", second), at("10:30", second))
    body = {"slot_id": slot["slot_id"], "rrule": "FREQ=DAILY;COUNT=3"}
    found = (await ask("occurrences", body))["occurrences"]
    assert [one["slot_id"] is None for one in found] == [False, True, False]
    near = [alternative["start"] for alternative in found[1]["alternatives"]]
    assert near == [rfc(at(clock, second)) for clock in ("09:30", "10:30", "09:00")]


async def test_with_any_each_occurrence_takes_whoever_is_free(clinic, world, ask):
    anna = await clinic.practitioner("Anna")
    piotr = await clinic.practitioner("Piotr")
    offering = await clinic.offering()
    slot = await slot_at(clinic, offering, at("10:00"), provider="any")
    second = DAY + timedelta(days=1)
    await clinic.take(anna, at("10:00", second), at("10:30", second))
    found = (await ask("occurrences", {"slot_id": slot["slot_id"], "rrule": "FREQ=DAILY;COUNT=2"}))["occurrences"]
    offers = [world.service.signer("offers").verify(one["slot_id"], Offer) for one in found]
    assert [len(offer.candidates) for offer in offers] == [2, 1]
    assert str(offers[1].candidates[0][0].resource_id) == piotr["id"]


async def test_occurrences_beyond_the_window_are_refused_and_the_own_start_is_always_the_first(clinic, ask):
    await clinic.practitioner("Anna")
    offering = await clinic.offering(window_days=20)
    slot = await slot_at(clinic, offering, at("10:00"))
    day = ALL[(DAY.weekday() + 1) % 7][:2].upper()
    body = {"slot_id": slot["slot_id"], "rrule": f"FREQ=WEEKLY;BYDAY={day};COUNT=4"}
    found = (await ask("occurrences", body))["occurrences"]
    expected = [DAY, *(DAY + timedelta(days=1, weeks=number) for number in range(4))]
    assert [one["start"] for one in found] == [rfc(at("10:00", one)) for one in expected]
    assert [one["slot_id"] is None for one in found] == [False, False, False, True, True]


@pytest.mark.parametrize(
    ("rrule", "words"),
    [
        ("FREQ=WEEKLY", "COUNT or UNTIL"),
        ("FREQ=WEEKLY;COUNT=105", "104"),
        ("FREQ=DAILY;UNTIL=99990101", "104"),
        ("FREQ=HOURLY;COUNT=3", "FREQ"),
        ("every week;COUNT=2", "every week"),
        ("FREQ=WEEKLY;COUNT=2;BYHOUR=3", "BYHOUR"),
    ],
)
async def test_a_rule_that_does_not_do_is_refused_by_name(clinic, ask, rrule, words):
    await clinic.practitioner("Anna")
    slot = await slot_at(clinic, await clinic.offering(), at("10:00"))
    problem = await ask("occurrences", {"slot_id": slot["slot_id"], "rrule": rrule}, expect=422)
    assert [error["field"] for error in problem["errors"]] == ["rrule"]
    assert words.lower() in problem["detail"].lower()


async def test_a_series_moves_by_local_days_and_minutes(clinic, world, ask):
    await clinic.practitioner("Anna")
    offering = await clinic.offering()
    year = date.today().year + 1
    sunday = max(date(year, 3, day) for day in range(25, 32) if date(year, 3, day).weekday() == 6)
    friday, next_monday = sunday - timedelta(days=2), sunday + timedelta(days=1)
    offering = await clinic.offering("Far", window_days=730)
    slot = await slot_at(clinic, offering, at("14:00", friday + timedelta(days=1)))
    starts = [rfc(at("10:00", day)) for day in (friday, next_monday, next_monday + timedelta(days=7))]
    body = {"slot_id": slot["slot_id"], "from_start": rfc(at("10:00", friday)), "starts": starts}
    found = (await ask("shifted", body))["occurrences"]
    moved = [at("14:00", day + timedelta(days=1)) for day in (friday, next_monday, next_monday + timedelta(days=7))]
    assert [one["start"] for one in found] == [rfc(instant) for instant in moved]
    assert all(one["slot_id"] for one in found)
    await ask("shifted", body | {"starts": []}, expect=422)
    await ask("shifted", {"slot_id": slot["slot_id"]}, expect=422)


async def test_only_services_may_ask_and_only_with_offers_of_ours(clinic, ask, world):
    await clinic.practitioner("Anna")
    slot = await slot_at(clinic, await clinic.offering(), at("10:00"))
    for path in ("alternatives", "occurrences", "shifted", "repairs"):
        await ask(path, {"slot_id": slot["slot_id"]}, expect=401, headers=clinic.owner)
        await ask(path, {"slot_id": slot["slot_id"]}, expect=401, headers={})
    problem = await ask("occurrences", {"slot_id": "nonsense", "rrule": "FREQ=DAILY;COUNT=2"}, expect=422)
    assert problem["type"].endswith("offer-invalid")
    await ask("occurrences", {"slot_id": slot["slot_id"], "rrule": ""}, expect=422)
    await ask("occurrences", [], expect=422)
