"""Who a reference stands for, asked of identity when a message goes out. Never called inside a transaction."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from notification.letters import Reader
from notification.repository import Booking, Message
from notification.settings import NotificationSettings
from servicekit.auth import service_authorization
from servicekit.problems import NotFound
from servicekit.service import Service


@dataclass(frozen=True, slots=True)
class Recipient:
    """An addressee and how they read. Nothing of it is stored."""

    name: str | None
    email: str | None
    phone: str | None
    reader: Reader


async def resolve(service: Service, message: Message, booking: Booking, practitioners_zone: str | None) -> Recipient:
    """The addressee as identity knows them now. Raises `Unavailable` while it is away, `NotFound` when nobody is
    behind the reference."""
    kind, _, reference = message.recipient.partition(":")
    if kind == "contact":
        contact = await service.people.contact(message.tenant_id, UUID(reference))
        reader = Reader(booking.locale or contact.locale, contact.time_zone)
        return Recipient(contact.name, contact.email, contact.phone, reader)
    patient = await _patient(service, message, booking)
    if kind == "user":
        user = await _ask(service, f"/internal/users/{reference}")
        return Recipient(user["name"], user["email"], None, Reader(user["locale"], practitioners_zone, patient))
    alerts = await _ask(service, f"/internal/tenants/{message.tenant_id}/alerts")
    return Recipient(alerts["name"], alerts["email"], None, Reader(alerts["locale"], None, patient))


async def _patient(service: Service, message: Message, booking: Booking) -> str | None:
    """The patient's name, for staff; None once they were erased."""
    if booking.contact_id is None:
        return None
    try:
        return (await service.people.contact(message.tenant_id, booking.contact_id)).name
    except NotFound:
        return None


async def _ask(service: Service, path: str) -> dict[str, Any]:
    settings = service.get(NotificationSettings)
    headers = service_authorization(service.signer("services"), service.name)
    return await service.http.get_json(f"{settings.identity_url}{path}", headers=headers)
