"""Answers that were just given: whoever asks the same while nothing has changed gets the same slots.

Nothing has changed when the catalogue is the same and the statement of the search (`repository.reading`) gives the same
bytes, which it is asked for every time: what is kept is only the work of finding, signing and writing the slots.
"""

import time
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from availability.directory import Directory
from availability.repository.reading import Reading

REUSED_SECONDS = 15.0
"""So much older than fresh ones may the offers of an answer be."""
MOST_BYTES = 64_000_000


@dataclass(frozen=True, slots=True)
class Answer:
    """The inside of the list of slots as JSON, and why it is empty."""

    slots: bytes
    reason: str | None


class Answers:
    """Keeps the newest, up to a number of bytes."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[Directory, tuple[bytes, bytes, bytes], float, Answer]] = OrderedDict()
        self._bytes = 0

    def find(self, key: Hashable, directory: Directory, reading: Reading) -> Answer | None:
        """The answer to the same question, if it would be the same now."""
        kept = self._kept.get(key)
        if kept is None or kept[0] is not directory or kept[2] < time.monotonic() or kept[1] != reading.packed:
            return None
        return kept[3]

    def keep(self, key: Hashable, directory: Directory, reading: Reading, answer: Answer) -> None:
        """Keeps an answer in place of a former one."""
        self._drop(key)
        self._kept[key] = (directory, reading.packed, time.monotonic() + REUSED_SECONDS, answer)
        self._bytes += _size(reading.packed, answer)
        while self._bytes > MOST_BYTES:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Hashable) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= _size(kept[1], kept[3])


def _size(packed: tuple[bytes, bytes, bytes], answer: Answer) -> int:
    return sum(map(len, packed)) + len(answer.slots) + 2000
