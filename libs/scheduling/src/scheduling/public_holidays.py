"""Public holidays by country and region, as the `holidays` package knows them."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from scheduling.reading import InvalidSchedule
from scheduling.templates import Holidays


def dates(country: str, region: str | None, first: date, last: date) -> frozenset[date]:
    """The public holidays from `first` to `last`, inclusive: what `Template.expand` takes.

    `country` is an ISO 3166-1 alpha-2 code, `region` the part after the hyphen of an ISO 3166-2 code ("BY" of
    DE-BY) or None for what the whole country keeps. Days given in place of one on a weekend are among them. Years
    that the package does not know have none. InvalidSchedule names the field of an unknown country or region.
    """
    return frozenset(
        day
        for year in range(first.year, last.year + 1)
        for day in _of_year(country, region, year)
        if first <= day <= last
    )


def check(holidays: Holidays) -> None:
    """InvalidSchedule with `holidays.country` or `holidays.region` unless `dates` knows them."""
    _of_year(holidays.country, holidays.region, 2026)


@lru_cache(maxsize=4096)
def _of_year(country: str, region: str | None, year: int) -> frozenset[date]:
    # Imported here, as it takes a quarter of a second that only those who keep holidays should wait for.
    from holidays import country_holidays

    try:
        return frozenset(country_holidays(country, subdiv=region, years=[year]))
    except NotImplementedError as error:
        try:
            country_holidays(country)
        except NotImplementedError:
            raise InvalidSchedule("holidays.country", f'the public holidays of "{country}" are not known') from error
        raise InvalidSchedule("holidays.region", f'"{region}" is no region of {country} with holidays') from error
