"""Dead letters of every service, on a real schema."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from events.dead_letters import ParkedEvent
from holdfast.main import build
from holdfast.parked import age
from holdfast.system import Ready


@pytest.fixture
def database(postgres_url: str, service_database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch,
             tmp_path: Path) -> str:  # fmt: skip
    """The superuser's address of a database with booking's schema, named by a ready file."""
    url = postgres_url.rsplit("/", 1)[0] + "/" + service_database("booking").rsplit("/", 1)[1]
    place = tmp_path / "ready.json"
    place.write_text(Ready("", None, "", url, pids={"up": os.getpid()}).to_json())
    monkeypatch.setenv("HOLDFAST_READY", str(place))
    return url


def park(url: str, kind: str = "dead") -> uuid.UUID:
    event_id = uuid.uuid4()
    headers = json.dumps({"ce_type": "payment.payment_succeeded.v1"})
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO booking.inbox (consumer, event_id, status) VALUES ('booking', %s, 'parked')", [event_id]
        )
        connection.execute(
            'INSERT INTO booking.parked (consumer, topic, key, event_id, partition, "offset", headers, payload, kind,'
            " reason) VALUES ('booking', 'holdfast.payment', 'k1', %s, 2, 7, %s, '{}', %s, 'cannot be')",
            [event_id, headers, kind],
        )
    return event_id


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(build("dead-letters"), ["dead-letters", *arguments])
    return result.exit_code, result.stdout or str(result.exception)


def kinds(url: str, event_id: uuid.UUID) -> list[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT kind FROM booking.parked WHERE event_id = %s", [event_id]).fetchall()
    return [row[0] for row in rows]


def test_are_listed_shown_replayed_and_given_up(database: str) -> None:
    event_id, early = park(database), park(database, "early")
    code, said = run("list", "--json")
    listed = {row["event_id"]: row for row in json.loads(said)["data"]}
    assert code == 0
    assert str(early) not in listed
    row = listed[str(event_id)]
    assert (row["consumer"], row["key"], row["reason"], row["offset"]) == ("booking", "k1", "cannot be", 7)
    assert str(early) in run("list", "--all")[1]

    code, said = run("show", str(event_id), "--json")
    assert json.loads(said)["data"][0]["payload"] == "{}"
    assert run("replay", str(event_id)) == (0, f"{event_id} is handled again by booking.\n")
    assert kinds(database, event_id) == ["early"]
    assert run("discard", str(event_id))[0] == 1, "what is not dead is not given up"

    other = park(database)
    assert run("discard", str(other), "--consumer", "booking")[0] == 0
    assert kinds(database, other) == []
    code, said = run("replay", str(other))
    assert code == 1
    assert "nothing was changed" in said


def test_a_service_that_does_not_exist_is_named(database: str) -> None:
    code, said = run("list", "--consumer", "bookings")
    assert code == 1
    assert "there are booking" in said


def test_age_is_told_in_the_largest_unit_that_fits() -> None:
    now = datetime.now(UTC)

    def old(**span: float) -> str:
        event = ParkedEvent(
            "c", uuid.uuid4(), "dead", "t", "k", 0, 0, "r", 0, now - timedelta(**span), {}, None
        )  # fmt: skip
        return age(event, now)

    assert [old(seconds=5), old(minutes=3), old(hours=2), old(days=4)] == [
        "5 s old", "3 min old", "2 h old", "4 d old",
    ]  # fmt: skip
