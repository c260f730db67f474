"""`/v1/clinics`."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response

from events import Transaction, new_id
from identity import clinics
from identity.checks import etag
from identity.repository.clinics import Clinic
from identity.schemas import ClinicContent, ClinicPatch, ClinicView, NewClinic
from identity.settings import IdentitySettings
from identity.tokens import LIFE_SECONDS, AccessTokens
from servicekit.edge import Asking, TenantTx, service_of
from servicekit.idempotency import IdempotentRoute
from servicekit.service import Service

router = APIRouter(route_class=IdempotentRoute, tags=["clinics"])

Composed = Annotated[Service, Depends(service_of)]
IfMatch = Annotated[str | None, Header()]


async def _new_clinic(request: Request) -> AsyncIterator[Transaction]:
    """The request's transaction in a clinic that is only now opened."""
    async with request.app.state.service.database.transaction(new_id()) as tx:
        request.state.transaction = tx
        yield tx


NewClinicTx = Annotated[Transaction, Depends(_new_clinic, scope="function")]


@router.post("/v1/clinics", status_code=201)
async def open_clinic(
    service: Composed, asking: Asking, tx: NewClinicTx, response: Response, body: ClinicContent
) -> NewClinic:
    """Opens a clinic; the caller is its owner, and the token in the answer says so."""
    clinic, access_token = await clinics.open_clinic(
        tx, asking, body, allow_test=_allow_test(service), tokens=service.get(AccessTokens)
    )
    response.headers["ETag"] = etag(clinic.version)
    response.headers["Location"] = f"/v1/clinics/{clinic.id}"
    response.headers["Cache-Control"] = "no-store"
    return NewClinic.model_validate(_shown(clinic) | {"access_token": access_token, "expires_in": LIFE_SECONDS})


@router.get("/v1/clinics/{clinic}")
async def read_clinic(tx: TenantTx, response: Response) -> ClinicView:
    """The clinic's public card."""
    found = await clinics.read(tx)
    response.headers["ETag"] = etag(found.version)
    return ClinicView.model_validate(_shown(found))


@router.patch("/v1/clinics/{clinic}")
async def change_clinic(
    service: Composed, asking: Asking, tx: TenantTx, response: Response, patch: ClinicPatch, if_match: IfMatch = None
) -> ClinicView:
    """Changes the clinic (JSON Merge Patch): managers."""
    changed = await clinics.change(tx, asking, patch, if_match, allow_test=_allow_test(service))
    response.headers["ETag"] = etag(changed.version)
    return ClinicView.model_validate(_shown(changed))


@router.delete("/v1/clinics/{clinic}", status_code=204)
async def close_clinic(asking: Asking, tx: TenantTx, if_match: IfMatch = None) -> None:
    """Deletes the clinic: owners, and only when no appointment lies ahead."""
    await clinics.close(tx, asking, if_match)


def _allow_test(service: Service) -> bool:
    return service.get(IdentitySettings).allow_test_domains


def _shown(clinic: Clinic) -> dict[str, Any]:
    return {name: getattr(clinic, name) for name in ClinicView.model_fields}
