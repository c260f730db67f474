"""All SQL of payment. Lock order everywhere: account → payment."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from events import Transaction, new_id
from payment.domain import Desired, Status
from payment.providers.stripe import WebhookEvent


@dataclass(frozen=True, slots=True)
class Account:
    """A booking's money: locked while it is changed."""

    booking_id: UUID
    tenant_id: UUID
    version: int
    ended: bool


@dataclass(frozen=True, slots=True)
class Refund:
    """Money that goes back. `reason` is the event's word for why, `note` what staff said, `requested_by` who did."""

    id: UUID
    payment_id: UUID
    amount: int
    currency: str
    status: str  # starting | succeeded | failed
    reason: str
    note: str | None
    requested_by: UUID | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Payment:
    """One attempt to pay. Money is in the smallest unit. `keep` is the most that is kept of it."""

    id: UUID
    tenant_id: UUID
    booking_id: UUID
    attempt: int
    mode: str
    capture: bool
    amount: int
    currency: str
    status: Status
    desired: Desired
    keep: int
    reason: str
    request: dict[str, Any]
    session_id: str | None
    intent_id: str | None
    url: str | None
    session_expires_at: datetime
    hold_ends: datetime
    captured: int
    refunded: int
    answered: bool
    announcement: dict[str, Any] | None
    announced_at: datetime | None
    failures: int
    due_at: datetime | None
    check_at: datetime | None
    created_at: datetime
    hold_is_over: bool  # by the database's clock


_COLUMNS = ", ".join(
    "p.hold_ends <= now() AS hold_is_over" if field.name == "hold_is_over" else f"p.{field.name}"
    for field in fields(Payment)
)
_ACCOUNT = text("""
INSERT INTO account (booking_id, tenant_id) VALUES (:booking, :tenant) ON CONFLICT DO NOTHING
""")
_LOCK_ACCOUNT = text("SELECT * FROM account WHERE booking_id = :booking AND tenant_id = :tenant FOR NO KEY UPDATE")
# In a fixed order: whoever locks several accounts waits for nobody who waits for them.
_LOCK_ACCOUNTS = text("""
SELECT 1 FROM account WHERE (booking_id = :appointment OR appointment_id = :appointment) AND tenant_id = :tenant
ORDER BY booking_id FOR NO KEY UPDATE
""")
_BELONGS_TO = text(
    "UPDATE account SET appointment_id = :appointment WHERE booking_id = :booking AND tenant_id = :tenant"
)
_SAID = text("""
UPDATE account SET version = version + :count WHERE booking_id = :booking AND tenant_id = :tenant RETURNING version
""")
_END = text("UPDATE account SET ended = true WHERE booking_id = :booking AND tenant_id = :tenant")
_ONE = text(f"SELECT {_COLUMNS} FROM payment p WHERE p.id = :id AND p.tenant_id = :tenant")
_OF_BOOKING = text(f"""
SELECT {_COLUMNS} FROM payment p WHERE p.booking_id = :booking AND p.tenant_id = :tenant ORDER BY p.attempt DESC
""")
_OF_APPOINTMENT = text(f"""
SELECT {_COLUMNS} FROM payment p JOIN account a ON a.booking_id = p.booking_id
WHERE (a.booking_id = :appointment OR a.appointment_id = :appointment) AND p.tenant_id = :tenant
ORDER BY a.booking_id = :appointment DESC, p.created_at, p.id
""")
_INSERT = text("""
INSERT INTO payment (id, tenant_id, booking_id, attempt, mode, capture, amount, keep, currency, status, request,
  session_expires_at, hold_ends, due_at)
VALUES (:id, :tenant, :booking, :attempt, :mode, :capture, :amount, :amount, :currency, :status,
  CAST(:request AS jsonb), :session_expires_at, :hold_ends, :due_at)
""")
_RECEIVE = text("""
INSERT INTO webhook (event_id, type, object_id, intent_id, payment_id, status)
VALUES (:id, :type, :object, :intent, :payment, :status)
ON CONFLICT DO NOTHING RETURNING 1
""")
_RECEIVED = text("""
SELECT event_id, type, object_id, intent_id, payment_id FROM webhook
WHERE status = 'received' ORDER BY received_at LIMIT :limit
""")
_WEBHOOK_DONE = text("UPDATE webhook SET status = :status WHERE event_id = :id")
_PAYMENT_OF = text("SELECT tenant_id, id FROM payment_of(:session, :intent, :payment)")
_LEDGER = text("""
INSERT INTO ledger (tenant_id, booking_id, payment_id, reference, debit, credit, amount, currency)
VALUES (:tenant, :booking, :payment, :reference, :debit, :credit, :amount, :currency) ON CONFLICT DO NOTHING
""")
_REFUND = ", ".join(f"r.{field.name}" for field in fields(Refund))
_OPEN_REFUND = text(f"""
SELECT {_REFUND} FROM refund r WHERE r.payment_id = :payment AND r.tenant_id = :tenant AND r.status = 'starting'
ORDER BY r.id LIMIT 1
""")
_NEW_REFUND = text(f"""
INSERT INTO refund AS r (id, tenant_id, payment_id, amount, currency, reason, note, requested_by)
VALUES (:id, :tenant, :payment, :amount, :currency, :reason, :note, :requested_by) RETURNING {_REFUND}
""")
_REFUND_DONE = text("""
UPDATE refund SET status = :status, stripe_id = coalesce(:stripe, stripe_id) WHERE id = :id AND tenant_id = :tenant
""")
_REFUND_BY_STRIPE = text(f"SELECT {_REFUND} FROM refund r WHERE r.stripe_id = :stripe AND r.tenant_id = :tenant")
_REFUNDS_OF = text(f"""
SELECT {_REFUND} FROM refund r JOIN payment p ON p.id = r.payment_id JOIN account a ON a.booking_id = p.booking_id
WHERE (a.booking_id = :appointment OR a.appointment_id = :appointment) AND r.tenant_id = :tenant
  AND (CAST(:after AS uuid) IS NULL OR r.id > CAST(:after AS uuid))
ORDER BY r.id LIMIT :limit
""")
_ANNOUNCE_AGAIN = text("""
INSERT INTO outbox (topic, key, headers, payload)
SELECT a->>'topic', a->>'key', a->'headers', a->>'payload' FROM (
  SELECT announcement AS a FROM payment WHERE id = :id AND tenant_id = :tenant AND NOT answered) AS again
""")


