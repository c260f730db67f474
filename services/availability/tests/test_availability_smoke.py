"""x"""

from datetime import UTC, datetime, timedelta, date
import time


async def test_smoke(clinic, world):
    anna = await clinic.practitioner()
    off = await clinic.offering(price={"amount": 100, "currency": "pln"})
    day = date.today() + timedelta(days=3)
    print(await clinic.availability(off, day))
    assert len(await clinic.starts(off, day)) == 16
    s = datetime(day.year, day.month, day.day, 10, tzinfo=UTC)
    row = await clinic.take(anna, s, s + timedelta(minutes=30))
    assert len(await clinic.starts(off, day)) == 15
    print(await clinic.call("GET", "/providers", who={}))
