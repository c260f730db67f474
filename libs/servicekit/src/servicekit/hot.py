"""Connections for the few routes that are one statement: raw psycopg, autocommit, prepared, kept in a plain list.

A checkout from SQLAlchemy's pool with BEGIN and COMMIT around it costs five times as much Python as the statement of
such a route (docs/decisions/0019). Everything else goes through `servicekit.database`.
"""

import asyncio
import time
from typing import Any

import psycopg
from psycopg import AsyncConnection

from servicekit.database import IDLE_SECONDS
from servicekit.problems import Unavailable

WAIT_SECONDS = 5.0
TRIES = 3


class HotPool:
    """At most `size` connections, opened when needed; the one that was used last is used first."""

    def __init__(self, url: str, *, name: str, size: int) -> None:
        self._url = url
        self._name = name
        self._free: list[tuple[AsyncConnection[Any], float]] = []
        self._room = asyncio.Semaphore(size)

    async def one(self, statement: str, parameters: dict[str, Any] | tuple[Any, ...]) -> tuple[Any, ...]:
        """The only row of a statement, which is a transaction of its own.

        `Unavailable` when the database does not answer; psycopg's own errors for what it refuses.
        """
        rows = await self.all(statement, parameters)
        return rows[0]

    async def all(self, statement: str, parameters: dict[str, Any] | tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """All rows, likewise."""
        for _ in range(TRIES - 1):
            try:
                return await self._once(statement, parameters)
            except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
                continue  # all of it was undone: the same statement again succeeds
        return await self._once(statement, parameters)

    async def _once(self, statement: str, parameters: dict[str, Any] | tuple[Any, ...]) -> list[tuple[Any, ...]]:
        if self._room.locked():
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    await self._room.acquire()
            except TimeoutError as error:
                raise _away() from error
        else:
            await self._room.acquire()
        try:
            connection = await self._connection()
            try:
                cursor = await connection.execute(statement.encode(), parameters, prepare=True, binary=True)
                rows = await cursor.fetchall()
            except BaseException as error:
                # A cancelled request leaves its statement half answered: such a connection is not used again.
                if isinstance(error, psycopg.Error) and not connection.closed:
                    self._free.append((connection, time.monotonic()))
                else:
                    await connection.close()
                raise
            self._free.append((connection, time.monotonic()))
            return rows
        except psycopg.OperationalError as error:
            if error.sqlstate and error.sqlstate[:2] not in ("08", "53", "57"):
                raise
            raise _away() from error
        finally:
            self._room.release()

    async def _connection(self) -> AsyncConnection[Any]:
        while self._free:
            connection, since = self._free.pop()
            if time.monotonic() - since < IDLE_SECONDS:
                return connection
            try:  # the server may have restarted while the connection lay idle
                await connection.execute("SELECT 1")
                return connection
            except psycopg.OperationalError:
                await connection.close()
        return await AsyncConnection.connect(
            self._url, autocommit=True, connect_timeout=5, application_name=f"holdfast-{self._name}-hot"
        )

    async def close(self) -> None:
        """Ends the connections that nobody uses."""
        while self._free:
            connection, _ = self._free.pop()
            await connection.close()


def _away() -> Unavailable:
    return Unavailable("The database did not answer. Try again in a moment.")
