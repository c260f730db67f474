"""`/v1/auth` and `/v1/users/me`."""

from ipaddress import ip_address, ip_network
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from identity import cookies, sessions, users
from identity.checks import etag
from identity.errors import SessionOver
from identity.repository.accounts import Account, Membership
from identity.schemas import Login, RefreshToken, Register, Tokens, UserClinic, UserPatch, UserView
from identity.sessions import Granted
from identity.tokens import LIFE_SECONDS, AccessTokens, OwnTokens
from servicekit.edge import Asking, PlainTx, service_of
from servicekit.service import Service

# Not an IdempotentRoute: answers with tokens are not kept.
router = APIRouter(tags=["accounts"])

Composed = Annotated[Service, Depends(service_of)]
SessionKind = Annotated[
    Literal["cookie"] | None,
    Query(description="`cookie`: the refresh token goes into an HttpOnly cookie; needs our own Origin"),
]
IfMatch = Annotated[str | None, Header()]


@router.post("/v1/auth/register", status_code=201)
async def register(
    service: Composed, request: Request, response: Response, body: Register, session: SessionKind = None
) -> Tokens:
    """Opens an account and signs it in."""
    _require_origin(service, request, session)
    return _answer(await sessions.register(service, body), response, in_cookie=session == "cookie")


@router.post("/v1/auth/login")
async def login(
    service: Composed, request: Request, response: Response, body: Login, session: SessionKind = None
) -> Tokens:
    """Signs in."""
    _require_origin(service, request, session)
    return _answer(
        await sessions.login(service, body, client_address(request)), response, in_cookie=session == "cookie"
    )


@router.post("/v1/auth/refresh")
async def refresh(service: Composed, request: Request, response: Response, body: RefreshToken | None = None) -> Tokens:
    """Exchanges the refresh token, of the body or of the cookie, for the next pair."""
    token, in_cookie = _shown(service, request, body)
    if token is None:
        raise SessionOver
    return _answer(await sessions.refresh(service, token), response, in_cookie=in_cookie)


@router.post("/v1/auth/logout", status_code=204)
async def logout(service: Composed, request: Request, response: Response, body: RefreshToken | None = None) -> None:
    """Ends the session of the refresh token or of the access token. Again: as the first time."""
    token, _ = _shown(service, request, body)
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    access_token = credential if scheme.lower() == "bearer" else None
    session_id = await service.get(OwnTokens).session_of(access_token) if access_token else None
    await sessions.logout(service, token, session_id)
    cookies.remove(response)


@router.get("/v1/auth/jwks.json")
async def jwks(service: Composed, response: Response) -> dict[str, Any]:
    """The keys that access tokens are verified by (RFC 7517)."""
    response.headers["Cache-Control"] = "public, max-age=300"
    return service.get(AccessTokens).public_keys()


@router.get("/v1/users/me")
async def read_me(tx: PlainTx, asking: Asking, response: Response) -> UserView:
    """One's own account."""
    account, memberships = await users.read(tx, asking.require_user())
    response.headers["ETag"] = etag(account.version)
    return _user(account, memberships)


@router.patch("/v1/users/me")
async def change_me(
    tx: PlainTx, asking: Asking, response: Response, patch: UserPatch, if_match: IfMatch = None
) -> UserView:
    """Changes one's own account (JSON Merge Patch)."""
    account, memberships = await users.change(tx, asking.require_user(), patch, if_match)
    response.headers["ETag"] = etag(account.version)
    return _user(account, memberships)


def client_address(request: Request) -> str:
    """Whose attempts are counted together. The gateway, alone able to reach this service, puts the client's address
    last into X-Forwarded-For. Of an IPv6 address the network counts: a household has a whole /64."""
    forwarded = request.headers.get("x-forwarded-for", "").rsplit(",", 1)[-1].strip()
    address = forwarded or (request.client.host if request.client else "")
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(ip_network((parsed, 64), strict=False)) if parsed.version == 6 else address


def _require_origin(service: Service, request: Request, session: str | None) -> None:
    if session == "cookie":
        cookies.require_own_origin(request, service.settings)


def _shown(service: Service, request: Request, body: RefreshToken | None) -> tuple[str | None, bool]:
    """The refresh token and whether it came by the cookie, which counts with our own Origin only."""
    if body is not None and body.refresh_token:
        return body.refresh_token, False
    token = request.cookies.get(cookies.NAME)
    if token:
        cookies.require_own_origin(request, service.settings)
    return token, token is not None


def _answer(granted: Granted, response: Response, *, in_cookie: bool) -> Tokens:
    response.headers["Cache-Control"] = "no-store"
    if in_cookie:
        cookies.put(response, granted.refresh_token)
    return Tokens(
        user=_user(granted.account, granted.memberships),
        access_token=granted.access_token,
        refresh_token=None if in_cookie else granted.refresh_token,
        expires_in=LIFE_SECONDS,
    )


def _user(account: Account, memberships: list[Membership]) -> UserView:
    clinics = [
        UserClinic.model_validate({"id": m.tenant_id, "slug": m.slug, "name": m.name, "role": m.role})
        for m in memberships
    ]
    shown = {name: getattr(account, name) for name in UserView.model_fields if name != "clinics"}
    return UserView.model_validate(shown | {"clinics": clinics})
