"""Who asks how often: limits per address, in memory of each replica."""

import hashlib
import hmac
import ipaddress
import time
from collections.abc import Iterable
from functools import lru_cache

from servicekit.problems import RateLimited

REQUESTS, LOGINS, FAILURES = 600, 60, 30
WINDOW_SECONDS = 60.0
MOST_ADDRESSES = 50_000  # when there are so many, what is over is forgotten


class Counter:
    """How often each address did one thing within a minute from its first time."""

    def __init__(self, amount: int) -> None:
        self.amount = amount
        self._windows: dict[str, tuple[float, int]] = {}
        self._tidy_at = MOST_ADDRESSES

    def hit(self, address: str, now: float) -> tuple[int, float]:
        """Counts; how often it has been now, and the seconds until the window ends."""
        ends, count = self._windows.get(address, (0.0, 0))
        if ends <= now:
            if len(self._windows) >= self._tidy_at:
                self._windows = {key: window for key, window in self._windows.items() if window[0] > now}
                self._tidy_at = max(MOST_ADDRESSES, 2 * len(self._windows))
            ends, count = now + WINDOW_SECONDS, 0
        self._windows[address] = (ends, count + 1)
        return count + 1, ends - now

    def is_used_up(self, address: str, now: float) -> bool:
        """Whether one more would be too many."""
        ends, count = self._windows.get(address, (0.0, 0))
        return ends > now and count >= self.amount


class Limits:
    """Requests, logins, and failed offers or tokens, a minute and address."""

    def __init__(self, scale: float, trusted: str, secret: bytes) -> None:
        self._requests = Counter(int(REQUESTS * scale))
        self._logins = Counter(int(LOGINS * scale))
        self._failures = Counter(int(FAILURES * scale))
        self._trusted = frozenset(part.strip() for part in trusted.split(",") if part.strip())
        self._secret = secret
        self._origins: dict[str, str] = {}

    def address(self, peer: str, forwarded: Iterable[str]) -> str:
        """The peer's address, or the last one before our own proxies by `X-Forwarded-For`; IPv6 by its /64."""
        if peer in self._trusted:
            chain = [part.strip() for header in forwarded for part in header.split(",") if part.strip()]
            while peer in self._trusted and chain:
                peer = chain.pop()
        return _network(peer)

    def origin(self, address: str) -> str:
        """The address as booking may store it: keyed, so that it cannot be guessed back."""
        known = self._origins.get(address)
        if known is None:
            if len(self._origins) >= MOST_ADDRESSES:
                self._origins.clear()
            known = hmac.new(self._secret, address.encode(), hashlib.sha256).hexdigest()[:32]
            self._origins[address] = known
        return known

    def spend(self, address: str, path: str) -> str:
        """Counts a request; 429 beyond the limit. Returns the RateLimit header of the answer."""
        now = time.monotonic()
        if self._failures.is_used_up(address, now):
            raise RateLimited(
                "Too many offers or tokens from your address were not valid. Wait a minute.", retry_after=60
            )
        if path.startswith("/v1/auth/") and self._logins.hit(address, now)[0] > self._logins.amount:
            raise RateLimited("Too many sign-ins from your address. Wait a minute.", retry_after=60)
        count, left = self._requests.hit(address, now)
        if count > self._requests.amount:
            raise RateLimited("Too many requests from your address. Slow down.", retry_after=max(1, int(left)))
        return f"limit={self._requests.amount}, remaining={self._requests.amount - count}, reset={int(left)}"

    def note_failure(self, address: str) -> None:
        """An offer or a token was not valid."""
        self._failures.hit(address, time.monotonic())


@lru_cache(maxsize=10_000)
def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 6:
        return str(ipaddress.ip_network(f"{parsed}/64", strict=False))
    return str(parsed)
