"""Sending: claim in one transaction, call the provider in none, store what became of it in another.

Neither provider knows idempotency keys. So a message is marked `sending` and committed before the call; when its fate
is not known afterwards it is `unknown`, said to be failed, and never sent again by itself.
"""

import asyncio
import hmac
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import assert_never
from uuid import UUID

import structlog

from events import Transaction
from events.contracts.availability import OfferingState, ResourceState
from events.contracts.identity import TenantChanged
from events.contracts.notification import MessageFailed, MessageSent
from notification import letters, moves, recipients, rendering, repository
from notification.domain import (
    MOST_ATTEMPTS,
    MOVED,
    PUT_OFF_FOR,
    TEXTED,
    BookingStatus,
    Template,
    is_true,
    retry_pause,
)
from notification.letters import Facts, Letter
from notification.providers import Attachment, Away, Channels, Email, Refused, Unknown
from notification.recipients import Recipient
from notification.repository import Booking, Message
from notification.settings import NotificationSettings
from servicekit import copies, ics
from servicekit.problems import NotFound, Unavailable
from servicekit.service import Service

log = structlog.get_logger(__name__)

AT_ONCE = 8
RUN_SECONDS = 10.0
"""A run takes up new work for this long, so that one slow call delays no other message, and the service can end."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider took it."""

    provider_id: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """Nothing was to be sent after all."""

    reason: str


@dataclass(frozen=True, slots=True)
class PutOff:
    """Its address has had as many messages in the last hour as it may get; it is tried again after `pause`."""

    pause: timedelta


LIMIT_REACHED = "recipient_limit"
Outcome = Sent | Dropped | PutOff | Refused | Away | Unknown


