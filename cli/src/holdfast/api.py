"""Calls to a running system: the public API through the gateway, and services' internal routes."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx

from .errors import HoldfastError
from .system import Ready, ready_path

if TYPE_CHECKING:
    from servicekit.keys import Purpose
    from servicekit.signing import Signer

KEYS_VARIABLE = "HOLDFAST_KEYS"
AGAIN_AFTER = 0.25


class CallFailed(HoldfastError):
    """A call was not answered as it should have been."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call came back with. `milliseconds` is the time it took."""

    status: int
    body: Any
    milliseconds: float
    headers: Mapping[str, str]
    what: str

    @property
    def code(self) -> str:
        """The problem's code (`slot-taken`), empty when the answer is none."""
        kind = self.body.get("type", "") if isinstance(self.body, dict) else ""
        return str(kind).rsplit("/", 1)[-1] if "/problems/" in str(kind) else ""

    def expect(self, *statuses: int) -> Any:
        """The body when the status is one of these; `CallFailed` with the problem's sentence otherwise."""
        if self.status in statuses:
            return self.body
        why = self.body.get("detail") if isinstance(self.body, dict) else None
        raise CallFailed(f"{self.what} answered {self.status}: {why or str(self.body)[:300]}")


class Api:
    """One base URL. `token` is sent as Bearer unless a call says otherwise."""

    def __init__(self, base_url: str, *, token: str | None = None, timeout: float = 20, connections: int = 100) -> None:
        self.base_url = base_url.rstrip("/")
        self.token = token
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        self._client = httpx.AsyncClient(base_url=self.base_url, timeout=timeout, limits=limits, trust_env=False)

    async def __aenter__(self) -> Api:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> Answer:
        """The answer, whatever its status; `CallFailed` when there is none."""
        bearer = token or self.token
        sent = dict(headers or {})
        if bearer:
            sent.setdefault("Authorization", f"Bearer {bearer}")
        what = f"{method} {path}"
        begun = time.perf_counter()
        try:
            response = await self._client.request(method, path, json=json, params=params, content=content, headers=sent)
        except httpx.HTTPError as error:
            raise CallFailed(f"{self.base_url}{path} did not answer ({type(error).__name__}: {error}).") from error
        took = (time.perf_counter() - begun) * 1000
        return Answer(response.status_code, _read(response), took, response.headers, what)

    async def insist(self, method: str, path: str, *, within: float = 30, **more: Any) -> Answer:
        """The same, again while a service says 503: it may still wait for what Kafka brings."""
        deadline = time.monotonic() + within
        while True:
            answer = await self.call(method, path, **more)
            if answer.status != 503 or time.monotonic() > deadline:
                return answer
            await asyncio.sleep(AGAIN_AFTER)

    async def follow(self, url: str, *, hops: int = 5) -> httpx.Response:
        """Where an absolute address leads, as a browser would; `CallFailed` when nobody answers."""
        try:
            async with httpx.AsyncClient(
                timeout=30, trust_env=False, follow_redirects=True, max_redirects=hops, cookies=self._client.cookies
            ) as client:
                return await client.get(url)
        except httpx.HTTPError as error:
            raise CallFailed(f"{url} did not answer ({type(error).__name__}: {error}).") from error

    async def sign_in(self, email: str, password: str) -> str:
        """An access token; `CallFailed` when the account is not known."""
        answer = await self.insist("POST", "/v1/auth/login", json={"email": email, "password": password})
        token: str = answer.expect(200)["access_token"]
        return token


def _read(response: httpx.Response) -> Any:
    if "json" in response.headers.get("content-type", ""):
        try:
            return response.json()
        except ValueError:
            return response.text
    return response.text


class Internal:
    """Internal routes of services, called as one of them."""

    def __init__(self, signer: Signer, services: Mapping[str, str]) -> None:
        self._signer = signer
        self._apis = {name: Api(url) for name, url in services.items()}

    async def __aenter__(self) -> Internal:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(api.__aexit__() for api in self._apis.values()))

    async def put(self, service: str, path: str, body: Mapping[str, Any]) -> Any:
        """Stores something by its id; insists while the service waits for copies."""
        from servicekit.auth import service_authorization

        if service not in self._apis:
            raise CallFailed(f"{service} does not run here, so nothing could be stored in it.")
        headers = service_authorization(self._signer, "cli")
        answer = await self._apis[service].insist("PUT", path, json=body, headers=headers)
        return answer.expect(200)


def service_signer(ready: Ready, ready_file: Path | None) -> Signer:
    """Signs calls between services with the running system's keys."""
    return _signer(ready, ready_file, "services")


def offers_signer(ready: Ready, ready_file: Path | None) -> Signer:
    """Signs slots, as availability does."""
    return _signer(ready, ready_file, "offers")


def _signer(ready: Ready, ready_file: Path | None, purpose: Purpose) -> Signer:
    from servicekit import keys
    from servicekit.signing import Signer

    path = _keys_path(ready, ready_path(ready_file).parent / "keys.json")
    try:
        return Signer(keys.load(path).of(purpose), purpose)
    except (OSError, KeyError, ValueError) as error:
        raise HoldfastError(
            f"The keys of the running system cannot be read from {path} ({error}); nothing was done: run this as the "
            f"user who started the system, or name its key file in {KEYS_VARIABLE}."
        ) from error


def _keys_path(ready: Ready, beside: Path) -> Path:
    """HOLDFAST_KEYS, the file beside the ready file, or (where that one lies elsewhere) what identity was told."""
    import psutil

    if named := os.environ.get(KEYS_VARIABLE):
        return Path(named)
    if not beside.exists() and "identity" in ready.pids:
        with suppress(psutil.Error):  # gone, or another user's: then the file beside is named in the complaint
            return Path(psutil.Process(ready.pids["identity"]).environ().get(KEYS_VARIABLE, beside))
    return beside


def tenant_path(tenant_id: UUID, *parts: str) -> str:
    """`/internal/tenants/{id}/…`."""
    return "/".join(("/internal/tenants", str(tenant_id), *parts))
