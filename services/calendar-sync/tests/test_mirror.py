"""What people put into their own calendars keeps its time free of bookings, and nothing else does."""

from datetime import timedelta
from uuid import UUID, uuid4

from events.contracts.calendar import CalendarConnectionDegraded, ExternalBusyChanged
from servicekit.testing import eventually

from .conftest import NEXT_WEEK, POLL_SECONDS, Clinic, World


async def settled(clinic: Clinic, count: int, *, seconds: float = 10.0) -> None:
    async def so_many() -> bool:
        return len(clinic.busy()) == count

    await eventually(so_many, seconds=seconds)


async def test_what_was_in_the_calendar_is_busy_after_connecting(clinic: Clinic) -> None:
    await clinic.add_event()
    await clinic.add_event(days=1, transparency="transparent")
    connection_id = await clinic.connect()
    await settled(clinic, 1)
    [busy] = clinic.busy().values()
    assert (busy.connection_id, busy.resource_id) == (connection_id, clinic.provider_id)
    assert (busy.start, busy.end) == (NEXT_WEEK, NEXT_WEEK + timedelta(hours=1))
    [changed] = clinic.said(ExternalBusyChanged)
    assert (changed.added, changed.removed) == (1, 0)


async def test_a_recurring_event_is_busy_each_time_and_goes_as_a_whole(clinic: Clinic) -> None:
    start = {"dateTime": NEXT_WEEK.isoformat(), "timeZone": "Europe/Warsaw"}
    end = start | {"dateTime": (NEXT_WEEK + timedelta(hours=1)).isoformat()}
    await clinic.connect()
    await channel_open(clinic)
    event_id = await clinic.add_event(start=start, end=end, recurrence=["RRULE:FREQ=WEEKLY;COUNT=4"])
    await settled(clinic, 4)
    await clinic.delete_event(event_id)
    await settled(clinic, 0)


async def test_an_event_is_busy_by_its_notice_and_free_when_deleted(clinic: Clinic) -> None:
    await clinic.connect()
    await channel_open(clinic)
    event_id = await clinic.add_event()
    await settled(clinic, 1, seconds=POLL_SECONDS / 2)
    await clinic.delete_event(event_id)
    await settled(clinic, 0, seconds=POLL_SECONDS / 2)
    assert [(one.added, one.removed) for one in clinic.said(ExternalBusyChanged)] == [(1, 0), (0, 1)]


async def channel_open(clinic: Clinic) -> UUID:
    """The clinic's channel, once it is open."""

    async def find() -> UUID | None:
        rows = await clinic.world.admin.run(
            "SELECT id FROM channel WHERE expires_at IS NOT NULL AND tenant_id = %s", clinic.tenant_id
        )
        return rows[0][0] if rows else None

    found = await eventually(find)
    assert found is not None
    return found


async def test_a_channel_that_died_silently_is_made_up_for_by_polling(world: World, clinic: Clinic) -> None:
    await clinic.connect()
    channel_id = await channel_open(clinic)
    await world.admin.run("DELETE FROM channel WHERE id = %s", channel_id)
    await clinic.add_event()
    await settled(clinic, 1, seconds=3 * POLL_SECONDS)


async def test_a_lost_sync_token_loses_nothing_and_makes_nothing_free(world: World, clinic: Clinic) -> None:
    kept, dropped = await clinic.add_event(), await clinic.add_event(days=1)
    connection_id = await clinic.connect()
    await settled(clinic, 2)
    before = clinic.busy()
    await world.fault("sync_token_gone", times=1)
    await clinic.delete_event(dropped)
    await clinic.add_event(days=2)

    async def listed_again() -> bool:
        return len(clinic.busy()) == 2 and set(clinic.busy()) != set(before)

    await eventually(listed_again)
    [stays] = set(before) & set(clinic.busy())
    history = [event for event in world.said("holdfast.busy", clinic.tenant_id) if key_of(event) == stays]
    assert len(history) == 1, "what stays busy is not touched"
    assert kept is not None
    [(generation,)] = await world.admin.run("SELECT generation FROM connection WHERE id = %s", connection_id)
    assert generation == 2


def key_of(event: object) -> str:
    return event.key() if callable(event.key) else event.key  # type: ignore[attr-defined, no-any-return]


async def test_our_own_event_does_not_make_its_practitioner_busy(clinic: Clinic) -> None:
    await clinic.connect()
    await clinic.confirm()

    async def written() -> bool:
        return bool(await clinic.events())

    await eventually(written)
    await clinic.add_event(days=3)
    await settled(clinic, 1)
    [busy] = clinic.busy().values()
    assert busy.start == NEXT_WEEK + timedelta(days=3)


async def test_a_calendar_that_is_away_is_degraded_stays_busy_and_recovers(world: World, clinic: Clinic) -> None:
    await clinic.add_event()
    connection_id = await clinic.connect()
    await channel_open(clinic)
    await settled(clinic, 1)
    await world.fault("unavailable", match=clinic.calendar.split("@")[1])
    await clinic.add_event(days=1)

    async def degraded() -> bool:
        return [one["status"] for one in await clinic.connections()] == ["degraded"]

    await eventually(degraded, seconds=40)
    assert len(clinic.busy()) == 1
    [told] = clinic.said(CalendarConnectionDegraded)
    assert (told.connection_id, told.recovered) == (connection_id, False)
    await world.http.delete(f"{world.sandbox}/_sandbox/faults")
    await world.admin.run("UPDATE connection SET due_at = now() WHERE id = %s", connection_id)
    await settled(clinic, 2, seconds=20)
    [_, recovered] = clinic.said(CalendarConnectionDegraded)
    assert recovered.recovered
    assert [one["status"] for one in await clinic.connections()] == ["active"]


async def test_a_notice_with_a_bad_token_or_of_no_channel_is_refused(world: World, clinic: Clinic) -> None:
    await clinic.connect()
    channel_id = await channel_open(clinic)
    notices = f"{world.url}/v1/calendar/notices/google"
    bad = {"X-Goog-Channel-ID": str(channel_id), "X-Goog-Channel-Token": "guessed", "X-Goog-Resource-State": "exists"}
    assert (await world.http.post(notices, headers=bad)).status_code == 403
    unknown = bad | {"X-Goog-Channel-ID": str(uuid4())}
    assert (await world.http.post(notices, headers=unknown)).status_code == 404
    assert (await world.http.post(notices)).status_code == 422
