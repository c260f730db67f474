"""What every request of the public API gets: limits, CORS, and nothing of a token in a Referer."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.limits import Limits
from gateway.table import find, parts_of
from gateway.upstream import Upstreams
from servicekit.problems import Problem

EXPOSED = "Date, Retry-After, RateLimit, Idempotent-Replayed, ETag, Location"
ALLOWED_HEADERS = "Authorization, Content-Type, Idempotency-Key, If-Match, traceparent"
METHODS = "GET, POST, PUT, PATCH, DELETE"


class PublicApi:
    """ASGI middleware around `/v1`."""

    def __init__(self, app: ASGIApp, limits: Limits, upstreams: Upstreams) -> None:
        self._app = app
        self._limits = limits
        self._upstreams = upstreams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        extra = {"Referrer-Policy": "no-referrer"}
        if scope["type"] == "http":
            extra |= await self._cors(scope)
            if scope["method"] == "OPTIONS":
                preflight = {"Access-Control-Allow-Methods": METHODS, "Access-Control-Allow-Headers": ALLOWED_HEADERS}
                await Response(status_code=204, headers=extra | preflight)(scope, receive, send)
                return
            try:
                extra |= await self._limits.spend(self._limits.address(connection), scope["path"])
            except Problem as problem:
                response = problem.response()
                response.headers.update(extra)
                await response(scope, receive, send)
                return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(extra)
            await send(message)

        await self._app(scope, receive, send_with_headers)

    async def _cors(self, scope: Scope) -> dict[str, str]:
        """Any origin (without credentials) on open routes, the clinic's `allowed_origins` elsewhere."""
        origin = Headers(scope=scope).get("origin")
        if origin is None:
            return {}
        wanted = Headers(scope=scope).get("access-control-request-method") or scope["method"]
        route, _ = find(wanted, scope["path"])
        if route is not None and route.open:
            return {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": EXPOSED}
        parts = parts_of(scope["path"])
        if parts[:2] != ("v1", "clinics") or len(parts) < 3:
            return {"Vary": "Origin"}
        try:
            allowed = (await self._upstreams.clinic(parts[2]))["settings"]["allowed_origins"]
        except (Problem, KeyError):
            return {"Vary": "Origin"}
        if origin not in allowed:
            return {"Vary": "Origin"}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": EXPOSED,
            "Vary": "Origin",
        }
