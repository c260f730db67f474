"""What booking's endpoints depend on besides `servicekit.edge`."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request

from booking import presenting
from booking.model import Booking
from booking.settings import BookingSettings
from servicekit.capabilities import CustomerToken
from servicekit.edge import service_of
from servicekit.idempotency import IdempotentRoute
from servicekit.people import Contact
from servicekit.problems import Malformed, ValidationFailed
from servicekit.service import Service
from servicekit.signing import Expired, Forged

Composed = Annotated[Service, Depends(service_of)]
OriginHash = Annotated[str | None, Header(include_in_schema=False, pattern="^[0-9a-f]{16,64}$")]
Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[str | None, Query(max_length=200)]


def public() -> APIRouter:
    """A router of the public API. The clinic of a path is its id: the gateway has turned the slug into it."""
    return APIRouter(prefix="/v1/clinics/{clinic}", route_class=IdempotentRoute)


def _settings(service: Composed) -> BookingSettings:
    assert isinstance(service.settings, BookingSettings)
    return service.settings


Settings = Annotated[BookingSettings, Depends(_settings)]


async def customer_of(request: Request, clinic: UUID, service: Composed) -> tuple[CustomerToken, Contact]:
    """The person of the request, verified, with the contact data: fetched before the transaction begins."""
    try:
        text = (await request.json())["customer_token"]
    except ValueError as error:
        raise Malformed("The body is not valid JSON. Nothing was stored.") from error
    except (KeyError, TypeError) as error:
        raise ValidationFailed.of("customer", "is missing") from error
    try:
        token = service.signer("customers").verify(str(text), CustomerToken, leeway=30)
    except (Forged, Expired) as error:
        raise ValidationFailed.of("customer", "could not be verified; send the request again") from error
    if token.tenant_id != clinic:
        raise ValidationFailed.of("customer", "belongs to another clinic")
    return token, await service.people.contact(clinic, token.contact_id)


Customer = Annotated[tuple[CustomerToken, Contact], Depends(customer_of)]


async def present(service: Service, clinic: UUID, booking: Booking, **more: Any) -> dict[str, Any]:
    """The appointment with its contact data, which is fetched outside of the transaction."""
    contact = await presenting.contact_of(service, clinic, booking)
    async with service.database.transaction(clinic) as tx:
        return await presenting.appointment(tx, service, booking, contact, **more)


async def present_all(service: Service, clinic: UUID, found: Sequence[Booking], *, staff: bool) -> list[dict[str, Any]]:
    """Likewise for a page of them."""
    contacts = await asyncio.gather(*(presenting.contact_of(service, clinic, booking) for booking in found))
    async with service.database.transaction(clinic) as tx:
        return [
            await presenting.appointment(tx, service, booking, contact, staff=staff)
            for booking, contact in zip(found, contacts, strict=True)
        ]
