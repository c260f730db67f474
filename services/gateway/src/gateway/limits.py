"""Who asks how often: limits per address, in memory of each replica."""

import hashlib
import hmac
import ipaddress
import time

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter
from starlette.requests import HTTPConnection

from servicekit.problems import RateLimited

REQUESTS, LOGINS, FAILURES = 600, 60, 30


class Limits:
    """Requests, logins, and failed offers or tokens, a minute and address."""

    def __init__(self, scale: float, trusted: str, secret: bytes) -> None:
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._requests = RateLimitItemPerMinute(int(REQUESTS * scale))
        self._logins = RateLimitItemPerMinute(int(LOGINS * scale))
        self._failures = RateLimitItemPerMinute(int(FAILURES * scale))
        self._trusted = frozenset(part.strip() for part in trusted.split(",") if part.strip())
        self._secret = secret

    def address(self, connection: HTTPConnection) -> str:
        """The peer's address, or the last one before our own proxies; IPv6 by its /64."""
        peer = connection.client.host if connection.client else "unknown"
        chain = [part.strip() for part in connection.headers.get("x-forwarded-for", "").split(",") if part.strip()]
        while peer in self._trusted and chain:
            peer = chain.pop()
        return _network(peer)

    def origin(self, address: str) -> str:
        """The address as booking may store it: keyed, so that it cannot be guessed back."""
        return hmac.new(self._secret, address.encode(), hashlib.sha256).hexdigest()[:32]

    async def spend(self, address: str, path: str) -> dict[str, str]:
        """Counts a request; 429 beyond the limit. Returns the RateLimit header of the answer."""
        if await self._is_over(self._failures, "failures", address):
            raise RateLimited(
                "Too many offers or tokens from your address were not valid. Wait a minute.", retry_after=60
            )
        if path.startswith("/v1/auth/") and not await self._limiter.hit(self._logins, "logins", address):
            raise RateLimited("Too many sign-ins from your address. Wait a minute.", retry_after=60)
        within = await self._limiter.hit(self._requests, "requests", address)
        reset, remaining = await self._limiter.get_window_stats(self._requests, "requests", address)
        seconds = max(0, int(reset - time.time()))
        if not within:
            raise RateLimited("Too many requests from your address. Slow down.", retry_after=max(1, seconds))
        return {"RateLimit": f"limit={self._requests.amount}, remaining={remaining}, reset={seconds}"}

    async def note_failure(self, address: str) -> None:
        """An offer or a token was not valid."""
        await self._limiter.hit(self._failures, "failures", address)

    async def _is_over(self, item: RateLimitItemPerMinute, name: str, address: str) -> bool:
        return not await self._limiter.test(item, name, address)


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 6:
        return str(ipaddress.ip_network(f"{parsed}/64", strict=False))
    return str(parsed)
