"""Who is asking: access tokens of identity, manage tokens of guests, tokens between services. Every service checks
for itself and trusts no header that says who somebody is."""

import asyncio
import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

import aiohttp
from fastapi import Request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from servicekit.capabilities import ServiceToken
from servicekit.problems import Forbidden, NotFound, Unauthenticated, Unavailable
from servicekit.signing import Expired, Forged, Signer

Role = Literal["owner", "manager", "practitioner", "front_desk", "auditor"]
STAFF: frozenset[str] = frozenset(("owner", "manager", "practitioner", "front_desk", "auditor"))
MANAGERS: frozenset[str] = frozenset(("owner", "manager"))
DESK: frozenset[str] = frozenset(("owner", "manager", "front_desk"))

ISSUER = "holdfast"
ALGORITHMS = ["Ed25519", "EdDSA", "RS256"]
SERVICE_PREFIX = "svc."
SERVICE_TOKEN_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever sent the request. A guest has no user but may have a manage token for one thing."""

    user_id: UUID | None = None
    roles: dict[UUID, str] = field(default_factory=dict)
    operator: bool = False
    verified: bool = False
    manage_token: str | None = None

    def role_in(self, tenant_id: UUID) -> str | None:
        """The role in the clinic, None for everyone else."""
        return self.roles.get(tenant_id)

    def is_staff(self, tenant_id: UUID, among: frozenset[str] = STAFF) -> bool:
        """Whether the person works there in one of these roles."""
        return self.role_in(tenant_id) in among

    def require_user(self) -> UUID:
        """The signed-in user's id; 401 for everyone else."""
        if self.user_id is None:
            raise Unauthenticated("This needs a signed-in user. Send an access token as Bearer.")
        return self.user_id

    def require_role(self, tenant_id: UUID, among: frozenset[str]) -> None:
        """401 without a user, 403 without one of the roles in the clinic."""
        self.require_user()
        if not self.is_staff(tenant_id, among):
            raise Forbidden(f"This needs one of the roles {', '.join(sorted(among))} in this clinic. Nothing changed.")

    def require_visible(self, tenant_id: UUID, *, owner: UUID | None, token_hash: bytes | None, what: str) -> None:
        """Staff, the signed-in owner, or the bearer of the thing's manage token; 404 for everyone else."""
        own = owner is not None and owner == self.user_id
        if not (self.is_staff(tenant_id) or own or self.holds(token_hash)):
            raise NotFound(f"There is no such {what}, or it is not yours to see.")

    def holds(self, token_hash: bytes | None) -> bool:
        """Whether the manage token is the one with this hash."""
        return (
            self.manage_token is not None
            and token_hash is not None
            and hmac.compare_digest(hash_token(self.manage_token), token_hash)
        )


ANONYMOUS = Principal()


def new_manage_token() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> bytes:
    """What is stored of a token. It has full entropy, so a fast hash is enough."""
    return hashlib.sha256(token.encode()).digest()


class TokenVerifier:
    """Verifies access tokens by identity's JWK set: fetched when needed, kept, and fetched again for an unknown key
    (at most once in 5 s, so that forged key ids are no lever)."""

    def __init__(self, jwks_url: str, http: "HttpClient") -> None:
        self._url = jwks_url
        self._http = http
        self._keys: KeySet | None = None
        self._fetched_at = 0.0
        self._lock = asyncio.Lock()

    async def principal(self, token: str) -> Principal:
        """The person the token speaks for; 401 when it is forged, malformed or over."""
        try:
            claims = await self._claims(token)
            jwt.JWTClaimsRegistry(iss={"essential": True, "value": ISSUER}, exp={"essential": True}).validate(claims)
            return Principal(
                user_id=UUID(claims["sub"]),
                roles={UUID(tenant): role for tenant, role in claims.get("roles", {}).items()},
                operator=bool(claims.get("operator", False)),
                verified=bool(claims.get("verified", False)),
            )
        except (JoseError, KeyError, ValueError, AttributeError, TypeError) as error:
            raise Unauthenticated("The access token is not valid or its time is over. Sign in again.") from error

    async def _claims(self, token: str) -> dict[str, Any]:
        keys = await self._key_set(refresh=False)
        try:
            return dict(jwt.decode(token, keys, algorithms=ALGORITHMS).claims)
        except (JoseError, ValueError):
            fresh = await self._key_set(refresh=True)
            if fresh is keys:
                raise
            return dict(jwt.decode(token, fresh, algorithms=ALGORITHMS).claims)

    async def _key_set(self, *, refresh: bool) -> KeySet:
        async with self._lock:
            age = time.monotonic() - self._fetched_at
            if self._keys is None or age > 600 or (refresh and age > 5):
                document = await self._http.get_json(self._url)
                self._keys = KeySet.import_key_set(document)  # type: ignore[arg-type]
                self._fetched_at = time.monotonic()
            return self._keys


class HttpClient:
    """One aiohttp session for a process, opened on first use, with bounded waits."""

    def __init__(self, timeout: float = 5.0) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """The session."""
        if self._session is None or self._session.closed:
            connector = aiohttp.TCPConnector(limit=200, keepalive_timeout=30)
            self._session = aiohttp.ClientSession(timeout=self._timeout, connector=connector)
        return self._session

    async def get_json(self, url: str, *, headers: dict[str, str] | None = None) -> dict[str, Any]:
        """The JSON at an internal address; `Unavailable` when it does not answer 200, `NotFound` on 404."""
        return await self._json("GET", url, headers=headers)

    async def post_json(
        self, url: str, body: dict[str, Any], *, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """The answer to a question that is sent as JSON, likewise."""
        return await self._json("POST", url, headers=headers, json=body)

    async def _json(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        try:
            async with self.session.request(method, url, **more) as response:
                if response.status == 404:
                    raise NotFound("There is no such thing.")
                if response.status != 200:
                    raise Unavailable(f"An internal service answered {response.status}. Try again in a moment.")
                document: dict[str, Any] = await response.json()
                return document
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable("An internal service did not answer. Nothing was changed; try again.") from error

    async def close(self) -> None:
        """Ends the connections."""
        if self._session is not None:
            await self._session.close()


async def principal(request: Request) -> Principal:
    """FastAPI dependency: who is asking. `?token=` counts on GET only."""
    header = request.headers.get("authorization", "")
    scheme, _, credential = header.partition(" ")
    if scheme.lower() == "bearer" and credential:
        if credential.count(".") == 2:
            verifier: TokenVerifier = request.app.state.service.tokens
            return await verifier.principal(credential)
        return Principal(manage_token=credential)
    if header:
        raise Unauthenticated("The Authorization header has to be 'Bearer <token>'.")
    if request.method == "GET" and (token := request.query_params.get("token")):
        return Principal(manage_token=token)
    return ANONYMOUS


def service_authorization(signer: Signer, service: str) -> dict[str, str]:
    """The header of a call to another service's internal route."""
    token = signer.sign(ServiceToken(int(time.time()) + SERVICE_TOKEN_SECONDS, service))
    return {"Authorization": f"Bearer {SERVICE_PREFIX}{token}"}


async def calling_service(request: Request) -> str:
    """FastAPI dependency of internal routes: the service that calls; 401 for everyone else."""
    credential = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not credential.startswith(SERVICE_PREFIX):
        raise Unauthenticated("This address is for services only.")
    try:
        signer: Signer = request.app.state.service.signer("services")
        return signer.verify(credential.removeprefix(SERVICE_PREFIX), ServiceToken, leeway=30).service
    except (Forged, Expired) as error:
        raise Unauthenticated("This address is for services only.") from error
