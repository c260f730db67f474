"""Kafka from wheels and jars: its life, its accidents, its refusals."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from embedded import AlreadyRunning, Kafka, PortTaken

New = Callable[..., Kafka]
TOPIC = "kept"


def up(server: Kafka) -> Kafka:
    server.start()
    server.wait_ready(60)
    return server


async def write(bootstrap: str, value: bytes) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(TOPIC, 1, 1)])
    finally:
        await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        await producer.send_and_wait(TOPIC, value)


async def read(bootstrap: str) -> bytes:
    async with AIOKafkaConsumer(TOPIC, bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        record = await consumer.getone()
        assert isinstance(record.value, bytes)
        return record.value


async def test_keeps_its_data_over_a_restart_on_other_ports_and_kill_9(new_kafka: New) -> None:
    server = up(new_kafka())
    await write(server.bootstrap, b"one")
    assert server.pid is not None
    if os.geteuid() == 0:
        assert psutil.Process(server.pid).uids().real != 0
    other = new_kafka()
    with pytest.raises(AlreadyRunning):
        other.start()

    os.kill(server.pid, signal.SIGKILL)
    server.stop()
    up(other)
    assert await read(other.bootstrap) == b"one"
    other.stop()
    assert not other.is_alive()
    assert "ERROR" not in other.log_file.read_text()


def test_names_the_taken_port(new_kafka: New) -> None:
    server = new_kafka()
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", server.controller_port))
        holder.listen()
        with pytest.raises(PortTaken, match=str(server.controller_port)):
            server.start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes the user")
def test_under_root_its_programs_and_data_are_within_reach(place: Path, new_kafka: New) -> None:
    hidden = place / "hidden"
    hidden.mkdir(mode=0o700)
    server = new_kafka(hidden / "kafka")
    server.prepare()
    home = (hidden / "kafka" / "broker").resolve()
    try:
        up(server)
        assert server.pid is not None
        assert psutil.Process(server.pid).uids().real != 0
    finally:
        server.stop()
        psutil.Popen(["rm", "-rf", str(home.parent)]).wait()
