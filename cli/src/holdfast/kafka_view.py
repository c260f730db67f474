"""What `topics`, `lag` and `tail` read from Kafka."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from events import admin
from events.topics import BY_NAME, TOPICS

from .errors import HoldfastError
from .system import load_ready
from .watching import Seen, backlog, read, reading

KAFKA_VARIABLE = "KAFKA_BOOTSTRAP"
_SPAN = re.compile(r"(\d+)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_NO_ERROR = 0
T = TypeVar("T")


def bootstrap_of(ready_file: Path | None) -> str:
    """The running system's Kafka; KAFKA_BOOTSTRAP where no ready file is named."""
    if ready_file is None and (named := os.environ.get(KAFKA_VARIABLE)):
        return named
    return load_ready(ready_file).kafka


async def topic_rows(bootstrap: str, *, create: bool = False) -> list[dict[str, Any]]:
    """The registry's topics: as they are where they exist, as they will be made where they do not."""
    if create:
        await _answered(bootstrap, admin.ensure_topics(bootstrap))
    existing = await _answered(bootstrap, admin.existing_topics(bootstrap))
    present = [topic.name for topic in TOPICS if topic.name in existing]
    real = await _answered(bootstrap, _described(bootstrap, present))
    return [
        {
            "name": topic.name,
            "partitions": real[topic.name][0] if topic.name in real else topic.partitions,
            "configs": real[topic.name][1] if topic.name in real else topic.configs,
            "exists": topic.name in existing,
        }
        for topic in TOPICS
    ]


async def _described(bootstrap: str, names: list[str]) -> dict[str, tuple[int, dict[str, str]]]:
    """Partitions, and the configs that the registry sets, as the broker has them."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        if not names:
            return {}
        partitions = {row["topic"]: len(row["partitions"]) for row in await client.describe_topics(names)}
        answers = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
        configs: dict[str, dict[str, str]] = {}
        for answer in answers:
            for code, _, _, name, entries in answer.resources:
                wanted = BY_NAME[name].configs if code == _NO_ERROR else {}
                configs[name] = {entry[0]: entry[1] for entry in entries if entry[0] in wanted}
        return {name: (partitions[name], configs.get(name, {})) for name in names}
    finally:
        await client.close()


async def lag_rows(bootstrap: str) -> list[dict[str, Any]]:
    """How far every group is behind, partition by partition."""
    return await _answered(bootstrap, _lag(bootstrap))


async def _lag(bootstrap: str) -> list[dict[str, Any]]:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        groups = sorted(row[0] for row in await client.list_consumer_groups())
    finally:
        await client.close()
    rows = await admin.group_lag(bootstrap, groups)
    return [{"group": row.group, "topic": row.topic, "partition": row.partition, "lag": row.lag} for row in rows]


async def _answered(bootstrap: str, asking: Awaitable[T]) -> T:
    try:
        return await asking
    except KafkaError as error:
        raise HoldfastError(f"Kafka at {bootstrap} did not answer ({error!r}); is the system still up?") from error


def chosen_topics(named: Sequence[str] | None) -> list[str]:
    """The named topics by their whole names, else every one; names what is not in the registry."""
    if not named:
        return [topic.name for topic in TOPICS]
    full = [name if name in BY_NAME else f"holdfast.{name}" for name in named]
    if unknown := [name for name in full if name not in BY_NAME]:
        known = ", ".join(name.removeprefix("holdfast.") for name in BY_NAME)
        raise HoldfastError(f"There is no topic {', '.join(unknown)}; there are {known}.")
    return full


def begin_of(since: str | None, now: datetime | None = None) -> datetime | None:
    """`10m` ago, or an instant; None for from now on."""
    if since is None:
        return None
    now = now or datetime.now(UTC)
    if span := _SPAN.fullmatch(since):
        return now - timedelta(seconds=int(span[1]) * _SECONDS[span[2]])
    try:
        instant = datetime.fromisoformat(since)
    except ValueError:
        raise HoldfastError(
            f"--since {since} is neither a span (30s, 10m, 2h, 1d) nor an instant in RFC 3339."
        ) from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


async def follow(
    bootstrap: str, topics: Sequence[str], kinds: Sequence[str], since: datetime | None, *, as_json: bool
) -> None:
    """Prints what passes until it is cancelled."""
    show = _print_json if as_json else _printer()

    def fits(seen: Seen) -> bool:
        return not kinds or any(kind in seen.type for kind in kinds)

    async with reading(bootstrap, topics, since) as consumer:
        if since is not None:
            # What is there already comes partition by partition: it is told in the order in which it was said.
            past = [seen async for seen in backlog(consumer) if fits(seen)]
            for seen in sorted(past, key=lambda one: one.time):
                show(seen)
        async for record in consumer:
            if fits(seen := read(record)):
                show(seen)


def _print_json(seen: Seen) -> None:
    print(json.dumps(seen.document()), flush=True)


def _printer() -> Any:
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False, soft_wrap=True)
    room = max(20, console.width - 12) if console.is_terminal else 160

    def show(seen: Seen) -> None:
        when = seen.time.astimezone().strftime("%H:%M:%S.%f")[:-3]
        console.print(
            f"[dim]{when}[/] [cyan]{escape(seen.place.removeprefix('holdfast.'))}[/] "
            f"[bold]{escape(seen.type or '?')}[/] [dim]{escape(seen.key)}[/]"
        )
        console.print(f"  [dim]{escape(short(seen.payload, room))}[/]")
        sys.stdout.flush()

    return show


def short(payload: Any, room: int) -> str:
    """The payload on one line, without what the other columns say, cut to `room` characters."""
    if payload is None:
        return "(gone)"
    if isinstance(payload, dict):
        payload = {name: value for name, value in payload.items() if name != "tenant_id"}
    text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
    return text if len(text) <= room else f"{text[: room - 1]}…"
