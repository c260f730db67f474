"""Consents, connections and who may see them."""

from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from servicekit.testing import eventually

from .conftest import Clinic, World


async def test_a_calendar_that_was_consented_to_is_read_at_once(clinic: Clinic) -> None:
    await clinic.add_event()
    connection_id = await clinic.connect()
    [connection] = await clinic.connections()
    assert connection["id"] == str(connection_id)
    assert connection["status"] == "active"
    assert connection["calendar_id"] == clinic.calendar
    assert connection["provider_id"] == str(clinic.provider_id)
    assert connection["last_sync_at"] is not None


async def test_a_provider_is_named_by_id_too(clinic: Clinic) -> None:
    begun = await clinic.initiate(provider_id=str(clinic.provider_id), calendar_id="other@example.test")
    assert begun.status_code == 202
    [connection] = await clinic.connections()
    assert (connection["status"], connection["calendar_id"]) == ("pending", "other@example.test")


async def test_connecting_again_keeps_the_connection(clinic: Clinic) -> None:
    assert await clinic.connect() == await clinic.connect()
    assert len(await clinic.connections()) == 1


async def test_a_state_is_good_once(world: World, clinic: Clinic) -> None:
    begun = (await clinic.initiate()).json()
    world.http.cookies.clear()
    consent = await world.http.get(begun["authorize_url"])
    callback = consent.headers["location"]
    assert (await world.http.get(callback)).status_code == 200
    again = await world.http.get(callback)
    assert again.status_code == 400
    assert again.json()["type"].endswith("/malformed")


async def test_a_state_is_over_after_ten_minutes(world: World, clinic: Clinic) -> None:
    begun = (await clinic.initiate()).json()
    await world.admin.run(
        "UPDATE oauth_state SET expires_at = now() - interval '1 s' WHERE tenant_id = %s", clinic.tenant_id
    )
    assert (await world.http.get(begun["authorize_url"], follow_redirects=True)).status_code == 400


async def test_a_consent_begun_in_another_browser_is_refused_and_stays_good_in_its_own(
    world: World, clinic: Clinic
) -> None:
    begun = await clinic.initiate()
    own_cookies = {cookie.name: cookie.value or "" for cookie in world.http.cookies.jar}
    world.http.cookies.clear()
    consent = await world.http.get(begun.json()["authorize_url"])
    callback, navigation = consent.headers["location"], {"Sec-Fetch-Mode": "navigate"}
    assert (await world.http.get(callback, headers=navigation)).status_code == 400
    assert [one["status"] for one in await clinic.connections()] == ["pending"]
    cookie = "; ".join(f"{name}={value}" for name, value in own_cookies.items())
    assert (await world.http.get(callback, headers=navigation | {"Cookie": cookie})).status_code == 200


async def test_an_invented_state_and_a_refused_consent_connect_nothing(world: World, clinic: Clinic) -> None:
    callback = f"{world.url}/v1/calendar/oauth/google/callback"
    assert (await world.http.get(callback, params={"state": "invented", "code": "x"})).status_code == 400
    begun = (await clinic.initiate()).json()
    [state] = parse_qs(urlsplit(begun["authorize_url"]).query)["state"]
    world.http.cookies.clear()
    declined = await world.http.get(callback, params={"state": state, "error": "access_denied"})
    assert declined.status_code == 400
    assert "not connected" in declined.text
    assert [one["status"] for one in await clinic.connections()] == ["pending"]


