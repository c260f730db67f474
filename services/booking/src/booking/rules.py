"""Rules about the patient, judged when somebody says who they are. Those about practitioners and rooms are judged where
the time is taken (`broken_rule` in the migrations), since others compete for what they allow."""

from datetime import datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from booking.errors import RuleBroken, sentence
from booking.model import Booking
from booking.repository import bookings
from events import Transaction
from events.contracts.availability import MaxRule, NoOverlapRule, Rule
from scheduling.zones import to_utc, zone


async def check_patient(
    tx: Transaction,
    booking: Booking,
    rules: list[Rule],
    person_id: UUID,
    *,
    verified: bool,
    time_zone: str,
    start: datetime | None = None,
    end: datetime | None = None,
) -> None:
    """`RuleBroken` (422) when the person may not have this visit too; at `start` to `end` unless that is the booking's
    own. An address that was not verified is judged by what was booked under it in the same way."""
    start, end = start or booking.start_at, end or booking.end_at
    mine = [rule for rule in rules if rule.of == "patient"]
    if mine:
        await bookings.lock_person(tx, person_id)
    for rule in mine:
        if isinstance(rule, NoOverlapRule):
            broken = await bookings.has_overlap(tx, booking, person_id, verified=verified, start=start, end=end)
        else:
            assert isinstance(rule, MaxRule)
            since, until = span_of(rule.per, start, zone(time_zone))
            visits = await bookings.count_visits(tx, booking, person_id, verified=verified, since=since, until=until)
            broken = visits >= rule.count
        if broken:
            document = rule.model_dump(mode="json")
            raise RuleBroken(f"{sentence(document)} Nothing was booked or moved; a hold lives on.", rule=document)


def span_of(per: str, start: datetime, tz: ZoneInfo) -> tuple[datetime, datetime]:
    """The local day, or the week from Monday, in which a visit begins, as instants."""
    day = start.astimezone(tz).date()
    first = day if per == "day" else day - timedelta(days=day.weekday())
    last = first + timedelta(days=1 if per == "day" else 7)
    return to_utc(datetime.combine(first, time()), tz), to_utc(datetime.combine(last, time()), tz)
