"""Series: each visit is an appointment of its own; what cannot be had comes back with what else there is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from events import new_id
from events.contracts.availability import MaxRule, OfferingState, ResourceState

from .conftest import NEXT_WEEK, Clinic, bearer, code

WEEK = timedelta(days=7)
ELSEWHERE = [{"slot_id": "another", "start": "2030-01-01T10:00:00Z"}]


@dataclass
class Weekly:
    """Visits of one offering with one practitioner, a week apart."""

    clinic: Clinic
    kind: OfferingState
    anna: ResourceState

    def offers(self, count: int = 3, *, later: timedelta = timedelta(), **more: Any) -> list[str]:
        return [
            self.clinic.offer(self.kind, [self.anna], start=NEXT_WEEK + n * WEEK + later, **more) for n in range(count)
        ]

    def occurrences(self, slots: Sequence[str | None], *, later: timedelta = timedelta()) -> list[dict[str, Any]]:
        """As the gateway says what availability found; None: nothing at that time."""
        return [
            {"start": (NEXT_WEEK + n * WEEK + later).isoformat(), "slot_id": slot}
            | ({} if slot else {"alternatives": ELSEWHERE})
            for n, slot in enumerate(slots)
        ]

    async def book(
        self, slots: Sequence[str | None], *, who: dict[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        first = next((slot for slot in slots if slot), self.offers(1)[0])
        body = {"slot_id": first, "rrule": f"FREQ=WEEKLY;COUNT={len(slots)}", "occurrences": self.occurrences(slots)}
        body |= {"customer_token": self.clinic.customer()}
        return await self.clinic.client.post(f"{self.clinic.base}/series", json=body | more, headers=who)

    async def made(self, count: int = 3, **more: Any) -> dict[str, Any]:
        answer = await self.book(self.offers(count), **more)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def cancel(
        self, series: dict[str, Any], number: int, scope: str, *, who: dict[str, str] | None = None
    ) -> httpx.Response:
        body = {"scope": scope, "appointment_id": ids(series)[number]}
        url = f"{self.clinic.base}/series/{series['id']}/cancel"
        return await self.clinic.client.put(url, json=body, headers=bearer(series) if who is None else who)

    async def move(
        self, series: dict[str, Any], slots: Sequence[str | None], *, who: dict[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        """Its visits from the first on, each to its own time an hour later."""
        found = self.occurrences(slots, later=timedelta(hours=1))
        body = {
            "scope": "all",
            "appointment_id": ids(series)[0],
            "slot_id": next(slot for slot in slots if slot),
            "occurrences": [one | {"appointment_id": ids(series)[n]} for n, one in enumerate(found)],
        }
        url = f"{self.clinic.base}/series/{series['id']}/reschedule"
        return await self.clinic.client.put(url, json=body | more, headers=bearer(series) if who is None else who)

    async def statuses(self, series: dict[str, Any]) -> list[str | None]:
        seen = await self.clinic.get(series, "series")
        return [one.get("appointment_status", one["status"]) for one in seen["occurrences"]]

    async def count(self) -> int:
        return int((await self.clinic.stored("SELECT count(*) AS n FROM series"))[0]["n"])


def ids(series: dict[str, Any]) -> list[str]:
    return [one["appointment_id"] for one in series["occurrences"] if one["status"] == "booked"]


@pytest.fixture
async def weekly(clinic: Clinic) -> Weekly:
    return Weekly(clinic, await clinic.offering(), await clinic.resource())


# -- booking one ----------------------------------------------------------------------------------------------------


async def test_each_visit_of_a_series_is_an_appointment_of_its_own(weekly: Weekly) -> None:
    clinic, series = weekly.clinic, await weekly.made()
    assert (series["status"], series["rrule"]) == ("active", "FREQ=WEEKLY;COUNT=3")
    assert [one["status"] for one in series["occurrences"]] == ["booked"] * 3
    for number, appointment_id in enumerate(ids(series)):
        seen = await clinic.get({"id": appointment_id}, who=clinic.staff())
        assert (seen["series_id"], seen["status"]) == (series["id"], "confirmed")
        assert seen["slot"]["start"] == (NEXT_WEEK + number * WEEK).isoformat().replace("+00:00", "Z")
    assert len(await clinic.said("booking.booking_confirmed.v1")) == 3
    shown = await clinic.get(series, "series")
    assert "manage_token" not in shown
    assert [one["appointment_id"] for one in shown["occurrences"]] == ids(series)


async def test_the_visits_of_a_series_belong_to_one_person(weekly: Weekly) -> None:
    person = new_id()
    await weekly.made(customer_token=weekly.clinic.customer(person))
    rows = await weekly.clinic.stored("SELECT DISTINCT person_id FROM booking")
    assert [row["person_id"] for row in rows] == [person]


async def test_what_is_not_free_comes_back_with_the_alternatives_and_the_rest_is_booked(weekly: Weekly) -> None:
    first, _, third = weekly.offers()
    answer = await weekly.book([first, None, third])
    assert answer.status_code == 201, answer.text
    one, other, last = answer.json()["occurrences"]
    assert [one["status"], other["status"], last["status"]] == ["booked", "refused", "booked"]
    assert other["alternatives"] == ELSEWHERE
    assert "slot_id" not in other
    shown = (await weekly.clinic.get(answer.json(), "series"))["occurrences"]
    assert [entry["status"] for entry in shown] == ["booked", "refused", "booked"]
    assert shown[1]["start"] == other["start"]


async def test_a_visit_lost_in_a_race_comes_back_with_its_offer_and_the_reason(weekly: Weekly) -> None:
    slots = weekly.offers()
    assert (await weekly.clinic.hold(slots[1])).status_code == 201
    lost = (await weekly.book(slots)).json()["occurrences"][1]
    assert (lost["status"], lost["slot_id"], lost["alternatives"]) == ("refused", slots[1], [])
    assert lost["reason"].startswith("Somebody else has just taken this time.")


async def test_when_nothing_can_be_had_there_is_no_series(weekly: Weekly) -> None:
    slots = weekly.offers(2)
    for slot in slots:
        assert (await weekly.clinic.hold(slot)).status_code == 201
    answer = await weekly.book([*slots, None])
    assert code(answer) == (409, "slot-taken")
    refused = answer.json()["occurrences"]
    assert [one["status"] for one in refused] == ["refused"] * 3
    assert [one.get("slot_id") for one in refused] == [*slots, None]
    assert refused[2]["alternatives"] == ELSEWHERE
    assert await weekly.count() == 0
    assert len(await weekly.clinic.stored("SELECT 1 FROM booking WHERE contact_id IS NOT NULL")) == 0


async def test_a_rule_of_the_patient_refuses_the_visits_that_break_it(clinic: Clinic) -> None:
    once_a_week = MaxRule(kind="max", of="patient", per="week", count=1)
    kind, anna = await clinic.offering(rules=[once_a_week]), await clinic.resource()
    weekly, person = Weekly(clinic, kind, anna), new_id()
    assert (await clinic.book(weekly.offers(2)[1], customer_token=clinic.customer(person))).status_code == 201
    hour_later = weekly.offers(3, later=timedelta(hours=1))
    answer = await weekly.book(hour_later, customer_token=clinic.customer(person))
    refused = answer.json()["occurrences"]
    assert [one["status"] for one in refused] == ["booked", "refused", "booked"]
    assert "as many of these visits in that week" in refused[1]["reason"]


async def test_paid_offerings_are_booked_as_a_series_by_staff_who_take_the_money_at_the_desk(clinic: Clinic) -> None:
    weekly = Weekly(clinic, await clinic.offering("full"), await clinic.resource())
    slots = weekly.offers()
    for who in (None, clinic.staff()):
        refused = await weekly.book(slots, who=who)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "pay")
    assert await weekly.count() == 0
    assert code(await weekly.book(slots, pay="desk")) == (401, "unauthenticated")
    assert code(await weekly.book(slots, pay="desk", who=clinic.staff("practitioner"))) == (403, "forbidden")
    assert await weekly.count() == 0
    series = await weekly.made(pay="desk", who=clinic.staff())
    seen = await clinic.get({"id": ids(series)[0]}, who=clinic.staff())
    assert (seen["status"], seen["pay"], seen["payment"]["amount_due"]) == ("confirmed", "desk", 0)


async def test_a_series_that_is_for_members_alone_leaves_nothing_behind_for_a_guest(clinic: Clinic) -> None:
    weekly = Weekly(clinic, await clinic.offering(members_only=True), await clinic.resource())
    assert code(await weekly.book(weekly.offers())) == (422, "membership-required")
    assert await weekly.count() == 0


async def test_an_unverified_address_with_as_many_visits_as_allowed_gets_no_series(weekly: Weekly) -> None:
    clinic, person = weekly.clinic, new_id()
    await weekly.made(5, customer_token=clinic.customer(person))
    more = weekly.offers(later=timedelta(hours=2))
    refused = await weekly.book(more, customer_token=clinic.customer(person))
    assert code(refused) == (429, "rate-limited")
    assert await weekly.count() == 1
    verified = await weekly.book(more, customer_token=clinic.customer(person, verified=True))
    assert verified.status_code == 201


async def test_the_same_idempotency_key_books_a_series_once(weekly: Weekly) -> None:
    slots, customer = weekly.offers(), weekly.clinic.customer()
    key = {"Idempotency-Key": str(uuid4())}
    first, second = [await weekly.book(slots, customer_token=customer, who=key) for _ in range(2)]
    assert first.json() == second.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    assert await weekly.count() == 1


# -- seeing one -----------------------------------------------------------------------------------------------------


async def test_a_series_is_for_staff_its_owner_and_the_bearer_of_its_token(weekly: Weekly) -> None:
    clinic, owner = weekly.clinic, uuid4()
    series = await weekly.made(customer_token=clinic.customer(user=owner, verified=True))
    url = f"{clinic.base}/series/{series['id']}"
    for who in (clinic.staff("auditor"), clinic.user(owner), bearer(series)):
        assert (await clinic.client.get(url, headers=who)).status_code == 200
    for who in ({}, clinic.user(), {"Authorization": "Bearer nonsense"}):
        assert code(await clinic.client.get(url, headers=who)) == (404, "not-found")
        assert code(await weekly.cancel(series, 0, "all", who=who)) == (404, "not-found")
        moved = await weekly.move(series, weekly.offers(later=timedelta(hours=1)), who=who)
        assert code(moved) == (404, "not-found")
    assert await weekly.statuses(series) == ["confirmed"] * 3


async def test_staff_list_the_clinics_series_page_by_page(weekly: Weekly) -> None:
    clinic, made = weekly.clinic, []
    for hours in range(3):
        slots = weekly.offers(1, later=timedelta(hours=hours))
        made.append((await weekly.book(slots)).json())
    found, cursor = [], None
    for _ in range(3):
        query = {"limit": 1} | ({"cursor": cursor} if cursor else {})
        page = (await clinic.client.get(f"{clinic.base}/series", params=query, headers=clinic.staff())).json()
        found += page["data"]
        cursor = page["next_cursor"]
    assert [one["id"] for one in found] == [one["id"] for one in made]
    assert cursor is None
    assert code(await clinic.client.get(f"{clinic.base}/series")) == (401, "unauthenticated")
    assert code(await clinic.client.get(f"{clinic.base}/series", headers=clinic.user())) == (403, "forbidden")


# -- calling off ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "left"),
    [
        ("this", ["confirmed", "cancelled", "confirmed", "confirmed"]),
        ("following", ["confirmed", "cancelled", "cancelled", "cancelled"]),
        ("all", ["cancelled"] * 4),
    ],
)
async def test_the_patient_calls_off_this_one_the_following_or_all(weekly: Weekly, scope: str, left: list[str]) -> None:
    series = await weekly.made(4)
    for _ in range(2):  # again: answered as the first time
        answer = await weekly.cancel(series, 1, scope)
        assert answer.status_code == 200, answer.text
        assert [one["appointment_status"] for one in answer.json()["occurrences"]] == left
        assert answer.json()["status"] == ("active" if "confirmed" in left else "cancelled")
    assert len(await weekly.clinic.said("booking.booking_cancelled.v1")) == left.count("cancelled")
    assert (await weekly.clinic.hold(weekly.offers(2)[1])).status_code == 201


async def test_all_needs_no_visit_to_be_named_and_the_others_do(weekly: Weekly) -> None:
    series = await weekly.made(2)
    url = f"{weekly.clinic.base}/series/{series['id']}/cancel"
    headers = {"Authorization": f"Bearer {series['manage_token']}"}
    refused = await weekly.clinic.client.put(url, json={"scope": "following"}, headers=headers)
    assert refused.status_code == 422
    ended = await weekly.clinic.client.put(url, json={"scope": "all"}, headers=headers)
    assert (ended.status_code, ended.json()["status"]) == (200, "cancelled")


async def test_a_series_is_over_with_its_last_visit(weekly: Weekly) -> None:
    series = await weekly.made(2)
    assert (await weekly.cancel(series, 0, "this")).json()["status"] == "active"
    assert (await weekly.cancel(series, 1, "this")).json()["status"] == "cancelled"


async def test_visits_that_have_begun_are_not_called_off_with_the_others(weekly: Weekly) -> None:
    series = await weekly.made()
    async with weekly.clinic.service.database.transaction(weekly.clinic.tenant_id) as tx:
        await tx.connection.exec_driver_sql(
            "UPDATE booking SET start_at = now() - interval '5 min' WHERE id = %s", (UUID(ids(series)[0]),)
        )
    answer = await weekly.cancel(series, 1, "all")
    assert answer.status_code == 200, answer.text
    assert await weekly.statuses(series) == ["confirmed", "cancelled", "cancelled"]


async def test_each_visit_is_called_off_by_the_policy_and_by_staff_without_a_fee(clinic: Clinic) -> None:
    weekly = Weekly(clinic, await clinic.offering("full", fee=50), await clinic.resource())
    series = await weekly.made(2, pay="desk", who=clinic.staff())
    # Both were paid at once later, and the first begins too soon to be called off for nothing.
    async with clinic.service.database.transaction(clinic.tenant_id) as tx:
        await tx.connection.exec_driver_sql("UPDATE booking SET paid = 20000, payment_status = 'paid'")
        await tx.connection.exec_driver_sql(
            "UPDATE booking SET start_at = now() + interval '2 h' WHERE id = %s", (UUID(ids(series)[0]),)
        )
    assert (await weekly.cancel(series, 0, "all")).status_code == 200
    said = await clinic.said("booking.booking_cancelled.v1")
    assert [(entry["by"], entry["fee"]["amount"]) for entry in said] == [("patient", 10000), ("patient", 0)]


async def test_the_desk_calls_off_a_series_and_a_practitioner_does_not(weekly: Weekly) -> None:
    clinic, series = weekly.clinic, await weekly.made()
    for role in ("practitioner", "auditor"):
        assert code(await weekly.cancel(series, 0, "all", who=clinic.staff(role))) == (403, "forbidden")
    assert (await weekly.cancel(series, 0, "all", who=clinic.staff())).json()["status"] == "cancelled"
    assert {entry["by"] for entry in await clinic.said("booking.booking_cancelled.v1")} == {"staff"}


async def test_an_appointment_of_another_series_is_not_called_off_with_this_one(weekly: Weekly) -> None:
    series = await weekly.made(2)
    other = (await weekly.book(weekly.offers(2, later=timedelta(hours=2)))).json()
    wrong = series | {"occurrences": other["occurrences"]}
    assert code(await weekly.cancel(wrong, 0, "all")) == (404, "not-found")
    assert await weekly.statuses(other) == ["confirmed"] * 2


# -- moving ---------------------------------------------------------------------------------------------------------


async def test_each_visit_moves_to_its_own_time_or_is_kept_with_alternatives(weekly: Weekly) -> None:
    clinic, series = weekly.clinic, await weekly.made()
    later = weekly.offers(later=timedelta(hours=1))
    assert (await clinic.hold(later[1])).status_code == 201
    answer = await weekly.move(series, [later[0], later[1], None])
    assert answer.status_code == 200, answer.text
    moved, raced, nothing = answer.json()["occurrences"]
    assert [moved["status"], raced["status"], nothing["status"]] == ["booked", "refused", "refused"]
    assert moved["start"] == (NEXT_WEEK + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    assert (raced["slot_id"], raced["appointment_id"]) == (later[1], ids(series)[1])
    assert raced["reason"]
    assert (nothing["alternatives"], nothing["appointment_id"]) == (ELSEWHERE, ids(series)[2])
    starts = [one["start"] for one in (await clinic.get(series, "series"))["occurrences"]]
    kept = [(NEXT_WEEK + n * WEEK).isoformat().replace("+00:00", "Z") for n in (1, 2)]
    assert starts == [moved["start"], *kept]
    assert len(await clinic.said("booking.booking_rescheduled.v1")) == 1
    assert (await clinic.hold(weekly.offers(1)[0])).status_code == 201


async def test_only_the_desk_among_staff_moves_a_series(weekly: Weekly) -> None:
    clinic, series = weekly.clinic, await weekly.made()
    later = weekly.offers(later=timedelta(hours=1))
    for role in ("practitioner", "auditor"):
        assert code(await weekly.move(series, later, who=clinic.staff(role))) == (403, "forbidden")
    assert not await clinic.said("booking.booking_rescheduled.v1")
    assert (await weekly.move(series, later, who=clinic.staff())).status_code == 200
    assert {entry["by"] for entry in await clinic.said("booking.booking_rescheduled.v1")} == {"staff"}


async def test_nothing_moves_when_one_of_the_visits_is_of_another_series(weekly: Weekly) -> None:
    clinic, series = weekly.clinic, await weekly.made(2)
    other = (await weekly.book(weekly.offers(1, later=timedelta(hours=5)))).json()
    mixed = series | {"occurrences": [series["occurrences"][0], other["occurrences"][0]]}
    answer = await weekly.move(mixed, weekly.offers(2, later=timedelta(hours=1)))
    assert code(answer) == (404, "not-found")
    assert not await clinic.said("booking.booking_rescheduled.v1")


# -- between services -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scope", "chosen"), [("this", [1]), ("following", [1, 2]), ("all", [0, 1, 2])])
async def test_the_gateway_learns_which_visits_a_move_means(weekly: Weekly, scope: str, chosen: list[int]) -> None:
    clinic, series = weekly.clinic, await weekly.made()
    url = f"/internal/tenants/{clinic.tenant_id}/series/{series['id']}/occurrences"
    query = {"scope": scope, "appointment_id": ids(series)[1]}
    found = await clinic.client.get(url, params=query, headers=bearer(series))
    assert found.status_code == 200, found.text
    starts = [(NEXT_WEEK + n * WEEK).isoformat().replace("+00:00", "Z") for n in range(3)]
    assert found.json() == {
        "from_start": starts[1],
        "starts": [starts[n] for n in chosen],
        "appointment_ids": [ids(series)[n] for n in chosen],
    }
    assert code(await clinic.client.get(url, params=query)) == (404, "not-found")


async def test_a_visit_that_was_called_off_cannot_be_what_a_move_starts_from(weekly: Weekly) -> None:
    clinic, series = weekly.clinic, await weekly.made()
    await weekly.cancel(series, 0, "this")
    url = f"/internal/tenants/{clinic.tenant_id}/series/{series['id']}/occurrences"
    query = {"scope": "all", "appointment_id": ids(series)[0]}
    answer = await clinic.client.get(url, params=query, headers=bearer(series))
    assert code(answer) == (409, "illegal-transition")
