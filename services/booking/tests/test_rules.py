"""Rules of a clinic: gaps, maxima, no overlap, members only; and the front desk's override."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from booking.rules import span_of
from events import new_id
from events.contracts.availability import GapRule, MaxRule, NoOverlapRule, OfferingState

from .conftest import NEXT_WEEK, Clinic, bearer, code

WARSAW = ZoneInfo("Europe/Warsaw")
A_DAY = timedelta(days=1)
MAX_OF_PRACTITIONER = "practitioner"


def minutes(count: int) -> timedelta:
    return timedelta(minutes=count)


def a_wednesday(hour: int = 12, *, weeks: int = 2) -> datetime:
    """A Wednesday of a week to come, local time in Warsaw, in UTC."""
    today = datetime.now(WARSAW).date()
    day = today + timedelta(days=7 * weeks + 2 - today.weekday())
    return datetime.combine(day, time(hour), WARSAW).astimezone(UTC)


def local(day: date, at: str, zone: ZoneInfo = WARSAW) -> datetime:
    return datetime.combine(day, time.fromisoformat(at), zone).astimezone(UTC)


def most(count: int, per: str, of: str = MAX_OF_PRACTITIONER) -> MaxRule:
    return MaxRule.model_validate({"kind": "max", "of": of, "per": per, "count": count})


def gap(after: UUID, length: int, of: str = "practitioner") -> GapRule:
    return GapRule.model_validate({"kind": "gap", "after_offering": after, "minutes": length, "of": of})


async def held(clinic: Clinic, slot_id: str) -> bool:
    """Whether the time could be held; if not, because a rule did not allow it."""
    answer = await clinic.hold(slot_id)
    if answer.status_code == 201:
        return True
    assert code(answer) == (409, "slot-taken"), answer.text
    assert answer.json()["rule"]["kind"], answer.text
    return False


# -- gaps -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("starts_after", "may"), [(0, False), (5, False), (25, False), (30, True), (35, True), (-60, True), (-90, True)]
)
async def test_a_visit_keeps_its_gap_after_another_ones_end(clinic: Clinic, starts_after: int, may: bool) -> None:
    surgery = await clinic.offering()
    checkup = await clinic.offering(rules=[gap(surgery.offering_id, 30)])
    anna = await clinic.resource()
    assert await held(clinic, clinic.offer(surgery, [anna]))
    end = NEXT_WEEK + minutes(30)
    assert await held(clinic, clinic.offer(checkup, [anna], start=end + minutes(starts_after))) is may


@pytest.mark.parametrize(("ends_before", "may"), [(0, False), (25, False), (30, True), (60, True)])
async def test_what_others_have_to_follow_late_may_not_end_shortly_before_them(
    clinic: Clinic, ends_before: int, may: bool
) -> None:
    surgery = await clinic.offering()
    checkup = await clinic.offering(rules=[gap(surgery.offering_id, 30)])
    anna = await clinic.resource()
    assert await held(clinic, clinic.offer(checkup, [anna]))
    start = NEXT_WEEK - minutes(30 + ends_before)
    assert await held(clinic, clinic.offer(surgery, [anna], start=start)) is may
    # After it is another matter: nothing is said of that.
    assert await held(clinic, clinic.offer(surgery, [anna], start=NEXT_WEEK + minutes(30)))


async def test_a_gap_to_its_own_kind_holds_on_both_sides(clinic: Clinic) -> None:
    kind_id, anna = new_id(), await clinic.resource()
    kind = await clinic.offering(rules=[gap(kind_id, 15)], offering_id=kind_id)
    assert await held(clinic, clinic.offer(kind, [anna]))
    for distance, may in ((30, False), (40, False), (-40, False), (45, True), (-45, True)):
        assert await held(clinic, clinic.offer(kind, [anna], start=NEXT_WEEK + minutes(distance))) is may, distance


async def test_a_gap_is_kept_with_the_same_practitioner_only(clinic: Clinic) -> None:
    surgery, anna, piotr = await clinic.offering(), await clinic.resource(), await clinic.resource()
    room = await clinic.resource("room")
    checkup = await clinic.offering(rules=[gap(surgery.offering_id, 30)])
    assert await held(clinic, clinic.offer(surgery, [anna, room]))
    assert await held(clinic, clinic.offer(checkup, [piotr, room], start=NEXT_WEEK + minutes(30)))


async def test_a_gap_of_rooms_is_kept_in_the_same_room_whoever_works_there(clinic: Clinic) -> None:
    surgery = await clinic.offering()
    checkup = await clinic.offering(rules=[gap(surgery.offering_id, 30, "room")])
    anna, piotr = await clinic.resource(), await clinic.resource()
    one, other = await clinic.resource("room"), await clinic.resource("room")
    assert await held(clinic, clinic.offer(surgery, [anna, one]))
    soon = NEXT_WEEK + minutes(45)
    assert not await held(clinic, clinic.offer(checkup, [piotr, one], start=soon))
    assert await held(clinic, clinic.offer(checkup, [anna, other], start=soon))
    # From the other side: the surgery may not end in that room shortly before the check-up begins there.
    assert not await held(clinic, clinic.offer(surgery, [piotr, other], start=soon - minutes(45)))
    assert await held(clinic, clinic.offer(surgery, [piotr, other], start=soon - minutes(60)))


async def test_a_gap_counts_from_the_visit_not_from_its_buffers(clinic: Clinic) -> None:
    surgery, anna = await clinic.offering(), await clinic.resource()
    checkup = await clinic.offering(rules=[gap(surgery.offering_id, 30)])
    assert await held(clinic, clinic.offer(surgery, [anna], buffer=15))
    assert await held(clinic, clinic.offer(checkup, [anna], start=NEXT_WEEK + minutes(60), buffer=15))


async def test_an_assignment_that_a_rule_forbids_leaves_the_next_one(clinic: Clinic) -> None:
    surgery, anna, piotr = await clinic.offering(), await clinic.resource(), await clinic.resource()
    checkup = await clinic.offering(rules=[gap(surgery.offering_id, 30)])
    assert await held(clinic, clinic.offer(surgery, [anna]))
    answer = await clinic.hold(clinic.offer(checkup, [anna], [piotr], start=NEXT_WEEK + minutes(30)))
    assert answer.status_code == 201
    assert answer.json()["slot"]["provider_id"] == str(piotr.resource_id)


async def test_a_refusal_by_a_rule_says_which_and_in_a_sentence(clinic: Clinic) -> None:
    surgery, anna = await clinic.offering(), await clinic.resource()
    checkup = await clinic.offering(rules=[gap(surgery.offering_id, 30)])
    await held(clinic, clinic.offer(surgery, [anna]))
    answer = (await clinic.hold(clinic.offer(checkup, [anna], start=NEXT_WEEK + minutes(30)))).json()
    assert answer["rule"] == {
        "kind": "gap", "of": "practitioner", "minutes": 30, "after_offering": str(surgery.offering_id),
    }  # fmt: skip
    assert "30 minutes" in answer["detail"]
    assert "Nothing was booked" in answer["detail"]


async def test_what_was_released_or_has_run_out_keeps_nobody_away(clinic: Clinic) -> None:
    surgery, anna = await clinic.offering(), await clinic.resource()
    checkup = await clinic.offering(rules=[gap(surgery.offering_id, 30), most(1, "day")])
    hold = (await clinic.hold(clinic.offer(surgery, [anna]))).json()
    soon = clinic.offer(checkup, [anna], start=NEXT_WEEK + minutes(30))
    assert not await held(clinic, soon)
    await clinic.client.delete(f"{clinic.base}/holds/{hold['id']}", headers=bearer(hold))
    first = (await clinic.hold(soon)).json()
    again = clinic.offer(checkup, [anna], start=NEXT_WEEK + minutes(60))
    assert not await held(clinic, again)
    await clinic.run_out(first)
    assert await held(clinic, again)


async def test_a_room_gap_forgets_seats_of_a_class_that_have_run_out(clinic: Clinic) -> None:
    yoga = await clinic.offering(capacity=4)
    checkup = await clinic.offering(rules=[gap(yoga.offering_id, 30, "room")])
    anna, room = await clinic.resource(), await clinic.resource("room")
    seat = (await clinic.hold(clinic.offer(yoga, [anna, room]))).json()
    soon = clinic.offer(checkup, [anna, room], start=NEXT_WEEK + minutes(30))
    assert not await held(clinic, soon)
    await clinic.run_out(seat)
    assert await held(clinic, soon)


async def test_rules_about_practitioners_say_nothing_of_visits_without_one(clinic: Clinic) -> None:
    laundry_id = new_id()
    rules = [gap(laundry_id, 60), most(1, "day")]
    laundry = await clinic.offering(rules=rules, offering_id=laundry_id)
    for room in [await clinic.resource("room") for _ in range(3)]:
        assert await held(clinic, clinic.offer(laundry, [room]))
        assert await held(clinic, clinic.offer(laundry, [room], start=NEXT_WEEK + minutes(30)))


async def test_seats_of_a_class_that_has_begun_to_fill_are_not_judged_again(clinic: Clinic) -> None:
    surgery, anna = await clinic.offering(), await clinic.resource()
    yoga = await clinic.offering(capacity=3, rules=[gap(surgery.offering_id, 60), most(1, "day")])
    session = clinic.offer(yoga, [anna], start=NEXT_WEEK + minutes(60))
    assert await held(clinic, session)
    # The front desk has put a surgery where the gap would be; the class is there already and may still fill.
    surgery_at = clinic.offer(surgery, [anna], start=NEXT_WEEK + minutes(15), override=True)
    booked = await clinic.book(surgery_at, who=clinic.staff(), override=True, reason="an emergency")
    assert booked.status_code == 201, booked.text
    assert await held(clinic, session)
    assert await held(clinic, session)
    assert code(await clinic.hold(session)) == (409, "slot-taken")


# -- maxima of a practitioner -----------------------------------------------------------------------------------------


async def test_at_most_so_many_visits_a_day_with_one_practitioner(clinic: Clinic) -> None:
    kind = await clinic.offering(rules=[most(2, "day")])
    anna, piotr = await clinic.resource(), await clinic.resource()
    noon = a_wednesday()
    assert await held(clinic, clinic.offer(kind, [anna], start=noon))
    assert await held(clinic, clinic.offer(kind, [anna], start=noon + minutes(60)))
    answer = await clinic.hold(clinic.offer(kind, [anna], start=noon + minutes(120)))
    assert answer.json()["rule"] == {"kind": "max", "of": "practitioner", "per": "day", "count": 2}
    assert "as many of these visits in that day" in answer.json()["detail"]
    assert await held(clinic, clinic.offer(kind, [piotr], start=noon + minutes(120)))
    assert await held(clinic, clinic.offer(kind, [anna], start=noon + A_DAY))
    assert await held(clinic, clinic.offer(await clinic.offering(), [anna], start=noon + minutes(180)))


async def test_a_class_counts_once_however_many_seats_are_taken(clinic: Clinic) -> None:
    yoga, maria = await clinic.offering(capacity=5, rules=[most(2, "day")]), await clinic.resource()
    noon = a_wednesday()
    for start in (noon, noon + minutes(60)):
        for _ in range(3):
            assert await held(clinic, clinic.offer(yoga, [maria], start=start))
    assert not await held(clinic, clinic.offer(yoga, [maria], start=noon + minutes(120)))


async def test_the_day_is_the_clinics_and_the_starts(clinic: Clinic) -> None:
    new_york = ZoneInfo("America/New_York")
    await clinic.open(version=2, time_zone="America/New_York")
    kind, anna = await clinic.offering(rules=[most(1, "day")]), await clinic.resource()
    day = a_wednesday().date()
    late = local(day, "23:45", new_york)  # ends on the next day, and in UTC begins on it, too
    assert late.date() == day + A_DAY
    assert await held(clinic, clinic.offer(kind, [anna], start=late))
    assert not await held(clinic, clinic.offer(kind, [anna], start=local(day, "00:00", new_york)))
    assert await held(clinic, clinic.offer(kind, [anna], start=local(day + A_DAY, "00:15", new_york)))


def transitions() -> list[date]:
    """The next two Sundays on which Warsaw changes its clocks: one to each side."""
    today = datetime.now(WARSAW).date()
    days = [today + timedelta(days=ahead) for ahead in range(8, 380)]
    changed = [
        before
        for before, after in pairwise(days)
        if local(after, "00:00") - local(before, "00:00") != timedelta(days=1)
    ]
    return changed[:2]


@pytest.mark.parametrize("which", [0, 1])
async def test_a_week_is_the_clinics_also_when_the_clocks_change(clinic: Clinic, which: int) -> None:
    kind, anna = await clinic.offering(rules=[most(2, "week")]), await clinic.resource()
    sunday = transitions()[which]
    assert sunday.weekday() == 6
    monday = sunday - timedelta(days=6)
    assert await held(clinic, clinic.offer(kind, [anna], start=local(monday, "00:00")))
    assert await held(clinic, clinic.offer(kind, [anna], start=local(sunday, "23:45")))
    assert not await held(clinic, clinic.offer(kind, [anna], start=local(sunday, "22:00")))
    assert await held(clinic, clinic.offer(kind, [anna], start=local(monday - A_DAY, "23:30")))
    assert await held(clinic, clinic.offer(kind, [anna], start=local(sunday + A_DAY, "00:15")))


@pytest.mark.parametrize("which", [0, 1])
async def test_a_day_is_the_clinics_also_when_the_clocks_change(clinic: Clinic, which: int) -> None:
    kind, anna = await clinic.offering(rules=[most(2, "day")]), await clinic.resource()
    sunday = transitions()[which]
    assert await held(clinic, clinic.offer(kind, [anna], start=local(sunday, "00:00")))
    assert await held(clinic, clinic.offer(kind, [anna], start=local(sunday, "23:45")))
    assert not await held(clinic, clinic.offer(kind, [anna], start=local(sunday, "12:00")))
    assert await held(clinic, clinic.offer(kind, [anna], start=local(sunday - A_DAY, "23:30")))
    assert await held(clinic, clinic.offer(kind, [anna], start=local(sunday + A_DAY, "00:15")))


async def test_the_day_on_which_midnight_comes_twice_is_one_day(clinic: Clinic) -> None:
    havana = ZoneInfo("America/Havana")
    await clinic.open(version=2, time_zone="America/Havana")
    kind, anna = await clinic.offering(rules=[most(1, "day")]), await clinic.resource()
    days = [datetime.now(havana).date() + timedelta(days=ahead) for ahead in range(8, 380)]
    day = next(
        one for one in days if local(one + A_DAY, "12:00", havana) - local(one, "12:00", havana) > A_DAY
    ) + A_DAY  # fmt: skip
    first, second = (datetime.combine(day, time(0, 15), havana).replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    assert second - first == timedelta(hours=1)
    assert await held(clinic, clinic.offer(kind, [anna], start=first))
    assert not await held(clinic, clinic.offer(kind, [anna], start=second))
    assert not await held(clinic, clinic.offer(kind, [anna], start=local(day, "12:00", havana)))
    assert span_of("day", second, havana)[0] <= first


async def test_the_strictest_of_several_maxima_counts(clinic: Clinic) -> None:
    kind, anna = await clinic.offering(rules=[most(3, "day"), most(1, "day"), most(2, "week")]), await clinic.resource()
    noon = a_wednesday()
    assert await held(clinic, clinic.offer(kind, [anna], start=noon))
    assert not await held(clinic, clinic.offer(kind, [anna], start=noon + minutes(60)))
    assert await held(clinic, clinic.offer(kind, [anna], start=noon + A_DAY))
    assert not await held(clinic, clinic.offer(kind, [anna], start=noon + 2 * A_DAY))


# -- rules about the patient ------------------------------------------------------------------------------------------


async def overlapping(clinic: Clinic) -> tuple[OfferingState, str, str]:
    """An offering that a patient may not have twice at a time, and two times of it that overlap."""
    kind = await clinic.offering(rules=[NoOverlapRule(kind="no_overlap")])
    anna, piotr = await clinic.resource(), await clinic.resource()
    return kind, clinic.offer(kind, [anna]), clinic.offer(kind, [piotr], start=NEXT_WEEK + minutes(15))


async def test_a_patient_is_not_in_two_places_and_somebody_else_may_have_the_hold(clinic: Clinic) -> None:
    _, one, other = await overlapping(clinic)
    ewa = new_id()
    await clinic.appointment(one, customer_token=clinic.customer(ewa, verified=True))
    hold = (await clinic.hold(other)).json()
    refused = await clinic.request(hold, customer_token=clinic.customer(ewa, verified=True))
    assert code(refused) == (422, "rule-broken")
    assert refused.json()["rule"] == {"kind": "no_overlap", "of": "patient"}
    assert "another appointment at this time" in refused.json()["detail"]
    assert (await clinic.get(hold, "holds"))["status"] == "held"
    assert (await clinic.request(hold)).status_code == 201


async def test_visits_that_touch_do_not_overlap(clinic: Clinic) -> None:
    kind, one, _ = await overlapping(clinic)
    ewa, piotr = new_id(), await clinic.resource()
    await clinic.appointment(one, customer_token=clinic.customer(ewa, verified=True))
    for start in (NEXT_WEEK + minutes(30), NEXT_WEEK - minutes(30)):
        slot = clinic.offer(kind, [piotr], start=start)
        await clinic.appointment(slot, customer_token=clinic.customer(ewa, verified=True))


async def test_whoever_proved_the_address_is_judged_by_what_was_booked_under_it_by_anybody(clinic: Clinic) -> None:
    _, one, other = await overlapping(clinic)
    ewa = new_id()
    await clinic.appointment(one, customer_token=clinic.customer(ewa))
    hold = (await clinic.hold(other)).json()
    assert code(await clinic.request(hold, customer_token=clinic.customer(ewa, verified=True))) == (422, "rule-broken")


async def test_a_stranger_who_types_an_address_learns_nothing_of_its_owners_visits(clinic: Clinic) -> None:
    _, one, other = await overlapping(clinic)
    ewa = new_id()
    await clinic.appointment(one, customer_token=clinic.customer(ewa, verified=True))
    made = await clinic.book(other, customer_token=clinic.customer(ewa))
    assert made.status_code == 201
    # But an address that was never proved counts against itself.
    third = clinic.offer(next(iter(clinic.offerings.values())), [await clinic.resource()])
    assert code(await clinic.book(third, customer_token=clinic.customer(ewa))) == (422, "rule-broken")


@pytest.mark.parametrize(("per", "later"), [("day", timedelta(hours=2)), ("week", 3 * A_DAY)])
async def test_at_most_so_many_visits_of_a_patient(clinic: Clinic, per: str, later: timedelta) -> None:
    kind = await clinic.offering(rules=[most(2, per, "patient")])
    ewa, noon = new_id(), a_wednesday()
    anna, piotr = await clinic.resource(), await clinic.resource()
    for provider in (anna, piotr):
        slot = clinic.offer(kind, [provider], start=noon)
        await clinic.appointment(slot, customer_token=clinic.customer(ewa))
    hold = (await clinic.hold(clinic.offer(kind, [anna], start=noon + later))).json()
    refused = await clinic.request(hold, customer_token=clinic.customer(ewa))
    assert code(refused) == (422, "rule-broken")
    assert refused.json()["rule"] == {"kind": "max", "of": "patient", "per": per, "count": 2}
    assert (await clinic.request(hold)).status_code == 201
    beyond = noon + (A_DAY if per == "day" else 7 * A_DAY)
    await clinic.appointment(clinic.offer(kind, [anna], start=beyond), customer_token=clinic.customer(ewa))


async def test_what_a_patient_cancelled_or_let_run_out_does_not_count(clinic: Clinic) -> None:
    kind = await clinic.offering("full", rules=[most(1, "day", "patient"), NoOverlapRule(kind="no_overlap")])
    ewa, anna = new_id(), await clinic.resource()
    first = await clinic.appointment(clinic.offer(kind, [anna]), customer_token=clinic.customer(ewa))
    assert (await clinic.do("PUT", first, "cancel")).status_code == 200
    second = await clinic.appointment(clinic.offer(kind, [anna]), customer_token=clinic.customer(ewa))
    await clinic.run_out(second)
    await clinic.appointment(clinic.offer(kind, [anna]), customer_token=clinic.customer(ewa))


async def test_a_refused_slot_is_not_kept_from_others(clinic: Clinic) -> None:
    _, one, other = await overlapping(clinic)
    ewa = new_id()
    await clinic.appointment(one, customer_token=clinic.customer(ewa))
    refused = await clinic.book(other, customer_token=clinic.customer(ewa))
    assert code(refused) == (422, "rule-broken")
    assert await held(clinic, other)
