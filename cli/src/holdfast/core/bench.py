"""All measures of `holdfast bench core`, one after the other."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..api import offers_signer
from ..benching import machine
from ..errors import HoldfastError
from ..system import Ready
from ..threads import in_thread
from . import crowding, filling, holding, rushing, searching
from .goals import Figure, Report
from .stage import stage

if TYPE_CHECKING:
    from servicekit.signing import Signer

Tell = Callable[[str], None]
"""Is given what is being measured, for people who wait."""

SLOTS, HOLDS, RUSHES, CROWD = "slots", "holds", "one-slot", "crowd"
MEASURES = {
    SLOTS: "searches of three sizes",
    HOLDS: "place_hold beside its floor, and over HTTP",
    RUSHES: "10,000 attempts at one slot",
    CROWD: "a system with a million past bookings beside an empty one",
}


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done. Seconds are those of a stretch of load, of which each side has `rounds`."""

    seconds: float = 4.0
    rounds: int = 5
    requests: int = 60
    attempts: int = 10_000
    rushes: int = 3
    tenants: int = 10_000
    past: int = 1_000_000
    pairs: int = 300
    other_tenants: int = 200
    other_past: int = 50_000
    """What lies in the tables where single holds are measured: plans for empty tables are others."""


async def measure_core(
    ready: Ready, ready_file: Path | None, tell: Tell, only: Sequence[str] = (), effort: Effort | None = None
) -> Report:
    """The measures named in `only`, or all. Its clinic and its databases are taken away again.

    `HoldfastError` when the system is not one that can be measured from here.
    """
    if strange := set(only) - MEASURES.keys():
        raise HoldfastError(f"There is no measure {', '.join(sorted(strange))}; there are {', '.join(MEASURES)}.")
    wanted = [name for name in MEASURES if not only or name in only]
    effort = effort or Effort()
    signer = offers_signer(ready, ready_file)
    figures: list[Figure] = []
    before, begun = os.getloadavg()[0], time.monotonic()
    async with AsyncExitStack() as stack:
        if SLOTS in wanted or RUSHES in wanted:
            clinic = await stack.enter_async_context(searching.clinic(ready, ready_file, tell))
            if SLOTS in wanted:
                figures += await in_thread(lambda: searching.measure(ready, clinic, effort, tell))
            if RUSHES in wanted:
                figures += await in_thread(lambda: rushing.measure(ready, clinic, effort, tell))
    if HOLDS in wanted:
        figures += await in_thread(lambda: _holds(ready, signer, effort, tell))
    if CROWD in wanted:
        figures += await in_thread(lambda: crowding.measure(ready, effort, tell))
    seconds = round(time.monotonic() - begun)
    return Report(figures, seconds, (round(before, 1), round(os.getloadavg()[0], 1)), machine())


def _holds(ready: Ready, signer: Signer, effort: Effort, tell: Tell) -> list[Figure]:
    tell("a database")
    with stage(ready) as own:
        filling.fill(own, effort.other_tenants, effort.other_past, tell)
        holding.prepare(own)
        clock = holding.Clock()
        figures = holding.place_hold(own, clock, effort, tell)
        return figures + holding.over_http(own, signer, clock, effort, tell)
