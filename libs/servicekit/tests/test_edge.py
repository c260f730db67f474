"""Requests and their transactions, problems, tenants, and who asks."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import psycopg
import pytest
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import OKPKey
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from events import Deleted, Money
from events.contracts.availability import CancellationPolicy, OfferingState
from servicekit import copies
from servicekit.auth import ISSUER, service_authorization
from servicekit.problems import Unavailable
from servicekit.service import Service
from servicekit.testing import client_of, free_port

Build = Callable[..., Service]


def code(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["type"]).rsplit("/", 1)[1]


# -- transactions ----------------------------------------------------------------------------------------------------


async def test_who_reads_right_after_the_answer_sees_what_was_stored(toyshop: Service, clinic: str) -> None:
    """Over a real socket: the commit comes before the first byte of the answer."""
    import uvicorn

    port = free_port()
    server = uvicorn.Server(uvicorn.Config(toyshop.app, port=port, log_config=None, lifespan="off"))
    server.capture_signals = no_signals  # type: ignore[method-assign,assignment]
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            for number in range(20):
                await client.post(f"/v1/clinics/{clinic}/things", json={"name": f"n{number}"})
                async with toyshop.database.transaction(uuid.UUID(clinic)) as tx:
                    assert (await tx.connection.execute(text("SELECT count(*) FROM thing"))).scalar_one() == number + 1
    finally:
        server.should_exit = True
        await serving


def no_signals() -> Any:
    import contextlib

    return contextlib.nullcontext()


@pytest.mark.parametrize(("name", "status"), [("refused", 422), ("taken", 409), ("broken", 500)])
async def test_a_failure_rolls_everything_back(client: httpx.AsyncClient, clinic: str, name: str, status: int) -> None:
    before = (await client.get("/v1/outbox")).json()
    answer = await client.post(f"/v1/clinics/{clinic}/things", json={"name": name})
    assert answer.status_code == status
    assert (await client.get(f"/v1/clinics/{clinic}/things")).json() == []
    assert (await client.get("/v1/outbox")).json() == before


# -- problems --------------------------------------------------------------------------------------------------------


async def test_every_failure_is_a_problem_with_its_own_code(client: httpx.AsyncClient, clinic: str) -> None:
    path = f"/v1/clinics/{clinic}/things"
    as_json = {"content-type": "application/json"}
    bad = await client.post(path, content=b"{nonsense", headers=as_json)
    assert (bad.status_code, code(bad)) == (400, "malformed")
    undecodable = await client.post(path, content=b'{"name": "\xff"}', headers=as_json)
    assert (undecodable.status_code, code(undecodable)) == (400, "malformed")
    missing = await client.post(path, json={})
    assert (missing.status_code, code(missing)) == (422, "validation-failed")
    assert missing.json()["errors"] == [{"field": "name", "message": "Field required"}]
    nul = await client.post(path, json={"name": "a\u0000b"})
    assert (nul.status_code, code(nul)) == (422, "validation-failed")
    unknown = await client.get("/v1/nothing")
    assert (unknown.status_code, code(unknown)) == (404, "not-found")
    method = await client.delete(path)
    assert (method.status_code, code(method)) == (405, "method-not-allowed")
    no_uuid = await client.get("/v1/clinics/alfa/things")
    assert (no_uuid.status_code, code(no_uuid)) == (422, "validation-failed")
    bug = await client.get(f"/v1/clinics/{clinic}/bug")
    assert (bug.status_code, code(bug)) == (500, "internal")
    assert "division" not in bug.text


async def test_without_a_database_the_answer_is_503_and_ready_says_so(build_toyshop: Build, clinic: str) -> None:
    nowhere = f"postgresql://toyshop_app:x@127.0.0.1:{free_port()}/nothing"
    service = build_toyshop(database_url=nowhere)
    async with client_of(service) as client:
        answer = await client.post(f"/v1/clinics/{clinic}/things", json={"name": "one"})
        assert (answer.status_code, code(answer)) == (503, "unavailable")
        assert answer.headers["Retry-After"] == "1"
        keyed = {"Idempotency-Key": str(uuid.uuid4())}
        assert (
            await client.post(f"/v1/clinics/{clinic}/things", json={"name": "one"}, headers=keyed)
        ).status_code == 503
        ready = await client.get("/health/ready")
        assert (ready.status_code, ready.json()["checks"]) == (503, {"database": False})
        assert (await client.get("/health/live")).status_code == 200
    await service.close()


# -- tenants and roles -----------------------------------------------------------------------------------------------


async def test_a_tenant_sees_and_writes_its_own_rows_only(
    client: httpx.AsyncClient, toyshop: Service, clinic: str
) -> None:
    await client.post(f"/v1/clinics/{clinic}/things", json={"name": "mine"})
    other = uuid.uuid4()
    assert (await client.get(f"/v1/clinics/{other}/things")).json() == []
    insert = text("INSERT INTO thing (tenant_id, id, name) VALUES (:tenant, gen_random_uuid(), 'x')")
    with pytest.raises(DBAPIError, match="row-level security"):
        async with toyshop.database.transaction(other) as tx:
            await tx.connection.execute(insert, {"tenant": clinic})
    with pytest.raises(DBAPIError, match="row-level security"):
        async with toyshop.database.transaction() as tx:
            await tx.connection.execute(insert, {"tenant": clinic})
    async with toyshop.database.transaction() as tx:
        assert (await tx.connection.execute(text("SELECT count(*) FROM thing"))).scalar_one() == 0
        # Only a function made for it sees every tenant.
        assert (await tx.connection.execute(text("SELECT count_things()"))).scalar_one() >= 1
    async with toyshop.database.transaction(other) as tx:
        changed = await tx.connection.execute(text("UPDATE thing SET name = 'stolen'"))
        assert changed.rowcount == 0


async def test_the_tenant_does_not_stay_on_a_pooled_connection(toyshop: Service, clinic: str) -> None:
    async with toyshop.database.transaction(uuid.UUID(clinic)):
        pass
    for _ in range(8):
        async with toyshop.database.engine.connect() as connection:
            left = (await connection.execute(text("SELECT current_setting('app.tenant', true)"))).scalar_one()
            assert not left


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE thing DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE thing NO FORCE ROW LEVEL SECURITY",
        "DROP TABLE thing",
        "CREATE TABLE mine (id int)",
        "TRUNCATE thing",
        "SET ROLE toyshop_owner",
        "SET ROLE toyshop_definer",
        "CREATE TABLE public.mine (id int)",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ],
)
async def test_the_login_role_cannot_free_itself(toyshop: Service, statement: str) -> None:
    with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
        async with toyshop.database.transaction() as tx:
            await tx.connection.execute(text(statement))


async def test_a_service_cannot_read_another_services_schema(toyshop: Service, postgres_url: str) -> None:
    database = toyshop.settings.database_url.rsplit("/", 1)[1]
    with psycopg.connect(f"{postgres_url.rsplit('/', 1)[0]}/{database}", autocommit=True) as admin:
        admin.execute("CREATE SCHEMA stranger")
        admin.execute("CREATE TABLE stranger.secret (id int)")
        assert not admin.execute(
            "SELECT rolbypassrls OR rolsuper FROM pg_roles WHERE rolname = 'toyshop_app'"
        ).fetchall()[0][0]
        admin.execute(sql.SQL("GRANT SELECT ON stranger.secret TO {}").format(sql.Identifier("toyshop_definer")))
    with pytest.raises(DBAPIError, match="permission denied for schema stranger"):
        async with toyshop.database.transaction() as tx:
            await tx.connection.execute(text("SELECT * FROM stranger.secret"))


# -- copies ----------------------------------------------------------------------------------------------------------


def offering(clinic: str, version: int, name: str, identity: uuid.UUID) -> OfferingState:
    return OfferingState(
        tenant_id=uuid.UUID(clinic), version=version, offering_id=identity, slug="checkup", name=name, active=True,
        duration_minutes=30, capacity=1, price=Money(amount=100, currency="pln"), mode="free", hold_seconds=600,
        min_notice_minutes=0, cancellation=CancellationPolicy(free_until_minutes=0), reminders_minutes=[60],
    )  # fmt: skip


async def test_a_copy_keeps_the_newest_version_and_its_tenant(toyshop: Service, clinic: str) -> None:
    identity, tenant = uuid.uuid4(), uuid.UUID(clinic)
    key = f"offering:{identity}"
    async with toyshop.database.transaction(tenant) as tx:
        assert await copies.find(tx, OfferingState, key) is None
        assert await copies.keep(tx, offering(clinic, 2, "second", identity))
        assert not await copies.keep(tx, offering(clinic, 1, "first", identity))
        assert not await copies.keep(tx, offering(clinic, 2, "second again", identity))
        found = await copies.find(tx, OfferingState, key)
        assert found is not None
        assert found.name == "second"
        await copies.drop(tx, Deleted(OfferingState.TYPE, key, tenant, 1))  # an older end: not of this version
        assert await copies.every(tx, OfferingState) == [found]
    async with toyshop.database.transaction(uuid.uuid4()) as tx:
        assert await copies.find(tx, OfferingState, key) is None
    async with toyshop.database.transaction(tenant) as tx:
        await copies.drop(tx, Deleted(OfferingState.TYPE, key, tenant, 3))
        assert await copies.find(tx, OfferingState, key) is None


async def test_a_copy_can_be_awaited_in_and_outside_a_transaction(
    toyshop: Service, clinic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity, tenant = uuid.uuid4(), uuid.UUID(clinic)
    key = f"offering:{identity}"

    async def later(version: int) -> None:
        await asyncio.sleep(0.1)
        async with toyshop.database.transaction(tenant) as tx:
            await copies.keep(tx, offering(clinic, version, "late", identity))

    arriving = asyncio.create_task(later(1))
    assert (await copies.await_copy(toyshop.database, tenant, OfferingState, key)).version == 1
    await arriving
    arriving = asyncio.create_task(later(2))
    async with toyshop.database.transaction(tenant) as tx:
        assert (await copies.expect(tx, OfferingState, key, version=2)).version == 2
    await arriving
    monkeypatch.setattr(copies, "WAIT_SECONDS", 0.1)
    with pytest.raises(Unavailable, match="has not arrived here yet"):
        await copies.await_copy(toyshop.database, tenant, OfferingState, key, version=3)


# -- who asks --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def identity_with(keys: list[OKPKey]) -> AsyncIterator[str]:
    """Identity's JWK set on a port, as long as it lasts; `keys` may change meanwhile."""

    async def jwks(_: web.Request) -> web.Response:
        return web.json_response({"keys": [key.as_dict(private=False) for key in keys]})

    app = web.Application()
    app.router.add_get("/v1/auth/jwks.json", jwks)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


