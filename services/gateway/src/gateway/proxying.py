"""A request on its way to the service that owns it, and back."""

import asyncio
import hashlib
import json
from typing import Any

from fastapi import Request, Response

from gateway.limits import Limits
from gateway.table import Route, find, parts_of
from gateway.upstream import NOT_PASSED_BACK, NOT_PASSED_ON, Answer, Upstreams
from servicekit.problems import Malformed, NotFound, Problem

MAX_BODY = 1_000_000


class MethodNotAllowed(Problem):
    """The path exists, the method does not."""

    status, code, title = 405, "method-not-allowed", "Method not allowed"


class TooLarge(Problem):
    """The body is larger than any route takes."""

    status, code, title = 413, "too-large", "Too large"


class Proxy:
    """Passes requests on by the table of routes."""

    def __init__(self, upstreams: Upstreams, limits: Limits) -> None:
        self.upstreams = upstreams
        self.limits = limits
        self.looks: dict[str, asyncio.Task[list[Any]]] = {}
        """Looks for alternatives under way or just done, by what was refused."""

    async def pass_on(self, request: Request) -> Response:
        """The whole way for a route that one service answers alone."""
        route, path = await self.target(request)
        answer = await self.send(request, route, path, await read_body(request))
        if path.count("/") == 3 and request.method in ("PATCH", "DELETE") and route.service == "identity":
            self.upstreams.forget_clinic(*parts_of(request.url.path)[2:3], path.rsplit("/", 1)[1])
        return back(answer)

    async def target(self, request: Request) -> tuple[Route, str]:
        """The route and its path with the clinic's id in place of its slug; 404, 405 otherwise."""
        route, allowed = find(request.method, request.url.path)
        if route is None:
            if not allowed:
                raise NotFound("There is nothing at this address.")
            allow = ", ".join(sorted(allowed))
            raise MethodNotAllowed(f"This address knows {allow}. Nothing was changed.", headers={"Allow": allow})
        raw = request.scope["raw_path"].decode("latin-1").split("?", 1)[0]
        parts = list(raw.lstrip("/").split("/"))
        if "{clinic}" in route.parts:
            at = route.parts.index("{clinic}")
            card = await self.upstreams.clinic(parts[at])
            parts[at] = card["tenant_id"]
        return route, "/" + "/".join(parts)

    async def send(
        self, request: Request, route: Route, path: str, body: bytes, more: dict[str, str] | None = None
    ) -> Answer:
        """One call with the client's headers, and `more` of our own."""
        headers = {name: value for name, value in request.headers.items() if name not in NOT_PASSED_ON}
        address = self.limits.address(request)
        headers |= {"x-forwarded-for": address, "x-origin-hash": self.limits.origin(address)} | (more or {})
        answer = await self.upstreams.send(
            route.service, request.method, path, headers=headers, query=request.url.query, body=body or None
        )
        if answer.status in (401, 410, 422) and answer.is_problem and _is_failed_credential(answer):
            await self.limits.note_failure(address)
        return answer


def _is_failed_credential(answer: Answer) -> bool:
    kind = json.loads(answer.body).get("type", "").rsplit("/", 1)[-1]
    return kind in ("offer-invalid", "unauthenticated", "invalid-credentials")


async def read_body(request: Request) -> bytes:
    """The body, 1 MB at most."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise TooLarge(f"The body is larger than {MAX_BODY} bytes. Nothing was stored.")
    return body


def read_object(body: bytes) -> dict[str, Any]:
    """The body as a JSON object."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Malformed("The body is not valid JSON. Nothing was stored.") from error
    if not isinstance(document, dict):
        raise Malformed("The body has to be a JSON object. Nothing was stored.")
    return document


def request_hash(body: bytes) -> dict[str, str]:
    """The header that tells a service what the client's own body was, where we change it."""
    return {"x-request-hash": hashlib.sha256(body).hexdigest()}


def back(answer: Answer, document: Any = None) -> Response:
    """The answer as it goes to the client, with another document in it if one is given."""
    body = answer.body if document is None else json.dumps(document, separators=(",", ":")).encode()
    response = Response(body, answer.status)
    response.raw_headers = [
        *((name, value) for name, value in response.raw_headers if name == b"content-length"),
        *((name.encode(), value.encode("latin-1")) for name, value in answer.headers if name not in NOT_PASSED_BACK),
    ]
    if answer.status in (204, 304):
        response.raw_headers = [(name, value) for name, value in response.raw_headers if name != b"content-length"]
    return response
