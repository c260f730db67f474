"""Everything that can be booked, through the public API of the running system."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from .conftest import Client, Clinic, eventually

WARSAW = ZoneInfo("Europe/Warsaw")


def at(slot: dict[str, Any], name: str = "start") -> datetime:
    return datetime.fromisoformat(slot[name])


async def staff(clinic: Clinic, method: str, path: str, expect: int, **body: Any) -> Any:
    more = {"json": body} if body else {}
    return await clinic.client.call(method, f"{clinic.path}{path}", token=clinic.token, expect=expect, **more)


async def paid_for(clinic: Clinic, appointment: dict[str, Any]) -> dict[str, Any]:
    answer = await clinic.client.pay(appointment["payment"]["session_id"])
    assert answer.status_code == 200, answer.text
    return appointment | dict(await clinic.reaches(appointment, "confirmed", payment="paid"))


async def test_a_visit_moves_to_another_time_and_its_calendar_event_and_messages_follow(
    clinic: Clinic, client: Client
) -> None:
    offering = await clinic.offering("free")
    await clinic.resource()
    email = f"move@{clinic.slug}.test"
    appointment = await clinic.book(offering, email=email)
    token = appointment["manage_token"]
    slots = await clinic.slots(offering)
    url = f"{clinic.path}/appointments/{appointment['id']}/reschedule"
    moved = await client.call("PUT", url, token=token, json={"slot_id": slots[5]["slot_id"]}, expect=200)
    assert (moved["slot"]["start"], moved["status"]) == (slots[5]["start"], "confirmed")
    old = appointment["slot"]["start"]

    async def free_again() -> bool:
        starts = {slot["start"] for slot in await clinic.slots(offering)}
        return old in starts and slots[5]["start"] not in starts

    await eventually(free_again)

    async def told() -> Any:
        return [
            message
            for message in await client.messages(email)
            if moved["slot"]["local_start"][11:16] in message["text"]
        ]

    await eventually(told)
    listed = await staff(clinic, "GET", f"/appointments/{appointment['id']}/messages", 200)
    assert len(listed["data"]) >= 2
    file = await client.call("GET", f"{clinic.path}/appointments/{appointment['id']}/calendar.ics", token=token)
    assert file.status_code == 200
    assert file.headers["content-type"].startswith("text/calendar")
    assert at(slots[5]).strftime("%Y%m%dT%H%M%SZ") in file.text


async def test_a_refused_move_keeps_the_old_time_and_names_others(clinic: Clinic, client: Client) -> None:
    offering = await clinic.offering("free")
    await clinic.resource()
    slots = await clinic.slots(offering)
    mine = await clinic.book(offering, email=f"a@{clinic.slug}.test")
    await clinic.hold(slots[4])
    refused = await client.call(
        "PUT",
        f"{clinic.path}/appointments/{mine['id']}/reschedule",
        token=mine["manage_token"],
        json={"slot_id": slots[4]["slot_id"]},
        expect=409,
    )
    assert refused["type"].endswith("/slot-taken")
    assert refused["alternatives"]
    kept = await client.call("GET", f"{clinic.path}/appointments/{mine['id']}", token=mine["manage_token"], expect=200)
    assert kept["slot"]["start"] == mine["slot"]["start"]


async def test_a_dearer_time_keeps_the_old_one_until_the_difference_is_paid(clinic: Clinic, client: Client) -> None:
    offering = await clinic.offering("full", price=20000)
    await clinic.resource()
    email = f"dear@{clinic.slug}.test"
    paid = await paid_for(clinic, await clinic.book(offering, email=email))
    await staff(clinic, "PATCH", f"/offerings/{offering['id']}", 200, price={"amount": 26000, "currency": "pln"})

    async def dearer() -> Any:
        found = await clinic.slots(offering)
        return found if found and found[0]["price"]["amount"] == 26000 else None

    slot = (await eventually(dearer))[7]
    url = f"{clinic.path}/appointments/{paid['id']}"
    token = paid["manage_token"]
    waiting = await client.call("PUT", f"{url}/reschedule", token=token, json={"slot_id": slot["slot_id"]}, expect=200)
    assert waiting["slot"]["start"] == paid["slot"]["start"]
    assert waiting["move"]["amount_due"] == 6000
    assert waiting["payment"]["checkout_url"]
    answer = await client.pay(waiting["payment"]["session_id"])
    assert answer.status_code == 200, answer.text

    async def moved() -> Any:
        now = await client.call("GET", url, token=token, expect=200)
        return now if now["slot"]["start"] == slot["start"] else None

    assert (await eventually(moved))["status"] == "confirmed"
    await client.call("PUT", f"{url}/cancel", token=clinic.token, json={}, expect=200)

    async def all_back() -> bool:
        rows = await client.ledger(paid["id"])
        rows += [row for row in (await client.sandbox.get("/_sandbox/stripe/ledger")).json()["data"]
                 if row["session"] == waiting["payment"]["session_id"]]  # fmt: skip
        return len(rows) == 2 and all(row["captured"] == row["refunded"] for row in rows)

    await eventually(all_back)


async def test_what_happens_on_the_day_arrival_completion_and_a_missed_visit(clinic: Clinic, client: Client) -> None:
    offering = await clinic.offering(
        "full",
        cancellation={"free_until_minutes": 60, "fee_percent": 50, "no_show_fee_percent": 30},
    )
    await clinic.resource()
    first = await paid_for(clinic, await clinic.book(offering, email=f"one@{clinic.slug}.test"))
    arrived = await staff(clinic, "PUT", f"/appointments/{first['id']}/arrive", 200)
    assert (arrived["status"], bool(arrived["arrived_at"])) == ("confirmed", True)
    done = await staff(clinic, "POST", f"/appointments/{first['id']}/complete", 200)
    assert done["status"] == "completed"
    second = await paid_for(clinic, await clinic.book(offering, index=4, email=f"two@{clinic.slug}.test"))
    missed = await staff(clinic, "POST", f"/appointments/{second['id']}/no-show", 200)
    assert missed["status"] == "no_show"

    async def fee_kept() -> bool:
        rows = await client.ledger(second["id"])
        return [row["captured"] - row["refunded"] for row in rows] == [6000]

    await eventually(fee_kept)


async def test_a_refund_by_hand_gives_back_what_was_paid_and_no_more(clinic: Clinic, client: Client) -> None:
    offering = await clinic.offering("full")
    await clinic.resource()
    paid = await paid_for(clinic, await clinic.book(offering, email=f"hand@{clinic.slug}.test"))
    path = f"/appointments/{paid['id']}/refunds"
    await staff(clinic, "POST", path, 422, amount=20001, reason="too much")
    made = await staff(clinic, "POST", path, 201, amount=5000, reason="goodwill")
    assert made["amount"] == 5000

    async def back() -> bool:
        return [row["refunded"] for row in await client.ledger(paid["id"])] == [5000]

    await eventually(back)


async def test_a_walk_in_pays_at_the_desk_and_staff_may_break_a_rule_with_a_reason(
    clinic: Clinic, client: Client
) -> None:
    offering = await clinic.offering("full", rules=[{"kind": "max", "of": "practitioner", "per": "day", "count": 1}])
    await clinic.resource()
    slots = await clinic.slots(offering)
    body = {
        "slot_id": slots[0]["slot_id"],
        "customer": {"name": "Jan Kowalski", "phone": "+48600700800"},
        "pay": "desk",
    }
    made = await staff(clinic, "POST", "/appointments", 201, **body)
    assert (made["status"], made["payment"]["amount_due"]) == ("confirmed", 0)
    day = slots[0]["local_start"][:10]

    async def day_is_full() -> bool:
        return all(slot["local_start"][:10] != day for slot in await clinic.slots(offering))

    await eventually(day_is_full)
    provider = f"{clinic.path}/providers/any/availability"
    query = {"offering": offering["id"], "from": day, "to": day, "override": "true"}
    await client.call("GET", provider, params=query, expect=401)
    found = await client.call("GET", provider, params=query, token=clinic.token, expect=200)
    slot_id = found["slots"][0]["slot_id"]
    customer = {"name": "Anna Kowalska", "phone": "+48600700801"}
    again = {"slot_id": slot_id, "customer": customer, "pay": "desk", "override": True}
    await staff(clinic, "POST", "/appointments", 422, **again)
    await staff(clinic, "POST", "/appointments", 201, **again, reason="an emergency")
    audit = await staff(clinic, "GET", "/audit", 200)
    assert any(line["action"] == "override" and line["detail"] == "an emergency" for line in audit["data"])
    people = await staff(clinic, "GET", "/customers?q=kowal", 200)
    assert {person["name"] for person in people["data"]} == {"Jan Kowalski", "Anna Kowalska"}
    agenda = await staff(clinic, "GET", "/appointments?q=anna", 200)
    assert [entry["customer"]["name"] for entry in agenda["data"]] == ["Anna Kowalska"]


async def test_a_class_sells_its_seats_once_and_its_cancellation_gives_everything_back(
    clinic: Clinic, client: Client
) -> None:
    offering = await clinic.offering("full", capacity=3, price=5000)
    provider = await clinic.resource()
    slot = (await clinic.slots(offering))[3]
    two = await clinic.hold(slot, seats=2)
    assert two["slot"]["remaining"] == 1
    await clinic.hold(slot, seats=2, expect=409)
    one = await clinic.hold(slot)
    paid = await paid_for(clinic, await clinic.request(one, email=f"class@{clinic.slug}.test"))

    async def full() -> bool:
        starts = {one["start"] for one in await clinic.slots(offering)}
        found = await clinic.client.call(
            "GET",
            f"{clinic.path}/providers/any/availability",
            params={"offering": offering["id"], "include": "full"},
            expect=200,
        )
        shown = [one for one in found["slots"] if one["start"] == slot["start"]]
        return slot["start"] not in starts and [one["remaining"] for one in shown] == [0]

    await eventually(full)
    session = {"offering_id": offering["id"], "provider_id": provider["id"], "start": slot["start"], "reason": "ill"}
    gone = await staff(clinic, "POST", "/sessions/cancel", 200, **session)
    assert gone["appointment_ids"] == [paid["id"]]
    assert await staff(clinic, "POST", "/sessions/cancel", 200, **session) == gone

    async def back() -> bool:
        return [row["refunded"] for row in await client.ledger(paid["id"])] == [5000]

    await eventually(back)

    async def not_offered() -> bool:
        return slot["start"] not in {one["start"] for one in await clinic.slots(offering)}

    await eventually(not_offered)


async def test_a_series_keeps_its_local_time_across_the_clock_change(clinic: Clinic, client: Client) -> None:
    offering = await clinic.offering("free", window_days=730)
    await clinic.resource()
    # A week of March: the clock changes on its last Sunday.
    year = datetime.now(UTC).year + 1
    first = f"{year}-03-16"
    slot = (await clinic.slots(offering, **{"from": first, "to": first}))[4]
    body = {
        "slot_id": slot["slot_id"],
        "rrule": "FREQ=WEEKLY;COUNT=4",
        "customer": {"name": "Ewa", "email": f"series@{clinic.slug}.test"},
    }
    made = await client.call("POST", f"{clinic.path}/series", json=body, expect=201)
    starts = [datetime.fromisoformat(one["start"]).astimezone(WARSAW) for one in made["occurrences"]]
    assert [one["status"] for one in made["occurrences"]] == ["booked"] * 4
    assert len({start.time() for start in starts}) == 1
    assert len({start.utcoffset() for start in starts}) == 2
    second = made["occurrences"][1]["appointment_id"]
    ended = await client.call(
        "PUT",
        f"{clinic.path}/series/{made['id']}/cancel",
        token=made["manage_token"],
        json={"scope": "following", "appointment_id": second},
        expect=200,
    )
    assert [one["appointment_status"] for one in ended["occurrences"]] == ["confirmed", *["cancelled"] * 3]
    await client.call("POST", f"{clinic.path}/series", json=body | {"rrule": "FREQ=DAILY"}, expect=422)


async def test_a_series_moves_as_a_whole_by_the_same_difference(clinic: Clinic, client: Client) -> None:
    offering = await clinic.offering("free")
    await clinic.resource()
    slots = await clinic.slots(offering)
    body = {
        "slot_id": slots[4]["slot_id"],
        "rrule": "FREQ=WEEKLY;COUNT=3",
        "customer": {"name": "Ewa", "email": f"shift@{clinic.slug}.test"},
    }
    made = await client.call("POST", f"{clinic.path}/series", json=body, expect=201)
    assert [one["status"] for one in made["occurrences"]] == ["booked"] * 3
    moved = await client.call(
        "PUT",
        f"{clinic.path}/series/{made['id']}/reschedule",
        token=made["manage_token"],
        json={
            "scope": "all",
            "appointment_id": made["occurrences"][0]["appointment_id"],
            "slot_id": slots[6]["slot_id"],
        },
        expect=200,
    )
    before = [datetime.fromisoformat(one["start"]).astimezone(WARSAW) for one in made["occurrences"]]
    after = [datetime.fromisoformat(one["start"]).astimezone(WARSAW) for one in moved["occurrences"]]
    assert [one["status"] for one in moved["occurrences"]] == ["booked"] * 3
    assert [b.replace(tzinfo=None) + timedelta(hours=1) for b in before] == [a.replace(tzinfo=None) for a in after]


async def test_whoever_waits_gets_a_freed_time_as_a_hold_by_message(clinic: Clinic, client: Client) -> None:
    offering = await clinic.offering("free")
    await clinic.resource()
    taken = await clinic.book(offering, email=f"has@{clinic.slug}.test")
    start = at(taken["slot"])
    email = f"waits@{clinic.slug}.test"
    body = {
        "offering_id": offering["id"],
        "from": start.isoformat(),
        "to": (start + timedelta(minutes=30)).isoformat(),
        "customer": {"name": "Waiting", "email": email},
    }
    entry = await client.call("POST", f"{clinic.path}/waitlist", json=body, expect=201)
    assert entry["status"] == "waiting"
    await clinic.cancel(taken)
    url = f"{clinic.path}/waitlist/{entry['id']}"
    offered = await client.call("GET", url, token=entry["manage_token"], expect=200)
    assert offered["status"] == "offered"

    async def letter() -> Any:
        found = [message for message in await client.messages(email) if "hold=" in message["text"]]
        return found[0] if found else None

    link = (await eventually(letter))["text"].split("hold=")[1].split()[0]
    hold_id, _, token = link.partition("&token=")
    hold = await client.call("GET", f"{clinic.path}/holds/{hold_id}", token=token, expect=200)
    assert (hold["status"], hold["slot"]["start"]) == ("held", taken["slot"]["start"])
    customer = {"name": "Waiting", "email": email}
    booked = await client.call(
        "POST",
        f"{clinic.path}/appointments",
        json={"hold_id": hold_id, "hold_token": token, "customer": customer},
        expect=201,
    )
    assert booked["status"] == "confirmed"
    assert (await client.call("GET", url, token=entry["manage_token"], expect=200))["status"] == "taken"


async def test_wider_hours_are_offered_to_whoever_waits(clinic: Clinic, client: Client) -> None:
    offering = await clinic.offering("free")
    anna = await clinic.resource()
    day = (datetime.now(WARSAW) + timedelta(days=3)).replace(hour=0, minute=0, second=0, microsecond=0)
    start = day.replace(hour=21)
    body = {
        "offering_id": offering["id"],
        "from": start.isoformat(),
        "to": (start + timedelta(hours=1)).isoformat(),
        "customer": {"name": "Late", "email": f"late@{clinic.slug}.test"},
    }
    entry = await client.call("POST", f"{clinic.path}/waitlist", json=body, expect=201)
    weekly = {name: [["08:00", "22:00"]] for name in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    await staff(clinic, "PUT", f"/resources/{anna['id']}/schedule", 200, time_zone="Europe/Warsaw", weekly=weekly)

    async def offered() -> bool:
        found = await client.call(
            "GET", f"{clinic.path}/waitlist/{entry['id']}", token=entry["manage_token"], expect=200
        )
        return bool(found["status"] == "offered")

    await eventually(offered)


async def test_time_off_on_a_visit_is_a_conflict_that_one_click_repairs(clinic: Clinic, client: Client) -> None:
    offering = await clinic.offering("free")
    anna, piotr = await clinic.resource(), await clinic.resource()
    email = f"conflict@{clinic.slug}.test"
    visit = await clinic.book(offering, email=email)
    busy = visit["slot"]["provider_id"]
    start = at(visit["slot"])
    await staff(
        clinic, "POST", f"/resources/{busy}/time-off", 201,
        start=(start - timedelta(hours=1)).isoformat(), end=(start + timedelta(hours=2)).isoformat(), reason="ill",
    )  # fmt: skip

    async def found() -> Any:
        listed = await staff(clinic, "GET", "/conflicts", 200)
        return listed["data"]

    conflict = (await eventually(found))[0]
    assert (conflict["appointment_id"], conflict["cause"]) == (visit["id"], "time_off")
    kinds = [option["kind"] for option in conflict["options"]]
    assert kinds[0] == "substitute"
    assert {"reschedule", "waitlist", "keep"} <= set(kinds)
    option = conflict["options"][0]
    assert option["resource"]["id"] == ({anna["id"], piotr["id"]} - {busy}).pop()
    solved = await staff(clinic, "POST", f"/conflicts/{conflict['id']}/resolve", 200, option=option["id"])
    assert solved["resolution"] == "substitute"
    assert solved["appointment"]["slot"]["provider_id"] != busy
    assert solved["appointment"]["slot"]["start"] == visit["slot"]["start"]
    assert not (await staff(clinic, "GET", "/conflicts", 200))["data"]

    async def told() -> Any:
        return len(await client.messages(email)) >= 2

    await eventually(told)


async def test_a_room_and_a_practitioner_are_found_together_and_a_gap_is_kept(clinic: Clinic, client: Client) -> None:
    await clinic.resource()
    rooms = [await clinic.resource("room"), await clinic.resource("room")]
    first = await clinic.offering("free", requirements=[{"type": "practitioner"}, {"type": "room"}])
    second = await clinic.offering(
        "free",
        requirements=[
            {"type": "practitioner"},
            {"type": "room", "any_of": [room["id"] for room in rooms], "preferences": {rooms[1]["id"]: 5}},
        ],
        rules=[{"kind": "gap", "after_offering": first["id"], "minutes": 60, "of": "practitioner"}],
    )
    booked = await clinic.book(first, email=f"gap@{clinic.slug}.test")
    end = at(booked["slot"], "end")

    async def kept() -> bool:
        starts = [at(slot) for slot in await clinic.slots(second)]
        return not any(end <= start < end + timedelta(minutes=60) for start in starts)

    await eventually(kept)
    slot = (await clinic.slots(second))[8]
    held = await clinic.hold(slot)
    assert rooms[1]["id"] in {resource["id"] for resource in held["slot"]["resources"]}


async def test_a_month_at_a_glance_and_the_next_free_time(clinic: Clinic, client: Client) -> None:
    offering = await clinic.offering("free")
    anna = await clinic.resource()
    today = datetime.now(WARSAW).date()
    closed = today + timedelta(days=4)
    weekly = {name: [["08:00", "20:00"]] for name in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    await staff(
        clinic, "PUT", f"/resources/{anna['id']}/schedule", 200,
        time_zone="Europe/Warsaw", weekly=weekly, overrides=[{"date": closed.isoformat(), "ranges": []}],
    )  # fmt: skip
    query = {"offering": offering["id"], "from": today.isoformat(), "to": (today + timedelta(days=9)).isoformat()}
    days = await client.call("GET", f"{clinic.path}/providers/any/availability/days", params=query, expect=200)
    by_date = {day["date"]: day for day in days["data"]}
    assert len(by_date) == 10
    assert by_date[closed.isoformat()]["free"] == 0
    assert by_date[closed.isoformat()]["reason"] == "closed"
    assert by_date[(closed + timedelta(days=1)).isoformat()]["free"] == 24
    listed = await client.call("GET", f"{clinic.path}/offerings", params={"include": "next_slot"}, expect=200)
    assert listed["data"][0]["next_slot"]["start"]


async def test_members_only_shows_its_times_and_refuses_guests(clinic: Clinic, client: Client) -> None:
    offering = await clinic.offering("free", members_only=True)
    await clinic.resource()
    slot = (await clinic.slots(offering))[0]
    refused = await clinic.hold(slot, expect=422)
    assert refused["type"].endswith("/membership-required")