def new_key(kid: str) -> OKPKey:
    return OKPKey.generate_key("Ed25519", parameters={"kid": kid, "use": "sig"}, private=True)


def token(key: OKPKey, **changes: Any) -> str:
    claims = {"iss": ISSUER, "sub": str(uuid.uuid4()), "exp": int(time.time()) + 60} | changes
    return jwt.encode({"alg": "Ed25519", "kid": key.kid}, claims, key, algorithms=["Ed25519"])


async def test_only_tokens_that_identity_signed_speak_for_somebody(build_toyshop: Build) -> None:
    known, stranger, next_key = new_key("one"), new_key("one"), new_key("two")
    keys = [known]
    async with identity_with(keys) as url:
        service = build_toyshop(identity_url=url)
        async with client_of(service) as client:

            async def me(credential: str) -> httpx.Response:
                return await client.get("/v1/me", headers={"Authorization": f"Bearer {credential}"})

            user = str(uuid.uuid4())
            assert (await me(token(known, sub=user, operator=True))).json() == {
                "user": user, "token": None, "operator": True,
            }  # fmt: skip
            unsigned = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJob2xkZmFzdCIsInN1YiI6IngifQ."
            for bad in (
                token(known, exp=int(time.time()) - 1),
                token(known, iss="somebody"),
                token(known, sub="no-uuid"),
                token(known, roles="owner"),
                token(stranger),
                token(known)[:-3] + "AAA",
                unsigned,
                "a.b.c",
            ):
                answer = await me(bad)
                assert (answer.status_code, code(answer)) == (401, "unauthenticated"), bad
            keys.append(next_key)
            service.tokens._fetched_at -= 6
            assert (await me(token(next_key))).status_code == 200  # an unknown key: the set is fetched again
            assert (await client.get("/v1/me")).json()["user"] is None
            assert (await me("a-manage-token")).json()["token"] == "a-manage-token"
            assert (await client.get("/v1/me?token=in-the-link")).json()["token"] == "in-the-link"
            assert (await client.get("/v1/me", headers={"Authorization": "Basic eDp5"})).status_code == 401
        await service.close()


async def test_without_identity_a_token_can_not_be_judged(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/me", headers={"Authorization": f"Bearer {token(new_key('one'))}"})
    assert (answer.status_code, code(answer)) == (503, "unavailable")


async def test_internal_routes_are_for_services_with_our_key(client: httpx.AsyncClient, toyshop: Service) -> None:
    headers = service_authorization(toyshop.signer("services"), "booking")
    assert (await client.get("/internal/me", headers=headers)).json() == "booking"
    wrong_purpose = service_authorization(toyshop.signer("offers"), "booking")
    for bad in ({}, wrong_purpose, {"Authorization": "Bearer svc."}, {"Authorization": "Bearer svc.AAAA"}):
        answer = await client.get("/internal/me", headers=bad)
        assert (answer.status_code, code(answer)) == (401, "unauthenticated")