async def lock_account(tx: Transaction, booking_id: UUID, *, create: bool = False) -> Account | None:
    """The booking's account, locked; None when nothing was ever to be paid (unless it is to be made)."""
    parameters = {"booking": booking_id, "tenant": tx.tenant_id}
    if create:
        await tx.connection.execute(_ACCOUNT, parameters)
    row = (await tx.connection.execute(_LOCK_ACCOUNT, parameters)).one_or_none()
    return Account(row.booking_id, row.tenant_id, row.version, row.ended) if row is not None else None


async def count_version(tx: Transaction, booking_id: UUID, count: int = 1) -> int:
    """Counts what is said about the booking's money; returns the newest version."""
    parameters = {"booking": booking_id, "tenant": tx.tenant_id, "count": count}
    version: int = (await tx.connection.execute(_SAID, parameters)).scalar_one()
    return version


async def end_account(tx: Transaction, booking_id: UUID) -> None:
    """No Checkout is opened for the booking any more."""
    await tx.connection.execute(_END, {"booking": booking_id, "tenant": tx.tenant_id})


async def insert(tx: Transaction, **values: Any) -> Payment:
    """A new attempt."""
    values["request"] = json.dumps(values["request"])
    await tx.connection.execute(_INSERT, values | {"tenant": tx.tenant_id})
    found = await find(tx, values["id"])
    assert found is not None
    return found


async def find(tx: Transaction, payment_id: UUID) -> Payment | None:
    """The payment."""
    row = (await tx.connection.execute(_ONE, {"id": payment_id, "tenant": tx.tenant_id})).one_or_none()
    return _payment(row) if row is not None else None


async def lock(tx: Transaction, payment_id: UUID) -> Payment:
    """The payment, with its booking's account locked (which is what every change of a payment locks)."""
    payment = await find(tx, payment_id)
    assert payment is not None, "payments are never deleted"
    await lock_account(tx, payment.booking_id)
    again = await find(tx, payment_id)
    assert again is not None
    return again


