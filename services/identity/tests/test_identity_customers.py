"""Customers as staff find, see and correct them, and who looked."""

import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from identity.jobs import complete_people
from servicekit.service import Service

from .conftest import Clinic, User, fresh_email

Add = Callable[..., Any]


@pytest.fixture
def add(client: httpx.AsyncClient, internal: dict[str, str]) -> Add:
    """Somebody books: a person of the clinic; returns their id."""

    async def make(clinic: Clinic, name: str, **more: Any) -> str:
        body = {"customer": {"name": name, "email": fresh_email()} | more}
        answer = await client.post(f"/internal/tenants/{clinic.id}/customers", json=body, headers=internal)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["person_id"])

    return make


async def names(client: httpx.AsyncClient, clinic: Clinic, by: User | None = None, **query: Any) -> list[str]:
    """The names that a search finds."""
    answer = await client.get(f"{clinic.url}/customers", params=query, headers=(by or clinic.owner).headers)
    assert answer.status_code == 200, answer.text
    return [customer["name"] for customer in answer.json()["data"]]


async def member(client: httpx.AsyncClient, clinic: Clinic, new_user: Callable[..., Any], role: str) -> User:
    """Somebody who works in the clinic."""
    user: User = await new_user()
    body = {"email": user.email, "role": role}
    assert (await client.post(f"{clinic.url}/members", json=body, headers=clinic.owner.headers)).status_code == 201
    return user


async def test_staff_find_customers_by_any_word_without_case_and_accents(
    client: httpx.AsyncClient, new_clinic: Callable[..., Any], add: Add
) -> None:
    clinic, other = await new_clinic(), await new_clinic()
    email = fresh_email()
    await add(clinic, "Łukasz Brzęczyk", email=email, phone="601 234 567")
    await add(clinic, "Aleksandra Nowak")
    await add(clinic, "Aleksander Nowakowski")
    await add(other, "Łukasz Elsewhere")
    assert await names(client, clinic) == ["Łukasz Brzęczyk", "Aleksandra Nowak", "Aleksander Nowakowski"]
    assert await names(client, clinic, q="lukasz") == ["Łukasz Brzęczyk"]
    assert await names(client, clinic, q="brzę ŁU") == ["Łukasz Brzęczyk"]
    assert await names(client, clinic, q="nowak aleks") == ["Aleksandra Nowak", "Aleksander Nowakowski"]
    assert await names(client, clinic, q="Aleksander") == ["Aleksander Nowakowski"]
    assert await names(client, clinic, q=email.upper()) == ["Łukasz Brzęczyk"]
    assert await names(client, clinic, q="234 567") == ["Łukasz Brzęczyk"]
    assert await names(client, clinic, q="+48 601-234-567") == ["Łukasz Brzęczyk"]
    for nobody in ("łukasz nowak", "ukasz", "elsewhere", "...", email[1:]):
        assert await names(client, clinic, q=nobody) == [], nobody


async def test_services_search_people_by_the_same_words(
    client: httpx.AsyncClient, internal: dict[str, str], new_clinic: Callable[..., Any], add: Add
) -> None:
    clinic = await new_clinic()
    first, second = await add(clinic, "Ewa Zając"), await add(clinic, "Ewa Zięba")
    url = f"/internal/tenants/{clinic.id}/people/search"

    async def found(query: str, **more: Any) -> list[str]:
        answer = await client.post(url, json={"q": query} | more, headers=internal)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["person_ids"])

    assert await found("ewa z") == [second, first]
    assert await found("ewa z", limit=1) == [second]
    assert await found("ewa zaj") == [first]
    assert await found("  ") == []
    assert (await client.post(url, json={"q": "ewa"}, headers=clinic.owner.headers)).status_code == 401


async def test_a_person_is_found_by_every_name_that_came_with_an_appointment_and_shown_by_the_first(
    client: httpx.AsyncClient, new_clinic: Callable[..., Any], add: Add
) -> None:
    clinic, email = await new_clinic(), fresh_email()
    mother = await add(clinic, "Ewa Zając", email=email)
    assert await add(clinic, "Staś Zając", email=email) == mother
    assert await names(client, clinic) == ["Ewa Zając"]
    assert await names(client, clinic, q="stas") == ["Ewa Zając"]


async def test_pages_follow_each_other_in_any_order(
    client: httpx.AsyncClient, new_clinic: Callable[..., Any], add: Add
) -> None:
    clinic = await new_clinic()
    made = [await add(clinic, f"Person {letter}") for letter in "abcde"]
    await client.patch(f"{clinic.url}/customers/{made[1]}", json={"notes": "x"}, headers=clinic.owner.headers)

    async def walk(**query: Any) -> list[str]:
        ids: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            params = query | {"limit": 2} | cursor
            page = (await client.get(f"{clinic.url}/customers", params=params, headers=clinic.owner.headers)).json()
            ids += [customer["id"] for customer in page["data"]]
            if page["next_cursor"] is None:
                return ids
            cursor = {"cursor": page["next_cursor"]}

    assert await walk() == made
    assert await walk(sort="-created_at") == made[::-1]
    assert await walk(sort="-updated_at", q="person") == [made[1], *(made[at] for at in (4, 3, 2, 0))]
    changed = (await client.get(f"{clinic.url}/customers/{made[1]}", headers=clinic.owner.headers)).json()
    assert await walk(updated_since=changed["updated_at"]) == [made[1]]
    for bad in ({"cursor": "nonsense"}, {"sort": "name"}, {"limit": 201}):
        answer = await client.get(f"{clinic.url}/customers", params=bad, headers=clinic.owner.headers)
        assert answer.status_code == 422, bad


