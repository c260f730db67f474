"""Clinics and their members."""

import asyncio
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from joserfc import jwt
from sqlalchemy import text

from events import new_id
from events.base import Money
from events.contracts.booking import (
    AppointmentFact,
    BookingCancelled,
    BookingCompleted,
    BookingConfirmed,
    BookingNoShow,
    BookingRescheduled,
    Visit,
)
from events.contracts.identity import MemberChanged, TenantChanged
from identity import handlers
from identity.repository import clinics as clinic_rows
from identity.repository import members as member_rows
from identity.tokens import AccessTokens
from servicekit.service import Service

from .conftest import PASSWORD, Clinic, clinic_body, fresh_email


async def outbox_of(service: Service, tenant_id: str) -> list[tuple[str, dict[str, Any]]]:
    async with service.database.transaction() as tx:
        rows = await tx.connection.execute(
            text("SELECT headers->>'ce_type', payload FROM outbox WHERE headers->>'tenantid' = :tenant ORDER BY id"),
            {"tenant": tenant_id},
        )
        return [(kind, json.loads(payload)) for kind, payload in rows]


async def test_whoever_opens_a_clinic_owns_it_by_the_fresh_token(
    client: httpx.AsyncClient, service: Service, new_clinic: Callable[..., Any]
) -> None:
    clinic = await new_clinic()
    claims = jwt.decode(clinic.owner.access_token, service.get(AccessTokens).key_set, algorithms=["EdDSA"]).claims
    assert claims["roles"] == {clinic.id: "owner"}
    card = await client.get(clinic.url)
    assert card.status_code == 200
    assert card.json()["slug"] == clinic.slug
    assert card.json()["settings"]["approval_minutes"] == 1440
    assert card.headers["etag"] == '"1"'
    me = (await client.get("/v1/users/me", headers=clinic.owner.headers)).json()
    assert me["clinics"] == [{"id": clinic.id, "slug": clinic.slug, "name": "Alfa", "role": "owner"}]
    (first, tenant), (second, member) = await outbox_of(service, clinic.id)
    assert (first, second) == (TenantChanged.TYPE, MemberChanged.TYPE)
    assert (tenant["version"], tenant["active"], tenant["country"]) == (1, True, "PL")
    assert (member["user_id"], member["role"]) == (clinic.owner.id, "owner")


async def test_opening_a_clinic_needs_a_user(client: httpx.AsyncClient) -> None:
    assert (await client.post("/v1/clinics", json=clinic_body())).status_code == 401


async def test_bad_clinics_are_refused_by_field(client: httpx.AsyncClient, new_user: Callable[..., Any]) -> None:
    user = await new_user()
    for field, value in (
        ("slug", "me"),
        ("slug", "Alfa"),
        ("slug", "a"),
        ("slug", "a--b"),
        ("slug", "x" * 64),
        ("slug", str(uuid.uuid4())),
        ("name", ""),
        ("time_zone", "Europe/Nowhere"),
        ("time_zone", "../etc/passwd"),
        ("currency", "PLN"),
        ("currency", "zzz"),
        ("locales", []),
        ("email", "no address"),
        ("phone", "1"),
        ("colour", "red"),
        ("metadata", {"k" * 41: "v"}),
    ):
        answer = await client.post("/v1/clinics", json=clinic_body(**{field: value}), headers=user.headers)
        assert answer.status_code == 422, (field, value, answer.text)
        assert answer.json()["errors"][0]["field"].startswith(field), answer.text
    for settings, field in (
        ({"waitlist_offer_minutes": 0}, "settings.waitlist_offer_minutes"),
        ({"allowed_origins": ["https://a.example/path"]}, "settings.allowed_origins.0"),
        ({"country": "XX"}, "settings.country"),
        ({"external_buffer_minutes": 7}, "settings.external_buffer_minutes"),
    ):
        answer = await client.post("/v1/clinics", json=clinic_body(settings=settings), headers=user.headers)
        assert [error["field"] for error in answer.json()["errors"]] == [field]
    answer = await client.post("/v1/clinics", json=clinic_body(locales=["pl", "fr"]), headers=user.headers)
    assert answer.json()["errors"][0]["field"] == "locales.1"


