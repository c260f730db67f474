"""Timings of the search over 30 days, with the schedule expanded beforehand: python benchmarks/search.py"""

from __future__ import annotations

import timeit
from collections.abc import Callable
from datetime import date

from scheduling.bitmaps import Bitmap, Horizon, any_of
from scheduling.search import Visit, find, free, grid
from scheduling.templates import Template

FIRST, LAST = date(2026, 10, 20), date(2026, 11, 18)


def main() -> None:
    hours = [["09:00", "12:30"], ["13:00", "17:00"]]
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    template = Template.parse({"time_zone": "America/New_York", "weekly": dict.fromkeys(days, hours)})
    working = template.expand(FIRST, LAST)
    horizon = Horizon.covering(working[0][0] - 600, working[-1][1] + 600, align=1440)
    claims = [(start + 60 * n, start + 60 * n + 25) for start, _ in working for n in range(3)]
    busy = Bitmap.of(horizon, claims)
    visit = Visit(30, before=5, after=5)
    cached = grid(horizon, working, visit.duration, 15)
    packed = [busy.to_bytes()] * 50

    def any_of_fifty() -> list[int]:
        return any_of(horizon, [cached & free(visit, Bitmap.from_bytes(one)) for one in packed]).minutes()

    cases: list[tuple[str, Callable[[], object]]] = [
        ("expand the schedule", lambda: template.expand(FIRST, LAST)),
        (f"bitmap of {len(claims)} claims", lambda: Bitmap.of(horizon, claims)),
        ("grid", lambda: grid(horizon, working, visit.duration, 15)),
        ("free, claims and blocks", lambda: free(visit, busy, busy)),
        ("minutes", cached.minutes),
        ("find, one provider", lambda: find(working, visit, busy, step=15, blocks=busy)),
        ("grid cached, one provider", lambda: (cached & free(visit, busy, busy)).minutes()),
        ("grid cached, any of 50 from bytes", any_of_fifty),
    ]
    for name, case in cases:
        count = 200
        best = min(timeit.repeat(case, number=count, repeat=5)) / count
        print(f"{name:36} {best * 1e6:9.1f} µs")


if __name__ == "__main__":
    main()
