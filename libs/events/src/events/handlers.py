"""`@on(Event)`: what a service reacts to is the list of these lines in its handlers.py."""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from events.base import Deleted, Event, State
from events.transaction import Transaction

E = TypeVar("E", bound=Event)
Reaction = Callable[[E, Transaction], Awaitable[None]]
DeletedReaction = Callable[[Deleted, Transaction], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Handler:
    """One reaction of one consumer to one event type (or to the end of one kind of state)."""

    consumer: str
    event: type[Event]
    react: Callable[..., Awaitable[None]]
    deleted: bool = False

    @property
    def name(self) -> str:
        """The reaction as a verb phrase: the function's name."""
        return self.react.__name__


_HANDLERS: dict[str, dict[tuple[str, bool], Handler]] = defaultdict(dict)


def _register(event: type[Event], react: Callable[..., Awaitable[None]], *, deleted: bool) -> None:
    consumer = react.__module__.split(".")[0]
    slot = (event.TYPE, deleted)
    if slot in _HANDLERS[consumer]:
        raise ValueError(f"{consumer} handles {event.TYPE} twice; make one call from one handler instead")
    _HANDLERS[consumer][slot] = Handler(consumer, event, react, deleted)


def on(event: type[E]) -> Callable[[Reaction[E]], Reaction[E]]:
    """Registers a handler of the service whose package the function is in.

    It runs inside one transaction together with its inbox mark. It may raise `Early`, `Retry` or `Invalid`.
    """

    def register(react: Reaction[E]) -> Reaction[E]:
        _register(event, react, deleted=False)
        return react

    return register


def on_deleted(state: type[State]) -> Callable[[DeletedReaction], DeletedReaction]:
    """Registers a handler of a state topic's tombstones."""

    def register(react: DeletedReaction) -> DeletedReaction:
        _register(state, react, deleted=True)
        return react

    return register


def handlers_of(consumer: str) -> dict[tuple[str, bool], Handler]:
    """The consumer's handlers by (event type, whether it is a tombstone)."""
    return dict(_HANDLERS[consumer])


def topics_of(consumer: str) -> list[str]:
    """The topics that the consumer has to read, sorted."""
    return sorted({handler.event.TOPIC for handler in _HANDLERS[consumer].values()})
