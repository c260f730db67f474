"""Jobs, wakes, and a service's life as a process."""

import asyncio
import os
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from events.brokers import Partition
from events.brokers.memory import MemoryBroker
from servicekit.service import Service
from servicekit.testing import client_of, free_port

SOURCE = Path(__file__).parent / "toyshop" / "src"
Build = Callable[..., Service]


async def until(condition: Callable[[], bool], seconds: float = 5) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds
        await asyncio.sleep(0.005)
    return time.monotonic() - began


async def test_a_committed_transaction_wakes_its_job_and_its_relay(
    build_toyshop: Build, clinic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from toyshop import main

    RUNS = main.RUNS
    RUNS.clear()
    monkeypatch.setattr(main, "FAILING_RUNS", {2})
    service = build_toyshop()
    broker = service.broker
    assert isinstance(broker, MemoryBroker)
    async with service.working(), client_of(service) as client:
        await until(lambda: RUNS == ["polish"])  # once at the start
        await asyncio.sleep(0.5)
        path = f"/v1/clinics/{clinic}/things"
        await client.post(path, json={"name": "refused"})
        await asyncio.sleep(0.1)
        assert RUNS == ["polish"]  # rolled back: nobody is woken
        await client.post(path, json={"name": "one"})
        assert await until(lambda: len(RUNS) == 2) < 0.5
        assert await until(lambda: any(broker.logs[Partition("holdfast.identity", n)] for n in range(3))) < 0.2
        # The second run failed: it is tried again at the next turn, and the job lives on.
        await asyncio.sleep(1.2)
        await client.post(path, json={"name": "two"})
        await until(lambda: len(RUNS) >= 3)
    await service.close()


async def test_an_api_process_wakes_the_worker_by_a_datagram(build_toyshop: Build, clinic: str) -> None:
    from toyshop.main import RUNS

    RUNS.clear()
    port = free_port()
    api, worker = build_toyshop(wake_port=port), build_toyshop(wake_port=port)
    async with worker.working(), client_of(api) as client:
        await until(lambda: len(RUNS) == 1)
        await client.post(f"/v1/clinics/{clinic}/things", json={"name": "one"})
        assert await until(lambda: len(RUNS) == 2) < 0.5
    # Nobody listens any more: the request does not care.
    async with client_of(api) as client:
        assert (await client.post(f"/v1/clinics/{clinic}/things", json={"name": "two"})).status_code == 201
    api.waker.close()
    await api.close()
    await worker.close()


def environment_of(given: dict[str, Any], port: int, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(SOURCE),
        "KAFKA_BOOTSTRAP": given["kafka_bootstrap"],
        "HOLDFAST_KEYS": str(given["keys_path"]),
        "TOYSHOP_DATABASE_URL": given["database_url"],
        "TOYSHOP_PORT": str(port),
    } | more


@pytest.mark.parametrize("mode", ["api", "all"])
async def test_a_process_serves_finishes_its_requests_and_ends_with_0(
    service_environment: Callable[..., dict[str, Any]], mode: str
) -> None:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "toyshop", mode,
        env=environment_of(service_environment("toyshop"), port), stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            for _ in range(300):
                try:
                    if (await client.get("/health/ready")).status_code == 200:
                        break
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
            answer = await client.post(f"/v1/clinics/{uuid.uuid4()}/things", json={"name": "one"})
            assert answer.status_code == 201
            assert "holdfast_" in (await client.get("/metrics")).text
            process.terminate()
            _, log = await asyncio.wait_for(process.communicate(), 15)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, log.decode()
    assert b"Traceback" not in log


async def test_a_part_that_cannot_go_on_ends_the_process_with_1(
    service_environment: Callable[..., dict[str, Any]],
) -> None:
    environment = environment_of(service_environment("toyshop"), free_port(), TOYSHOP_FAILS="1")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "toyshop", "all", env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, log = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert b"this part cannot go on" in log


async def test_an_unknown_mode_is_refused(service_environment: Callable[..., dict[str, Any]]) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "toyshop", "sleep",
        env=environment_of(service_environment("toyshop"), 0), stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, log = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert b"say api, worker or all" in log
