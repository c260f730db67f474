"""What a running system costs while nobody uses it: memory and processor time of its processes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Cost:
    """One part with its children. `cpu_percent` is of one core; shared memory counts in each process that maps it."""

    part: str
    resident_mb: float
    cpu_percent: float


def measure_idle(pids: Mapping[str, int], seconds: float) -> list[Cost]:
    """Memory now, and the processor time of so many seconds, by part; the dearest first."""
    members = {part: _family(pid, deep=part == "postgres") for part, pid in pids.items()}
    before = {part: _busy(processes) for part, processes in members.items()}
    time.sleep(seconds)
    costs = [
        Cost(part, _resident(processes) / MEGABYTE, 100 * (_busy(processes) - before[part]) / seconds)
        for part, processes in members.items()
    ]
    return sorted(costs, key=lambda cost: -cost.cpu_percent)


def _family(pid: int, *, deep: bool) -> list[psutil.Process]:
    """A part's processes. Those of `up` are parts of their own; PostgreSQL has one a connection."""
    try:
        process = psutil.Process(pid)
        return [process, *(process.children(recursive=True) if deep else [])]
    except psutil.NoSuchProcess:
        return []


def _busy(processes: list[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        try:
            used = process.cpu_times()
        except psutil.NoSuchProcess:
            continue  # a connection that was closed meanwhile
        total += used.user + used.system
    return total


def _resident(processes: list[psutil.Process]) -> float:
    total = 0
    for process in processes:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return float(total)
