"""Frames and cursors."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import new_id
from events.contracts.availability import AvailabilityChanged, Change
from gateway.frames import KEPT, CursorTooOld, Frame, Window, frames_of, read_cursor, write_cursor

START = datetime(2026, 12, 1, 8, tzinfo=UTC)


def frame(text: str = "x") -> Frame:
    return Frame(new_id(), new_id(), None, text)


@given(st.dictionaries(st.integers(0, 11), st.integers(0, 2**60), max_size=12))
def test_a_cursor_reads_back_and_never_needs_escaping(offsets: dict[int, int]) -> None:
    text = write_cursor(offsets)
    assert read_cursor(text) == offsets
    assert "=" not in text
    assert "+" not in text
    assert "/" not in text


@pytest.mark.parametrize("text", ["nonsense!", "", "AAAA", "e30x", "W10="])
def test_what_is_not_a_cursor_makes_the_page_search_again(text: str) -> None:
    with pytest.raises(CursorTooOld):
        read_cursor(text)


def test_what_was_missed_is_sent_from_the_window_and_what_is_too_old_is_not_guessed() -> None:
    window = Window(10)
    for offset in range(10, 15):
        window.add(offset, [frame(str(offset))])
    assert [entry.text for entry in window.since(13)] == ["13", "14"]
    assert window.since(15) == []
    with pytest.raises(CursorTooOld):
        window.since(9)
    for offset in range(15, 15 + KEPT):
        window.add(offset, [frame(str(offset))])
    with pytest.raises(CursorTooOld):
        window.since(13)


def test_a_change_becomes_a_frame_that_says_only_that_the_time_is_taken() -> None:
    event = AvailabilityChanged(
        tenant_id=new_id(),
        version=1,
        resource_id=new_id(),
        resource_type="practitioner",
        changes=[
            Change(type="slot_taken", start=START, end=START + timedelta(minutes=30)),
            Change(type="slot_freed", start=START, end=START, offering_id=new_id(), remaining=2),
            Change(type="schedule_changed", start=START, end=START + timedelta(days=1)),
        ],
    )
    taken, seat, schedule = (json.loads(entry.text) for entry in frames_of(event, 7))
    assert taken == {
        "seq": 7,
        "type": "slot_taken",
        "provider_id": str(event.resource_id),
        "start": "2026-12-01T08:00:00Z",
        "end": "2026-12-01T08:30:00Z",
    }
    assert (seat["seq"], seat["remaining"]) == (8, 2)
    assert (schedule["from"], schedule["to"]) == ("2026-12-01T08:00:00Z", "2026-12-02T08:00:00Z")


def test_rooms_say_nothing_to_patients() -> None:
    change = Change(type="slot_taken", start=START, end=START + timedelta(minutes=30))
    event = AvailabilityChanged(
        tenant_id=new_id(), version=1, resource_id=new_id(), resource_type="room", changes=[change]
    )
    assert frames_of(event, 1) == []
