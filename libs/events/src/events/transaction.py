"""One transaction: state, outgoing events, inbox mark. Only the edge that opened it commits."""

from contextvars import ContextVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from events.base import Deleted, Event
from events.envelope import Envelope, seal
from events.tables import outbox

traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""The W3C trace context of the request, message or job in hand."""


class Transaction:
    """A database transaction of one service in one tenant, with its outbox.

    `connection` is for repository.py alone. `cause` is the event that is being handled, if one is.
    """

    def __init__(
        self,
        connection: AsyncConnection,
        *,
        service: str,
        tenant_id: UUID | None,
        cause: Envelope | None = None,
    ) -> None:
        self.connection = connection
        self.service = service
        self.cause = cause
        self.wakes: set[str] = set()
        self._tenant_id = tenant_id

    @property
    def tenant_id(self) -> UUID:
        """The tenant that Row Level Security lets this transaction see."""
        if self._tenant_id is None:
            raise RuntimeError("this transaction was opened without a tenant")
        return self._tenant_id

    async def emit(self, *events: Event | Deleted, correlation_id: UUID | None = None) -> None:
        """Writes events to the outbox: they are sent if and only if the transaction commits.

        Call it after the aggregate's row lock is held, so that the order of the rows is the order of the changes.
        """
        if events:
            await self.connection.execute(
                outbox.insert(), [self.row(event, correlation_id=correlation_id) for event in events]
            )
            self.wake("relay")

    def wake(self, worker: str) -> None:
        """Names a worker of this service that has something to do once the transaction is committed."""
        self.wakes.add(worker)

    def row(self, event: Event | Deleted, *, correlation_id: UUID | None = None) -> dict[str, object]:
        """An event as a row of the outbox, for functions in the database that insert it themselves."""
        envelope, record = seal(
            event,
            source=self.service,
            correlation_id=correlation_id,
            cause=self.cause,
            traceparent=traceparent.get(),
        )
        return {
            "topic": record.topic,
            "key": record.key,
            "headers": envelope.headers(),
            "payload": record.value.decode() if record.value is not None else None,
        }
