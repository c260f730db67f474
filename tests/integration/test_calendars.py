"""Google both ways."""

from datetime import UTC, datetime, timedelta
from typing import Any

from .conftest import Client, Clinic, eventually


async def connect(clinic: Clinic, client: Client, provider: dict[str, Any]) -> str:
    started = await client.call(
        "POST",
        f"{clinic.path}/calendar/sync/initiate",
        token=clinic.token,
        json={"provider_id": provider["id"], "kind": "google"},
        expect=202,
    )
    followed = await client.sandbox.get(started["authorize_url"], follow_redirects=True)
    assert followed.status_code == 200, followed.text

    async def active() -> Any:
        found = await client.call("GET", f"{clinic.path}/calendar/connections", token=clinic.token, expect=200)
        rows = found["data"] if isinstance(found, dict) else found
        return next((row for row in rows if row["status"] == "active"), None)

    return str((await eventually(active))["calendar_id"])


async def events(client: Client, calendar: str) -> list[dict[str, Any]]:
    return list((await client.sandbox.get(f"/_sandbox/google/{calendar}/events")).json()["data"])


async def test_a_confirmed_visit_is_in_the_practitioners_calendar_until_it_is_cancelled(
    clinic: Clinic, client: Client
) -> None:
    offering = await clinic.offering("free")
    provider = await clinic.resource()
    calendar = await connect(clinic, client, provider)
    assert calendar == f"{provider['slug']}@{clinic.slug}.test"
    appointment = await clinic.book(offering, email=f"cal@{clinic.slug}.test")

    async def written() -> Any:
        return await events(client, calendar)

    event = (await eventually(written))[0]
    text = event["summary"] + event.get("description", "")
    assert "Ewa Nowak" in text
    assert f"cal@{clinic.slug}.test" in text
    assert appointment["id"] in text + str(event["extendedProperties"])
    assert datetime.fromisoformat(event["start"]["dateTime"]) == datetime.fromisoformat(appointment["slot"]["start"])
    await clinic.cancel(appointment)

    async def gone() -> bool:
        return not await events(client, calendar)

    await eventually(gone)


async def test_an_event_that_staff_make_hides_the_time_and_its_buffer(clinic: Clinic, client: Client) -> None:
    offering = await clinic.offering("free")
    provider = await clinic.resource()
    calendar = await connect(clinic, client, provider)
    slot = await clinic.slot(offering, index=6)
    start = datetime.fromisoformat(slot["start"]).astimezone(UTC)
    body = {
        "summary": "Dentist of my own",
        "start": {"dateTime": start.isoformat()},
        "end": {"dateTime": (start + timedelta(minutes=30)).isoformat()},
    }
    made = await client.sandbox.post(f"/_sandbox/google/{calendar}/events", json=body)
    assert made.status_code == 201, made.text

    async def hidden() -> bool:
        free = {datetime.fromisoformat(entry["start"]) for entry in await clinic.slots(offering)}
        # 30 minutes of buffer: the neighbours touch it and are hidden, those after them are not.
        near = {start + timedelta(minutes=minutes) for minutes in (-30, 0, 30)}
        far = {start + timedelta(minutes=minutes) for minutes in (-60, 60)}
        return not near & free and far <= free

    await eventually(hidden)
    await clinic.hold(slot, expect=409)
    await client.sandbox.delete(f"/_sandbox/google/{calendar}/events/{made.json()['id']}")

    async def back() -> bool:
        return slot["start"] in [entry["start"] for entry in await clinic.slots(offering)]

    await eventually(back)
