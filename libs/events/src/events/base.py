"""What an event is: a frozen pydantic model with a type, a topic and a key."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer
from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """A fresh UUID version 7: unique, and sorted by the millisecond it was made in (RFC 9562)."""
    return UUID(int=uuid7().int)


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("an instant needs a UTC offset")
    try:
        return value.astimezone(UTC)
    except OverflowError as error:  # pydantic turns a ValueError into a validation error, and nothing else
        raise ValueError("is before the year 1 or after 9999 in UTC") from error


def rfc3339(value: datetime) -> str:
    """`2026-12-01T08:00:00Z`, with microseconds only where there are any."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


Instant = Annotated[datetime, AfterValidator(_utc), PlainSerializer(rfc3339, return_type=str, when_used="json")]
"""A point in time, always UTC, `…Z` in JSON."""

Currency = Annotated[str, Field(pattern=r"^[a-z]{3}$", examples=["pln"])]


class Money(BaseModel):
    """An amount in the currency's smallest unit, as in Stripe: 300 PLN is `{"amount": 30000, "currency": "pln"}`."""

    model_config = ConfigDict(frozen=True)

    amount: int = Field(examples=[30000])
    currency: Currency


class Event(BaseModel):
    """A fact about one aggregate. `version` is the aggregate's: a consumer ignores one lower than it has seen."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    TYPE: ClassVar[str]
    TOPIC: ClassVar[str]
    KEY: ClassVar[Callable[["Event"], str]]

    tenant_id: UUID
    version: int = Field(ge=1, examples=[1])

    def key(self) -> str:
        """What has to stay in order: the Kafka key."""
        return type(self).KEY(self)


class State(Event):
    """The whole present state of one row, on a compacted topic; its end is a tombstone (see `Deleted`)."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """A tombstone of a state topic: the row with this key is no more."""

    type: str
    key: str
    tenant_id: UUID
    version: int


TYPES: dict[str, type[Event]] = {}
"""Every event type ever declared, by its name on the wire."""

E = TypeVar("E", bound=Event)


def attrgetter_text(name: str) -> Callable[[Any], str]:
    """A function that gives the named field as text."""
    return lambda event: str(getattr(event, name))


def declare(type_name: str, *, topic: str, key: str | Callable[[Any], str]) -> Callable[[type[E]], type[E]]:
    """Registers an event class under its wire name (`<owner>.<what_happened>.v<n>`), topic and key.

    `key` is the name of the field that has to stay in order, or a function of the event.
    """

    def register(cls: type[E]) -> type[E]:
        if type_name in TYPES:
            raise ValueError(f"the event type {type_name} is declared twice")
        cls.TYPE, cls.TOPIC = type_name, topic
        cls.KEY = staticmethod(attrgetter_text(key) if isinstance(key, str) else key)
        TYPES[type_name] = cls
        return cls

    return register