async def test_a_code_of_another_consent_does_not_fit(world: World, clinic: Clinic) -> None:
    """PKCE: the code was given for the other consent's challenge."""
    callback = f"{world.url}/v1/calendar/oauth/google/callback"
    mine, theirs = (await clinic.initiate()).json(), (await clinic.initiate(calendar_id="b@example.test")).json()
    world.http.cookies.clear()
    consent = await world.http.get(theirs["authorize_url"])
    [code] = parse_qs(urlsplit(consent.headers["location"]).query)["code"]
    [state] = parse_qs(urlsplit(mine["authorize_url"]).query)["state"]
    answer = await world.http.get(callback, params={"state": state, "code": code})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("body", "field"),
    [({"kind": "microsoft"}, "kind"), ({"provider_id": "room-1"}, "provider_id"), ({"calendar_id": ""}, "calendar_id")],
)
async def test_what_cannot_be_connected_is_named(clinic: Clinic, body: dict[str, str], field: str) -> None:
    answer = await clinic.initiate(**body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_only_managers_and_the_practitioner_connect(world: World, clinic: Clinic) -> None:
    assert (
        await world.http.post(
            f"{world.url}/v1/clinics/{clinic.tenant_id}/calendar/sync/initiate",
            json={"provider_id": "anna", "kind": "google"},
        )
    ).status_code == 401
    assert (await clinic.initiate(clinic.auth("front_desk"))).status_code == 403
    assert (await clinic.initiate(clinic.auth("practitioner"))).status_code == 403
    assert (await clinic.initiate(clinic.auth("practitioner", clinic.practitioner))).status_code == 202
    assert len(await clinic.connections(clinic.auth("practitioner", clinic.practitioner))) == 1
    assert await clinic.connections(clinic.auth("practitioner")) == []


async def test_tokens_are_not_stored_in_the_clear(world: World, clinic: Clinic) -> None:
    connection_id = await clinic.connect()
    [(sealed,)] = await world.admin.run("SELECT grant_sealed FROM connection WHERE id = %s", connection_id)
    assert b"token" not in bytes(sealed)


async def test_another_clinic_sees_and_ends_nothing(world: World, clinic: Clinic, other_clinic: Clinic) -> None:
    await clinic.add_event()
    connection_id = await clinic.connect()
    assert await other_clinic.connections() == []
    theirs = f"{world.url}/v1/clinics/{other_clinic.tenant_id}/calendar/connections/{connection_id}"
    assert (await world.http.delete(theirs, headers=other_clinic.auth())).status_code == 404
    mine = f"{world.url}/v1/clinics/{clinic.tenant_id}/calendar/connections/{connection_id}"
    assert (await world.http.delete(mine, headers=other_clinic.auth())).status_code == 403
    unknown_there = await other_clinic.initiate(provider_id=str(clinic.provider_id))
    assert unknown_there.status_code == 404
    assert len(clinic.busy()) == 1


TENANT_TABLES = ("connection", "oauth_state", "channel", "mirrored", "appointment", "calendar_event", "copy")


async def test_rows_of_another_clinic_are_not_there(world: World, clinic: Clinic, other_clinic: Clinic) -> None:
    await clinic.add_event()
    await clinic.connect()
    booking_id = await clinic.confirm()
    await eventually(lambda: _has_event(clinic, booking_id))
    with psycopg.connect(world.service.settings.database_url) as connection:
        for table in TENANT_TABLES:
            query = sql.SQL("SELECT count(*) FROM {} WHERE tenant_id = %s").format(sql.Identifier(table))
            for tenant, some in ((clinic, True), (other_clinic, False)):
                connection.execute("SELECT set_config('app.tenant', %s, false)", [str(tenant.tenant_id)])
                [(count,)] = connection.execute(query, [clinic.tenant_id]).fetchall()
                assert (count > 0) is some, table


async def _has_event(clinic: Clinic, booking_id: UUID) -> bool:
    return any(str(booking_id) in event.get("description", "") for event in await clinic.events())


async def test_a_deleted_connection_takes_its_busy_times_along(world: World, clinic: Clinic) -> None:
    await clinic.add_event()
    connection_id = await clinic.connect()
    assert len(clinic.busy()) == 1
    url = f"{world.url}/v1/clinics/{clinic.tenant_id}/calendar/connections/{connection_id}"
    for _ in range(2):
        assert (await world.http.delete(url, headers=clinic.auth())).status_code == 204

    async def gone() -> bool:
        return clinic.busy() == {}

    await eventually(gone)
    assert await clinic.connections() == []
    assert await clinic.connect() != connection_id
