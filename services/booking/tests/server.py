"""What PostgreSQL itself tells: rows, the plans of what ran, and what a statement that waits has locked."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg

Connection = psycopg.Connection[Any]


def rows(connection: Connection, statement: str, *parameters: Any) -> list[Any]:
    """All rows; of one column, its values."""
    found = connection.execute(statement.encode(), parameters).fetchall()
    return [row[0] if len(row) == 1 else row for row in found]


def rows_with(connection: Connection, statement: str, parameters: dict[str, Any]) -> list[Any]:
    """The same with names."""
    return connection.execute(statement.encode(), parameters).fetchall()


def plans_of(admin: Connection, statement: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """The plans of a statement and of all that the functions in it run, as they ran."""
    told: list[str] = []
    admin.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
    for setting, value in {
        "log_min_duration": "0", "log_nested_statements": "on", "log_level": "notice", "log_format": "json",
        "log_analyze": "on", "log_timing": "off",
    }.items():  # fmt: skip
        admin.execute(f"SET auto_explain.{setting} = {value}".encode())
    admin.execute(statement.encode(), parameters)
    admin.execute("RESET auto_explain.log_min_duration")
    return [json.loads(text[text.index("{") :]) for text in told if "{" in text]


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All nodes of a plan."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes_of(child)


class Waiting:
    """A statement in a thread of its own that waits for a lock which somebody has."""

    def __init__(self, url: str, statement: str, parameters: dict[str, Any]) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute("SET statement_timeout = '20s'")
        self.pid = self._connection.info.backend_pid
        self.answer: list[Any] = []
        self._thread = threading.Thread(target=self._run, args=(statement, parameters))
        self._thread.start()

    def _run(self, statement: str, parameters: dict[str, Any]) -> None:
        self.answer = rows_with(self._connection, statement, parameters)

    def locks(self, admin: Connection) -> set[str]:
        """What it has while it waits: `advisory` locks, and tables whose rows it has begun to lock or to write."""
        deadline = time.monotonic() + 10
        while not rows(admin, "SELECT 1 FROM pg_locks WHERE pid = %s AND NOT granted", self.pid):
            assert time.monotonic() < deadline, "it does not wait"
            time.sleep(0.01)
        return set(
            rows(
                admin,
                "SELECT CASE locktype WHEN 'advisory' THEN 'advisory' ELSE relation::regclass::text END FROM pg_locks"
                " WHERE pid = %s AND granted"
                " AND (locktype = 'advisory' OR mode IN ('RowExclusiveLock', 'RowShareLock'))"
                " AND (relation IS NULL OR relation IN (SELECT oid FROM pg_class WHERE relkind = 'r'))",
                self.pid,
            )
        )

    def end(self) -> list[Any]:
        """Its answer, once what it waited for was given back."""
        self._thread.join(20)
        self._connection.close()
        return self.answer
