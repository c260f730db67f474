"""What is kept of answers."""

from uuid import uuid4

from availability import answers
from availability.answers import Answer, Answers
from availability.directory import Directory
from availability.repository.reading import Asked, Reading, Stamps


def a_reading(text: bytes) -> Reading:
    return Reading(Asked([uuid4()], 0, 1), Stamps(1, 1, 1), {}, (text, b"", b""))


def test_an_answer_serves_while_catalogue_and_calendars_are_the_same(monkeypatch):
    kept, directory, reading = Answers(), Directory(Stamps(1, 1, 1), None, [], {}, {}), a_reading(b"1")
    answer = Answer(b"{}", None)
    kept.keep("q", directory, reading, answer)
    assert kept.find("q", directory, reading) is answer
    assert kept.find("other", directory, reading) is None
    assert kept.find("q", directory, a_reading(b"2")) is None
    assert kept.find("q", Directory(Stamps(1, 1, 1), None, [], {}, {}), reading) is None
    monkeypatch.setattr(answers, "REUSED_SECONDS", -1.0)
    kept.keep("q", directory, reading, answer)
    assert kept.find("q", directory, reading) is None  # its offers have grown old


def test_no_more_is_kept_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(answers, "MOST_BYTES", 10_000)
    kept, directory, reading = Answers(), Directory(Stamps(1, 1, 1), None, [], {}, {}), a_reading(b"1")
    for number in range(5):
        kept.keep(number, directory, reading, Answer(b"x" * 1000, None))
    found = [number for number in range(5) if kept.find(number, directory, reading)]
    assert found == [2, 3, 4]
    kept.keep(4, directory, reading, Answer(b"x" * 50_000, None))
    assert not any(kept.find(number, directory, reading) for number in range(5))
