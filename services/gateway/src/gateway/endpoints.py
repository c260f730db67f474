"""HTTP and WebSocket in: composed calls, the live socket, everything else by the table."""

from uuid import UUID

from fastapi import APIRouter, Request, Response, WebSocket
from fastapi.responses import HTMLResponse, JSONResponse

from gateway import composing, openapi
from gateway.live import Live
from gateway.proxying import Proxy
from gateway.upstream import Upstreams
from servicekit.problems import NotFound, Problem, Unavailable

router = APIRouter()

CLINIC = "/v1/clinics/{clinic}"
POLICY_VIOLATION, TRY_AGAIN_LATER = 1008, 1013
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


class UpgradeRequired(Problem):
    """The live socket is not read by GET."""

    status, code, title = 426, "upgrade-required", "Open a WebSocket"


def _proxy(request: Request) -> Proxy:
    proxy: Proxy = request.app.state.gateway.proxy
    return proxy


@router.get("/openapi.json", include_in_schema=False)
async def openapi_document(request: Request) -> JSONResponse:
    """The public API."""
    return JSONResponse(await openapi.document(request.app.state.gateway.upstreams))


@router.get("/docs", include_in_schema=False)
async def docs() -> HTMLResponse:
    """The public API for people."""
    return openapi.docs_page()


@router.post(f"{CLINIC}/holds")
async def place_hold(request: Request) -> Response:
    """Hold a time."""
    return await composing.place_hold(_proxy(request), request)


@router.post(f"{CLINIC}/appointments")
async def request_appointment(request: Request) -> Response:
    """Turn a hold into an appointment."""
    return await composing.request_appointment(_proxy(request), request)


@router.post(f"{CLINIC}/appointments/{{booking_id}}/checkout")
async def open_checkout(request: Request) -> Response:
    """Another try to pay."""
    return await composing.open_checkout(_proxy(request), request)


@router.get(f"{CLINIC}/live")
async def live_by_get() -> Response:
    """Said to who asks for the socket by a plain GET."""
    raise UpgradeRequired("This address is a WebSocket.", headers={"Upgrade": "websocket"})


@router.websocket(f"{CLINIC}/live")
async def live(websocket: WebSocket, clinic: str) -> None:
    """The live socket of a clinic, one of its providers, or one of its classes."""
    gateway = websocket.app.state.gateway
    feed: Live = gateway.live
    query = websocket.query_params
    try:
        tenant_id = UUID((await gateway.upstreams.clinic(clinic))["tenant_id"])
        provider_id = await _id_of(gateway.upstreams, tenant_id, "resources", query.get("provider"))
        offering_id = await _id_of(gateway.upstreams, tenant_id, "offerings", query.get("offering"))
    except NotFound:
        await websocket.close(POLICY_VIOLATION, "there is no such clinic, provider or offering")
        return
    except Unavailable:
        await websocket.close(TRY_AGAIN_LATER, "try again in a moment")
        return
    await feed.serve(
        websocket, tenant_id=tenant_id, provider_id=provider_id, offering_id=offering_id, resume=query.get("resume")
    )


async def _id_of(upstreams: Upstreams, tenant_id: UUID, kind: str, name: str | None) -> UUID | None:
    """The id of a resource or offering that is named by id or slug; None for all."""
    if name in (None, "", "any"):
        return None
    found = await upstreams.get_json("availability", f"/v1/clinics/{tenant_id}/{kind}/{name}")
    return UUID(found["id"])


@router.api_route("/v1/{path:path}", methods=METHODS, include_in_schema=False)
async def pass_on(request: Request) -> Response:
    """Everything else: to the service that owns it."""
    return await _proxy(request).pass_on(request)
