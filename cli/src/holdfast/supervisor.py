"""Keeping the parts alive, and ending them in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from functools import partial

from embedded import EmbeddedError

from .console import Reporter
from .health import Health
from .parts import Part
from .pids import PidFile
from .threads import in_thread

_LOOK_EVERY = 0.25
_ASK_EVERY = 5.0
_MISSES_ALLOWED = 3
_GRACE = 60.0
"""Seconds after a start in which /health/live need not answer."""
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 30.0
_STEADY_AFTER = 10.0
"""Seconds of service after which earlier failures are forgotten."""


class Supervisor:
    """Starts parts, starts them again when they die or hang, and stops them."""

    def __init__(
        self,
        pids: PidFile,
        health: Health,
        reporter: Reporter,
        on_change: Callable[[], None],
    ) -> None:
        self._pids = pids
        self._health = health
        self._reporter = reporter
        self._on_change = on_change
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._starting: dict[str, asyncio.Future[None]] = {}
        self.failures: dict[str, int] = {}
        """How often in a row each part ended before it was steady."""

    # -- starting

    async def start(self, part: Part, ready_within: float = 60) -> None:
        """Start a part and keep it alive from then on; raises when it cannot be started."""
        await self._start(part, ready_within)
        self._keepers[part.name] = asyncio.create_task(self._keep(part), name=part.name)

    async def _start(self, part: Part, ready_within: float) -> None:
        # Shielded: the thread goes on when the task is cancelled, and stop() must wait for it.
        starting = asyncio.ensure_future(in_thread(part.start))
        # Looked at here, because nobody is left to do so when the task was cancelled.
        starting.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._starting[part.name] = starting
        await asyncio.shield(starting)
        pid = part.pid
        if pid is not None:
            self._pids.record(part.name, pid)
            self._on_change()
        await in_thread(partial(part.wait_ready, ready_within))

    # -- keeping alive

    async def _keep(self, part: Part) -> None:
        delay = 0.0
        while True:
            started = time.monotonic()
            reason, served = await self._until_broken(part)
            lived = time.monotonic() - started
            await in_thread(part.clean)
            reason = reason or part.how_it_ended()
            self._pids.forget(part.name)
            if served and lived >= _STEADY_AFTER:
                delay = 0.0
                self.failures[part.name] = 0
            self.failures[part.name] = self.failures.get(part.name, 0) + 1
            delay = min(_LONGEST_DELAY, delay * 2) if delay else _FIRST_DELAY
            self._reporter.note(
                part.name,
                f"{part.name} {reason} after {lived:.0f} s; it starts again in {delay:g} s (its log: {part.log_file})",
            )
            await asyncio.sleep(delay)
            try:
                await self._start(part, ready_within=60)
            except (EmbeddedError, OSError) as error:
                self._reporter.note(part.name, f"{part.name} could not be started: {error}")

    async def _until_broken(self, part: Part) -> tuple[str, bool]:
        """Return when the part is dead ("") or was ended for hanging, and whether it served."""
        started = asked = time.monotonic()
        misses = 0
        served = part.base_url is None
        while part.is_alive():
            await asyncio.sleep(_LOOK_EVERY)
            now = time.monotonic()
            if part.base_url is None or now - asked < _ASK_EVERY:
                continue
            asked = now
            if await self._health.is_live(part.base_url):
                served, misses = True, 0
            elif served or now - started > _GRACE:
                misses += 1
            if misses >= _MISSES_ALLOWED and part.is_alive():
                await in_thread(partial(part.stop, 10))
                return f"did not answer /health/live {misses} times and was ended", served
        return "", served

    # -- stopping

    async def release(self) -> None:
        """Restart nothing any more."""
        keepers = list(self._keepers.values())
        self._keepers.clear()
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)

    async def end(self, parts: Iterable[Part], timeout: float) -> None:
        """End these parts at the same time, by force after `timeout` seconds."""
        await asyncio.gather(*(self._end(part, timeout) for part in parts))

    async def _end(self, part: Part, timeout: float) -> None:
        starting = self._starting.get(part.name)
        patience = time.monotonic() + 5
        while starting is not None and not starting.done() and time.monotonic() < patience:
            await in_thread(partial(part.stop, timeout))
            await asyncio.sleep(0.1)
        await in_thread(partial(part.stop, timeout))
        self._pids.forget(part.name)
