"""Calls to the services: one session each, bounded waits, 503 when one is away."""

import json as jsonlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from events.transaction import traceparent
from servicekit.auth import service_authorization
from servicekit.problems import NotFound, Unavailable
from servicekit.signing import Signer

TIMEOUT_SECONDS = 20.0
_TIMEOUT = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
CLINIC_CACHE_SECONDS = 30.0
CLINIC_CACHE_SIZE = 10_000

# RFC 9110 §7.6.1, and what belongs to this connection or to us alone.
NOT_PASSED_ON = frozenset(
    (
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer",
        b"transfer-encoding", b"upgrade", b"host", b"content-length", b"traceparent", b"x-request-hash",
        b"x-origin-hash", b"x-forwarded-for",
    )
)  # fmt: skip
NOT_PASSED_BACK = frozenset((b"connection", b"keep-alive", b"transfer-encoding", b"content-length", b"date", b"server"))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered; its headers (names in lower case) are those that go on to the client."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: bytes) -> bytes | None:
        """The first header of this name."""
        return next((value for found, value in self.headers if found == name), None)

    @property
    def is_problem(self) -> bool:
        """Whether it is a refusal with problem+json."""
        return b"problem+json" in (self.header(b"content-type") or b"")

    @property
    def replayed(self) -> bool:
        """Whether it was stored for an `Idempotency-Key`."""
        return self.header(b"idempotent-replayed") is not None

    def document(self) -> Any:
        """Its JSON."""
        return jsonlib.loads(self.body)

    def with_document(self, document: Any) -> "Answer":
        """The same with another document in it."""
        return Answer(self.status, self.headers, jsonlib.dumps(document, separators=(",", ":")).encode())


class Upstreams:
    """The services by name."""

    def __init__(self, urls: Mapping[str, str], signer: Signer) -> None:
        self._urls = dict(urls)
        self._signer = signer
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._clinics: dict[str, tuple[float, dict[str, Any]]] = {}

    def _session(self, service: str) -> aiohttp.ClientSession:
        if service not in self._sessions:
            self._sessions[service] = aiohttp.ClientSession(
                base_url=self._urls[service],
                timeout=_TIMEOUT,
                connector=aiohttp.TCPConnector(limit=200, keepalive_timeout=30),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._sessions[service]

    async def send(
        self,
        service: str,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        query: str = "",
        body: bytes | None = None,
        json: Any = None,
        timeout: float | None = None,
    ) -> Answer:
        """One call, with the trace; `Unavailable` when the service does not answer."""
        sent = dict(headers or {})
        if trace := traceparent.get():
            sent["traceparent"] = trace
        target = f"{path}?{query}" if query else path
        limit = _TIMEOUT if timeout is None else aiohttp.ClientTimeout(total=timeout)
        try:
            async with self._session(service).request(
                method, _verbatim(target), headers=sent, data=body, json=json, timeout=limit, allow_redirects=False
            ) as response:
                names = [
                    (low, value) for name, value in response.raw_headers if (low := name.lower()) not in NOT_PASSED_BACK
                ]
                return Answer(response.status, names, await response.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable(f"The {service} service does not answer. Nothing was changed; try again.") from error

    async def get_json(
        self, service: str, path: str, *, params: Mapping[str, str] | None = None, internal: bool = False
    ) -> dict[str, Any]:
        """The JSON of a GET; `NotFound` on 404, `Unavailable` on anything else than 200."""
        headers = service_authorization(self._signer, "gateway") if internal else {}
        answer = await self.send(service, "GET", path, headers=headers, query=urlencode(params or {}))
        if answer.status == 404:
            raise NotFound("There is no such thing.")
        if answer.status != 200:
            raise Unavailable(f"The {service} service answered {answer.status}. Try again in a moment.")
        document: dict[str, Any] = jsonlib.loads(answer.body)
        return document

    async def post_internal(self, service: str, path: str, body: Any, *, timeout: float | None = None) -> Answer:
        """A POST to an internal route."""
        headers = service_authorization(self._signer, "gateway")
        return await self.send(service, "POST", path, headers=headers, json=body, timeout=timeout)

    async def clinic(self, slug_or_id: str) -> dict[str, Any]:
        """The clinic's card; `NotFound` when there is none. Kept for half a minute."""
        cached = self._clinics.get(slug_or_id)
        if cached and cached[0] > time.monotonic():
            return cached[1]
        try:
            card = await self.get_json("identity", f"/internal/tenants/{slug_or_id}", internal=True)
        except NotFound as error:
            raise NotFound("There is no such clinic.") from error
        if len(self._clinics) >= CLINIC_CACHE_SIZE:
            self._clinics.clear()
        self._clinics[slug_or_id] = (time.monotonic() + CLINIC_CACHE_SECONDS, card)
        return card

    def forget_clinic(self, *names: str) -> None:
        """The clinic changed: it is asked for anew."""
        for name in names:
            self._clinics.pop(name, None)

    async def ready(self, service: str) -> bool:
        """Whether the service says that it serves."""
        try:
            return (await self.send(service, "GET", "/health/ready", timeout=2)).status == 200
        except Unavailable:
            return False

    async def close(self) -> None:
        """Ends the connections."""
        for session in self._sessions.values():
            await session.close()


def _verbatim(target: str) -> URL:
    """The path and query as they came: aiohttp would decode and encode them anew."""
    return URL(target, encoded=True)
