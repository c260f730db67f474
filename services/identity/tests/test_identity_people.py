"""People, contacts, and the walls between clinics and services."""

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from identity.sealing import PeopleKeys
from servicekit.capabilities import CustomerToken
from servicekit.migrate import create_roles
from servicekit.service import Service

from .conftest import Clinic, User, fresh_email

Identify = Callable[..., Any]


@pytest.fixture
def identify(client: httpx.AsyncClient, internal: dict[str, str]) -> Identify:
    """Asks who a customer is."""

    async def ask(clinic: Clinic, *, by: User | None = None, **customer: Any) -> httpx.Response:
        body = {"customer": {"name": "Jan Kowalski"} | customer, "user_token": by.access_token if by else None}
        return await client.post(f"/internal/tenants/{clinic.id}/customers", json=body, headers=internal)

    return ask


async def test_one_address_is_one_person_and_each_request_has_its_own_contact(
    client: httpx.AsyncClient,
    service: Service,
    internal: dict[str, str],
    new_clinic: Callable[..., Any],
    identify: Identify,
) -> None:
    clinic, email = await new_clinic(), fresh_email()
    first = (await identify(clinic, email=email, phone="601 234 567", locale="en-GB")).json()
    second = (await identify(clinic, email=f" {email.upper()}", name="  Somebody Else ")).json()
    assert first["person_id"] == second["person_id"]
    assert first["contact_id"] != second["contact_id"]
    token = service.signer("customers").verify(first["customer_token"], CustomerToken)
    assert str(token.tenant_id) == clinic.id
    assert (str(token.person_id), str(token.contact_id)) == (first["person_id"], first["contact_id"])
    assert (token.locale, token.user_id, token.verified) == ("en", None, False)
    assert 590 <= token.expires - time.time() <= 601
    url = f"/internal/tenants/{clinic.id}/contacts"
    contact = (await client.get(f"{url}/{first['contact_id']}", headers=internal)).json()
    assert contact["name"] == "Jan Kowalski"
    assert contact["email"].lower() == email.lower()
    assert contact["phone"] == "+48601234567"
    assert contact["locale"] == "en"
    assert (await client.get(f"{url}/{second['contact_id']}", headers=internal)).json()["name"] == "Somebody Else"
    assert (await client.get(f"{url}/{uuid.uuid4()}", headers=internal)).status_code == 404


async def test_two_clinics_know_an_address_as_two_people(new_clinic: Callable[..., Any], identify: Identify) -> None:
    one, two, email = await new_clinic(), await new_clinic(), fresh_email()
    first = (await identify(one, email=email)).json()
    assert (await identify(two, email=email)).json()["person_id"] != first["person_id"]


async def test_many_at_once_make_one_person(new_clinic: Callable[..., Any], identify: Identify) -> None:
    clinic, email = await new_clinic(), fresh_email()
    answers = await asyncio.gather(*(identify(clinic, email=email) for _ in range(8)))
    assert len({answer.json()["person_id"] for answer in answers}) == 1
    assert len({answer.json()["contact_id"] for answer in answers}) == 8


async def test_a_signed_in_user_is_linked_to_their_own_address_only(
    service: Service, new_clinic: Callable[..., Any], new_user: Callable[..., Any], identify: Identify
) -> None:
    clinic, user = await new_clinic(), await new_user()

    async def token(**asked: Any) -> CustomerToken:
        answer = await identify(clinic, **asked)
        return service.signer("customers").verify(answer.json()["customer_token"], CustomerToken)

    own = await token(email=user.email, by=user)
    assert (str(own.user_id), own.verified) == (user.id, True)
    other = await token(email=fresh_email(), by=user)
    assert (other.user_id, other.verified) == (None, False)
    unsigned = await token(email=user.email)
    assert (unsigned.user_id, unsigned.verified) == (None, False)
    assert unsigned.person_id == own.person_id
    guest = await identify(clinic, email=fresh_email(), by=User("", "", "a-manage-token", ""))
    assert guest.status_code == 200
    forged = await identify(clinic, email=user.email, by=User("", "", user.access_token[:-8] + "AAAAAAAA", ""))
    assert forged.status_code == 401


async def test_only_staff_may_leave_the_address_out(
    new_clinic: Callable[..., Any], new_user: Callable[..., Any], identify: Identify
) -> None:
    clinic, user = await new_clinic(), await new_user()
    refused = await identify(clinic, phone="601 234 567", by=user)
    assert [error["field"] for error in refused.json()["errors"]] == ["customer.email"]
    assert (await identify(clinic, phone="601 234 567")).status_code == 422
    first = await identify(clinic, phone="601 234 567", by=clinic.owner)
    second = await identify(clinic, phone="+48 601-234-567", by=clinic.owner)
    assert first.json()["person_id"] == second.json()["person_id"]
    assert (await identify(clinic, by=clinic.owner)).status_code == 422


