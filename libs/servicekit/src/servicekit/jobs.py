"""`@every(seconds)`: what a service does by the clock is the list of these lines in its jobs.py."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from prometheus_client import Counter

if TYPE_CHECKING:
    from servicekit.service import Service

log = structlog.get_logger(__name__)

JOB_FAILURES = Counter("holdfast_job_failures_total", "Runs of a job that failed", ["job"])

Work = Callable[["Service"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Job:
    """Work that is done every so many seconds, and at once when a committed transaction woke it by its name."""

    work: Work
    seconds: float

    @property
    def name(self) -> str:
        """The function's name: what `Transaction.wake` calls it by."""
        return self.work.__name__


_JOBS: dict[str, list[Job]] = defaultdict(list)


def every(seconds: float) -> Callable[[Work], Work]:
    """Registers a job of the service whose package the function is in. Replicas may run it side by side: it takes
    its work by row locks (SKIP LOCKED), one piece a transaction."""

    def register(work: Work) -> Work:
        _JOBS[work.__module__.split(".")[0]].append(Job(work, seconds))
        return work

    return register


def jobs_of(service: str) -> list[Job]:
    """The service's jobs."""
    return list(_JOBS[service])


async def run(job: Job, service: "Service", woken: asyncio.Event, stop: asyncio.Event) -> None:
    """Runs the job until `stop`. A failed run is logged, counted, and tried again at the next turn."""
    stopping = asyncio.create_task(stop.wait())
    try:
        while not stop.is_set():
            woken.clear()
            try:
                await job.work(service)
            except Exception:  # the edge: the next turn does what this one could not
                JOB_FAILURES.labels(job.name).inc()
                log.exception("a job failed and will run again", job=job.name)
                await asyncio.wait({stopping}, timeout=min(job.seconds, 1.0))
            waking = asyncio.create_task(woken.wait())
            await asyncio.wait(
                {stopping, waking},
                timeout=job.seconds * random.uniform(0.9, 1.1),
                return_when=asyncio.FIRST_COMPLETED,
            )
            waking.cancel()
    finally:
        stopping.cancel()
