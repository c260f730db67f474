"""The story, as a person and as a program reads it."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import pytest
from rich.console import Console

from holdfast.telling import ConsoleTeller, JsonTeller, money
from holdfast.watching import Seen

SEEN = Seen(
    topic="holdfast.booking",
    partition=3,
    offset=12,
    key="k",
    headers={"ce_type": "booking.hold_created.v1", "ce_time": "2026-12-01T08:00:00Z", "correlationid": "c"},
    payload={"booking_id": "b"},
    timestamp=datetime(2026, 12, 1, tzinfo=UTC),
)


def test_without_a_terminal_it_is_plain_text() -> None:
    out = io.StringIO()
    teller = ConsoleTeller(Console(file=out, highlight=False, soft_wrap=True))
    teller.chapter("One booking", "[not markup]")
    teller.step("Hold", "Tue 09:00", 12.4)
    teller.event(SEEN, 18.6)
    teller.where({"Kafka": "127.0.0.1:9092"})
    text = out.getvalue()
    assert "\x1b" not in text
    assert "[not markup]" in text
    assert "1 Hold       Tue 09:00  12 ms" in text
    assert "+   19 ms  booking.hold_created" in text
    assert "holdfast.booking 3@12" in text
    assert "Kafka  127.0.0.1:9092" in text


def test_for_programs_every_line_is_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    teller = JsonTeller()
    teller.step("Hold", "Tue 09:00", 12.44)
    teller.event(SEEN, 18.6)
    step, event = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert step == {"event": "step", "title": "Hold", "text": "Tue 09:00", "milliseconds": 12.4}
    assert (event["topic"], event["partition"], event["offset"]) == ("holdfast.booking", 3, 12)


def test_an_event_belongs_to_a_booking_by_key_correlation_or_payload() -> None:
    assert [SEEN.is_about(one) for one in ("k", "c", "b", "x")] == [True, True, True, False]
    assert SEEN.time == datetime(2026, 12, 1, 8, tzinfo=UTC)
    assert money(123_450, "pln") == "1,234.50 PLN"