async def test_bad_customers_are_refused_by_field(new_clinic: Callable[..., Any], identify: Identify) -> None:
    clinic = await new_clinic()
    for field, value in (
        ("email", "nobody"),
        ("email", "a@b@c.test"),
        ("phone", "12"),
        ("name", " "),
        ("name", "x" * 201),
        ("name", "Bcc:\r\nx"),
        ("time_zone", "Nowhere"),
        ("locale", "<pl>"),
    ):
        answer = await identify(clinic, **({"email": fresh_email()} | {field: value}))
        assert answer.status_code == 422, (field, value)
        assert answer.headers["content-type"] == "application/problem+json"
        assert [error["field"] for error in answer.json()["errors"]] == [f"customer.{field}"]


async def test_a_language_we_do_not_speak_becomes_the_clinics(
    service: Service, new_clinic: Callable[..., Any], identify: Identify
) -> None:
    clinic = await new_clinic(locales=["es", "en"])
    for asked, spoken in (("fr", "es"), ("de_AT", "de"), (None, "es")):
        answer = await identify(clinic, email=fresh_email(), locale=asked)
        token = service.signer("customers").verify(answer.json()["customer_token"], CustomerToken)
        assert token.locale == spoken


async def test_no_address_is_stored_legibly(
    service: Service, new_clinic: Callable[..., Any], identify: Identify
) -> None:
    clinic, email = await new_clinic(), fresh_email()
    assert (await identify(clinic, email=email, name="Zygfryd Legible", phone="601234567")).status_code == 200
    async with service.database.transaction(uuid.UUID(clinic.id)) as tx:
        people = (await tx.connection.execute(text("SELECT p.*, p::text FROM person p"))).all()
        contacts = (await tx.connection.execute(text("SELECT c.*, c::text FROM contact c"))).all()
        outbox = (await tx.connection.execute(text("SELECT o::text FROM outbox o"))).scalars().all()
    assert len(people) == len(contacts) == 1
    stored = b"".join(
        value if isinstance(value, bytes) else str(value).encode() for row in (*people, *contacts) for value in row
    ).lower()
    for legible in (email, "zygfryd", "601234567"):
        assert legible.lower().encode() not in stored
        assert legible.encode().hex().encode() not in stored
        assert not any(legible.lower() in row.lower() for row in outbox)


async def test_another_clinics_rows_are_not_there(
    client: httpx.AsyncClient,
    service: Service,
    internal: dict[str, str],
    new_clinic: Callable[..., Any],
    identify: Identify,
) -> None:
    one, two = await new_clinic(), await new_clinic()
    contact_id = (await identify(one, email=fresh_email())).json()["contact_id"]
    url = f"/internal/tenants/{two.id}/contacts/{contact_id}"
    assert (await client.get(url, headers=internal)).status_code == 404
    async with service.database.transaction(uuid.UUID(two.id)) as tx:
        for table in ("person", "contact", "member", "visit"):
            count = text(f"SELECT count(*) FROM {table} WHERE tenant_id = :other")
            assert (await tx.connection.execute(count, {"other": one.id})).scalar_one() == 0
        rename = text("UPDATE clinic SET name = 'mine' WHERE id = :other")
        assert (await tx.connection.execute(rename, {"other": one.id})).rowcount == 0
    async with service.database.transaction() as tx:
        assert (await tx.connection.execute(text("SELECT count(*) FROM person"))).scalar_one() == 0
    steal = text("""
        INSERT INTO member (tenant_id, id, user_id, role) VALUES (:other, gen_random_uuid(), :user, 'owner')""")
    with pytest.raises(DBAPIError, match="row-level security"):
        async with service.database.transaction(uuid.UUID(two.id)) as tx:
            await tx.connection.execute(steal, {"other": one.id, "user": two.owner.id})


