"""Transactions of a service: the tenant is set, events go out after the commit, and only the edge commits."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from events import Envelope, Transaction

_TENANT = text("SELECT set_config('app.tenant', :tenant, true)")


def engine_for(url: str, *, name: str, pool_size: int) -> AsyncEngine:
    """An engine over psycopg 3. `url` is a plain `postgresql://…`."""
    return create_async_engine(
        url.replace("postgresql://", "postgresql+psycopg://", 1),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=5,
        pool_pre_ping=True,
        # Statements of identity and notification carry names and addresses, which no log may show.
        hide_parameters=True,
        connect_args={"application_name": f"holdfast-{name}", "connect_timeout": 5},
    )


class Database:
    """The service's own schema, through a login role that owns nothing and is under Row Level Security."""

    def __init__(self, engine: AsyncEngine, service: str, wake: Callable[[str], None]) -> None:
        self.engine = engine
        self._service = service
        self._wake = wake

    @asynccontextmanager
    async def transaction(
        self, tenant_id: UUID | None = None, *, cause: Envelope | None = None
    ) -> AsyncIterator[Transaction]:
        """One transaction in one tenant (None: only tables without a tenant). Commits at the end, rolls back on an
        exception, and wakes the workers that it named only after the commit."""
        async with self.engine.connect() as connection, connection.begin():
            await connection.execute(_TENANT, {"tenant": str(tenant_id) if tenant_id else ""})
            tx = Transaction(connection, service=self._service, tenant_id=tenant_id, cause=cause)
            yield tx
        for worker in tx.wakes:
            self._wake(worker)

    async def answers(self) -> bool:
        """Whether the database is there, for /health/ready."""
        async with self.engine.connect() as connection:
            return bool((await connection.execute(text("SELECT 1"))).scalar_one())
