"""Why there is no time to offer. Pure."""

from typing import Literal

from availability.board import Sought
from availability.search import Search
from scheduling.instants import GRANULE

Reason = Literal["closed", "full", "holiday", "no_resources", "outside_window"]
DayReason = Literal["closed", "full", "holiday"]


def reason(sought: Sought, search: Search) -> Reason:
    """For an answer without slots.

    no_resources: the offering needs somebody or something that is not there at all · outside_window: the dates are
    past, or nearer or farther than the offering may be booked · full: all is taken · holiday: closed on these dates
    for a public holiday · closed: nobody works then.
    """
    if search.hopeless():
        return "no_resources"
    if sought.asked.empty:
        return "outside_window"
    if search.allowed():
        return "full"
    asked = _days(sought)
    if _hours(sought, holidays=True) & asked:
        return "outside_window"
    return "holiday" if _hours(sought, holidays=False) & asked else "closed"


def day_reason(sought: Sought, search: Search, day: int) -> DayReason:
    """For a date, by its number in the searched range, without free starts."""
    if not 0 <= day < len(sought.asked.days):
        return "closed"
    bits = _day(sought, day)
    if search.allowed() & bits:
        return "full"
    if not _hours(sought, holidays=True) & bits and _hours(sought, holidays=False) & bits:
        return "holiday"
    return "closed"


def _days(sought: Sought) -> int:
    first, last = sought.asked.day_granules(0)[0], sought.asked.day_granules(len(sought.asked.days) - 1)[1]
    return (1 << last) - (1 << first)


def _day(sought: Sought, day: int) -> int:
    first, last = sought.asked.day_granules(day)
    return (1 << last) - (1 << first)


def _hours(sought: Sought, *, holidays: bool) -> int:
    """Bits of the starts that the hours of everybody who is needed allow, notice and window aside."""
    offering, bits = sought.offering, -1
    for number, pool in enumerate(sought.pools):
        if pool.optional:
            continue
        leads = number == offering.leading
        step, starts = (offering.step, offering.starts) if leads else (GRANULE, None)
        some = 0
        for seat in pool.seats:
            some |= seat.resource.hours(offering.duration, step, starts, sought.asked, holidays=holidays)
        bits &= some
    return bits
