"""What the service does by the clock, and at once when a transaction woke it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from calendar_sync import mirroring, watching, writing
from calendar_sync.repository import appointments, rows
from servicekit import idempotency
from servicekit.jobs import every
from servicekit.service import Service

T = TypeVar("T")

AT_ONCE = 8


class FormerWork:
    """What this replica had in hand when it was killed is taken up once, before anything else is begun."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._released = False

    async def take_up(self, service: Service) -> None:
        """Releases the leases of the replica's former process."""
        async with self._lock:
            if not self._released:
                async with service.database.transaction() as tx:
                    await rows.release_leases(tx, service.settings.replica)
                self._released = True


@every(1.0)
async def read_calendars(service: Service) -> None:
    """Reads every calendar that a notice, a poll or a failed try made due."""
    await _work_off(service, partial(rows.due, what="due_reads"), partial(mirroring.read, service))


@every(1.0)
async def write_events(service: Service) -> None:
    """Moves calendars to the appointments as they are now."""
    await _work_off(service, appointments.due_writes, partial(writing.write, service))


@every(5.0)
async def open_channels(service: Service) -> None:
    """Opens the first channel of a connection, and the next one before the last one ends."""
    await _work_off(service, partial(rows.due, what="due_watches"), partial(watching.open_channel, service))


@every(30.0)
async def close_channels(service: Service) -> None:
    """Closes channels that were replaced or whose connection was deleted."""
    await _work_off(service, partial(rows.due, what="due_closings"), partial(watching.close_channel, service))


@every(3600.0)
async def sweep(service: Service) -> None:
    """Forgets what is long over."""
    async with service.database.transaction() as tx:
        await appointments.sweep(tx)
        await idempotency.purge(tx)


async def _work_off(
    service: Service,
    find: Callable[..., Awaitable[list[tuple[UUID, T]]]],
    work: Callable[[UUID, T], Coroutine[Any, Any, bool]],
) -> None:
    """Does what is due, a few at once, until nothing is. What becomes due meanwhile is begun as soon as there is
    room, so that a provider that hangs on one calendar does not keep the others waiting."""
    await service.get(FormerWork).take_up(service)
    running: dict[tuple[UUID, T], asyncio.Task[bool]] = {}
    failed: list[BaseException] = []
    while True:
        if len(running) < AT_ONCE and not failed:
            async with service.database.transaction() as tx:
                due = await find(tx, limit=2 * AT_ONCE)
            for item in [item for item in due if item not in running][: AT_ONCE - len(running)]:
                running[item] = asyncio.create_task(work(*item))
        if not running:
            break
        await asyncio.wait(running.values(), timeout=0.1, return_when=asyncio.FIRST_COMPLETED)
        for item, task in [(item, task) for item, task in running.items() if task.done()]:
            del running[item]
            if (error := task.exception()) is not None:
                failed.append(error)
    if failed:
        raise failed[0]
