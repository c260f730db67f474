"""A system with a million past bookings and ten thousand clinics beside an empty one.

Two databases on one server, each with processes of its own that serve it, and in both the same clinic with the same
coming visits. One request to the one, the same to the other, and so on: what the machine does besides meets both.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from ..system import Ready
from .filling import CLINIC, OFFERING, PRACTITIONERS, fill
from .goals import CROWDED_HOLD, CROWDED_SEARCH, Figure, Goal, ratios
from .load import Line, LoadFailed, request
from .searching import search_path
from .stage import Stage, stage

if TYPE_CHECKING:
    from .bench import Effort, Tell

WARM = 20


def measure(ready: Ready, effort: Effort, tell: Tell) -> list[Figure]:
    """Search and hold in pairs."""
    tell("two databases")
    with stage(ready) as empty, stage(ready) as full:
        begun = time.monotonic()
        fill(empty, 0, 0, tell)
        fill(full, effort.tenants, effort.past, tell)
        filled = f"filled in {time.monotonic() - begun:.0f} s"
        both = (empty, full)
        path = search_path(CLINIC, "any", str(OFFERING))
        tell("searches in pairs")
        searches = [[request("GET", one.urls["availability"], path)] * (effort.pairs + WARM) for one in both]
        found = _pairs(both, "availability", searches, 200)
        tell("holds in pairs")
        wanted = [holds(one, effort.pairs + WARM) for one in both]
        held = _pairs(both, "booking", wanted, 201)
    about = f"{effort.tenants:,} clinics, {effort.past:,} past bookings, {filled}"
    return [
        _figure(CROWDED_SEARCH, found, effort, f"any of {PRACTITIONERS}; {about}"),
        _figure(CROWDED_HOLD, held, effort, ""),
    ]


def _figure(goal: Goal, milliseconds: tuple[list[float], list[float]], effort: Effort, note: str) -> Figure:
    empty, full = (sorted(side)[len(side) // 2] for side in milliseconds)
    note = f"{effort.pairs} pairs; medians {empty:.1f} ms empty, {full:.1f} ms full{'; ' if note else ''}{note}"
    return Figure(goal, ratios(milliseconds[1], milliseconds[0]), note)


def _pairs(
    both: tuple[Stage, Stage], service: str, requests: list[list[bytes]], status: int
) -> tuple[list[float], list[float]]:
    """Milliseconds of each side's requests, asked in turns; who is first changes every time."""
    taken: tuple[list[float], list[float]] = ([], [])
    with Line(both[0].urls[service]) as first, Line(both[1].urls[service]) as second:
        lines = (first, second)
        for number, pair in enumerate(zip(*requests, strict=True)):
            for side in (0, 1) if number % 2 else (1, 0):
                got, body, seconds = lines[side].ask(pair[side])
                if got != status:
                    raise LoadFailed(f"{service} answered {got}: {body[:300].decode(errors='replace')}")
                if number >= WARM:
                    taken[side].append(seconds * 1000)
    return taken


def holds(one: Stage, count: int) -> list[bytes]:
    """Holds of times that the stage's own search offers, each of another start."""
    url, booking = one.urls["availability"], one.urls["booking"]
    with Line(url) as line:
        _, body, _ = line.ask(request("GET", url, search_path(CLINIC, "any", str(OFFERING))))
    slots = json.loads(body)["slots"]
    if len(slots) < 2 * count:
        raise LoadFailed(f"Only {len(slots)} times are free in the measurement's clinic; do fewer pairs.")
    # Every other start: a visit lasts two steps.
    return [
        request("POST", booking, f"/v1/clinics/{CLINIC}/holds", b'{"slot_id":"%b"}' % slot["slot_id"].encode())
        for slot in slots[: 2 * count : 2]
    ]
