"""The live socket and the public API's own document; `/v1` over HTTP is answered by `public.py`."""

from uuid import UUID

from fastapi import APIRouter, Request, WebSocket
from fastapi.responses import HTMLResponse, JSONResponse

from gateway import openapi
from gateway.live import Live
from gateway.table import CLINIC
from gateway.upstream import Upstreams
from servicekit.problems import NotFound, Unavailable

router = APIRouter()

POLICY_VIOLATION, TRY_AGAIN_LATER = 1008, 1013


@router.get("/openapi.json", include_in_schema=False)
async def openapi_document(request: Request) -> JSONResponse:
    """The public API."""
    return JSONResponse(await openapi.document(request.app.state.gateway.upstreams))


@router.get("/docs", include_in_schema=False)
async def docs() -> HTMLResponse:
    """The public API for people."""
    return openapi.docs_page()


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