async def send_due(service: Service) -> None:
    """Sends what is due, several at once, until nothing is left (or the run's time is over)."""
    running: dict[UUID, asyncio.Task[None]] = {}
    until = time.monotonic() + RUN_SECONDS
    try:
        while True:
            if len(running) < AT_ONCE and time.monotonic() < until:
                async with service.database.transaction() as tx:
                    due = await repository.due(tx, 2 * AT_ONCE)
                for tenant_id, message_id in due:
                    if len(running) < AT_ONCE and message_id not in running:
                        running[message_id] = asyncio.create_task(send(service, tenant_id, message_id))
            if not running:
                return
            done, _ = await asyncio.wait(running.values(), timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
            running = {key: task for key, task in running.items() if task not in done}
            for task in done:
                task.result()
    finally:
        await asyncio.gather(*running.values(), return_exceptions=True)


async def send(service: Service, tenant_id: UUID, message_id: UUID) -> None:
    """One message, unless another sender has it or it is not true any more."""
    facts = await _claim(service, tenant_id, message_id)
    if facts is None:
        return
    try:
        recipient = await recipients.resolve(
            service, facts.message, facts.booking, facts.provider.time_zone if facts.provider else None
        )
        wait = await _wait(service, facts.message, recipient)
        outcome: Outcome = PutOff(wait) if wait else Sent(await _call(service.get(Channels), facts, recipient))
    except Unavailable:
        outcome = Away("identity_away")
    except NotFound:
        outcome = Refused("no_such_recipient")
    except _Drop as drop:
        outcome = Dropped(drop.reason)
    except (Refused, Away, Unknown) as failure:
        outcome = failure
    await _store(service, facts.message, outcome)


async def end_interrupted(service: Service) -> None:
    """Messages whose sender is gone become `unknown`."""
    age = timedelta(seconds=service.get(NotificationSettings).interrupted_after_seconds)
    async with service.database.transaction() as tx:
        left = await repository.stranded(tx, age, 100)
    for tenant_id, message_id in left:
        async with service.database.transaction(tenant_id) as tx:
            message = await repository.lock_stranded(tx, message_id, age)
        if message is not None:
            await _store(service, message, Unknown("interrupted"))


class _Drop(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def _claim(service: Service, tenant_id: UUID, message_id: UUID) -> Facts | None:
    """Everything needed to send the message, which is then in our hands; None when there is nothing to send."""
    async with service.database.transaction(tenant_id) as tx:
        found = await repository.lock_due(tx, message_id)
        if found is None:
            return None
        message, booking = found
        if reason := _untrue(message, booking):
            await repository.settle(tx, message, "dropped", reason=reason)
            return None
        tenant = await copies.find(tx, TenantChanged, str(tenant_id))
        offering = await copies.find(tx, OfferingState, f"offering:{booking.offering_id}")
        if tenant is None or offering is None:
            # Topics lag independently: what the words are made of is on its way.
            await repository.settle(tx, message, "queued", reason="catalogue_not_here", pause=timedelta(seconds=2))
            return None
        provider = await _resource(tx, booking.provider_id)
        former = await _resource(tx, message.context.get("previous_provider"))
        affected = await _resource(tx, message.context.get("resource"))
        message = await repository.claim(tx, message)
    public_url = service.get(NotificationSettings).public_url.rstrip("/")
    sealed = booking.terms.get("hold" if message.template is Template.WAITLIST_OFFERED else "manage")
    token = service.sealer("links").open(sealed, str(booking.id)) if sealed else None
    return Facts(message, booking, tenant, offering, provider, public_url, token, former, affected)


async def _resource(tx: Transaction, resource_id: UUID | str | None) -> ResourceState | None:
    return await copies.find(tx, ResourceState, f"resource:{resource_id}") if resource_id else None


def _untrue(message: Message, booking: Booking) -> str | None:
    """Why the message must not go out any more, None when it may."""
    if not is_true(message.template, booking.status):
        return f"booking_{booking.status}"
    if message.template is Template.REMINDER:
        if datetime.fromisoformat(message.context["start"]) != booking.start_at:
            return "visit_moved"
        if booking.start_at <= datetime.now(UTC):
            return "visit_began"
    if message.template in MOVED and not moves.is_newest(booking, message.context):
        return "visit_moved"
    offered = message.template is Template.WAITLIST_OFFERED
    if offered and datetime.fromisoformat(message.context["deadline"]) <= datetime.now(UTC):
        return "offer_over"
    return None


async def _wait(service: Service, message: Message, recipient: Recipient) -> timedelta | None:
    """How long the message has to wait, since its address has had so many in the last hour; None when it may go out,
    and is counted. Who works at the clinic gets whatever happens there."""
    address = recipient.phone if message.kind == "sms" else recipient.email
    if not message.recipient.startswith("contact:") or not address:
        return None
    most = service.get(NotificationSettings).messages_an_hour
    async with service.database.transaction(message.tenant_id) as tx:
        return await repository.address(tx, message, _hashed(service, f"{message.kind}:{address}"), most)


def _hashed(service: Service, address: str) -> bytes:
    """What stands for an address: of no use without the deployment's key."""
    key = next(iter(service.keys.of("people").values()))
    return hmac.digest(key, f"recipient\x00{address.strip().casefold()}".encode(), "sha256")


async def _call(channels: Channels, facts: Facts, recipient: Recipient) -> str:
    """Renders the message and hands it to its provider."""
    letter = letters.compose(facts, recipient.reader)
    match facts.message.kind:
        case "sms":
            if not recipient.phone:
                raise _Drop("no_phone")
            if channels.sms is None:
                raise Refused("no_sms_provider_configured")
            return await channels.sms.send(facts.message.id, recipient.phone, letter.sms)
        case _:
            if not recipient.email:
                raise _Drop("no_email") if recipient.phone else Refused("no_address")
            if channels.email is None:
                raise Refused("no_email_provider_configured")
            return await channels.email.send(facts.message.id, _email(channels, facts, recipient, letter))


def _email(channels: Channels, facts: Facts, recipient: Recipient, letter: Letter) -> Email:
    assert recipient.email is not None
    return Email(
        sender=channels.from_email,
        sender_name=facts.tenant.name,
        to=recipient.email,
        to_name=recipient.name,
        subject=letter.subject,
        text=rendering.text(letter),
        html=rendering.html(letter),
        attachments=_calendar(channels, facts, recipient.email, letter),
    )


_ENTERED = frozenset((Template.BOOKING_CONFIRMED, Template.BOOKING_RESCHEDULED, Template.BOOKING_CHANGED))
_TAKEN_OUT = frozenset((Template.BOOKING_REJECTED, Template.BOOKING_UNFULFILLABLE))


def _method(message: Message, booking: Booking) -> ics.Method | None:
    """What the message does to the patient's calendar. A request that was never confirmed is not in it."""
    if message.template in _ENTERED and booking.status is BookingStatus.CONFIRMED:
        return "REQUEST"
    gone = message.template in _TAKEN_OUT and booking.terms.get("stood")
    return "CANCEL" if gone or message.template is Template.BOOKING_CANCELLED else None


def _calendar(channels: Channels, facts: Facts, email: str, letter: Letter) -> tuple[Attachment, ...]:
    method = _method(facts.message, facts.booking)
    if method is None:
        return ()
    entry = ics.CalendarEntry(
        booking_id=facts.booking.id,
        sequence=facts.message.context["version"],
        stamp=facts.message.created_at,
        start=facts.booking.start_at,
        end=facts.booking.end_at,
        summary=f"{facts.offering.name}, {facts.tenant.name}",
        description=f"{letter.subtitle}\n{letter.url}",
        url=letter.url,
        organizer=channels.from_email,
        organizer_name=facts.tenant.name,
        attendee=email,
    )
    parameters = {"method": method, "charset": "utf-8"}
    return (Attachment(ics.FILENAME, ics.CONTENT_TYPE, ics.calendar_file(entry, method), parameters),)


async def _store(service: Service, message: Message, outcome: Outcome) -> None:
    """What became of the message, and what others should know of it."""
    async with service.database.transaction(message.tenant_id) as tx:
        match outcome:
            case Sent(provider_id):
                stored = await repository.settle(tx, message, "sent", provider_id=provider_id)
                if stored is not None:
                    await tx.emit(MessageSent(**_fact(stored)), correlation_id=message.booking_id)
            case Dropped(reason):
                await repository.settle(tx, message, "dropped", reason=reason)
                if reason == "no_email" and message.template not in TEXTED:
                    await repository.queue(
                        tx,
                        message.booking_id,
                        message.template,
                        "sms",
                        message.recipient,
                        message.occasion,
                        message.context,
                    )
                    tx.wake("send_messages")
            case PutOff(pause):
                if datetime.now(UTC) + pause > message.wanted_at + PUT_OFF_FOR:
                    await repository.settle(tx, message, "dropped", reason=LIMIT_REACHED)
                else:
                    await repository.settle(tx, message, "queued", reason=LIMIT_REACHED, pause=pause)
            case Away() if message.attempts < MOST_ATTEMPTS:
                pause = retry_pause(message.attempts, outcome.retry_after)
                await repository.settle(tx, message, "queued", reason=outcome.reason, pause=pause)
                log.warning("a message waits for its provider", message=str(message.id), reason=outcome.reason)
            case Away() | Refused() | Unknown():
                status = "unknown" if isinstance(outcome, Unknown) else "failed"
                stored = await repository.settle(tx, message, status, reason=outcome.reason)
                if stored is not None:
                    failed = MessageFailed(**_fact(stored), reason=outcome.reason)
                    await tx.emit(failed, correlation_id=message.booking_id)
                    log.error("a message failed", message=str(message.id), status=status, reason=outcome.reason)
            case _:
                assert_never(outcome)


def _fact(message: Message) -> dict[str, object]:
    return {
        "tenant_id": message.tenant_id,
        "version": message.version,
        "message_id": message.id,
        "booking_id": message.booking_id,
        "kind": message.kind,
        "template": message.template.value,
    }
