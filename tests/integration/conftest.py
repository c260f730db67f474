"""The whole system, started by the command that everybody uses, once for all of these tests.

`HOLDFAST_READY` names a running one instead. Each test makes its own clinic, so they keep out of each other's way.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

STARTS_WITHIN = 120.0
EVERY_DAY = {day: [["08:00", "20:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}


@dataclass
class System:
    """A running system: its ready file, and the process that holds it up (None when it is somebody else's)."""

    ready_file: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def ready(self) -> dict[str, Any]:
        return dict(json.loads(self.ready_file.read_text()))

    def command(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """`holdfast …` against this system."""
        return subprocess.run(
            [sys.executable, "-m", "holdfast", *arguments, "--ready-file", str(self.ready_file)],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def kill(self, part: str) -> int:
        """`kill -9` of one part; `up` starts it again. Returns the pid that was killed."""
        pid = int(self.ready["pids"][part])
        os.kill(pid, signal.SIGKILL)
        return pid

    async def is_back(self, part: str, killed: int) -> None:
        """Waits until another process has taken the killed one's place and serves."""

        async def serves() -> bool:
            ready = self.ready
            if ready["pids"].get(part) in (None, killed):
                return False
            try:
                async with httpx.AsyncClient() as http:
                    return (await http.get(f"{ready['services'][part]}/health/ready")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(serves, seconds=90, every=0.2)


def start(data: Path) -> System:
    """`holdfast up` on ports of its own."""
    data.mkdir(parents=True, exist_ok=True)
    ready_file = data / "ready.json"
    with (data / "up.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "holdfast", "up", "--port", "0", "--data", str(data)], stdout=log, stderr=log
        )
    deadline = time.monotonic() + STARTS_WITHIN
    while not ready_file.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise RuntimeError(f"holdfast up did not become ready:\n{(data / 'up.log').read_text()[-4000:]}")
        time.sleep(0.1)
    return System(ready_file, process)


@pytest.fixture(scope="session")
def system(data_dir: Path) -> Iterator[System]:
    """The system under test."""
    if ready := os.environ.get("HOLDFAST_READY"):
        yield System(Path(ready))
        return
    running = start(data_dir / "system")
    try:
        yield running
    finally:
        assert running.process is not None
        running.process.terminate()
        running.process.wait(60)


async def eventually(look: Any, *, seconds: float = 20.0, every: float = 0.03) -> Any:
    """What `look` answers as soon as that is true."""
    deadline = time.monotonic() + seconds
    while not (found := await look()):
        assert time.monotonic() < deadline, f"did not come within {seconds} s"
        await asyncio.sleep(every)
    return found


class Client:
    """The public API and the sandbox, as one person uses them."""

    def __init__(self, system: System) -> None:
        self.system = system
        ready = system.ready
        self.http = httpx.AsyncClient(base_url=ready["gateway"], timeout=30, limits=httpx.Limits(max_connections=250))
        self.sandbox = httpx.AsyncClient(base_url=ready["sandbox"], timeout=30)

    async def close(self) -> None:
        await self.http.aclose()
        await self.sandbox.aclose()

    async def call(
        self, method: str, path: str, *, token: str | None = None, expect: int | None = None, **more: Any
    ) -> Any:
        """One call; `expect` is the status it has to have. Returns the JSON (or the response without `expect`)."""
        headers = more.pop("headers", {}) | ({"Authorization": f"Bearer {token}"} if token else {})
        answer = await self.http.request(method, path, headers=headers, **more)
        if expect is None:
            return answer
        assert answer.status_code == expect, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    async def pay(self, session_id: str, **body: Any) -> httpx.Response:
        url = f"/_sandbox/stripe/checkout/{session_id}/pay"
        return await self.sandbox.post(url, json=body or {"card": "4242424242424242"})

    async def fault(self, provider: str, fault: str, **more: Any) -> None:
        answer = await self.sandbox.post("/_sandbox/faults", json={"provider": provider, "fault": fault} | more)
        assert answer.status_code == 201, answer.text

    async def messages(self, to: str, kind: str = "email") -> list[dict[str, Any]]:
        answer = await self.sandbox.get("/_sandbox/messages", params={"kind": kind, "to": to})
        return list(answer.json()["data"])

    async def ledger(self, booking_id: str) -> list[dict[str, Any]]:
        """Stripe's books for one booking."""
        rows = (await self.sandbox.get("/_sandbox/stripe/ledger")).json()["data"]
        return [row for row in rows if row["metadata"].get("booking_id") == booking_id]


class Clinic:
    """A clinic of its own, with an owner, and shortcuts for what patients do in it."""

    def __init__(self, client: Client, slug: str, token: str, owner: str) -> None:
        self.client, self.slug, self.token, self.owner = client, slug, token, owner
        self.path = f"/v1/clinics/{slug}"
        self.email = f"clinic@{slug}.test"

    @classmethod
    async def open(cls, client: Client, **settings: Any) -> "Clinic":
        slug = f"t-{uuid4().hex[:10]}"
        owner = f"owner@{slug}.test"
        registered = await client.call(
            "POST", "/v1/auth/register", json={"email": owner, "password": "correct horse", "name": "Owner"}, expect=201
        )
        made = await client.call(
            "POST",
            "/v1/clinics",
            token=registered["access_token"],
            json={
                "slug": slug, "name": f"Clinic {slug}", "time_zone": "Europe/Warsaw", "currency": "pln",
                "locales": ["en", "pl"], "email": f"clinic@{slug}.test", "settings": settings,
            },
            expect=201,
        )  # fmt: skip
        return cls(client, slug, made["access_token"], owner)

    async def resource(self, kind: str = "practitioner", **more: Any) -> dict[str, Any]:
        slug = f"{kind[:4]}-{uuid4().hex[:6]}"
        body = {"slug": slug, "type": kind, "name": f"{kind} {slug}", "time_zone": "Europe/Warsaw"} | more
        made = await self.client.call("POST", f"{self.path}/resources", token=self.token, json=body, expect=201)
        schedule = {"time_zone": "Europe/Warsaw", "weekly": EVERY_DAY}
        await self.client.call(
            "PUT", f"{self.path}/resources/{made['id']}/schedule", token=self.token, json=schedule, expect=200
        )
        return dict(made)

    async def offering(self, mode: str = "free", *, price: int = 20000, **more: Any) -> dict[str, Any]:
        payment: dict[str, Any] = {"mode": mode} | ({"deposit_amount": 5000} if mode == "deposit" else {})
        body = {
            "slug": f"{mode}-{uuid4().hex[:6]}", "name": f"{mode.title()} visit", "duration_minutes": 30,
            "slot_step_minutes": 30, "price": {"amount": price, "currency": "pln"}, "payment": payment,
            "min_notice_minutes": 0, "window_days": 60, "hold_minutes": 10,
            "cancellation": {"free_until_minutes": 60, "fee_percent": 50},
            "reminders_minutes": [60],
        } | more  # fmt: skip
        return dict(await self.client.call("POST", f"{self.path}/offerings", token=self.token, json=body, expect=201))

    async def slots(
        self, offering: dict[str, Any], *, day: int = 3, provider: str = "any", **more: Any
    ) -> list[dict[str, Any]]:
        """The free times of one day, so many days from now; `more` goes into the query."""
        when = (datetime.now(UTC) + timedelta(days=day)).date().isoformat()
        answer = await self.client.call(
            "GET",
            f"{self.path}/providers/{provider}/availability",
            params={"offering": offering["id"], "from": when, "to": when} | more,
            expect=200,
        )
        return list(answer["slots"])

    async def slot(self, offering: dict[str, Any], *, day: int = 3, index: int = 0) -> dict[str, Any]:
        """One of them, waiting until there are any: the catalogue travels by events."""

        async def look() -> Any:
            return await self.slots(offering, day=day)

        return dict((await eventually(look))[index])

    async def hold(self, slot: dict[str, Any], expect: int = 201, **more: Any) -> dict[str, Any]:
        body = {"slot_id": slot["slot_id"]} | more
        return dict(await self.client.call("POST", f"{self.path}/holds", json=body, expect=expect))

    async def request(self, hold: dict[str, Any], *, email: str | None = None, **more: Any) -> dict[str, Any]:
        body = {
            "hold_id": hold["id"],
            "hold_token": hold["manage_token"],
            "customer": {"name": "Ewa Nowak", "email": email or f"p-{uuid4().hex[:8]}@example.test", "locale": "en"},
        } | more
        return dict(await self.client.call("POST", f"{self.path}/appointments", json=body, expect=201))

    async def book(self, offering: dict[str, Any], *, day: int = 3, index: int = 0, **more: Any) -> dict[str, Any]:
        """Search, hold, details."""
        return await self.request(await self.hold(await self.slot(offering, day=day, index=index)), **more)

    async def get(self, appointment: dict[str, Any]) -> dict[str, Any]:
        return dict(
            await self.client.call(
                "GET", f"{self.path}/appointments/{appointment['id']}", token=appointment["manage_token"], expect=200
            )
        )

    async def reaches(
        self, appointment: dict[str, Any], status: str, *, payment: str | None = None, seconds: float = 20
    ) -> Any:
        """The appointment once it has this status (and its payment that one)."""

        async def look() -> Any:
            seen = await self.get(appointment)
            return seen if seen["status"] == status and payment in (None, seen["payment"]["status"]) else None

        return await eventually(look, seconds=seconds)

    async def cancel(self, appointment: dict[str, Any]) -> dict[str, Any]:
        path = f"{self.path}/appointments/{appointment['id']}/cancel"
        return dict(await self.client.call("PUT", path, token=appointment["manage_token"], json={}, expect=200))


@pytest.fixture
async def client(system: System) -> AsyncIterator[Client]:
    """A client without faults in the sandbox."""
    made = Client(system)
    await made.sandbox.delete("/_sandbox/faults")
    yield made
    await made.close()


@pytest.fixture
async def clinic(client: Client) -> Clinic:
    """A fresh clinic."""
    return await Clinic.open(client)


def in_days(days: int) -> date:
    """A date from now."""
    return (datetime.now(UTC) + timedelta(days=days)).date()
