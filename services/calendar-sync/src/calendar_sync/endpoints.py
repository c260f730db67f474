"""HTTP in."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import HTMLResponse

from calendar_sync import connecting, pages, watching
from calendar_sync.connecting import ComingBack, Wish
from calendar_sync.schemas import ConnectionList, ConnectionOut, Initiate, Initiated
from servicekit.edge import Asking, TenantTx, service_of
from servicekit.idempotency import IdempotentRoute
from servicekit.service import Service

router = APIRouter(route_class=IdempotentRoute)

CONSENT_COOKIE = "holdfast_consent"
CONSENT_PATH = "/v1/calendar/oauth"
CONSENT_SECONDS = 600

TheService = Annotated[Service, Depends(service_of)]


async def asked_for(service: TheService, asking: Asking, clinic: UUID, body: Initiate) -> Wish:
    """The body with its practitioner, awaited before the request's transaction begins; 401, 403, 404 or 422."""
    return await connecting.understand(service, clinic, asking, body.provider_id, body.calendar_id)


@router.post("/v1/clinics/{clinic}/calendar/sync/initiate", status_code=202)
async def initiate(
    wish: Annotated[Wish, Depends(asked_for)],
    tx: TenantTx,
    service: TheService,
    request: Request,
    response: Response,
) -> Initiated:
    """Begins the consent: the person goes to `authorize_url`, once, within 10 minutes, in this browser."""
    known = request.cookies.get(CONSENT_COOKIE)
    begun = await connecting.begin(tx, service, wish, known)
    response.set_cookie(
        CONSENT_COOKIE,
        begun.browser_secret,
        max_age=CONSENT_SECONDS,
        path=CONSENT_PATH,
        secure=service.settings.public_url.startswith("https:"),
        httponly=True,
        samesite="lax",
    )
    return Initiated(connection_id=begun.connection_id, authorize_url=begun.authorize_url)


@router.get("/v1/calendar/oauth/google/callback", response_class=HTMLResponse)
async def come_back(
    request: Request,
    service: TheService,
    state: Annotated[str, Query(max_length=200)],
    code: Annotated[str | None, Query(max_length=2000)] = None,
    sec_fetch_mode: Annotated[str | None, Header()] = None,
) -> HTMLResponse:
    """Where the provider sends the person who consented (`code`) or did not (`error`)."""
    back = ComingBack(
        state=state,
        code=code,
        browser=sec_fetch_mode is not None,
        browser_secret=request.cookies.get(CONSENT_COOKIE),
    )
    return pages.consent_page(await connecting.finish(service, back))


@router.post("/v1/calendar/notices/google")
async def take_notice(
    service: TheService,
    x_goog_channel_id: Annotated[UUID, Header()],
    x_goog_channel_token: Annotated[str, Header(max_length=256)],
) -> Response:
    """Google says that something changed in a calendar; what, is read from there."""
    await watching.take_notice(service, x_goog_channel_id, x_goog_channel_token)
    return Response(status_code=200)


@router.get("/v1/clinics/{clinic}/calendar/connections")
async def list_connections(
    tx: TenantTx,
    asking: Asking,
    limit: Annotated[int, Query(ge=1, le=200)] = 200,
    cursor: UUID | None = None,
) -> ConnectionList:
    """The clinic's connected calendars for its staff; a practitioner's own for them."""
    found = await connecting.visible(tx, asking, after=cursor, limit=limit)
    following = found[-1].id if len(found) == limit else None
    return ConnectionList(data=[ConnectionOut.of(one) for one in found], next_cursor=following)


@router.delete("/v1/clinics/{clinic}/calendar/connections/{connection_id}", status_code=204)
async def disconnect(tx: TenantTx, asking: Asking, connection_id: UUID) -> None:
    """Ends the connection: its busy times go, its tokens are forgotten, events already written stay."""
    await connecting.disconnect_for(tx, asking, connection_id)
