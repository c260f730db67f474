"""What happens to connections and channels in the course of time."""

from json import dumps, loads
from uuid import UUID

from calendar_sync.errors import NotHereYet
from calendar_sync.repository import rows
from calendar_sync.sealing import Sealer
from events import Deleted
from events.contracts.availability import ResourceState
from servicekit.testing import eventually

from .conftest import Clinic, World
from .test_mirror import channel_open, settled


async def test_the_next_channel_is_open_before_the_last_one_is_closed(world: World, clinic: Clinic) -> None:
    connection_id = await clinic.connect()
    first = await channel_open(clinic)
    await world.admin.run("UPDATE connection SET watch_due_at = now() WHERE id = %s", connection_id)
    world.service.waker.wake("open_channels")

    async def replaced() -> bool:
        rows = await world.admin.run("SELECT id FROM channel WHERE connection_id = %s", connection_id)
        return len(rows) == 1 and rows[0][0] != first

    await eventually(replaced)
    await clinic.add_event()
    await settled(clinic, 1, seconds=2)


async def test_a_deleted_clinic_lets_go_of_its_calendars(world: World, clinic: Clinic) -> None:
    await clinic.add_event()
    await clinic.connect()
    await settled(clinic, 1)
    await clinic.open(version=2, active=False)
    await settled(clinic, 0)
    assert await clinic.connections() == []


async def test_a_deleted_resource_lets_go_of_its_calendars(world: World, clinic: Clinic) -> None:
    await clinic.add_event()
    await clinic.connect()
    await settled(clinic, 1)
    await world.publish(Deleted(ResourceState.TYPE, f"resource:{clinic.provider_id}", clinic.tenant_id, 2))
    await settled(clinic, 0)


async def test_tokens_are_forgotten_with_the_connection(world: World, clinic: Clinic) -> None:
    connection_id = await clinic.connect()
    await channel_open(clinic)
    url = f"{world.url}/v1/clinics/{clinic.tenant_id}/calendar/connections/{connection_id}"
    assert (await world.http.delete(url, headers=clinic.auth())).status_code == 204

    async def forgotten() -> bool:
        row = await world.admin.run("SELECT grant_sealed FROM connection WHERE id = %s", connection_id)
        channels = await world.admin.run("SELECT 1 FROM channel WHERE connection_id = %s", connection_id)
        return row == [(None,)] and not channels

    await eventually(forgotten)


async def test_a_grant_that_was_taken_back_is_revoked_until_a_new_consent(world: World, clinic: Clinic) -> None:
    await clinic.add_event()
    connection_id = await clinic.connect()
    await settled(clinic, 1)
    expired = '{"access_token": "gone", "refresh_token": "gone", "expires_at": 0}'
    sealed = world.service.get(Sealer).seal(expired, f"connection:{connection_id}")
    await world.admin.run(
        "UPDATE connection SET grant_sealed = %s, due_at = now() WHERE id = %s", sealed, connection_id
    )
    world.service.waker.wake("read_calendars")

    async def has_status(status: str) -> bool:
        return [one["status"] for one in await clinic.connections()] == [status]

    await eventually(lambda: has_status("revoked"))
    assert len(clinic.busy()) == 1, "what it last said stays busy"
    booking_id = await clinic.confirm()
    assert await clinic.connect() == connection_id
    await eventually(lambda: has_status("active"))

    async def written() -> bool:
        return any(str(booking_id) in event.get("description", "") for event in await clinic.events())

    await eventually(written)


async def test_an_access_token_that_ended_is_renewed_on_the_way(world: World, clinic: Clinic) -> None:
    connection_id = await clinic.connect()
    await channel_open(clinic)

    async def sealed() -> bytes:
        [row] = await world.admin.run("SELECT grant_sealed FROM connection WHERE id = %s", connection_id)
        return bytes(row[0])

    sealer, place = world.service.get(Sealer), f"connection:{connection_id}"
    grant = loads(sealer.open(await sealed(), place))
    old = sealer.seal(dumps(grant | {"access_token": "over", "expires_at": 0}), place)
    await world.admin.run("UPDATE connection SET grant_sealed = %s WHERE id = %s", old, connection_id)
    await clinic.add_event()
    await settled(clinic, 1)
    assert loads(sealer.open(await sealed(), place))["access_token"] not in ("over", "gone")


async def test_what_a_killed_process_had_in_hand_is_taken_up(world: World, clinic: Clinic) -> None:
    connection_id = await clinic.connect()
    await channel_open(clinic)
    await world.admin.run(
        "UPDATE connection SET lease = gen_random_uuid(), lease_of = 7, lease_until = now() + interval '1 h'"
        " WHERE id = %s",
        connection_id,
    )
    async with world.service.database.transaction() as tx:
        await rows.release_leases(tx, 7)
    await clinic.add_event()
    await settled(clinic, 1)


async def test_an_appointment_whose_catalogue_is_late_is_written_when_it_comes(world: World, clinic: Clinic) -> None:
    await clinic.connect()
    late = Clinic(world, tenant_id=clinic.tenant_id, provider_id=clinic.provider_id)
    booking_id: UUID = await late.confirm()

    async def waits() -> bool:
        rows = await world.admin.run("SELECT last_error FROM calendar_event WHERE booking_id = %s", booking_id)
        return rows == [(str(NotHereYet("the catalogue")),)]

    await eventually(waits)
    await late.open(version=2)

    async def written() -> bool:
        return any(str(booking_id) in event.get("description", "") for event in await clinic.events())

    await eventually(written)
