"""The topic registry: every topic, its owner, what kind it is and how it is made. Never auto-created."""

from dataclasses import dataclass, field
from typing import Literal

FOREVER = "-1"
SEVEN_DAYS = str(7 * 24 * 3600 * 1000)


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `facts` are kept (for ever by default), `state` is compacted, `dead` are copies for people."""

    name: str
    owner: str
    kind: Literal["facts", "state", "dead"]
    about: str
    partitions: int = 6
    configs: dict[str, str] = field(default_factory=dict)


def _facts(owner: str, about: str) -> Topic:
    return Topic(f"holdfast.{owner}", owner, "facts", about, configs={"retention.ms": FOREVER})


def _state(name: str, owner: str, about: str) -> Topic:
    compacted = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.2", "segment.ms": SEVEN_DAYS}
    return Topic(f"holdfast.{name}", owner, "state", about, configs=compacted)


CONSUMERS = ("identity", "availability", "booking", "payment", "calendar_sync", "notification", "insight")
"""The consumer groups that change something; each has its dead-letter topic."""

BOOKING = "holdfast.booking"
PAYMENT = "holdfast.payment"
AVAILABILITY = "holdfast.availability"
CALENDAR = "holdfast.calendar"
NOTIFICATION = "holdfast.notification"
IDENTITY = "holdfast.identity"
CATALOG = "holdfast.catalog"
OCCUPANCY = "holdfast.occupancy"
BUSY = "holdfast.busy"


def dead_letters(consumer: str) -> str:
    """The topic with copies of what a consumer could not handle."""
    return f"holdfast.{consumer}.dead"


TOPICS: tuple[Topic, ...] = (
    _facts("booking", "holds, appointments and slots; keyed by booking or slot"),
    _facts("payment", "checkouts, payments and refunds; keyed by booking"),
    _facts("availability", "what became taken or free; keyed by resource"),
    _facts("calendar", "external calendars; keyed by connection"),
    _facts("notification", "messages; keyed by booking"),
    _facts("identity", "tenants and users; keyed by tenant or user"),
    _state("catalog", "availability", "offerings and resources as they are now"),
    _state("occupancy", "booking", "one row an (owner, resource): range and version"),
    _state("busy", "calendar_sync", "one row an external event within a mirror's generation"),
    *(
        Topic(
            dead_letters(name), name, "dead", f"copies of what {name} could not handle", 1,
            {"retention.ms": FOREVER},
        )
        for name in CONSUMERS
    ),
)  # fmt: skip

BY_NAME = {topic.name: topic for topic in TOPICS}
