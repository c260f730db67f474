"""`holdfast bench journey`: whole journeys one after the other on a running system, measured from outside."""

from __future__ import annotations

import asyncio
import os
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from events.topics import AVAILABILITY, BOOKING, PAYMENT

from .api import Api, CallFailed
from .figures import Buckets, difference, histograms, percentile, quantile
from .shop import Sandbox, ThrowAway, guest, open_clinic
from .system import Ready
from .watching import Watch, watching

EVENT_WITHIN = 20.0

# What a client waits for, and what follows from it; each from the instant that its request was sent.
STEPS = {
    "search": "free times of a week are found",
    "hold": "the time is held (answered)",
    "hold → live": "… and on the topic that every open page is fed from",
    "details": "the appointment is requested and its Checkout is open",
    "pay → confirmed": "from the card to BookingConfirmed on Kafka, webhook included",
    "authorized → confirmed": "from payment's word to booking's, as the events say it",
    "pay → captured": "… until the charge is made",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; milliseconds."""

    name: str
    count: int
    p50: float
    p95: float
    about: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured: outside, and between services."""

    journeys: int
    seconds: float
    steps: list[Row]
    between: list[Row]

    def document(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self) | {"machine": machine()}


async def bench_journey(ready: Ready, count: int, tell: Callable[[int], None]) -> Report:
    """`count` journeys in a clinic of its own; `tell` is given the number of each that is done."""
    if ready.sandbox is None:
        raise CallFailed("The journey is paid with a test card, and this system has no sandbox.")
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(Api(ready.gateway))
        sandbox = Sandbox(await stack.enter_async_context(Api(ready.sandbox)))
        watch = await stack.enter_async_context(watching(ready.kafka, [BOOKING, PAYMENT, AVAILABILITY]))
        clinic = await open_clinic(api, "bench")
        try:
            await clinic.offer("visit", price={"amount": 30_000, "currency": "pln"}, payment={"mode": "authorize"})
            slots = await clinic.shop.slots("visit", days=7)
            if len(slots) < count:
                raise CallFailed(f"Only {len(slots)} times are free in the bench's clinic, fewer than {count}.")
            await _journey(clinic, sandbox, watch, defaultdict(list))  # the first one warms everything up
            before = await _histograms(ready.services)
            measured: dict[str, list[float]] = defaultdict(list)
            begun = time.perf_counter()
            for number in range(1, count + 1):
                await _journey(clinic, sandbox, watch, measured)
                tell(number)
            seconds = time.perf_counter() - begun
            added = difference(before, await _histograms(ready.services))
        finally:
            await clinic.delete()
    steps = [_row(name, measured[name], about) for name, about in STEPS.items()]
    return Report(count, round(seconds, 1), steps, [_between(*entry) for entry in sorted(added.items())])


async def _journey(clinic: ThrowAway, sandbox: Sandbox, watch: Watch, measured: dict[str, list[float]]) -> None:
    """One booking, paid and confirmed; then cancelled, so that the clinic can go."""
    shop = clinic.shop
    search = await shop.search("visit", days=7)
    measured["search"].append(search.milliseconds)
    slot = search.expect(200)["slots"][-1]

    begun = time.perf_counter()
    answer = await shop.hold(slot["slot_id"])
    hold = answer.expect(201)
    measured["hold"].append(answer.milliseconds)
    changed = await _arrival(watch, "availability.availability_changed.v1", hold["id"])
    measured["hold → live"].append((changed.arrived - begun) * 1000)

    answer = await shop.request(hold, guest())
    appointment = answer.expect(201)
    measured["details"].append(answer.milliseconds)
    session = appointment["payment"].get("session_id")
    if not session:
        raise CallFailed("No Checkout was opened: payment or the sandbox did not answer.")

    begun = time.perf_counter()
    (await sandbox.pay(session)).expect(200)
    authorized = await _arrival(watch, "payment.payment_authorized.v1", hold["id"])
    confirmed = await _arrival(watch, "booking.booking_confirmed.v1", hold["id"])
    captured = await _arrival(watch, "payment.payment_captured.v1", hold["id"])
    measured["pay → confirmed"].append((confirmed.arrived - begun) * 1000)
    measured["authorized → confirmed"].append((confirmed.time - authorized.time).total_seconds() * 1000)
    measured["pay → captured"].append((captured.arrived - begun) * 1000)
    (await shop.cancel(appointment)).expect(200)
    watch.seen.clear()


async def _arrival(watch: Watch, kind: str, booking_id: str) -> Any:
    seen = await watch.until(lambda one: one.type == kind and one.is_about(booking_id), EVENT_WITHIN)
    if seen is None:
        raise CallFailed(f"{kind} of {booking_id} did not come within {EVENT_WITHIN:.0f} s.")
    return seen


async def _histograms(services: Mapping[str, str]) -> dict[tuple[str, str], Buckets]:
    found: dict[tuple[str, str], Buckets] = {}
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
        for name, url in services.items():
            try:
                answer = await client.get(f"{url}/metrics")
            except httpx.HTTPError as error:
                raise CallFailed(f"{name} did not show its metrics ({error!r}).") from error
            if answer.status_code == 200:
                found |= await asyncio.to_thread(histograms, answer.text)
    return found


def _row(name: str, values: list[float], about: str) -> Row:
    return Row(name, len(values), round(percentile(values, 0.5), 1), round(percentile(values, 0.95), 1), about)


def _between(key: tuple[str, str], buckets: Buckets) -> Row:
    consumer, event = key
    p50, p95 = (round(quantile(buckets, part) * 1000, 1) for part in (0.5, 0.95))
    return Row(f"{event.removesuffix('.v1')} → {consumer}", int(max(buckets.values())), p50, p95)


def machine() -> str:
    """What it ran on."""
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def markdown(report: Report, command: str, now: datetime | None = None) -> str:
    """A dated section for docs/measurements.md."""
    day = (now or datetime.now(UTC)).strftime("%Y-%m-%d")
    lines = [
        f"## {day}: {report.journeys} journeys, one after the other",
        "",
        f"`{command}` on {machine()}; Kafka, PostgreSQL, the services and the client share the machine.",
        "",
        "| from the request on | p50 ms | p95 ms | |",
        "|---|---:|---:|---|",
        *(f"| {row.name} | {row.p50:g} | {row.p95:g} | {row.about} |" for row in report.steps),
        "",
        "| event → the service that handled it, from the event's time to the commit | n | p50 ms | p95 ms |",
        "|---|---:|---:|---:|",
        *(f"| {row.name} | {row.count} | {row.p50:g} | {row.p95:g} |" for row in report.between),
        "",
    ]
    return "\n".join(lines)


def append_section(path: Path, section: str) -> None:
    """Adds the section; begins the file where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_text() if path.exists() else "# Measurements\n"
    path.write_text(f"{before.rstrip()}\n\n{section}")
