"""One event, handled exactly once or parked: what every transport that delivers at least once can call."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import UUID

from events import parking
from events.envelope import Envelope, Message
from events.errors import Invalid
from events.handlers import Handler
from events.metrics import DELAY, HANDLED
from events.reaction import Pause, Transactions, event_id_of, insist, react, try_in_place
from events.transaction import Transaction, traceparent

AT_ONCE = 8

Note = Callable[[Transaction, Message], Awaitable[None]]


async def _note_nothing(_: Transaction, __: Message) -> None:
    return None


class Handling:
    """A consumer's handlers with their inbox and parked table."""

    def __init__(
        self,
        name: str,
        transactions: Transactions,
        handlers: dict[tuple[str, bool], Handler],
        *,
        on_parked: Callable[[], None],
        note: Note = _note_nothing,
        at_once: int = AT_ONCE,
    ) -> None:
        """`note` is awaited in every transaction that settles a message, to keep a position beside the effect.
        `at_once` bounds the transactions, so that a backlog leaves connections to requests."""
        self.name = name
        self._transactions = transactions
        self._handlers = handlers
        self._on_parked = on_parked
        self._note = note
        self._at_once = asyncio.Semaphore(at_once)

    def knows(self, message: Message) -> bool:
        """Whether the message is for one of the handlers (or cannot be told to be for others)."""
        return not message.type or (message.type, message.value is None) in self._handlers

    async def handle(self, message: Message, pause: Pause, still_waiting: Callable[[], None]) -> tuple[str, str]:
        """Handles or parks one message, however often it takes. Returns what became of it (`handled`, `duplicate`,
        `behind`, `early`, `dead`) and why, when its offset may be committed.

        `pause` sleeps between two tries, and may raise to give up; `still_waiting` is told while a dependency is away.
        """

        async def attempt() -> str:
            async with self._at_once:
                return await self._attempt(message)

        outcome, reason = await try_in_place(self.name, attempt, pause, still_waiting)
        if outcome in ("early", "dead"):
            kind: parking.Kind = "early" if outcome == "early" else "dead"
            event_id = event_id_of(message)

            async def write() -> None:
                await self._park(message, event_id, kind, reason)

            await insist(self.name, write, pause, still_waiting)
            self._on_parked()
        HANDLED.labels(self.name, message.type, outcome).inc()
        return outcome, reason

    async def _attempt(self, message: Message) -> str:
        """One transaction: inbox mark, reaction, outgoing events."""
        handler = self._handlers.get((message.type, message.value is None))
        envelope = Envelope.of(message)
        if handler is None:
            raise Invalid("the message has no event type")
        traceparent.set(envelope.traceparent)
        async with self._transactions(envelope.tenant_id, cause=envelope) as tx:
            await self._note(tx, message)
            mark = await parking.mark(tx, self.name, message, envelope.id)
            if mark == "seen":
                return "duplicate"
            if mark == "blocked":
                await parking.queue(tx, self.name, message, envelope.id)
                return "behind"
            await react(handler, message, tx)
        DELAY.labels(self.name, message.type).observe((datetime.now(UTC) - envelope.time).total_seconds())
        return "handled"

    async def _park(self, message: Message, event_id: UUID, kind: parking.Kind, reason: str) -> None:
        async with self._transactions(None) as tx:
            await self._note(tx, message)
            await parking.park(tx, self.name, message, event_id, kind, reason)
