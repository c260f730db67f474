"""Many who want one time: when it was just refused, one asks booking for all who came before it asked."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable

from gateway.alternatives import is_taken
from gateway.upstream import Answer

LASTS_SECONDS = 1.0

Ask = Callable[[], Awaitable[Answer]]


class Rush:
    """Equal requests for a time that was refused a moment ago.

    A refusal is shared only with those who came before its request was sent: each is told what booking said after
    they had asked, so nobody is refused a time that was given back before they asked for it. Whatever is not a
    refusal belongs to the one who asked.
    """

    def __init__(self) -> None:
        self._present: asyncio.Future[Answer | None] | None = None
        self._following: asyncio.Future[Answer | None] | None = None

    async def answer(self, ask: Ask) -> Answer:
        """Booking's answer to one of them."""
        if self._following is not None:  # its request is yet to be sent
            shared = await asyncio.shield(self._following)
            return shared if shared is not None else await ask()
        mine: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        if self._present is not None:
            self._following = mine
            try:
                await asyncio.shield(self._present)
            except asyncio.CancelledError:
                mine.set_result(None)
                raise
            finally:
                self._following = None
        self._present = mine
        shared = None
        try:
            answer = await ask()
            shared = answer if is_taken(answer) else None
            return answer
        finally:
            self._present = None
            mine.set_result(shared)


class Rushes:
    """The rushes of this moment, by request."""

    def __init__(self) -> None:
        self._rushes: dict[Hashable, Rush] = {}
        self._until: dict[Hashable, float] = {}

    async def answer(self, request: Hashable, ask: Ask) -> Answer:
        """The answer to a request; `ask` sends it. Equal requests are equal in everything that booking reads."""
        rush = self._rushes.get(request)
        answer = await (ask() if rush is None else rush.answer(ask))
        if is_taken(answer):
            self._note(request)
        return answer

    def _note(self, request: Hashable) -> None:
        loop = asyncio.get_running_loop()
        if request not in self._rushes:
            self._rushes[request] = Rush()
            loop.call_later(LASTS_SECONDS, self._end, request)
        self._until[request] = loop.time() + LASTS_SECONDS

    def _end(self, request: Hashable) -> None:
        """A rush is over when nobody was refused for a while."""
        loop = asyncio.get_running_loop()
        if self._until[request] > loop.time():
            loop.call_at(self._until[request], self._end, request)
            return
        del self._rushes[request], self._until[request]
