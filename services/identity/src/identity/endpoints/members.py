"""`/v1/clinics/{clinic}/members`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response

from identity import staff
from identity.checks import etag
from identity.schemas import MemberPage, MemberPatch, MemberView, NewMember
from identity.sealing import PeopleKeys
from identity.settings import IdentitySettings
from servicekit.edge import Asking, TenantTx, service_of
from servicekit.idempotency import IdempotentRoute
from servicekit.service import Service

router = APIRouter(route_class=IdempotentRoute, prefix="/v1/clinics/{clinic}/members", tags=["members"])

Composed = Annotated[Service, Depends(service_of)]


@router.get("")
async def list_members(
    service: Composed,
    asking: Asking,
    tx: TenantTx,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: UUID | None = None,
) -> MemberPage:
    """The clinic's members: managers and auditors."""
    data, after = await staff.list_members(tx, asking, service.get(PeopleKeys), cursor, limit)
    return MemberPage(data=data, next_cursor=str(after) if after else None)


@router.post("", status_code=201)
async def add_member(
    service: Composed, asking: Asking, tx: TenantTx, response: Response, body: NewMember
) -> MemberView:
    """Takes a known account in at once, invites an unknown address: managers, owners only by owners."""
    keys = service.get(PeopleKeys)
    allow_test = service.get(IdentitySettings).allow_test_domains
    member = await staff.add(tx, asking, body, keys, allow_test=allow_test)
    response.headers["ETag"] = etag(member.version)
    return staff.view(member, keys)


@router.patch("/{member}")
async def change_member(
    service: Composed,
    asking: Asking,
    tx: TenantTx,
    response: Response,
    member: UUID,
    body: MemberPatch,
    if_match: Annotated[str | None, Header()] = None,
) -> MemberView:
    """Gives another role."""
    changed = await staff.change(tx, asking, member, body, if_match)
    response.headers["ETag"] = etag(changed.version)
    return staff.view(changed, service.get(PeopleKeys))


@router.delete("/{member}", status_code=204)
async def remove_member(asking: Asking, tx: TenantTx, member: UUID) -> None:
    """Removes a member or an invitation; everybody may leave by themselves."""
    await staff.remove(tx, asking, member)
