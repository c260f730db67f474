"""All SQL of notification. Lock order everywhere: booking → message."""

import json
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from events import Transaction, new_id
from notification.domain import BookingStatus, Template


@dataclass(frozen=True, slots=True)
class Booking:
    """The newest that is known of a booking (or of an entry of the waiting list). `terms` holds what events said beside
    the visit: price, amount_due, refunded (smallest unit), currency, mode, paid (whether it stands on a payment),
    payment_id, manage and hold (the sealed tokens), stood (it was confirmed), moved_by_clinic."""

    id: UUID
    tenant_id: UUID
    version: int
    status: BookingStatus
    contact_id: UUID | None
    locale: str
    offering_id: UUID
    provider_id: UUID | None
    start_at: datetime
    end_at: datetime
    terms: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `recipient` is `contact:<id>`, `user:<id>` or `clinic`; `context` has nothing personal in it. It was
    to go out at `wanted_at`; `due_at` moves on while it is put off or tried again."""

    id: UUID
    tenant_id: UUID
    booking_id: UUID
    template: Template
    kind: str
    recipient: str
    occasion: str
    status: str
    version: int
    attempts: int
    due_at: datetime
    wanted_at: datetime
    context: dict[str, Any]
    reason: str | None
    created_at: datetime
    updated_at: datetime


_BOOKING = ", ".join(field.name for field in fields(Booking))
_MESSAGE = ", ".join(field.name for field in fields(Message))

# What a later event does not say is kept: a hold's end does not repeat the contact, a cancellation not the price.
_REMEMBER = text(f"""
INSERT INTO booking AS b ({_BOOKING})
VALUES (:id, :tenant_id, :version, :status, :contact_id, :locale, :offering_id, :provider_id, :start_at, :end_at,
        CAST(:terms AS jsonb))
ON CONFLICT (id) DO UPDATE SET version = excluded.version, status = excluded.status,
  contact_id = coalesce(excluded.contact_id, b.contact_id), locale = coalesce(nullif(excluded.locale, ''), b.locale),
  offering_id = excluded.offering_id, provider_id = excluded.provider_id, start_at = excluded.start_at,
  end_at = excluded.end_at, terms = b.terms || excluded.terms, updated_at = now()
  WHERE b.version <= excluded.version AND b.tenant_id = excluded.tenant_id
RETURNING {_BOOKING}
""")
_FIND = text(f"SELECT {_BOOKING} FROM booking WHERE id = :id AND tenant_id = :tenant")
_SHARE = text(f"SELECT {_BOOKING} FROM booking WHERE id = :id AND tenant_id = :tenant FOR SHARE")
_QUEUE = text("""
INSERT INTO message (id, tenant_id, booking_id, template, kind, recipient, occasion, due_at, wanted_at, context)
VALUES (:id, :tenant, :booking, :template, :kind, :recipient, :occasion, coalesce(:due_at, now()),
        coalesce(:due_at, now()), CAST(:context AS jsonb))
ON CONFLICT (tenant_id, booking_id, template, kind, recipient, occasion) DO NOTHING RETURNING 1
""")
_DUE = text("SELECT tenant_id, id FROM due_messages(:limit)")
_STRANDED = text("SELECT tenant_id, id FROM stranded_messages(:age, :limit)")
_BOOKING_OF = text("SELECT booking_id FROM message WHERE id = :id AND tenant_id = :tenant")
_LOCK_DUE = text(f"""
SELECT {_MESSAGE} FROM message
WHERE id = :id AND tenant_id = :tenant AND status = 'queued' AND due_at <= now() FOR NO KEY UPDATE SKIP LOCKED
""")
_LOCK_STRANDED = text(f"""
SELECT {_MESSAGE} FROM message
WHERE id = :id AND tenant_id = :tenant AND status = 'sending' AND claimed_at <= now() - :age
FOR NO KEY UPDATE SKIP LOCKED
""")
_CLAIM = text(f"""
UPDATE message SET status = 'sending', claimed_at = now(), attempts = attempts + 1, version = version + 1,
  updated_at = now()
WHERE id = :id AND tenant_id = :tenant RETURNING {_MESSAGE}
""")
_SETTLE = text(f"""
UPDATE message SET status = :status, claimed_at = NULL, reason = :reason, provider_id = :provider_id,
  due_at = now() + :pause, version = version + 1, updated_at = now()
