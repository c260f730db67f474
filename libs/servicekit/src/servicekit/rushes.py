"""Many who want one thing: one asks for all who came before it asked."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

LASTS_SECONDS = 1.0
CROWD = 8  # as many equal requests under way are a rush before anybody was refused

Answer = TypeVar("Answer")
Ask = Callable[[], Awaitable[Answer]]


class Rush(Generic[Answer]):
    """Equal requests for something that was refused a moment ago.

    A refusal is shared only with those who came before its request was sent: each is told what was said after
    they had asked, so nobody is refused what was given back before they asked for it. Whatever is not a refusal
    belongs to the one who asked.
    """

    def __init__(self, is_refusal: Callable[[Answer], bool]) -> None:
        self._is_refusal = is_refusal
        self._present: asyncio.Future[Answer | None] | None = None
        self._following: asyncio.Future[Answer | None] | None = None

    async def answer(self, ask: Ask[Answer]) -> Answer:
        """The answer to one of them."""
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
            shared = answer if self._is_refusal(answer) else None
            return answer
        finally:
            self._present = None
            mine.set_result(shared)


class Rushes(Generic[Answer]):
    """The rushes of this moment, by request."""

    def __init__(self, is_refusal: Callable[[Answer], bool]) -> None:
        self._is_refusal = is_refusal
        self._rushes: dict[Hashable, Rush[Answer]] = {}
        self._until: dict[Hashable, float] = {}
        self._under_way: Counter[Hashable] = Counter()

    async def answer(self, request: Hashable, ask: Ask[Answer]) -> Answer:
        """The answer to a request; `ask` sends it. Equal requests are equal in everything that decides on it.

        A rush begins when one of them is refused, or when many are under way at once.
        """
        rush = self._rushes.get(request)
        if rush is None and self._under_way[request] >= CROWD:
            rush = self._keep(request)
        answer = await (self._alone(request, ask) if rush is None else rush.answer(ask))
        if self._is_refusal(answer):
            self._keep(request)
        return answer

    async def _alone(self, request: Hashable, ask: Ask[Answer]) -> Answer:
        self._under_way[request] += 1
        try:
            return await ask()
        finally:
            self._under_way[request] -= 1
            if not self._under_way[request]:
                del self._under_way[request]

    def _keep(self, request: Hashable) -> Rush[Answer]:
        """The rush, begun if there is none, for a while from now on."""
        loop = asyncio.get_running_loop()
        if request not in self._rushes:
            self._rushes[request] = Rush(self._is_refusal)
            loop.call_later(LASTS_SECONDS, self._end, request)
        self._until[request] = loop.time() + LASTS_SECONDS
        return self._rushes[request]

    def _end(self, request: Hashable) -> None:
        """A rush is over when nobody was refused for a while."""
        loop = asyncio.get_running_loop()
        if self._until[request] > loop.time():
            loop.call_at(self._until[request], self._end, request)
            return
        del self._rushes[request], self._until[request]
