"""Internal routes that take the id: upserts, safe to repeat."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from identity import seeding
from identity.internal_schemas import SeedMember, SeedTenant, SeedUser
from identity.settings import IdentitySettings
from servicekit.auth import calling_service
from servicekit.edge import TenantTx, service_of
from servicekit.service import Service

router = APIRouter(prefix="/internal", include_in_schema=False, dependencies=[Depends(calling_service)])

Composed = Annotated[Service, Depends(service_of)]


class Seeded(BaseModel):
    """The row, and its version: unchanged when it was so already."""

    id: UUID
    version: int


@router.put("/users/{user}")
async def put_user(service: Composed, user: UUID, body: SeedUser) -> Seeded:
    """Sees that the account is so."""
    account = await seeding.put_user(service, user, body)
    return Seeded(id=account.id, version=account.version)


@router.put("/tenants/{clinic}")
async def put_tenant(service: Composed, tx: TenantTx, body: SeedTenant) -> Seeded:
    """Sees that the clinic is so."""
    allow_test = service.get(IdentitySettings).allow_test_domains
    clinic = await seeding.put_tenant(tx, body, allow_test=allow_test)
    return Seeded(id=clinic.id, version=clinic.version)


@router.put("/tenants/{clinic}/members/{member}")
async def put_member(tx: TenantTx, member: UUID, body: SeedMember) -> Seeded:
    """Sees that the membership is so."""
    stored = await seeding.put_member(tx, member, body)
    return Seeded(id=stored.id, version=stored.version)
