"""Routes for other services (CONTRIBUTING.md, "Between the gateway and the services")."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from events.contracts.identity import TenantSettings
from identity import clinics, people, users
from identity.internal_schemas import (
    CustomerAnswer,
    CustomerRequest,
    PeopleFound,
    PeopleQuery,
    Recipient,
    TenantView,
    UserContact,
)
from identity.sealing import PeopleKeys
from servicekit.auth import calling_service
from servicekit.edge import PlainTx, TenantTx, service_of
from servicekit.people import Contact
from servicekit.service import Service

router = APIRouter(prefix="/internal", include_in_schema=False, dependencies=[Depends(calling_service)])

Composed = Annotated[Service, Depends(service_of)]


@router.get("/tenants/{name}")
async def read_tenant(tx: PlainTx, name: str) -> TenantView:
    """A clinic by its slug, or by its id even when it was deleted."""
    clinic = await clinics.find(tx, name)
    return TenantView(
        tenant_id=clinic.id,
        slug=clinic.slug,
        name=clinic.name,
        time_zone=clinic.time_zone,
        currency=clinic.currency,
        locales=clinic.locales,
        active=clinic.active,
        settings=TenantSettings.model_validate(clinic.settings),
    )


@router.post("/tenants/{clinic}/customers")
async def identify_customer(service: Composed, tx: TenantTx, body: CustomerRequest) -> CustomerAnswer:
    """Turns the `customer` of a request into a person of the clinic."""
    return await people.identify(service, tx, body)


@router.post("/tenants/{clinic}/people/search")
async def search_people(service: Composed, tx: TenantTx, body: PeopleQuery) -> PeopleFound:
    """Whom all words of a text fit, newest first."""
    return PeopleFound(person_ids=await people.search(tx, service.get(PeopleKeys), body.q, body.limit))


@router.get("/tenants/{clinic}/contacts/{contact}")
async def read_contact(service: Composed, tx: TenantTx, contact: UUID) -> Contact:
    """The contact data of one appointment."""
    return await people.contact(tx, service.get(PeopleKeys), contact)


@router.get("/tenants/{clinic}/alerts")
async def read_alerts(tx: TenantTx) -> Recipient:
    """Whom the clinic's alerts go to."""
    return await people.alerts(tx)


@router.get("/users/{user}")
async def read_user(tx: PlainTx, user: UUID) -> UserContact:
    """An account's contact data."""
    account = await users.contact(tx, user)
    return UserContact(
        user_id=account.id,
        name=account.name,
        email=account.email,
        phone=account.phone,
        locale=account.locale or "en",
    )