WHERE id = :id AND tenant_id = :tenant AND status = :expected RETURNING {_MESSAGE}
""")
_DROP_QUEUED = text("""
UPDATE message SET status = 'dropped', reason = :reason, version = version + 1, updated_at = now()
WHERE booking_id = :booking AND tenant_id = :tenant AND template = :template AND status = 'queued'
  AND (CAST(:only AS text) IS NULL OR occasion = :only)
  AND (CAST(:not_of AS text) IS NULL OR NOT starts_with(occasion, :not_of))
""")
_NOTE_REFUNDED = text("""
UPDATE booking SET terms = terms || jsonb_build_object('refunded', CAST(:refunded AS bigint)), updated_at = now()
WHERE id = :id AND tenant_id = :tenant AND terms ->> 'payment_id' = :payment
""")
_KEEP_DIFFERENCE = text("""
INSERT INTO difference (booking_id, tenant_id, appointment_id) VALUES (:booking, :tenant, :appointment)
ON CONFLICT DO NOTHING
""")
_APPOINTMENT_OF = text("SELECT appointment_id FROM difference WHERE booking_id = :booking AND tenant_id = :tenant")
_ADDRESS = text("SELECT address_message(:tenant, :id, :address, :most)")
_PAGE = text(f"""
SELECT {_MESSAGE} FROM message
WHERE booking_id = :booking AND tenant_id = :tenant AND (CAST(:after AS uuid) IS NULL OR id > CAST(:after AS uuid))
ORDER BY id LIMIT :limit
""")
_OF_BOOKING = text(f"""
SELECT {_MESSAGE} FROM message WHERE booking_id = :booking AND tenant_id = :tenant ORDER BY created_at, id
""")


def _booking(row: Row[Any]) -> Booking:
    return Booking(**(row._asdict() | {"status": BookingStatus(row.status)}))


def _message(row: Row[Any]) -> Message:
    return Message(**(row._asdict() | {"template": Template(row.template)}))


async def remember(tx: Transaction, booking: Booking) -> Booking | None:
    """Stores the booking, whose row is then locked; None when a newer version is here already."""
    values = {field.name: getattr(booking, field.name) for field in fields(Booking)}
    values |= {"status": booking.status.value, "terms": json.dumps(booking.terms)}
    row = (await tx.connection.execute(_REMEMBER, values)).one_or_none()
    return _booking(row) if row is not None else None


async def find(tx: Transaction, booking_id: UUID) -> Booking | None:
    """The booking, None when nothing has come about it yet."""
    row = (await tx.connection.execute(_FIND, {"id": booking_id, "tenant": tx.tenant_id})).one_or_none()
    return _booking(row) if row is not None else None


async def queue(
    tx: Transaction,
    booking_id: UUID,
    template: Template,
    kind: str,
    recipient: str,
    occasion: str,
    context: dict[str, Any],
    due_at: datetime | None = None,
) -> bool:
    """Writes a message down (due now unless told); False when it was written before."""
    parameters = {
        "id": new_id(),
        "tenant": tx.tenant_id,
        "booking": booking_id,
        "template": template.value,
        "kind": kind,
        "recipient": recipient,
        "occasion": occasion,
        "due_at": due_at,
        "context": json.dumps(context),
    }
    return (await tx.connection.execute(_QUEUE, parameters)).scalar_one_or_none() is not None


async def due(tx: Transaction, limit: int) -> list[tuple[UUID, UUID]]:
    """(tenant, message) of what has to go out now, longest due first, over all tenants."""
    return [(row.tenant_id, row.id) for row in await tx.connection.execute(_DUE, {"limit": limit})]


async def stranded(tx: Transaction, age: timedelta, limit: int) -> list[tuple[UUID, UUID]]:
    """(tenant, message) of what a sender has had in its hands for longer than `age`, over all tenants."""
    rows = await tx.connection.execute(_STRANDED, {"age": age, "limit": limit})
    return [(row.tenant_id, row.id) for row in rows]


async def lock_due(tx: Transaction, message_id: UUID) -> tuple[Message, Booking] | None:
    """A due message and its booking, neither of which can change before the end of the transaction; None when
    another sender has the message."""
    parameters = {"id": message_id, "tenant": tx.tenant_id}
    booking_id = (await tx.connection.execute(_BOOKING_OF, parameters)).scalar_one()
    booking = (await tx.connection.execute(_SHARE, parameters | {"id": booking_id})).one()
    row = (await tx.connection.execute(_LOCK_DUE, parameters)).one_or_none()
    return (_message(row), _booking(booking)) if row is not None else None


async def lock_stranded(tx: Transaction, message_id: UUID, age: timedelta) -> Message | None:
    """The message that its sender left, None when that has been seen to."""
    parameters = {"id": message_id, "tenant": tx.tenant_id, "age": age}
    row = (await tx.connection.execute(_LOCK_STRANDED, parameters)).one_or_none()
    return _message(row) if row is not None else None


async def claim(tx: Transaction, message: Message) -> Message:
    """Marks the locked message as being sent: once this is committed, nobody else sends it."""
    parameters = {"id": message.id, "tenant": tx.tenant_id}
    return _message((await tx.connection.execute(_CLAIM, parameters)).one())


async def settle(
    tx: Transaction,
    message: Message,
    status: str,
    *,
    reason: str | None = None,
    provider_id: str | None = None,
    pause: timedelta = timedelta(0),
) -> Message | None:
    """Stores what became of the message; None when it is no longer as `message` says (then nothing changes)."""
    parameters = {
        "id": message.id,
        "tenant": tx.tenant_id,
        "expected": message.status,
        "status": status,
        "reason": reason,
        "provider_id": provider_id,
        "pause": pause,
    }
    row = (await tx.connection.execute(_SETTLE, parameters)).one_or_none()
    return _message(row) if row is not None else None


async def drop_queued(
    tx: Transaction,
    booking_id: UUID,
    template: Template,
    reason: str,
    *,
    only: str | None = None,
    not_of: str | None = None,
) -> None:
    """Takes back messages of this kind that have not gone out: of the occasion `only`, or of all but those whose
    occasion begins with `not_of`."""
    parameters = {
        "booking": booking_id,
        "tenant": tx.tenant_id,
        "template": template.value,
        "reason": reason,
        "only": only,
        "not_of": not_of,
    }
    await tx.connection.execute(_DROP_QUEUED, parameters)


async def keep_difference(tx: Transaction, booking_id: UUID, appointment_id: UUID) -> None:
    """The booking is a hold that kept a dearer time for the appointment."""
    parameters = {"booking": booking_id, "tenant": tx.tenant_id, "appointment": appointment_id}
    await tx.connection.execute(_KEEP_DIFFERENCE, parameters)


async def appointment_of(tx: Transaction, booking_id: UUID) -> UUID | None:
    """The appointment for which the booking kept a dearer time, None for all others."""
    parameters = {"booking": booking_id, "tenant": tx.tenant_id}
    found: UUID | None = (await tx.connection.execute(_APPOINTMENT_OF, parameters)).scalar_one_or_none()
    return found


async def note_refunded(tx: Transaction, booking_id: UUID, payment_id: UUID, refunded: int) -> None:
    """How much of the payment that the booking stands on has gone back, in the smallest unit."""
    parameters = {"id": booking_id, "tenant": tx.tenant_id, "payment": str(payment_id), "refunded": refunded}
    await tx.connection.execute(_NOTE_REFUNDED, parameters)


async def address(tx: Transaction, message: Message, hashed: bytes, most: int) -> timedelta | None:
    """Counts the message towards what this address gets in an hour, over all clinics; when that would be more than
    `most`, it is not counted, and the answer is how long until it may be."""
    parameters = {"tenant": tx.tenant_id, "id": message.id, "address": hashed, "most": most}
    wait: timedelta | None = (await tx.connection.execute(_ADDRESS, parameters)).scalar_one()
    return wait


async def page_of(tx: Transaction, booking_id: UUID, *, after: UUID | None, limit: int) -> list[Message]:
    """Messages about a booking, oldest first, behind the one with the id `after`."""
    parameters = {"booking": booking_id, "tenant": tx.tenant_id, "after": after, "limit": limit}
    return [_message(row) for row in await tx.connection.execute(_PAGE, parameters)]


async def messages_of(tx: Transaction, booking_id: UUID) -> list[Message]:
    """All messages about a booking, oldest first."""
    rows = await tx.connection.execute(_OF_BOOKING, {"booking": booking_id, "tenant": tx.tenant_id})
    return [_message(row) for row in rows]
