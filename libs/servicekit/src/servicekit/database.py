"""Transactions of a service: the tenant is set, events go out after the commit, and only the edge commits."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import event, text
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from events import Envelope, Transaction

IDLE_SECONDS = 5.0
_AS_IT_IS = {"no_parameters": True}  # the simple protocol: several statements in one round trip


def engine_for(url: str, *, name: str, pool_size: int) -> AsyncEngine:
    """An engine over psycopg 3. `url` is a plain `postgresql://…`."""
    engine = create_async_engine(
        url.replace("postgresql://", "postgresql+psycopg://", 1),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=5,
        # Statements of identity and notification carry names and addresses, which no log may show.
        hide_parameters=True,
        connect_args={"application_name": f"holdfast-{name}", "connect_timeout": 5},
    )
    _ping_when_idle(engine)
    return engine


def _ping_when_idle(engine: AsyncEngine) -> None:
    """A connection that lay idle for a while is tried before it is used: the server may have restarted meanwhile.
    One that was used just now is not, since that would cost every transaction a round trip."""
    dialect = engine.sync_engine.dialect

    def note(_: Any, record: Any) -> None:
        record.info["idle_since"] = time.monotonic()

    def ping(connection: Any, record: Any, _: Any) -> None:
        if time.monotonic() - record.info.get("idle_since", time.monotonic()) < IDLE_SECONDS:
            return
        try:
            dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            raise DisconnectionError("the connection broke while it lay idle") from error

    event.listen(engine.sync_engine, "checkin", note)
    event.listen(engine.sync_engine, "checkout", ping)


class Database:
    """The service's own schema, through a login role that owns nothing and is under Row Level Security."""

    def __init__(self, engine: AsyncEngine, service: str, wake: Callable[[str], None]) -> None:
        self.engine = engine
        self._manual = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._service = service
        self._wake = wake

    @asynccontextmanager
    async def transaction(
        self, tenant_id: UUID | None = None, *, cause: Envelope | None = None
    ) -> AsyncIterator[Transaction]:
        """One transaction in one tenant (None: only tables without a tenant). Commits at the end, rolls back on an
        exception, and wakes the workers that it named only after the commit."""
        tenant = str(tenant_id) if tenant_id else ""
        begin = f"BEGIN; SELECT set_config('app.tenant', '{tenant}', true)"
        async with self._manual.connect() as connection:
            await connection.exec_driver_sql(begin, execution_options=_AS_IT_IS)
            tx = Transaction(connection, service=self._service, tenant_id=tenant_id, cause=cause)
            try:
                yield tx
            except BaseException:
                await connection.rollback()
                raise
            await connection.exec_driver_sql("COMMIT", execution_options=_AS_IT_IS)
        for worker in tx.wakes:
            self._wake(worker)

    async def answers(self) -> bool:
        """Whether the database is there, for /health/ready."""
        async with self.engine.connect() as connection:
            return bool((await connection.execute(text("SELECT 1"))).scalar_one())