async def test_a_customer_is_corrected_by_merge_patch_and_their_earlier_contacts_stay(
    client: httpx.AsyncClient, internal: dict[str, str], new_clinic: Callable[..., Any]
) -> None:
    clinic, email = await new_clinic(), fresh_email()
    body = {"customer": {"name": "Ewa Zajonc", "email": email}}
    came = (await client.post(f"/internal/tenants/{clinic.id}/customers", json=body, headers=internal)).json()
    url = f"{clinic.url}/customers/{came['person_id']}"
    read = await client.get(url, headers=clinic.owner.headers)
    assert read.headers["ETag"] == '"1"'
    assert read.json() | {"created_at": 0, "updated_at": 0} == {
        "id": came["person_id"], "name": "Ewa Zajonc", "email": email.split("@")[0] + "@example.test", "phone": None,
        "locale": "pl", "external_ref": None, "metadata": {}, "notes": None, "created_at": 0, "updated_at": 0,
    }  # fmt: skip
    patch = {
        "name": "Ewa Zając", "phone": "601 234 567", "locale": "en", "external_ref": "K-7", "notes": "Prefers mornings",
        "metadata": {"card": "12"},
    }  # fmt: skip
    changed = await client.patch(url, json=patch, headers=clinic.owner.headers | {"If-Match": '"1"'})
    assert changed.status_code == 200, changed.text
    assert changed.headers["ETag"] == '"2"'
    assert {name: changed.json()[name] for name in patch} == patch | {"phone": "+48601234567"}
    assert changed.json()["updated_at"] > changed.json()["created_at"]
    stale = await client.patch(url, json={"name": "X"}, headers=clinic.owner.headers | {"If-Match": '"1"'})
    assert stale.status_code == 412
    merged = await client.patch(url, json={"metadata": {"card": None, "a": "b"}}, headers=clinic.owner.headers)
    assert (merged.json()["metadata"], merged.json()["name"]) == ({"a": "b"}, "Ewa Zając")
    contact = await client.get(f"/internal/tenants/{clinic.id}/contacts/{came['contact_id']}", headers=internal)
    assert contact.json()["name"] == "Ewa Zajonc"
    assert await names(client, clinic, q="zając") == ["Ewa Zając"]
    assert await names(client, clinic, q="601234567") == ["Ewa Zając"]
    assert await names(client, clinic, external_ref="K-7") == ["Ewa Zając"]
    assert await names(client, clinic, external_ref="K-8") == []


async def test_bad_corrections_are_refused_by_field_and_change_nothing(
    client: httpx.AsyncClient, new_clinic: Callable[..., Any], add: Add
) -> None:
    clinic = await new_clinic()
    one, two = await add(clinic, "Ewa"), await add(clinic, "Jan")
    await client.patch(f"{clinic.url}/customers/{two}", json={"external_ref": "K-7"}, headers=clinic.owner.headers)
    url = f"{clinic.url}/customers/{one}"
    before = (await client.get(url, headers=clinic.owner.headers)).json()
    for field, value in (
        ("name", None), ("name", " "), ("name", "a\nb"), ("email", "nobody"), ("email", None), ("phone", "12"),
        ("locale", "xx"), ("external_ref", "K-7"), ("external_ref", ""), ("notes", "x" * 5001),
        ("metadata", {"k" * 41: "v"}), ("colour", "red"),
    ):  # fmt: skip
        answer = await client.patch(url, json={field: value}, headers=clinic.owner.headers)
        assert answer.status_code == 422, (field, value, answer.text)
        assert answer.json()["errors"][0]["field"].startswith(field), answer.text
    assert (await client.get(url, headers=clinic.owner.headers)).json() == before
    # The same number is free in another clinic, and for the one who has it.
    elsewhere = await new_clinic()
    other = await add(elsewhere, "Eva")
    for target, by in ((f"{elsewhere.url}/customers/{other}", elsewhere), (f"{clinic.url}/customers/{two}", clinic)):
        same = await client.patch(target, json={"external_ref": "K-7"}, headers=by.owner.headers)
        assert same.status_code == 200, same.text


