"""How long a search takes: 30 days, three providers with 90 claims each. Prints; the bounds are for slow machines."""

import json
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from availability.alternatives import Alternatives
from availability.asking import Query
from events.envelope import seal


async def _milliseconds(call: Callable[[], Awaitable[Any]]) -> float:
    took = []
    for _ in range(30):
        began = time.perf_counter()
        await call()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


@pytest.mark.long
async def test_a_month_of_any_of_three_takes_milliseconds(clinic, world, slots):
    rooms = {day: [["09:00", "17:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    resources = [await clinic.practitioner(name) for name in ("Anna", "Piotr", "Ola")]
    resources += [await clinic.resource("room", f"Room {number}", rooms) for number in range(3)]
    needs = [{"type": "practitioner"}, {"type": "room"}]
    offerings = {
        "any of 3, every 30 minutes": await clinic.offering("A"),
        "any of 3, every 15 minutes": await clinic.offering("B", slot_step_minutes=15),
        "any of 3 with any of 3 rooms, every 30 minutes": await clinic.offering("C", requirements=needs),
    }
    first = date.today() + timedelta(days=1)
    midnight = datetime.combine(first, datetime.min.time(), tzinfo=UTC)
    records = []
    for resource in resources:
        for day in range(30):
            for hour in (9, 11, 13):
                start = midnight + timedelta(days=day, hours=hour, minutes=random.choice((0, 15, 30)))
                row = clinic.occupancy(resource, start, start + timedelta(minutes=30))
                records.append(seal(row, source="test")[1])
    await world.broker.publish(records, 5)
    await world.settle()
    other_times = world.service.get(Alternatives)
    for name, offering in offerings.items():
        query = Query("any", offering["id"], str(first), str(first + timedelta(days=29)))
        answer = json.loads(await slots.availability(clinic.id, query))
        search = await _milliseconds(lambda query=query: slots.availability(clinic.id, query))
        slot_id = answer["slots"][len(answer["slots"]) // 2]["slot_id"]
        alternatives = await _milliseconds(lambda slot_id=slot_id: other_times.near(clinic.id, slot_id, 5))
        print(f"{name}: {len(answer['slots'])} slots in {search:.1f} ms, alternatives in {alternatives:.1f} ms")
        assert search < 100
        assert alternatives < 100
