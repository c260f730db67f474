"""Access tokens: short-lived EdDSA JWTs that say who somebody is and which role they have where."""

import time
import warnings
from typing import Any
from uuid import UUID

from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey

from events import new_id
from identity.repository.accounts import Account, Membership
from servicekit.auth import ISSUER, HttpClient, TokenVerifier

LIFE_SECONDS = 15 * 60

# RFC 9864 calls the same signature Ed25519; clients' libraries still know it as EdDSA.
warnings.filterwarnings("ignore", message="EdDSA is deprecated")


class AccessTokens:
    """Issues tokens with the first key of the file; the others only verify, until their tokens are over."""

    def __init__(self, keys: list[dict[str, str]]) -> None:
        self._keys = [OKPKey.import_key(dict(key)) for key in keys]
        self.key_set = KeySet([*self._keys])

    def issue(self, account: Account, memberships: list[Membership], session_id: UUID | None) -> str:
        """A token for 15 minutes."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "sub": str(account.id),
            "iat": now,
            "exp": now + LIFE_SECONDS,
            "jti": str(new_id()),
            "roles": {str(membership.tenant_id): membership.role for membership in memberships},
            "operator": account.operator,
            "verified": account.email_verified,
        }
        if session_id is not None:
            claims["sid"] = str(session_id)
        key = self._keys[0]
        return jwt.encode({"alg": "EdDSA", "kid": key.kid, "typ": "JWT"}, claims, key, algorithms=["EdDSA"])

    def public_keys(self) -> dict[str, Any]:
        """The JWK set that other services verify by (RFC 7517)."""
        return {"keys": [key.as_dict(private=False) | {"alg": "EdDSA"} for key in self._keys]}


class OwnTokens(TokenVerifier):
    """Verifies as every service does, by the keys that identity itself holds."""

    def __init__(self, issued: AccessTokens, http: HttpClient) -> None:
        super().__init__("", http)
        self._issued = issued

    async def _key_set(self, *, refresh: bool) -> KeySet:
        return self._issued.key_set

    async def session_of(self, token: str) -> UUID | None:
        """The session that a valid token was issued in; 401 for one that is not valid."""
        await self.principal(token)
        session = (await self._claims(token)).get("sid")
        return UUID(session) if session else None
