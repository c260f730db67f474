"""What the stand-ins remember: documents by kind and id, in memory and in one SQLite file.

Each change is committed before it is acknowledged, so a kill -9 loses nothing that was answered.
"""

import json
import secrets
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Document = dict[str, Any]


class State:
    """Documents in the order in which they came. `put` replaces one in its place."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(folder / "state.sqlite3", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS document (kind TEXT, id TEXT, body TEXT, PRIMARY KEY (kind, id))"
        )
        self._documents: dict[str, dict[str, Document]] = defaultdict(dict)
        for kind, document_id, body in self._connection.execute("SELECT kind, id, body FROM document ORDER BY rowid"):
            self._documents[kind][document_id] = json.loads(body)

    def put(self, kind: str, document_id: str, document: Document) -> Document:
        """Stores a document."""
        self._connection.execute(
            "INSERT INTO document VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body",
            (kind, document_id, json.dumps(document)),
        )
        self._documents[kind][document_id] = document
        return document

    def get(self, kind: str, document_id: str) -> Document | None:
        """The document, or None."""
        return self._documents[kind].get(document_id)

    def delete(self, kind: str, document_id: str) -> None:
        """Forgets a document."""
        self._connection.execute("DELETE FROM document WHERE kind = ? AND id = ?", (kind, document_id))
        self._documents[kind].pop(document_id, None)

    def all(self, kind: str) -> list[Document]:
        """The documents of a kind, oldest first."""
        return list(self._documents[kind].values())

    def where(self, kind: str, matches: Callable[[Document], bool]) -> Iterator[Document]:
        """Those that match, oldest first."""
        return (document for document in self.all(kind) if matches(document))

    def count(self, name: str) -> int:
        """The next number of a counter, from 1."""
        value = self.value(name) + 1
        self.put("counter", name, {"value": value})
        return value

    def value(self, name: str) -> int:
        """The last number of a counter; 0 when it was never used."""
        return int((self.get("counter", name) or {"value": 0})["value"])

    @property
    def epoch(self) -> str:
        """Changes when everything is emptied, since counters begin anew then."""
        found = self.get("counter", "epoch") or self.put("counter", "epoch", {"value": secrets.token_hex(4)})
        return str(found["value"])

    def clear(self) -> None:
        """Empty again."""
        self._connection.execute("DELETE FROM document")
        self._documents.clear()

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()
