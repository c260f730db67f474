"""A request on its way to the service that owns it, and back."""

import hashlib
import json
from typing import Any

from starlette.types import Receive, Scope

from gateway.alternatives import Looks, is_taken
from gateway.limits import Limits
from gateway.table import Route, find
from gateway.upstream import NOT_PASSED_ON, Answer, Upstreams
from servicekit.problems import Malformed, NotFound, Problem, Unavailable
from servicekit.rushes import Rushes
from servicekit.signing import Signer

MAX_BODY = 1_000_000


class MethodNotAllowed(Problem):
    """The path exists, the method does not."""

    status, code, title = 405, "method-not-allowed", "Method not allowed"


class TooLarge(Problem):
    """The body is larger than any route takes."""

    status, code, title = 413, "too-large", "Too large"


class Call:
    """One request of the public API: what the client sent, and where it goes."""

    def __init__(self, scope: Scope, receive: Receive, address: str, route: Route, path: str, tenant_id: str) -> None:
        self.method: str = scope["method"]
        self.query: str = scope["query_string"].decode("latin-1")
        self.headers: list[tuple[bytes, bytes]] = scope["headers"]
        self.address = address
        """The client's, as limits count it."""
        self.route = route
        self.path = path
        """With the clinic's id in place of its slug."""
        self.tenant_id = tenant_id
        """The clinic's id; empty where the path names none."""
        self._receive = receive
        self._body: bytes | None = None

    def header(self, name: bytes) -> str:
        """The first header of this name (in lower case), or an empty text."""
        return next((value.decode("latin-1") for found, value in self.headers if found == name), "")

    async def body(self) -> bytes:
        """The body, 1 MB at most."""
        if self._body is None:
            self._body = await _read(self._receive)
        return self._body

    async def document(self) -> dict[str, Any]:
        """The body as a JSON object."""
        try:
            document = json.loads(await self.body())
        except (ValueError, RecursionError) as error:
            raise Malformed("The body is not valid JSON. Nothing was stored.") from error
        if not isinstance(document, dict):
            raise Malformed("The body has to be a JSON object. Nothing was stored.")
        return document

    async def request_hash(self) -> dict[str, str]:
        """The header that tells a service what the client's own body was, where we change it."""
        return {"x-request-hash": hashlib.sha256(await self.body()).hexdigest()}

    @property
    def own_authorization(self) -> dict[str, str]:
        """The client's credential as the header of another call."""
        found = self.header(b"authorization")
        return {"authorization": found} if found else {}


async def _read(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            raise TooLarge(f"The body is larger than {MAX_BODY} bytes. Nothing was stored.")
        if not message.get("more_body", False):
            return body


class ClientGone(Exception):
    """The client went away before its request was complete: there is nobody to answer."""


class Proxy:
    """Passes requests on by the table of routes."""

    def __init__(self, upstreams: Upstreams, limits: Limits, settlements: Signer) -> None:
        self.upstreams = upstreams
        self.limits = limits
        self.settlements = settlements
        self.looks = Looks(upstreams)
        self.rushes = Rushes(is_taken)

    async def target(self, scope: Scope, receive: Receive, address: str) -> Call:
        """The request with its route, and its path with the clinic's id in place of its slug; 404, 405 otherwise."""
        raw: str = scope["raw_path"].decode("latin-1").split("?", 1)[0]
        route, allowed = find(scope["method"], scope["path"])
        # A slash that is encoded would be one part here and two at the service.
        if (route is None and not allowed) or "%2f" in raw.lower():
            raise NotFound("There is nothing at this address.")
        if route is None:
            allow = ", ".join(sorted(allowed))
            raise MethodNotAllowed(f"This address knows {allow}. Nothing was changed.", headers={"Allow": allow})
        parts = raw.lstrip("/").split("/")
        tenant_id = ""
        if "{clinic}" in route.parts:
            at = route.parts.index("{clinic}")
            tenant_id = parts[at] = (await self.upstreams.clinic(parts[at]))["tenant_id"]
        return Call(scope, receive, address, route, "/" + "/".join(parts), tenant_id)

    async def pass_on(self, call: Call) -> Answer:
        """The whole way for a route that one service answers alone."""
        return await self.send(call, await call.body())

    async def send(self, call: Call, body: bytes, more: dict[str, str] | None = None) -> Answer:
        """One call with the client's headers, and `more` of our own."""
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in call.headers if name not in NOT_PASSED_ON
        }
        headers["x-forwarded-for"] = call.address
        headers["x-origin-hash"] = self.limits.origin(call.address)
        if more:
            headers |= more
        answer = await self.upstreams.send(
            call.route.service, call.method, call.path, headers=headers, query=call.query, body=body or None
        )
        if answer.status in (401, 410, 422) and _is_failed_credential(answer):
            self.limits.note_failure(call.address)
        return answer

    async def send_document(self, call: Call, document: Any) -> Answer:
        """The same with a body of our own making in place of the client's."""
        return await self.send(call, json.dumps(document).encode(), await call.request_hash())

    async def ask(self, service: str, path: str, body: Any, *, timeout: float | None = None) -> Answer | None:
        """A service's answer at an internal route; None when it is away: for what a request can do without."""
        try:
            return await self.upstreams.post_internal(service, path, body, timeout=timeout)
        except Unavailable:
            return None


def _is_failed_credential(answer: Answer) -> bool:
    if not answer.is_problem:
        return False
    kind = answer.document().get("type", "").rsplit("/", 1)[-1]
    return kind in ("offer-invalid", "unauthenticated", "invalid-credentials")
