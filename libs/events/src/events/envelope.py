"""The envelope: CloudEvents 1.0 in Kafka's binary mode; attributes are headers, the value is the event's JSON."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from pydantic import ValidationError

from events.base import TYPES, Deleted, Event, State, new_id, rfc3339
from events.errors import Invalid

LONGEST_KEY = 500

Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Record:
    """What goes to a broker. A `value` of None is a tombstone."""

    topic: str
    key: str
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class Message(Record):
    """What came from a broker: a record with its place in the log."""

    partition: int
    offset: int

    def header(self, name: str) -> str | None:
        """The header's text, or None when it is absent."""
        return next((legible(value) for key, value in self.headers if key == name), None)

    @property
    def type(self) -> str:
        """The CloudEvents type, empty when the header is missing."""
        return self.header("ce_type") or ""


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who said what, when, about what, and because of what."""

    id: UUID
    type: str
    source: str
    subject: str
    time: datetime
    tenant_id: UUID
    correlation_id: UUID
    causation_id: UUID | None = None
    traceparent: str | None = None
    version: int = 1

    def headers(self) -> dict[str, str]:
        """The attributes as Kafka headers (CloudEvents Kafka binding 1.0.2, §3.2)."""
        headers = {
            "ce_specversion": "1.0",
            "ce_id": str(self.id),
            "ce_type": self.type,
            "ce_source": self.source,
            "ce_subject": self.subject,
            "ce_time": rfc3339(self.time),
            "content-type": "application/json",
            "tenantid": str(self.tenant_id),
            "correlationid": str(self.correlation_id),
            "version": str(self.version),
        }
        if self.causation_id:
            headers["causationid"] = str(self.causation_id)
        if self.traceparent:
            headers["traceparent"] = self.traceparent
        return headers

    @classmethod
    def of(cls, message: Message) -> "Envelope":
        """Reads the attributes back; `Invalid` when a required one is missing or malformed."""
        found = {key: legible(value) for key, value in message.headers}
        try:
            return cls(
                id=UUID(found["ce_id"]),
                type=found["ce_type"],
                source=found["ce_source"],
                subject=found.get("ce_subject", message.key),
                time=_instant(found["ce_time"]),
                tenant_id=UUID(found["tenantid"]),
                correlation_id=UUID(found["correlationid"]),
                causation_id=UUID(found["causationid"]) if "causationid" in found else None,
                traceparent=found.get("traceparent"),
                version=int(found.get("version", "1")),
            )
        except (KeyError, ValueError, OverflowError) as error:
            raise Invalid(f"the envelope is malformed: {error!r}") from error


def seal(
    event: Event | Deleted,
    *,
    source: str,
    correlation_id: UUID | None = None,
    cause: Envelope | None = None,
    traceparent: str | None = None,
) -> tuple[Envelope, Record]:
    """Wraps an event: its envelope and the record that goes to the broker."""
    event_type = event.type if isinstance(event, Deleted) else event.TYPE
    key = event.key if isinstance(event, Deleted) else event.key()
    identity = new_id()
    envelope = Envelope(
        id=identity,
        type=event_type,
        source=f"holdfast/{source}",
        subject=key,
        time=datetime.now(UTC),
        tenant_id=event.tenant_id,
        correlation_id=correlation_id or (cause.correlation_id if cause else identity),
        causation_id=cause.id if cause else None,
        traceparent=traceparent or (cause.traceparent if cause else None),
        version=event.version,
    )
    value = None if isinstance(event, Deleted) else event.model_dump_json().encode()
    return envelope, Record(TYPES[event_type].TOPIC, key, value, as_headers(envelope.headers().items()))


def unseal(message: Message) -> Event | Deleted:
    """The typed event in a message; `Invalid` when its type is unknown or its value does not fit the type."""
    cls = TYPES.get(message.type)
    if cls is None:
        raise Invalid(f"the event type {message.type!r} is unknown here")
    if message.value is None:
        if not issubclass(cls, State):
            raise Invalid(f"{message.type} came without a value, and only state can be deleted")
        envelope = Envelope.of(message)
        return Deleted(message.type, message.key, envelope.tenant_id, envelope.version)
    try:
        return cls.model_validate_json(message.value)
    except ValidationError as error:
        raise Invalid(f"the value does not fit {message.type}: {error}") from error


def as_headers(items: Iterable[tuple[str, str]]) -> Headers:
    """Text headers as the bytes that Kafka carries."""
    return tuple((key, value.encode()) for key, value in items)


def legible(raw: bytes) -> str:
    """Bytes that should be text, as text that PostgreSQL can store: what is not UTF-8, and NUL, is shown escaped."""
    return raw.decode(errors="backslashreplace").replace("\x00", "\\x00")


def legible_key(raw: bytes) -> str:
    """A message's key likewise, short enough for an index of the database: ours are ids, a stranger's may be long."""
    text = legible(raw)
    return text if len(text) <= LONGEST_KEY else hashlib.sha256(raw).hexdigest()


def _instant(text: str) -> datetime:
    value = datetime.fromisoformat(text)
    if value.tzinfo is None:
        raise ValueError(f"{text!r} has no UTC offset")
    return value.astimezone(UTC)
