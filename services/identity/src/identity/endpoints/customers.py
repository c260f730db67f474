"""`/v1/clinics/{clinic}/customers` and `/v1/clinics/{clinic}/audit`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response

from events.base import Instant
from identity import customers, trail
from identity.checks import etag
from identity.customer_schemas import AuditPage, CustomerPage, CustomerPatch, CustomerView, Sort
from identity.sealing import PeopleKeys
from identity.settings import IdentitySettings
from servicekit.edge import Asking, TenantTx, service_of
from servicekit.service import Service

router = APIRouter(prefix="/v1/clinics/{clinic}", tags=["customers"])

Composed = Annotated[Service, Depends(service_of)]
Limit = Annotated[int, Query(ge=1, le=200)]


@router.get("/customers")
async def list_customers(
    service: Composed,
    asking: Asking,
    tx: TenantTx,
    response: Response,
    q: Annotated[
        str | None,
        Query(max_length=200, description="beginnings of names, an e-mail address, the end of a phone number"),
    ] = None,
    external_ref: Annotated[str | None, Query(max_length=255)] = None,
    updated_since: Instant | None = None,
    sort: Sort = "created_at",
    limit: Limit = 50,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> CustomerPage:
    """The clinic's customers: staff."""
    data, following = await customers.listed(
        tx,
        service.get(PeopleKeys),
        asking,
        query=q,
        external_ref=external_ref,
        updated_since=updated_since,
        sort=sort,
        cursor=cursor,
        limit=limit,
    )
    response.headers["Cache-Control"] = "no-store"
    return CustomerPage(data=data, next_cursor=following)


@router.get("/customers/{customer}")
async def read_customer(
    service: Composed, asking: Asking, tx: TenantTx, response: Response, customer: UUID
) -> CustomerView:
    """One customer: staff."""
    found = await customers.read(tx, asking, customer)
    response.headers["ETag"] = etag(found.version)
    response.headers["Cache-Control"] = "no-store"
    return customers.view(service.get(PeopleKeys), found)


@router.patch("/customers/{customer}")
async def change_customer(
    service: Composed,
    asking: Asking,
    tx: TenantTx,
    response: Response,
    customer: UUID,
    patch: CustomerPatch,
    if_match: Annotated[str | None, Header()] = None,
) -> CustomerView:
    """Corrects a customer (JSON Merge Patch): staff but auditors. What came with earlier appointments stays."""
    keys = service.get(PeopleKeys)
    allow_test = service.get(IdentitySettings).allow_test_domains
    changed = await customers.change(tx, keys, asking, customer, patch, if_match, allow_test=allow_test)
    response.headers["ETag"] = etag(changed.version)
    response.headers["Cache-Control"] = "no-store"
    return customers.view(keys, changed)


@router.get("/audit", tags=["audit"])
async def read_audit(
    asking: Asking, tx: TenantTx, before: Instant | None = None, limit: Annotated[int, Query(ge=1, le=201)] = 50
) -> AuditPage:
    """Who read or changed whose data, and who broke which rule, newest first: owners and auditors."""
    # The gateway asks for one line more than a page, puts booking's lines between these, and makes the cursor.
    return AuditPage(data=await trail.read(tx, asking, before, limit), next_cursor=None)
