"""`@on(Event)`: what a service reacts to is the list of these lines in its handlers.py."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

from events.base import Deleted, Event, State
from events.transaction import Transaction

E = TypeVar("E", bound=Event)
Old = TypeVar("Old", bound=Event)
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
_UPCASTS: dict[type[Event], tuple[type[Event], Callable[[Any], Event]]] = {}


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


def upcast(old: type[Old], new: type[E]) -> Callable[[Callable[[Old], E]], Callable[[Old], E]]:
    """Registers how an event of a former version becomes one of the next: whoever handles the new version is given
    the old events too, and keeps no handler for them. Declared beside the contracts."""

    def register(convert: Callable[[Old], E]) -> Callable[[Old], E]:
        if old in _UPCASTS:
            raise ValueError(f"{old.TYPE} is upcast twice")
        _UPCASTS[old] = (new, convert)
        return convert

    return register


def handlers_of(consumer: str) -> dict[tuple[str, bool], Handler]:
    """The consumer's handlers by (event type, whether it is a tombstone), those of upcast versions included."""
    return with_upcasts(_HANDLERS[consumer])


def with_upcasts(handlers: Mapping[tuple[str, bool], Handler]) -> dict[tuple[str, bool], Handler]:
    """Adds a handler for each former version whose successor is handled."""
    complete = dict(handlers)
    for old in reversed(_UPCASTS):  # newest first: a chain v1 → v2 → v3 is followed from its end
        new, convert = _UPCASTS[old]
        handler = complete.get((new.TYPE, False))
        if handler is not None and (old.TYPE, False) not in complete:
            complete[old.TYPE, False] = Handler(handler.consumer, old, _converted(handler, convert))
    return complete


def _converted(handler: Handler, convert: Callable[[Any], Event]) -> Callable[..., Awaitable[None]]:
    @wraps(handler.react)
    async def react(event: Event, tx: Transaction) -> None:
        await handler.react(convert(event), tx)

    return react
