"""Accounts: registering, signing in, refreshing, signing out."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import Request
from joserfc import jwt
from joserfc.jwk import KeySet
from pydantic import ValidationError
from sqlalchemy import text

from identity.endpoints.accounts import client_address
from identity.repository import sessions as session_rows
from identity.settings import IdentitySettings
from servicekit.service import Service

PASSWORD = "correct horse battery"


async def login(client: httpx.AsyncClient, email: str, password: str = PASSWORD, **headers: str) -> httpx.Response:
    return await client.post("/v1/auth/login", json={"email": email, "password": password}, headers=headers)


async def test_a_registered_user_is_signed_in_and_can_sign_in_again(
    client: httpx.AsyncClient, new_user: Callable[..., Any]
) -> None:
    user = await new_user()
    me = await client.get("/v1/users/me", headers=user.headers)
    assert me.status_code == 200
    assert me.json()["email_verified"] is True
    assert me.json()["clinics"] == []
    answer = await login(client, user.email.upper())
    assert answer.status_code == 200
    assert answer.json()["user"]["id"] == user.id
    assert answer.json()["token_type"] == "Bearer"
    assert answer.json()["expires_in"] == 900


async def test_the_access_token_is_verified_by_the_published_keys(
    client: httpx.AsyncClient, new_user: Callable[..., Any]
) -> None:
    user = await new_user()
    document = (await client.get("/v1/auth/jwks.json")).json()
    assert all("d" not in key for key in document["keys"])
    claims = jwt.decode(user.access_token, KeySet.import_key_set(document), algorithms=["EdDSA"]).claims
    assert claims["iss"] == "holdfast"
    assert claims["sub"] == user.id
    assert claims["exp"] - claims["iat"] == 900
    assert claims["roles"] == {}
    assert claims["operator"] is False
    assert claims["verified"] is True


async def test_a_tampered_token_is_refused(client: httpx.AsyncClient, new_user: Callable[..., Any]) -> None:
    user = await new_user()
    header, body, signature = user.access_token.split(".")
    for forged in (f"{header}.{body}.{signature[:-4]}AAAA", f"{header}.{body}x.{signature}", "a.b.c"):
        answer = await client.get("/v1/users/me", headers={"Authorization": f"Bearer {forged}"})
        assert answer.status_code == 401
        assert answer.json()["type"].endswith("/unauthenticated")
    assert (await client.get("/v1/users/me")).status_code == 401


async def test_an_address_opens_one_account(client: httpx.AsyncClient, new_user: Callable[..., Any]) -> None:
    user = await new_user()
    body = {"email": user.email.upper(), "password": PASSWORD, "name": "Eve"}
    answer = await client.post("/v1/auth/register", json=body)
    assert answer.status_code == 409
    assert answer.json()["type"].endswith("/email-taken")


async def test_bad_registrations_are_refused_by_field(client: httpx.AsyncClient) -> None:
    good = {"email": "somebody@example.test", "password": PASSWORD, "name": "Anna"}
    for field, value in (
        ("email", "nobody"),
        ("email", "a@b"),
        ("email", None),
        ("password", "short"),
        ("name", "   "),
        ("name", "x" * 201),
        ("name", "A\u0000B"),
        ("name", 7),
        ("phone", "12"),
        ("phone", "600700800"),
        ("time_zone", "Mars/Base"),
        ("locale", "fr"),
    ):
        answer = await client.post("/v1/auth/register", json=good | {field: value})
        assert answer.status_code == 422, (field, value, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert [error["field"] for error in answer.json()["errors"]] == [field]
    broken = await client.post("/v1/auth/register", content=b"{", headers={"content-type": "application/json"})
    assert broken.status_code == 400
    assert broken.json()["type"].endswith("/malformed")
    surrogate = b'{"email": "x@example.test", "password": "long enough", "name": "\\ud800"}'
    answer = await client.post("/v1/auth/register", content=surrogate, headers={"content-type": "application/json"})
    assert answer.status_code == 422


async def test_a_wrong_password_and_an_unknown_account_look_the_same(
    client: httpx.AsyncClient, new_user: Callable[..., Any]
) -> None:
    user = await new_user()
    wrong = await login(client, user.email, "not the password")
    unknown = await login(client, "nobody@example.test", "not the password")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert wrong.json()["type"].endswith("/invalid-credentials")


async def test_failed_logins_are_limited_for_account_and_address(
    client: httpx.AsyncClient, new_user: Callable[..., Any]
) -> None:
    user = await new_user()
    here = {"X-Forwarded-For": "203.0.113.7"}
    answers = await asyncio.gather(*(login(client, user.email, "wrong one", **here) for _ in range(12)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [401] * 10 + [429] * 2
    limited = await login(client, user.email, PASSWORD, **here)
    assert limited.status_code == 429
    assert 1 <= int(limited.headers["retry-after"]) <= 60
    assert (await login(client, user.email, **{"X-Forwarded-For": "203.0.113.8"})).status_code == 200


async def test_successful_logins_are_not_counted(client: httpx.AsyncClient, new_user: Callable[..., Any]) -> None:
    user = await new_user()
    for _ in range(12):
        assert (await login(client, user.email)).status_code == 200


async def test_refresh_tokens_rotate_and_reuse_revokes_the_family(
    client: httpx.AsyncClient, new_user: Callable[..., Any]
) -> None:
    user = await new_user()
    second = await client.post("/v1/auth/refresh", json={"refresh_token": user.refresh_token})
    assert second.status_code == 200
    assert second.json()["refresh_token"] != user.refresh_token
    reused = await client.post("/v1/auth/refresh", json={"refresh_token": user.refresh_token})
    assert reused.status_code == 401
    heir = await client.post("/v1/auth/refresh", json={"refresh_token": second.json()["refresh_token"]})
    assert heir.status_code == 401
    assert (await login(client, user.email)).status_code == 200


async def test_one_refresh_token_is_exchanged_once_however_many_try(
    client: httpx.AsyncClient, new_user: Callable[..., Any]
) -> None:
    user = await new_user()
    answers = await asyncio.gather(
        *(client.post("/v1/auth/refresh", json={"refresh_token": user.refresh_token}) for _ in range(5))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401]


async def test_logout_ends_the_session_and_may_be_repeated(
    client: httpx.AsyncClient, new_user: Callable[..., Any]
) -> None:
    user = await new_user()
    for _ in range(2):
        assert (await client.post("/v1/auth/logout", json={"refresh_token": user.refresh_token})).status_code == 204
    assert (await client.post("/v1/auth/refresh", json={"refresh_token": user.refresh_token})).status_code == 401
    other = await new_user()
    assert (await client.post("/v1/auth/logout", headers=other.headers)).status_code == 204
    assert (await client.post("/v1/auth/refresh", json={"refresh_token": other.refresh_token})).status_code == 401


async def test_the_cookie_session_needs_our_own_origin(
    client: httpx.AsyncClient, service: Service, new_user: Callable[..., Any]
) -> None:
    user = await new_user()
    origin = {"Origin": service.settings.public_url}
    body = {"email": user.email, "password": PASSWORD}
    foreign = await client.post("/v1/auth/login?session=cookie", json=body, headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403
    answer = await client.post("/v1/auth/login?session=cookie", json=body, headers=origin)
    assert answer.json()["refresh_token"] is None
    cookie = answer.headers["set-cookie"]
    for part in ("HttpOnly", "Secure", "SameSite=strict", "Path=/v1/auth"):
        assert part in cookie
    shown = {"Cookie": cookie.split(";")[0]}
    assert (await client.post("/v1/auth/refresh", headers=shown)).status_code == 403
    refreshed = await client.post("/v1/auth/refresh", headers=shown | origin)
    assert refreshed.status_code == 200
    assert refreshed.json()["refresh_token"] is None
    assert refreshed.headers["set-cookie"] != cookie
    renewed = {"Cookie": refreshed.headers["set-cookie"].split(";")[0]}
    assert (await client.post("/v1/auth/logout", headers=renewed | origin)).status_code == 204
    assert (await client.post("/v1/auth/refresh", headers=renewed | origin)).status_code == 401


async def test_my_account_is_changed_by_merge_patch_and_if_match(
    client: httpx.AsyncClient, new_user: Callable[..., Any]
) -> None:
    user = await new_user()
    me = await client.get("/v1/users/me", headers=user.headers)
    patch = {"phone": "+48 22 123 45 67", "locale": "pl", "time_zone": "Europe/Warsaw"}
    changed = await client.patch("/v1/users/me", json=patch, headers=user.headers | {"If-Match": me.headers["etag"]})
    assert changed.status_code == 200
    assert changed.json()["phone"] == "+48221234567"
    assert changed.json()["name"] == "Anna Nowak"
    stale = await client.patch(
        "/v1/users/me", json={"name": "B"}, headers=user.headers | {"If-Match": me.headers["etag"]}
    )
    assert stale.status_code == 412
    emptied = await client.patch("/v1/users/me", json={"phone": None}, headers=user.headers)
    assert emptied.json()["phone"] is None
    for patch in ({"name": None}, {"email": "x@example.test"}, {"operator": True}, {"locale": "xx"}):
        refused = await client.patch("/v1/users/me", json=patch, headers=user.headers)
        assert refused.status_code == 422, patch
        assert refused.json()["errors"][0]["field"] == next(iter(patch))


async def test_no_password_or_token_is_stored_legibly(service: Service, new_user: Callable[..., Any]) -> None:
    user = await new_user()
    async with service.database.transaction() as tx:
        stored = (
            await tx.connection.execute(text("SELECT password_hash FROM account WHERE id = :id"), {"id": user.id})
        ).scalar_one()
        tokens = (await tx.connection.execute(text("SELECT token_hash FROM refresh_token"))).scalars().all()
    assert stored.startswith("$argon2id$")
    assert user.refresh_token.encode() not in tokens


def test_an_option_that_is_not_built_is_refused(service_environment: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(ValidationError, match="verify_email"):
        IdentitySettings(**service_environment("identity", verify_email="on"))


@pytest.mark.parametrize("guarded", [True, False])
async def test_the_row_lock_is_what_lets_one_refresh_through(
    client: httpx.AsyncClient, new_user: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    user = await new_user()
    slow = str(session_rows._TAKE).replace("WHERE", "CROSS JOIN (SELECT pg_sleep(0.1)) AS pause WHERE")
    slow = slow.replace("FOR UPDATE", "FOR UPDATE OF t, s" if guarded else "")
    monkeypatch.setattr(session_rows, "_TAKE", text(slow))
    answers = await asyncio.gather(
        *(client.post("/v1/auth/refresh", json={"refresh_token": user.refresh_token}) for _ in range(3))
    )
    through = [answer.status_code for answer in answers].count(200)
    assert through == 1 if guarded else through > 1


async def test_odd_input_is_refused_and_never_an_error_of_ours(
    client: httpx.AsyncClient, internal: dict[str, str]
) -> None:
    for body in ({"email": "a\u0000@b.test", "password": "x"}, {"email": 1, "password": "x"}, [], None, {"email": "x"}):
        answer = await client.post("/v1/auth/login", json=body)
        assert answer.status_code == 422, body
    assert (await client.post("/v1/auth/login", json={"email": "", "password": ""})).status_code == 401
    for name in ("%00", "x%00y", "a" * 300, "%F0%9F%98%80"):
        assert (await client.get(f"/internal/tenants/{name}", headers=internal)).status_code == 404
    assert (await client.get("/v1/clinics/alfa")).status_code == 422
    assert (await client.post("/v1/auth/refresh", json={})).status_code == 401
    assert (await client.post("/v1/auth/refresh", json={"refresh_token": "\u0000"})).status_code == 401
    assert (await client.post("/v1/auth/logout")).status_code == 204


async def test_what_is_over_is_forgotten_and_nothing_else(
    client: httpx.AsyncClient, service: Service, new_user: Callable[..., Any]
) -> None:
    from identity.jobs import forget_the_past

    over, living = await new_user(), await new_user()
    async with service.database.transaction() as tx:
        await tx.connection.execute(
            text("""UPDATE refresh_token SET expires_at = now() - interval '1 s'
                    WHERE session_id IN (SELECT id FROM session WHERE user_id = :id)"""),
            {"id": over.id},
        )
        await tx.connection.execute(
            text("UPDATE session SET created_at = now() - interval '2 days' WHERE user_id IN (:over, :living)"),
            {"over": over.id, "living": living.id},
        )
    await forget_the_past(service)
    async with service.database.transaction() as tx:
        left = (await tx.connection.execute(text("SELECT user_id::text FROM session"))).scalars().all()
    assert over.id not in left
    assert living.id in left
    assert (await client.post("/v1/auth/refresh", json={"refresh_token": living.refresh_token})).status_code == 200


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [("203.0.113.7", "203.0.113.7"), ("2001:db8:1:2:3::9", "2001:db8:1:2::/64"), ("junk", "junk")],
)
def test_attempts_are_counted_by_address_or_network(address: str, counted_as: str) -> None:
    headers = [(b"x-forwarded-for", f"198.51.100.1, {address}".encode())]
    assert client_address(Request({"type": "http", "headers": headers, "client": ("127.0.0.1", 1)})) == counted_as
