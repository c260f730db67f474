"""Public holidays as dates."""

from datetime import date

import pytest

from scheduling.public_holidays import check, dates
from scheduling.reading import InvalidSchedule
from scheduling.templates import Holidays, Template

CHRISTMAS = date(2026, 12, 25)


def test_dates_are_those_of_the_range_in_country_and_region() -> None:
    assert dates("PL", None, date(2026, 12, 20), date(2027, 1, 6)) == {
        date(2026, 12, 24),
        CHRISTMAS,
        date(2026, 12, 26),
        date(2027, 1, 1),
        date(2027, 1, 6),
    }
    epiphany = date(2027, 1, 6)
    assert epiphany in dates("DE", "BY", epiphany, epiphany)
    assert epiphany not in dates("DE", None, epiphany, epiphany)
    assert dates("PL", None, date(2026, 12, 26), CHRISTMAS) == frozenset()


def test_a_year_that_nobody_knows_has_none() -> None:
    assert dates("PL", None, date(9998, 1, 1), date(9999, 12, 31)) == frozenset()


@pytest.mark.parametrize(
    ("country", "region", "field"),
    [("XX", None, "holidays.country"), ("XX", "BY", "holidays.country"), ("DE", "ZZ", "holidays.region")],
)
def test_what_is_unknown_is_named(country: str, region: str | None, field: str) -> None:
    with pytest.raises(InvalidSchedule) as caught:
        check(Holidays(country, region))
    assert caught.value.field == field
    with pytest.raises(InvalidSchedule):
        dates(country, region, CHRISTMAS, CHRISTMAS)


def test_they_close_a_template_unless_an_override_opens_the_day() -> None:
    every_day = {day: [["09:00", "10:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    override = {"date": "2026-12-26", "ranges": [["12:00", "13:00"]]}
    body = {"time_zone": "Europe/Warsaw", "weekly": every_day, "overrides": [override], "holidays": {"country": "PL"}}
    template = Template.parse(body)
    first, last = date(2026, 12, 24), date(2026, 12, 28)
    closed = dates("PL", None, first, last)
    assert len(template.expand(first, last, closed)) == 3  # the 26th by its override, the 27th, the 28th
