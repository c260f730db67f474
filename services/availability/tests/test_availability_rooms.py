"""Offerings that a room leads: no practitioner is needed."""

from datetime import date, timedelta
from typing import Any

from .conftest import Clinic

_SOON = date.today() + timedelta(days=3)


async def test_a_room_without_hours_is_offered_at_the_steps_of_each_day(clinic: Clinic) -> None:
    await clinic.resource("room", "Court")
    needs: list[dict[str, Any]] = [{"type": "room"}]
    offering = await clinic.offering("Tennis", duration_minutes=60, slot_step_minutes=90, requirements=needs)
    starts = await clinic.starts(offering, _SOON)
    assert starts[:3] == ["00:00", "01:30", "03:00"]
    assert (len(starts), starts[-1]) == (16, "22:30")


async def test_a_room_without_hours_is_offered_at_the_only_starts(clinic: Clinic) -> None:
    await clinic.resource("room", "Escape room")
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    offering = await clinic.offering(
        "Escape", requirements=[{"type": "room"}], starts={day: ["18:00", "20:30"] for day in days}
    )
    assert await clinic.starts(offering, _SOON) == ["18:00", "20:30"]