async def test_another_services_role_reads_none_of_it(
    service: Service, service_database: Callable[[str], str], postgres_url: str
) -> None:
    own_url = service_database("identity")
    name = own_url.rsplit("/", 1)[1]
    create_roles(postgres_url.rsplit("/", 1)[0] + f"/{name}", "booking", "test")
    host = own_url.split("@", 1)[1]
    with psycopg.connect(f"postgresql://booking_app:test@{host}") as connection:
        for table in ("account", "session", "clinic", "member", "person", "contact", "outbox"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(f"SELECT * FROM identity.{table}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
            connection.execute("SELECT * FROM identity.memberships_of(gen_random_uuid())")


async def test_internal_routes_are_for_services(
    client: httpx.AsyncClient, new_clinic: Callable[..., Any], internal: dict[str, str]
) -> None:
    clinic = await new_clinic()
    for headers in ({}, clinic.owner.headers, {"Authorization": "Bearer svc.forged"}):
        for path in (f"/internal/tenants/{clinic.id}", f"/internal/users/{clinic.owner.id}"):
            assert (await client.get(path, headers=headers)).status_code == 401
    assert not any(path.startswith("/internal") for path in (await client.get("/openapi.json")).json()["paths"])


async def test_clinics_and_users_are_looked_up(
    client: httpx.AsyncClient, internal: dict[str, str], new_clinic: Callable[..., Any]
) -> None:
    clinic = await new_clinic()
    for name in (clinic.slug, clinic.id):
        found = (await client.get(f"/internal/tenants/{name}", headers=internal)).json()
        assert found["tenant_id"] == clinic.id
        assert (found["slug"], found["time_zone"], found["active"]) == (clinic.slug, "Europe/Warsaw", True)
        assert found["settings"]["payment_grace_seconds"] == 120
    for name in ("no-such-clinic", str(uuid.uuid4())):
        assert (await client.get(f"/internal/tenants/{name}", headers=internal)).status_code == 404
    user = (await client.get(f"/internal/users/{clinic.owner.id}", headers=internal)).json()
    assert user["email"] == clinic.owner.email
    alerts = (await client.get(f"/internal/tenants/{clinic.id}/alerts", headers=internal)).json()
    assert alerts == {"email": clinic.owner.email, "name": "Anna Nowak", "locale": "pl"}
    await client.patch(clinic.url, json={"email": "desk@alfa.test"}, headers=clinic.owner.headers)
    alerts = (await client.get(f"/internal/tenants/{clinic.id}/alerts", headers=internal)).json()
    assert alerts == {"email": "desk@alfa.test", "name": "Alfa", "locale": "pl"}


async def test_seeding_twice_changes_nothing(client: httpx.AsyncClient, internal: dict[str, str]) -> None:
    user_id, tenant_id, member_id = (str(uuid.uuid4()) for _ in range(3))
    staff_id, email, slug = str(uuid.uuid4()), fresh_email(), f"seed-{uuid.uuid4().hex[:8]}"
    tenant = {
        "slug": slug,
        "name": "Alfa",
        "time_zone": "Europe/Warsaw",
        "currency": "pln",
        "locales": ["pl", "en"],
        "country": "PL",
        "email": "alfa@klinika.test",
        "owner_id": user_id,
    }
    calls: list[tuple[str, dict[str, Any]]] = [
        (f"/internal/users/{user_id}", {"email": email, "password": "holdfast-demo", "name": "O", "operator": True}),
        (f"/internal/users/{staff_id}", {"email": fresh_email(), "password": "holdfast-demo", "name": "S"}),
        (f"/internal/tenants/{tenant_id}", tenant),
        (f"/internal/tenants/{tenant_id}/members/{member_id}", {"user_id": staff_id, "role": "practitioner"}),
    ]
    rounds = [[await client.put(path, json=body, headers=internal) for path, body in calls] for _ in range(2)]
    for answers in rounds:
        assert [answer.status_code for answer in answers] == [200] * 4, [answer.text for answer in answers]
        assert [answer.json()["version"] for answer in answers] == [1] * 4
    signed_in = await client.post("/v1/auth/login", json={"email": email, "password": "holdfast-demo"})
    assert signed_in.json()["user"]["operator"] is True
    assert signed_in.json()["user"]["clinics"][0]["role"] == "owner"
    card = (await client.get(f"/v1/clinics/{tenant_id}")).json()
    assert card["settings"]["country"] == "PL"
    changed = await client.put(calls[2][0], json=tenant | {"name": "Beta"}, headers=internal)
    assert changed.json()["version"] == 2
    owner = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
    assert (await client.delete(f"/v1/clinics/{tenant_id}", headers=owner)).status_code == 204
    again = await client.put(calls[2][0], json=tenant | {"name": "Beta"}, headers=internal)
    assert again.json()["version"] == 4
    assert (await client.get(f"/v1/clinics/{tenant_id}")).status_code == 200
    orphan = await client.put(calls[2][0], json=tenant | {"owner_id": str(uuid.uuid4())}, headers=internal)
    assert orphan.json()["errors"][0]["field"] == "owner_id"


def test_a_key_that_is_being_replaced_still_finds_and_opens() -> None:
    old, new = {1: b"a" * 32}, {2: b"b" * 32, 1: b"a" * 32}
    person_id, tenant_id = uuid.uuid4(), uuid.uuid4()
    key, wrapped = PeopleKeys(old).new_key(person_id)
    assert PeopleKeys(new).unwrap(person_id, wrapped) == key
    before = PeopleKeys(old).address_hashes(tenant_id, "email", "anna@example.test")[0]
    assert before in PeopleKeys(new).address_hashes(tenant_id, "email", "Anna@example.test")
    assert before != PeopleKeys(new).address_hashes(tenant_id, "email", "anna@example.test")[0]


async def test_identifying_a_customer_is_quick(new_clinic: Callable[..., Any], identify: Identify) -> None:
    clinic, email = await new_clinic(), fresh_email()
    await identify(clinic, email=email)
    taken = []
    for _ in range(30):
        started = time.perf_counter()
        await identify(clinic, email=email, phone="601234567")
        taken.append(time.perf_counter() - started)
    # The aim is 10 ms (the fastest says what the work costs; the machine is shared with other tests).
    assert min(taken) < 0.02, [round(seconds * 1000, 1) for seconds in sorted(taken)]
