"""Everybody wants one time: at booking's address, and through the gateway, which says what else there is."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

from ..system import Ready
from .goals import RUSH_BOOKING, RUSH_GATEWAY, RUSH_WRONG, Figure, Spread
from .load import Load, LoadFailed, drive, request, together
from .processor import Meter
from .searching import Clinic, search_path, timed

if TYPE_CHECKING:
    from .bench import Effort, Tell

CONNECTIONS = 64
OTHER_TIMES = b'"alternatives":[{'


def measure(ready: Ready, clinic: Clinic, effort: Effort, tell: Tell) -> list[Figure]:
    """Several rushes of each kind, each at a time of its own."""
    times = _times(ready, clinic)
    kinds = (
        (RUSH_BOOKING, ready.services["booking"], str(clinic.tenant_id)),
        (RUSH_GATEWAY, ready.gateway, clinic.throw_away.slug),
    )
    figures: list[Figure] = []
    wrong: list[int] = []
    for goal, url, name in kinds:
        loads: list[Load] = []
        meter = Meter(ready.pids, ("booking", "gateway", "postgres"))
        for number in range(1, effort.rushes + 1):
            tell(f"{effort.attempts:,} {goal.what}, {number} of {effort.rushes}")
            body = b'{"slot_id":"%b"}' % next(times).encode()
            raw = request("POST", url, f"/v1/clinics/{name}/holds", body)
            load = drive(url, itertools.repeat(raw, effort.attempts), CONNECTIONS, look_for=OTHER_TIMES)
            wrong.append(abs(load.statuses[201] - 1) + load.count - load.statuses[201] - load.statuses[409])
            loads.append(load)
        figures.append(Figure(goal, Spread.of([load.rate for load in loads]), _note(loads, meter.seconds())))
    note = f"{len(wrong)} rushes of {effort.attempts:,}, one winner each" if not any(wrong) else f"by rush: {wrong}"
    return [*figures, Figure(RUSH_WRONG, Spread.of([float(sum(wrong))]), note)]


def _times(ready: Ready, clinic: Clinic) -> itertools.chain[str]:
    """Slots of one practitioner, far from one another."""
    url = ready.services["availability"]
    _, body = timed(url, search_path(clinic.tenant_id, "practitioner-09-0", "of-100"), 1)
    slots = [slot["slot_id"] for slot in json.loads(body)["slots"]][::20]
    if not slots:
        raise LoadFailed("No time is free in the measurement's clinic.")
    return itertools.chain(slots)


def _note(loads: list[Load], cost: float) -> str:
    told = sum(load.found for load in loads) / max(1, sum(load.statuses[409] for load in loads))
    taken = together(loads)
    return (
        f"{CONNECTIONS} connections; {taken.waits()}; alternatives in {told:.0%} of the refusals; "
        f"booking, gateway and PostgreSQL took {cost / taken.count * 1e6:.0f} µs of a core an attempt, "
        f"the client {taken.cpu / taken.count * 1e6:.0f}"
    )
