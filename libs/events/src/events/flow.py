"""One assigned partition: what was dispatched, in order, and how far its offset may be committed."""

import asyncio
from collections import deque


class Flow:
    """Offsets in flight. They are dispatched in the log's order (which may have gaps) and finish in any order."""

    def __init__(self) -> None:
        self.position: int | None = None
        self.committed: int | None = None
        self.paused = False
        # Set when the partition goes to another member: who only waits to try again gives up then.
        self.leaving = asyncio.Event()
        self.tasks: set[asyncio.Task[bool]] = set()
        self.tails: dict[int, asyncio.Task[bool]] = {}
        self._dispatched: deque[int] = deque()
        self._finished: set[int] = set()

    @property
    def in_flight(self) -> int:
        """How many messages are being handled or wait for their turn."""
        return len(self._dispatched) - len(self._finished)

    def dispatch(self, offset: int) -> None:
        """Takes note of the next message of the partition. The first one says where reading began."""
        if self.position is None:
            self.position = self.committed = offset
        self._dispatched.append(offset)

    def finish(self, offset: int) -> None:
        """Moves the position over every finished offset that has no unfinished one before it."""
        self._finished.add(offset)
        while self._dispatched and self._dispatched[0] in self._finished:
            done = self._dispatched.popleft()
            self._finished.discard(done)
            self.position = done + 1

    def run(self, lane: int, task: asyncio.Task[bool]) -> None:
        """Makes the task the last one of its lane."""
        self.tails[lane] = task
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