async def test_only_those_who_work_there_see_customers_and_auditors_change_none(
    client: httpx.AsyncClient, new_clinic: Callable[..., Any], new_user: Callable[..., Any], add: Add
) -> None:
    clinic, other = await new_clinic(), await new_clinic()
    person = await add(clinic, "Ewa Zając")
    paths = (f"{clinic.url}/customers", f"{clinic.url}/customers/{person}", f"{clinic.url}/audit")
    for path in paths:
        assert (await client.get(path)).status_code == 401
        for stranger in (other.owner, await new_user()):
            assert (await client.get(path, headers=stranger.headers)).status_code == 404
    for role, changes, audits in (("front_desk", 200, 403), ("practitioner", 200, 403), ("auditor", 403, 200)):
        user = await member(client, clinic, new_user, role)
        assert [(await client.get(path, headers=user.headers)).status_code for path in paths] == [200, 200, audits]
        patched = await client.patch(paths[1], json={"notes": role}, headers=user.headers)
        assert patched.status_code == changes, role
    cross = f"{other.url}/customers/{person}"
    assert (await client.get(cross, headers=other.owner.headers)).status_code == 404
    assert (await client.patch(cross, json={"name": "X"}, headers=other.owner.headers)).status_code == 404


async def test_whoever_looks_is_written_down_without_what_they_saw(
    client: httpx.AsyncClient, new_clinic: Callable[..., Any], new_user: Callable[..., Any], add: Add
) -> None:
    clinic = await new_clinic()
    person = await add(clinic, "Zygfryd Legible")
    desk = await member(client, clinic, new_user, "front_desk")
    await names(client, clinic, by=desk, q="zygfryd")
    await client.get(f"{clinic.url}/customers/{person}", headers=desk.headers)
    await client.patch(f"{clinic.url}/customers/{person}", json={"notes": "Legible too"}, headers=desk.headers)
    audit = await client.get(f"{clinic.url}/audit", headers=clinic.owner.headers)
    lines = audit.json()["data"]
    assert [(line["action"], line["subject"], line["detail"]) for line in lines[:3]] == [
        ("customer.changed", person, "notes"),
        ("customer.read", person, None),
        ("customers.searched", None, "1 shown"),
    ]
    assert {(line["actor"]["user_id"], line["actor"]["role"]) for line in lines[:3]} == {(desk.id, "front_desk")}
    assert lines[3]["action"] == "member.added"
    assert "legible" not in audit.text.lower()
    older = await client.get(
        f"{clinic.url}/audit", params={"before": lines[1]["at"], "limit": 1}, headers=clinic.owner.headers
    )
    assert older.json()["data"] == lines[2:3]


async def test_what_was_written_down_cannot_be_changed(
    client: httpx.AsyncClient, service: Service, new_clinic: Callable[..., Any]
) -> None:
    clinic = await new_clinic()
    await names(client, clinic)
    for statement in ("UPDATE audit SET action = 'x'", "DELETE FROM audit", "TRUNCATE audit"):
        with pytest.raises(DBAPIError, match="permission denied"):
            async with service.database.transaction(uuid.UUID(clinic.id)) as tx:
                await tx.connection.execute(text(statement))


async def test_nothing_of_a_customer_is_stored_legibly(
    client: httpx.AsyncClient, service: Service, new_clinic: Callable[..., Any], add: Add
) -> None:
    clinic = await new_clinic()
    person = await add(clinic, "Zygfryd Legible", phone="601234567")
    patch = {"notes": "Kennt Zygfryd", "metadata": {"k": "sixhundred"}}
    await client.patch(f"{clinic.url}/customers/{person}", json=patch, headers=clinic.owner.headers)
    async with service.database.transaction(uuid.UUID(clinic.id)) as tx:
        rows = (await tx.connection.execute(text("SELECT p.* FROM person p"))).all()
        rows += (await tx.connection.execute(text("SELECT t.* FROM person_token t"))).all()
    stored = b"".join(value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row)
    for legible in (b"zygfryd", b"601234567", b"sixhundred", b"kennt"):
        assert legible not in stored.lower()
    assert len(rows) > 10


async def test_two_clinics_tokens_of_one_name_have_nothing_in_common(
    service: Service, new_clinic: Callable[..., Any], add: Add
) -> None:
    found = []
    for clinic in (await new_clinic(), await new_clinic()):
        await add(clinic, "Ewa Zając")
        async with service.database.transaction(uuid.UUID(clinic.id)) as tx:
            found.append(set((await tx.connection.execute(text("SELECT token FROM person_token"))).scalars()))
    assert found[0]
    assert not found[0] & found[1]


async def test_people_of_before_there_were_profiles_are_completed(
    client: httpx.AsyncClient, service: Service, new_clinic: Callable[..., Any], add: Add
) -> None:
    clinic, email = await new_clinic(), fresh_email()
    await add(clinic, "Ewa Zajonc", email=email)
    await add(clinic, "Ewa Zając", email=email, locale="de")
    async with service.database.transaction(uuid.UUID(clinic.id)) as tx:
        await tx.connection.execute(text("UPDATE person SET profile = NULL"))
        await tx.connection.execute(text("DELETE FROM person_token"))
    assert await names(client, clinic) == []
    await complete_people(service)
    assert await names(client, clinic) == ["Ewa Zając"]
    assert await names(client, clinic, q="zajonc") == ["Ewa Zając"]
