"""Dates, times and money as people write them, by Babel."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale
from babel.dates import format_date, format_skeleton, format_time, get_timezone_location
from babel.numbers import format_currency, get_currency_precision

LOCALES = ("en", "pl", "es", "de")


def language(*wanted: str | None) -> str:
    """The first that we speak; `pl-PL` counts as `pl`."""
    for tag in wanted:
        code = (tag or "").replace("_", "-").split("-")[0].lower()
        if code in LOCALES:
            return code
    return LOCALES[0]


def zone(*wanted: str | None) -> ZoneInfo:
    """The first that exists."""
    for name in wanted:
        if name:
            try:
                return ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError):
                continue
    return ZoneInfo("UTC")


def money(amount: int, currency: str, locale: str) -> str:
    """An amount in the smallest unit: 30000 pln is `300,00 zł` in Polish. Whole amounts lose their zeros."""
    code = currency.upper()
    value = Decimal(amount).scaleb(-get_currency_precision(code))
    if value != value.to_integral_value():
        return str(format_currency(value, code, locale=locale))
    pattern = Locale.parse(locale).currency_formats["standard"].pattern.replace("0.00", "0")
    return str(format_currency(value, code, format=pattern, locale=locale, currency_digits=False))


@dataclass(frozen=True, slots=True)
class Clock:
    """Instants in one place and language."""

    zone: ZoneInfo
    locale: str

    def moment(self, instant: datetime) -> str:
        """`Thu, Nov 26, 10:30`."""
        local = instant.astimezone(self.zone)
        return f"{format_skeleton('MMMEd', local, locale=self.locale)}, {self._time(instant)}"

    def span(self, start: datetime, end: datetime) -> str:
        """`Thursday, November 26, 2026, 10:30–11:30`; both days are named when it goes over midnight."""
        first, last = start.astimezone(self.zone), end.astimezone(self.zone)
        if first.date() == last.date():
            day = format_date(first, "full", locale=self.locale)
            return f"{day}, {self._time(start)}–{self._time(end)}"
        return f"{self.moment(start)} – {self.moment(end)}"

    def place(self, instant: datetime) -> str:
        """`Warsaw (CET)`: whose clock it is."""
        local = instant.astimezone(self.zone)
        city = get_timezone_location(self.zone, locale=self.locale, return_city=True)
        return f"{city} ({local.tzname()})"

    def _time(self, instant: datetime) -> str:
        """With plain spaces: Unicode's narrow one before AM and PM halves what fits into an SMS."""
        return str(format_time(instant, "short", tzinfo=self.zone, locale=self.locale)).replace("\u202f", " ")
