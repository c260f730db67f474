"""What the live socket says: frames made once of `holdfast.availability`, for everybody on a channel."""

import base64
import binascii
import json
from collections import deque
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from events.base import rfc3339
from events.contracts.availability import AvailabilityChanged, Change

KEPT = 10_000  # frames a partition that a page may have missed


class CursorTooOld(Exception):
    """What the page missed is not here any more (or the cursor is not one of ours): it has to search again."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One change, encoded once. `offering_id` is set for classes only."""

    tenant_id: UUID
    provider_id: UUID
    offering_id: UUID | None
    text: str


def frames_of(event: AvailabilityChanged, first_seq: int) -> list[Frame]:
    """The frames of an event. Rooms and equipment say nothing to patients; practitioners do."""
    if event.resource_type != "practitioner":
        return []
    return [
        Frame(event.tenant_id, event.resource_id, change.offering_id, _encode(event, change, first_seq + index))
        for index, change in enumerate(event.changes)
    ]


def _encode(event: AvailabilityChanged, change: Change, seq: int) -> str:
    body: dict[str, Any] = {"seq": seq, "type": change.type, "provider_id": str(event.resource_id)}
    if change.type == "schedule_changed":
        body |= {"from": rfc3339(change.start), "to": rfc3339(change.end)}
    else:
        body |= {"start": rfc3339(change.start), "end": rfc3339(change.end)}
    if change.offering_id is not None:
        body |= {"offering_id": str(change.offering_id), "remaining": change.remaining}
    return json.dumps(body, separators=(",", ":"))


class Window:
    """The last frames of one partition by offset: what a page that was away can still be told."""

    def __init__(self, first: int) -> None:
        self.first = first  # everything from this offset on is here
        self.next = first
        self._frames: deque[tuple[int, Frame]] = deque()

    def add(self, offset: int, frames: list[Frame]) -> None:
        """A message was read; the oldest go when there are too many."""
        self.next = offset + 1
        self._frames.extend((offset, frame) for frame in frames)
        while len(self._frames) > KEPT:
            gone, _ = self._frames.popleft()
            self.first = gone + 1

    def since(self, offset: int) -> list[Frame]:
        """What came from that offset on; `CursorTooOld` when a part of it is gone."""
        if offset < self.first:
            raise CursorTooOld
        return [frame for at, frame in self._frames if at >= offset]


def read_cursor(text: str) -> dict[int, int]:
    """`{partition: next offset}` of a resume cursor (base64url of JSON); `CursorTooOld` when it is not one."""
    try:
        document = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return {int(partition): int(offset) for partition, offset in document.items()}
    except (binascii.Error, ValueError, AttributeError, TypeError) as error:
        raise CursorTooOld from error


def write_cursor(offsets: dict[int, int]) -> str:
    """The cursor's text; padded with spaces inside, so that it never ends in `=`."""
    document = json.dumps({str(partition): offset for partition, offset in sorted(offsets.items())})
    document += " " * (-len(document) % 3)
    return base64.urlsafe_b64encode(document.encode()).decode()