async def test_a_slug_is_one_clinics_until_it_is_deleted(
    client: httpx.AsyncClient, new_clinic: Callable[..., Any], new_user: Callable[..., Any]
) -> None:
    clinic = await new_clinic()
    user = await new_user()
    taken = await client.post("/v1/clinics", json=clinic_body(slug=clinic.slug), headers=user.headers)
    assert taken.status_code == 409
    assert taken.json()["type"].endswith("/slug-taken")
    assert (await client.delete(clinic.url, headers=clinic.owner.headers)).status_code == 204
    assert (await client.post("/v1/clinics", json=clinic_body(slug=clinic.slug), headers=user.headers)).is_success


async def test_the_same_key_opens_one_clinic(client: httpx.AsyncClient, new_user: Callable[..., Any]) -> None:
    user = await new_user()
    body = clinic_body()
    headers = user.headers | {"Idempotency-Key": uuid.uuid4().hex}
    first = await client.post("/v1/clinics", json=body, headers=headers)
    again = await client.post("/v1/clinics", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["etag"] == first.headers["etag"]
    other = await client.post("/v1/clinics", json=body | {"name": "Other"}, headers=headers)
    assert other.status_code == 422
    assert other.json()["type"].endswith("/idempotency-mismatch")


async def test_a_clinic_is_changed_by_merge_patch(
    client: httpx.AsyncClient, service: Service, new_clinic: Callable[..., Any]
) -> None:
    clinic = await new_clinic(email="desk@alfa.test")
    mine = clinic.owner.headers
    patch = {"name": "Beta", "email": None, "settings": {"approval_minutes": 60}, "metadata": {"a": "1"}}
    changed = await client.patch(clinic.url, json=patch, headers=mine | {"If-Match": '"1"'})
    assert changed.status_code == 200, changed.text
    assert changed.json()["name"] == "Beta"
    assert changed.json()["email"] is None
    assert changed.json()["settings"]["approval_minutes"] == 60
    assert changed.json()["settings"]["country"] == "PL"
    assert changed.headers["etag"] == '"2"'
    assert changed.json()["updated_at"] > changed.json()["created_at"]
    reset = await client.patch(
        clinic.url, json={"settings": {"approval_minutes": None}, "metadata": {"a": None}}, headers=mine
    )
    assert reset.json()["settings"]["approval_minutes"] == 1440
    assert reset.json()["metadata"] == {}
    assert (await client.patch(clinic.url, json={}, headers=mine | {"If-Match": '"1"'})).status_code == 412
    for patch in ({"name": None}, {"slug": "me"}, {"currency": "x"}, {"unknown": 1}):
        refused = await client.patch(clinic.url, json=patch, headers=mine)
        assert refused.status_code == 422, patch
        assert refused.json()["errors"][0]["field"] == next(iter(patch))
    merging = mine | {"Content-Type": "application/merge-patch+json"}
    assert (await client.patch(clinic.url, content=b'{"address": "ul. Prosta 1"}', headers=merging)).is_success
    versions = [e["version"] for kind, e in await outbox_of(service, clinic.id) if kind == TenantChanged.TYPE]
    assert versions == [1, 2, 3, 4]


async def test_strangers_and_other_owners_change_nothing(
    client: httpx.AsyncClient, new_clinic: Callable[..., Any], new_user: Callable[..., Any]
) -> None:
    clinic, other = await new_clinic(), await new_clinic()
    stranger = await new_user()
    for headers in (other.owner.headers, stranger.headers):
        assert (await client.patch(clinic.url, json={"name": "X"}, headers=headers)).status_code == 403
        assert (await client.delete(clinic.url, headers=headers)).status_code == 403
        assert (await client.get(f"{clinic.url}/members", headers=headers)).status_code == 403
        body = {"email": "x@example.test", "role": "manager"}
        assert (await client.post(f"{clinic.url}/members", json=body, headers=headers)).status_code == 403
    assert (await client.patch(clinic.url, json={"name": "X"})).status_code == 401
    missing = f"/v1/clinics/{uuid.uuid4()}"
    assert (await client.get(missing)).status_code == 404
    assert (await client.patch(missing, json={"name": "X"}, headers=stranger.headers)).status_code == 404


async def test_a_deleted_clinic_is_gone_for_everyone(
    client: httpx.AsyncClient, service: Service, internal: dict[str, str], new_clinic: Callable[..., Any]
) -> None:
    clinic = await new_clinic()
    for _ in range(2):
        assert (await client.delete(clinic.url, headers=clinic.owner.headers)).status_code == 204
    assert (await client.get(clinic.url)).status_code == 404
    assert (await client.get(f"/internal/tenants/{clinic.slug}", headers=internal)).status_code == 404
    assert (await client.get(f"/internal/tenants/{clinic.id}", headers=internal)).json()["active"] is False
    assert (await client.get("/v1/users/me", headers=clinic.owner.headers)).json()["clinics"] == []
    events = [e for kind, e in await outbox_of(service, clinic.id) if kind == TenantChanged.TYPE]
    assert [(e["version"], e["active"]) for e in events] == [(1, True), (2, False)]


def visit(start: datetime) -> Visit:
    return Visit(
        slot_id=new_id(),
        offering_id=new_id(),
        provider_id=None,
        resource_ids=[],
        start=start,
        end=start + timedelta(minutes=30),
        seats=1,
    )


REACTIONS: dict[type[AppointmentFact], Any] = {
    BookingConfirmed: handlers.note_confirmation,
    BookingCancelled: handlers.forget_cancelled,
    BookingRescheduled: handlers.note_new_time,
    BookingCompleted: handlers.forget_completed,
    BookingNoShow: handlers.forget_no_show,
}


async def test_how_long_a_waitlist_offer_stands_is_a_setting(
    client: httpx.AsyncClient, new_clinic: Callable[..., Any]
) -> None:
    clinic = await new_clinic()
    body = {"settings": {"waitlist_offer_minutes": 45}}
    changed = await client.patch(clinic.url, json=body, headers=clinic.owner.headers)
    assert changed.json()["settings"]["waitlist_offer_minutes"] == 45
    assert changed.json()["settings"]["country"] == "PL"
    shape = (await client.get("/openapi.json")).json()["components"]["schemas"]["SettingsContent"]
    assert "waitlist_offer_minutes" in shape["properties"]


async def test_a_clinic_with_appointments_ahead_is_not_deleted(
    client: httpx.AsyncClient, service: Service, new_clinic: Callable[..., Any]
) -> None:
    clinic = await new_clinic()
    tenant_id, price = uuid.UUID(clinic.id), Money(amount=0, currency="pln")
    facts: dict[str, Any] = {
        "tenant_id": tenant_id,
        "booking_id": new_id(),
        "visit": visit(datetime.now(UTC) + timedelta(days=3)),
        "person_id": new_id(),
        "contact_id": new_id(),
        "locale": "pl",
    }
    confirmed = BookingConfirmed(version=2, mode="free", price=price, amount_due=price, **facts)
    cancelled = BookingCancelled(version=3, by="patient", fee=price, was_confirmed=True, **facts)
    past = confirmed.model_copy(update={"booking_id": new_id(), "visit": visit(datetime(2020, 1, 1, tzinfo=UTC))})

    async def told(*events: AppointmentFact) -> None:
        async with service.database.transaction(tenant_id) as tx:
            for event in events:
                await REACTIONS[type(event)](event, tx)

    await told(past, confirmed)
    refused = await client.delete(clinic.url, headers=clinic.owner.headers)
    assert refused.status_code == 409
    assert refused.json()["appointments_ahead"] == 1
    await told(cancelled, confirmed)  # an older fact that comes late changes nothing
    assert (await client.delete(clinic.url, headers=clinic.owner.headers)).status_code == 204


async def test_a_moved_appointment_lies_ahead_and_one_that_is_over_does_not(
    client: httpx.AsyncClient, service: Service, new_clinic: Callable[..., Any]
) -> None:
    clinic = await new_clinic()
    tenant_id, price, now = uuid.UUID(clinic.id), Money(amount=0, currency="pln"), datetime.now(UTC)
    today, later = visit(now - timedelta(minutes=5)), visit(now + timedelta(days=3))
    facts: dict[str, Any] = {"tenant_id": tenant_id, "person_id": new_id(), "contact_id": new_id(), "locale": "pl"}
    came, missed = facts | {"booking_id": new_id()}, facts | {"booking_id": new_id()}

    async def deleting_after(*events: AppointmentFact) -> int:
        async with service.database.transaction(tenant_id) as tx:
            for event in events:
                await REACTIONS[type(event)](event, tx)
        return (await client.delete(clinic.url, headers=clinic.owner.headers)).status_code

    confirmed = BookingConfirmed(version=2, mode="free", price=price, amount_due=price, visit=today, **came)
    moved = BookingRescheduled(version=3, visit=later, previous=today, by="staff", price=price, fee=price, **came)
    assert await deleting_after(moved, confirmed) == 409
    completed = BookingCompleted(version=4, visit=later, by="staff", **came)
    confirmed = BookingConfirmed(version=2, mode="free", price=price, amount_due=price, visit=later, **missed)
    assert await deleting_after(completed, confirmed) == 409
    assert await deleting_after(BookingNoShow(version=3, visit=later, fee=price, **missed)) == 204


async def add(client: httpx.AsyncClient, clinic: Clinic, email: str, role: str, by: Any = None) -> httpx.Response:
    headers = (by or clinic.owner).headers
    return await client.post(f"{clinic.url}/members", json={"email": email, "role": role}, headers=headers)


async def test_a_known_account_is_a_member_at_once(
    client: httpx.AsyncClient, new_clinic: Callable[..., Any], new_user: Callable[..., Any]
) -> None:
    clinic, user = await new_clinic(), await new_user()
    answer = await add(client, clinic, user.email, "front_desk")
    assert answer.status_code == 201
    assert (answer.json()["status"], answer.json()["role"]) == ("active", "front_desk")
    assert (await add(client, clinic, user.email, "front_desk")).status_code == 409
    document = (await client.post("/v1/auth/login", json={"email": user.email, "password": PASSWORD})).json()
    assert document["user"]["clinics"][0]["role"] == "front_desk"
    page = await client.get(f"{clinic.url}/members?limit=1", headers=clinic.owner.headers)
    assert [member["role"] for member in page.json()["data"]] == ["owner"]
    rest = await client.get(
        f"{clinic.url}/members?limit=1&cursor={page.json()['next_cursor']}", headers=clinic.owner.headers
    )
    assert [member["email"] for member in rest.json()["data"]] == [user.email]
    assert rest.json()["next_cursor"] is None


async def test_an_invited_address_becomes_a_member_when_it_registers(
    client: httpx.AsyncClient, service: Service, new_clinic: Callable[..., Any], new_user: Callable[..., Any]
) -> None:
    clinic, second, email = await new_clinic(), await new_clinic(), fresh_email()
    answer = await add(client, clinic, email, "practitioner")
    assert (answer.json()["status"], answer.json()["user_id"]) == ("invited", None)
    assert answer.json()["email"].lower() == email.lower()
    assert (await add(client, clinic, email.upper(), "manager")).status_code == 409
    await add(client, second, email, "auditor")
    user = await new_user(email)
    claims = jwt.decode(user.access_token, service.get(AccessTokens).key_set, algorithms=["EdDSA"]).claims
    assert claims["roles"] == {clinic.id: "practitioner", second.id: "auditor"}
    last = (await outbox_of(service, clinic.id))[-1]
    assert last[0] == MemberChanged.TYPE
    assert (last[1]["user_id"], last[1]["role"], last[1]["version"]) == (user.id, "practitioner", 2)


async def test_managers_do_all_but_owners(
    client: httpx.AsyncClient, new_clinic: Callable[..., Any], new_user: Callable[..., Any]
) -> None:
    clinic, manager, desk = await new_clinic(), await new_user(), await new_user()
    await add(client, clinic, manager.email, "manager")
    member = (await add(client, clinic, desk.email, "front_desk", by=manager)).json()
    assert (await add(client, clinic, fresh_email(), "owner", by=manager)).status_code == 403
    assert (await add(client, clinic, fresh_email(), "auditor", by=desk)).status_code == 403
    owner = (await client.get(f"{clinic.url}/members", headers=manager.headers)).json()["data"][0]
    theirs = f"{clinic.url}/members/{owner['id']}"
    assert (await client.patch(theirs, json={"role": "auditor"}, headers=manager.headers)).status_code == 403
    assert (await client.delete(theirs, headers=manager.headers)).status_code == 403
    url = f"{clinic.url}/members/{member['id']}"
    assert (await client.patch(url, json={"role": "owner"}, headers=manager.headers)).status_code == 403
    changed = await client.patch(url, json={"role": "practitioner"}, headers=manager.headers)
    assert changed.json()["role"] == "practitioner"
    assert (await client.patch(url, json={"role": "king"}, headers=manager.headers)).status_code == 422
    assert (await client.delete(clinic.url, headers=manager.headers)).status_code == 403
    assert (await client.patch(clinic.url, json={"name": "B"}, headers=manager.headers)).status_code == 200
    for _ in range(2):
        assert (await client.delete(url, headers=manager.headers)).status_code == 204
    assert (await client.get(f"{clinic.url}/members", headers=desk.headers)).status_code == 403


async def test_a_removed_manager_has_no_power_left_whatever_the_token_says(
    client: httpx.AsyncClient, new_clinic: Callable[..., Any], new_user: Callable[..., Any]
) -> None:
    clinic, manager = await new_clinic(), await new_user()
    member = (await add(client, clinic, manager.email, "manager")).json()
    document = (await client.post("/v1/auth/login", json={"email": manager.email, "password": PASSWORD})).json()
    token = {"Authorization": f"Bearer {document['access_token']}"}
    assert (await client.patch(clinic.url, json={"name": "B"}, headers=token)).status_code == 200
    await client.delete(f"{clinic.url}/members/{member['id']}", headers=clinic.owner.headers)
    assert (await client.patch(clinic.url, json={"name": "C"}, headers=token)).status_code == 403


@pytest.mark.parametrize("how", ["patch", "delete"])
async def test_a_clinic_keeps_an_owner(
    client: httpx.AsyncClient, new_clinic: Callable[..., Any], new_user: Callable[..., Any], how: str
) -> None:
    clinic, second = await new_clinic(), await new_user()
    owner = (await client.get(f"{clinic.url}/members", headers=clinic.owner.headers)).json()["data"][0]
    url = f"{clinic.url}/members/{owner['id']}"

    async def give_up() -> httpx.Response:
        if how == "patch":
            return await client.patch(url, json={"role": "manager"}, headers=clinic.owner.headers)
        return await client.delete(url, headers=clinic.owner.headers)

    refused = await give_up()
    assert refused.status_code == 409
    assert refused.json()["type"].endswith("/illegal-transition")
    await add(client, clinic, second.email, "owner")
    assert (await give_up()).is_success


@pytest.mark.parametrize("guarded", [True, False])
async def test_two_owners_who_leave_at_once_leave_one_behind(
    client: httpx.AsyncClient,
    new_clinic: Callable[..., Any],
    new_user: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    guarded: bool,
) -> None:
    clinic, second = await new_clinic(), await new_user()
    await add(client, clinic, second.email, "owner")
    page = (await client.get(f"{clinic.url}/members", headers=second.headers)).json()["data"]
    monkeypatch.setattr(member_rows, "_OWNERS", text(f"{member_rows._OWNERS} AND pg_sleep(0.1)::text = ''"))
    if not guarded:
        monkeypatch.setattr(clinic_rows, "_LOCK", text(str(clinic_rows._LOCK).replace("FOR UPDATE", "")))
    answers = await asyncio.gather(
        *(
            client.delete(f"{clinic.url}/members/{member['id']}", headers=user.headers)
            for member, user in zip(page, (clinic.owner, second), strict=True)
        )
    )
    assert sorted(answer.status_code for answer in answers) == ([204, 409] if guarded else [204, 204])