async def of_booking(tx: Transaction, booking_id: UUID) -> Sequence[Payment]:
    """The booking's attempts, the newest first."""
    rows = await tx.connection.execute(_OF_BOOKING, {"booking": booking_id, "tenant": tx.tenant_id})
    return [_payment(row) for row in rows]


async def lock_accounts(tx: Transaction, appointment_id: UUID) -> None:
    """Locks the appointment's account and those of the differences that were paid to move it."""
    await tx.connection.execute(_LOCK_ACCOUNTS, {"appointment": appointment_id, "tenant": tx.tenant_id})


async def belongs_to(tx: Transaction, booking_id: UUID, appointment_id: UUID) -> None:
    """What was paid for the booking belongs to the appointment."""
    parameters = {"booking": booking_id, "appointment": appointment_id, "tenant": tx.tenant_id}
    await tx.connection.execute(_BELONGS_TO, parameters)


async def of_appointment(tx: Transaction, appointment_id: UUID) -> Sequence[Payment]:
    """All attempts to pay for the appointment, its own first, then those of differences, each oldest first."""
    rows = await tx.connection.execute(_OF_APPOINTMENT, {"appointment": appointment_id, "tenant": tx.tenant_id})
    return [_payment(row) for row in rows]


async def update(tx: Transaction, payment: Payment, **values: Any) -> Payment:
    """Changes columns of a payment whose account is locked. A `timedelta` for a time means so long from now."""
    parameters: dict[str, Any] = {"row_id": payment.id, "row_tenant": tx.tenant_id}
    changes = ["updated_at = now()"]
    for name, value in values.items():
        if isinstance(value, timedelta):
            changes.append(f"{name} = now() + CAST(:{name} AS interval)")
        elif name == "announcement":
            changes.append(f"{name} = CAST(:{name} AS jsonb)")
            value = json.dumps(value)
        else:
            changes.append(f"{name} = :{name}")
        parameters[name] = value
    statement = text(
        f"UPDATE payment p SET {', '.join(changes)} WHERE id = :row_id AND tenant_id = :row_tenant RETURNING {_COLUMNS}"
    )
    return _payment((await tx.connection.execute(statement, parameters)).one())


async def enter(tx: Transaction, payment: Payment, *, reference: str, debit: str, credit: str, amount: int) -> None:
    """A line of the ledger: `amount` goes from `credit` to `debit`. The reference makes it count once."""
    await tx.connection.execute(
        _LEDGER,
        {
            "tenant": tx.tenant_id,
            "booking": payment.booking_id,
            "payment": payment.id,
            "reference": reference,
            "debit": debit,
            "credit": credit,
            "amount": amount,
            "currency": payment.currency,
        },
    )


async def refund_in_hand(tx: Transaction, payment: Payment, amount: int) -> Refund:
    """The payment's oldest refund whose outcome is not known, else a new one of this amount: what has been begun is
    ended under its own id before anything else goes back."""
    parameters = {"payment": payment.id, "tenant": tx.tenant_id}
    row = (await tx.connection.execute(_OPEN_REFUND, parameters)).one_or_none()
    if row is not None:
        return Refund(**row._mapping)
    return await begin_refund(tx, payment, amount, payment.reason)


async def begin_refund(
    tx: Transaction,
    payment: Payment,
    amount: int,
    reason: str,
    *,
    note: str | None = None,
    requested_by: UUID | None = None,
) -> Refund:
    """Writes a refund down. Whoever does so has lowered the payment's `keep` by its amount before."""
    parameters = {
        "id": new_id(),
        "tenant": tx.tenant_id,
        "payment": payment.id,
        "amount": amount,
        "currency": payment.currency,
        "reason": reason,
        "note": note,
        "requested_by": requested_by,
    }
    return Refund(**(await tx.connection.execute(_NEW_REFUND, parameters)).one()._mapping)


async def refund_ended(tx: Transaction, refund_id: UUID, *, status: str, stripe_id: str | None) -> None:
    """What became of a refund."""
    await tx.connection.execute(
        _REFUND_DONE, {"id": refund_id, "tenant": tx.tenant_id, "status": status, "stripe": stripe_id}
    )


