"""The door of the public API: limits, CORS, nothing of a token in a Referer, and each request to where it is answered.

Plain ASGI and one look into the table: this is what every request pays.
"""

from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.composing import COMPOSED
from gateway.proxying import ClientGone, Proxy
from gateway.table import CLINIC, find, parts_of
from gateway.upstream import Answer
from servicekit.problems import Problem

EXPOSED = "Date, Retry-After, RateLimit, Idempotent-Replayed, ETag, Location"
ALLOWED_HEADERS = "Authorization, Content-Type, Idempotency-Key, If-Match, traceparent"
METHODS = "GET, POST, PUT, PATCH, DELETE"

Headers = list[tuple[bytes, bytes]]


class PublicApi:
    """ASGI middleware that answers `/v1`."""

    def __init__(self, app: ASGIApp, proxy: Proxy) -> None:
        self._app = app
        self._proxy = proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        extra: Headers = [(b"referrer-policy", b"no-referrer")]
        if (origin := _header(scope, b"origin")) is not None:
            extra += await self._cors(scope, origin)
        if scope["method"] == "OPTIONS":
            preflight = [("access-control-allow-methods", METHODS), ("access-control-allow-headers", ALLOWED_HEADERS)]
            await _send(send, Answer(204, [], b""), extra + _encoded(preflight))
            return
        try:
            answer = await self._answer(scope, receive, extra)
        except Problem as problem:
            response = problem.response()
            answer = Answer(
                response.status_code,
                [header for header in response.raw_headers if header[0] != b"content-length"],
                bytes(response.body),
            )
        except ClientGone:
            return
        await _send(send, answer, extra, head=scope["method"] == "HEAD")

    async def _answer(self, scope: Scope, receive: Receive, extra: Headers) -> Answer:
        limits = self._proxy.limits
        peer = scope["client"][0] if scope["client"] else "unknown"
        forwarded = (value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for")
        address = limits.address(peer, forwarded)
        extra.append((b"ratelimit", limits.spend(address, scope["path"]).encode()))
        call = await self._proxy.target(scope, receive, address)
        compose = COMPOSED.get((call.method, call.route.pattern))
        if compose is not None:
            return await compose(self._proxy, call)
        answer = await self._proxy.pass_on(call)
        if call.route.pattern == CLINIC and call.method in ("PATCH", "DELETE"):
            self._proxy.upstreams.forget_clinic(parts_of(scope["path"])[2], call.tenant_id)
        return answer

    async def _cors(self, scope: Scope, origin: str) -> Headers:
        """Any origin (without credentials) on open routes, the clinic's `allowed_origins` elsewhere."""
        wanted = _header(scope, b"access-control-request-method") or scope["method"]
        route, _ = find(wanted, scope["path"])
        if route is not None and route.open:
            return _encoded([("access-control-allow-origin", "*"), ("access-control-expose-headers", EXPOSED)])
        varying = [("vary", "Origin")]
        parts = parts_of(scope["path"])
        if parts[:2] != ("v1", "clinics") or len(parts) < 3:
            return _encoded(varying)
        try:
            allowed = (await self._proxy.upstreams.clinic(parts[2]))["settings"]["allowed_origins"]
        except (Problem, KeyError):
            return _encoded(varying)
        if origin in allowed:
            varying += [("access-control-allow-origin", origin), ("access-control-expose-headers", EXPOSED)]
        return _encoded(varying)


def _header(scope: Scope, name: bytes) -> str | None:
    return next((value.decode("latin-1") for found, value in scope["headers"] if found == name), None)


def _encoded(headers: Iterable[tuple[str, str]]) -> Headers:
    return [(name.encode(), value.encode("latin-1")) for name, value in headers]


async def _send(send: Send, answer: Answer, extra: Headers, *, head: bool = False) -> None:
    headers = answer.headers + extra
    if not head and answer.status not in (204, 304):
        headers.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
