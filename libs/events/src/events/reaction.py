"""What a consumer does with one event, and what becomes of it when that fails."""

import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import NAMESPACE_URL, UUID, uuid5

import structlog
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from events.base import Deleted
from events.envelope import Envelope, Message, unseal
from events.errors import Early, Invalid, Retry
from events.handlers import Handler
from events.transaction import Transaction

log = structlog.get_logger(__name__)

UNKNOWN_FAILURE_TRIES = 5
# Serialization failure, deadlock, lock not available, read-only after a failover: the same work again succeeds.
RETRIED_SQLSTATES = {"40001", "40P01", "55P03", "25006"}
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 5.0
AWAY = (PoolTimeout, OSError)

Pause = Callable[[float], Awaitable[None]]


class Transactions(Protocol):
    """Opens a transaction of the service in a tenant, caused by an event."""

    def __call__(
        self, tenant_id: UUID | None, *, cause: Envelope | None = None
    ) -> AbstractAsyncContextManager[Transaction]: ...


async def react(handler: Handler, message: Message, tx: Transaction) -> None:
    """Calls the handler with the typed event."""
    event = unseal(message)
    if isinstance(event, Deleted) != handler.deleted:
        raise Invalid("a tombstone and a value were confused")
    await handler.react(event, tx)


def event_id_of(message: Message) -> UUID:
    """The event's own id; for a message without a legible envelope, one made of its place in the log."""
    try:
        return Envelope.of(message).id
    except Invalid:
        return uuid5(NAMESPACE_URL, f"{message.topic}/{message.partition}/{message.offset}")


def describe(error: BaseException) -> str:
    """A failure as one line for people."""
    if isinstance(error, DBAPIError):
        error = error.orig or error
    return f"{type(error).__name__}: {error}".strip()


def is_transient(error: DBAPIError) -> bool:
    """Whether the same work may succeed later: the connection broke, or the database asked to try again."""
    if error.connection_invalidated:
        return True
    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlstate is None:
        # From the driver, not from the server: a lost connection is operational, a value that it cannot send is not.
        return isinstance(error, OperationalError)
    return sqlstate in RETRIED_SQLSTATES or sqlstate[:2] in ("08", "53", "57")


async def try_in_place(
    consumer: str, attempt: Callable[[], Awaitable[str]], pause: Pause, still_waiting: Callable[[], None]
) -> tuple[str, str]:
    """Tries while that may help; otherwise says what to do with the event (`early` or `dead`), and why.

    `pause` sleeps between two tries; `still_waiting` is told each time a dependency, not the event, is at fault.
    """
    tries = 0
    seconds = FIRST_PAUSE
    while True:
        try:
            return await attempt(), ""
        except Early as early:
            return "early", str(early)
        except Invalid as invalid:
            log.error("an event can never be handled", consumer=consumer, reason=str(invalid))
            return "dead", str(invalid)
        except (Retry, *AWAY) as error:
            still_waiting()
            log.warning("a dependency is away; the event waits", consumer=consumer, error=describe(error))
        except DBAPIError as error:
            if is_transient(error):
                still_waiting()
                log.warning("the database is away; the event waits", consumer=consumer, error=describe(error))
            else:
                tries += 1
                log.warning("the database refused", consumer=consumer, tries=tries, error=describe(error))
                if tries >= UNKNOWN_FAILURE_TRIES:
                    return "dead", describe(error)
        except Exception as error:  # the edge: whatever a handler raises decides only about its own event
            tries += 1
            log.exception("a handler failed", consumer=consumer, tries=tries)
            if tries >= UNKNOWN_FAILURE_TRIES:
                return "dead", describe(error)
        await pause(seconds * random.uniform(0.5, 1.5))
        seconds = min(seconds * 2, LONGEST_PAUSE)


async def insist(
    consumer: str, work: Callable[[], Awaitable[None]], pause: Pause, still_waiting: Callable[[], None]
) -> None:
    """The runtime's own reads and writes: they wait for a database that is away, and raise what it refuses."""
    seconds = FIRST_PAUSE
    while True:
        try:
            await work()
            return
        except AWAY as error:
            log.warning("the database is away; the runtime waits", consumer=consumer, error=describe(error))
        except DBAPIError as error:
            if not is_transient(error):
                raise
            log.warning("the database is away; the runtime waits", consumer=consumer, error=describe(error))
        still_waiting()
        await pause(seconds)
        seconds = min(seconds * 2, LONGEST_PAUSE)