async def refund_by_stripe(tx: Transaction, stripe_id: str) -> Refund | None:
    """Our refund by Stripe's id."""
    row = (await tx.connection.execute(_REFUND_BY_STRIPE, {"stripe": stripe_id, "tenant": tx.tenant_id})).one_or_none()
    return Refund(**row._mapping) if row is not None else None


async def refunds_of(tx: Transaction, appointment_id: UUID, *, after: UUID | None, limit: int) -> list[Refund]:
    """The appointment's refunds, oldest first, behind the one with the id `after`."""
    parameters = {"appointment": appointment_id, "tenant": tx.tenant_id, "after": after, "limit": limit}
    return [Refund(**row._mapping) for row in await tx.connection.execute(_REFUNDS_OF, parameters)]


async def announce_again(tx: Transaction, payment: Payment) -> None:
    """The event of the success goes out once more, with the same id."""
    await tx.connection.execute(_ANNOUNCE_AGAIN, {"id": payment.id, "tenant": tx.tenant_id})
    tx.wake("relay")


async def receive(tx: Transaction, event: WebhookEvent, *, status: str) -> bool:
    """Stores a webhook once, as `received` (to be acted on) or `ignored`; False when it was here before."""
    parameters = {
        "id": event.id,
        "type": event.type,
        "object": event.object_id,
        "intent": event.intent_id,
        "payment": event.payment_id,
        "status": status,
    }
    return (await tx.connection.execute(_RECEIVE, parameters)).scalar_one_or_none() is not None


async def received(tx: Transaction, limit: int = 50) -> list[WebhookEvent]:
    """Webhooks that were not acted on yet, oldest first."""
    rows = await tx.connection.execute(_RECEIVED, {"limit": limit})
    return [WebhookEvent(row.event_id, row.type, row.object_id, row.intent_id, row.payment_id) for row in rows]


async def webhook_done(tx: Transaction, event_id: str, status: str) -> None:
    """`done`, or `ignored` when it is not about anything of ours."""
    await tx.connection.execute(_WEBHOOK_DONE, {"id": event_id, "status": status})


async def payment_of(tx: Transaction, event: WebhookEvent) -> tuple[UUID, UUID] | None:
    """(tenant, payment) that a webhook is about; None when it is none of ours."""
    parameters = {"session": event.object_id, "intent": event.intent_id, "payment": event.payment_id}
    row = (await tx.connection.execute(_PAYMENT_OF, parameters)).one_or_none()
    return (row.tenant_id, row.id) if row is not None else None


async def due(tx: Transaction, limit: int = 50) -> list[tuple[UUID, UUID]]:
    """(tenant, payment) of what has to be moved."""
    rows = await tx.connection.execute(text("SELECT tenant_id, id FROM due_payments(:limit)"), {"limit": limit})
    return [(row.tenant_id, row.id) for row in rows]


async def unchecked(tx: Transaction, limit: int = 50) -> list[tuple[UUID, UUID]]:
    """(tenant, payment) of what Stripe has to be asked about, since no webhook came."""
    rows = await tx.connection.execute(text("SELECT tenant_id, id FROM unchecked_payments(:limit)"), {"limit": limit})
    return [(row.tenant_id, row.id) for row in rows]


async def unanswered(tx: Transaction, age: timedelta, limit: int = 50) -> list[tuple[UUID, UUID]]:
    """(tenant, payment) of successes that booking has said nothing about for so long."""
    rows = await tx.connection.execute(
        text("SELECT tenant_id, id FROM unanswered_payments(CAST(:age AS interval), :limit)"),
        {"age": age, "limit": limit},
    )
    return [(row.tenant_id, row.id) for row in rows]


def _payment(row: Row[Any]) -> Payment:
    values = dict(row._mapping)
    values["status"] = Status(values["status"])
    values["desired"] = Desired(values["desired"])
    return Payment(**values)


async def now(tx: Transaction) -> datetime:
    """The database's clock."""
    moment: datetime = (await tx.connection.execute(text("SELECT now()"))).scalar_one()
    return moment
