"""`place_hold` against its floor, and the hot route against `place_hold`: on a stage, so that nothing else works."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING
from uuid import UUID

from .goals import HOLD_HTTP, PLACE_HOLD_1, PLACE_HOLD_3, Figure, ratios
from .load import Load, LoadFailed, drive, request, together
from .pgbench import CLIENTS, Pgbench

if TYPE_CHECKING:
    from servicekit.signing import Signer

    from .bench import Effort, Tell
    from .stage import Stage

TENANT = UUID("0b000000-0000-7000-8000-000000000001")
OFFERING = UUID("0b000000-0000-7000-8000-000000000002")
KINDS = (("p", "practitioner"), ("r", "room"), ("e", "equipment"))
# Every client of pgbench has resources of its own, and so has the HTTP load: no two holds want one time.
OWN = 64
HTTP_OWN = 1024
_FIRST_OF_HTTP = CLIENTS * OWN
QUARTER = 15 * 60
CONNECTIONS = 64
_A_STRETCH = 400
"""Quarters of an hour that a stretch has for itself; times `OWN` they are its holds a client."""

# What any durable insert costs: the columns of a claim with an ordinary key, without policies.
FLOOR_TABLE = """
CREATE SCHEMA floor; GRANT USAGE ON SCHEMA floor TO booking_app;
CREATE TABLE floor.floor (tenant_id uuid NOT NULL, resource_id uuid NOT NULL, during tstzrange NOT NULL,
  owner_id uuid PRIMARY KEY, expires_at timestamptz NOT NULL DEFAULT 'infinity');
GRANT INSERT ON floor.floor TO booking_app;
"""

CATALOGUE = f"""
INSERT INTO clinic (tenant_id, version, time_zone, external_buffer)
VALUES ('{TENANT}', 1, 'Europe/Warsaw', interval '30 min');
INSERT INTO offering (tenant_id, id, version, active, mode, deposit, terms, members_only)
VALUES ('{TENANT}', '{OFFERING}', 1, true, 'authorize', 0, '{{"free_until_minutes": 1440, "fee_percent": 50,
  "no_show_fee_percent": 100, "late_move_fee_percent": 0, "notice_minutes": 60}}', false);
INSERT INTO resource (tenant_id, id, version, type, name, active, schedule_version)
SELECT '{TENANT}', (kind.number || lpad(n::text, 31, '0'))::uuid, 1, kind.name, kind.name || ' ' || n, true, 1
FROM (VALUES (1, 'practitioner'), (2, 'room'), (3, 'equipment')) AS kind(number, name),
  generate_series(0, {_FIRST_OF_HTTP + HTTP_OWN - 1}) AS n;
ANALYZE resource;
"""

_CLOCK = rf"""
\set n :n + 1
\set r :client_id * {OWN} + :n % {OWN}
\set s :base + {QUARTER} * (:n / {OWN})
"""
FLOOR = (
    _CLOCK
    + f"""
INSERT INTO floor.floor (tenant_id, resource_id, during, owner_id)
VALUES ('{TENANT}', (1 || lpad((:r)::text, 31, '0'))::uuid,
  tstzrange(to_timestamp((:s)::bigint), to_timestamp((:s)::bigint + {QUARTER})), uuidv7());
"""
)


def hold_script(kinds: int) -> str:
    """Booking's own statement for a hold of a practitioner and so many kinds more; it fails when nothing is held."""
    from booking.repository.slots import PLACE_HOLD

    ids = [f"({number} || lpad((:r)::text, 31, '0'))::uuid" for number in range(1, kinds + 1)]
    start, end = "to_timestamp((:s)::bigint)", f"to_timestamp((:s)::bigint + {QUARTER})"
    headers = json.dumps({"ce_specversion": "1.0", "ce_source": "holdfast/booking", "content-type": "application/json"})
    values = {
        "tenant": f"'{TENANT}'",
        "booking": "uuidv7()",
        "offering": f"'{OFFERING}'",
        "offering_version": "1",
        "start": start,
        "end": end,
        "capacity": "1",
        "seats": "1",
        "ttl": "'10 min'",
        "override": "false",
        "providers": f"ARRAY[{ids[0]}]",
        "counts": f"ARRAY[{kinds}]",
        "resources": _array(ids),
        "lower": _array([start] * kinds),
        "upper": _array([end] * kinds),
        "schedules": _array(["1"] * kinds),
        "approvals": "ARRAY[false]",
        "offer": f"'{'x' * 250}'",
        "amount": "30000",
        "currency": "'pln'",
        "time_zone": "'Europe/Warsaw'",
        "token": f"'\\x{'ab' * 32}'",
        "user": "NULL",
        "by": "'guest'",
        "origin": "NULL",
        "most_live": "3",
        "most_hourly": "20",
        "headers": f"'{headers}'",
        "entry": "NULL",
    }
    statement = PLACE_HOLD % {name: f"({value})" for name, value in values.items()}
    return f"{_CLOCK}\nSELECT 1 / (outcome = 'held')::int FROM ({statement}) AS placed;\n"


def _array(values: list[str]) -> str:
    return f"ARRAY[{', '.join(values)}]"


class Clock:
    """Times that no stretch has used before: far enough ahead for every stretch of a run."""

    def __init__(self) -> None:
        tomorrow = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        self._next = int(tomorrow.timestamp())

    def stretch(self) -> int:
        """Epoch seconds where one begins."""
        self._next += QUARTER * _A_STRETCH
        return self._next


def prepare(stage: Stage) -> None:
    """The catalogue that `place_hold` reads, and the floor's table."""
    with stage.connect("booking") as connection:
        connection.execute(CATALOGUE)
        connection.execute(FLOOR_TABLE)


def place_hold(stage: Stage, clock: Clock, effort: Effort, tell: Tell) -> list[Figure]:
    """The function with one and with three resources, each beside the floor right before it."""
    pgbench = Pgbench(stage.database, "booking_app", "booking")
    floors: list[float] = []
    held: dict[int, list[float]] = {1: [], 3: []}
    costs: dict[int, list[float]] = {0: [], 1: [], 3: []}

    def run(kinds: int, script: str) -> float:
        meter = stage.meter("postgres")
        speed = pgbench.run(script, effort.seconds, n=0, base=clock.stretch())
        costs[kinds].append(meter.seconds() / (speed * effort.seconds) * 1e6)
        return speed

    for number in range(1, effort.rounds + 1):
        for kinds, speeds in held.items():
            tell(f"place_hold, {kinds} resource{'s' if kinds > 1 else ''}, {number} of {effort.rounds}")
            floors.append(run(0, FLOOR))
            speeds.append(run(kinds, hold_script(kinds)))
    return [
        Figure(goal, ratios(held[kinds], floors[at::2]), _speeds(held[kinds], floors[at::2], costs[kinds], costs[0]))
        for at, (goal, kinds) in enumerate(((PLACE_HOLD_1, 1), (PLACE_HOLD_3, 3)))
    ]


def _speeds(held: list[float], floors: list[float], cost: list[float], floor: list[float]) -> str:
    speeds = f"{min(held):,.0f}–{max(held):,.0f} holds a second, floor {min(floors):,.0f}–{max(floors):,.0f}"
    if not any(cost):  # a PostgreSQL that runs elsewhere
        return speeds
    return f"{speeds}; PostgreSQL took {median(cost):,.0f} µs of a core a hold, {median(floor):,.0f} an insert"


def over_http(stage: Stage, signer: Signer, clock: Clock, effort: Effort, tell: Tell) -> list[Figure]:
    """The hot route over HTTP beside pgbench on its function, one resource each."""
    pgbench = Pgbench(stage.database, "booking_app", "booking")
    below: list[float] = []
    loads: list[Load] = []
    cpu = 0.0
    url = stage.urls["booking"]
    expected = 1000
    for number in range(effort.rounds + 1):  # the first one warms up
        tell(f"POST hold, {number} of {effort.rounds}" if number else "POST hold, warming up")
        seconds = effort.seconds if number else 1.0
        if number:
            below.append(pgbench.run(hold_script(1), seconds, n=0, base=clock.stretch()))
        made = list(offers(url, signer, clock.stretch(), int(expected * seconds * 2) + 500))
        meter = stage.meter("booking")
        load = drive(url, made, CONNECTIONS, seconds=seconds)
        if load.statuses.keys() - {201}:
            raise LoadFailed(f"Holds were not all made ({dict(load.statuses)}); the measurement was ended.")
        expected = max(expected, int(load.rate))
        if number:
            loads.append(load)
            cpu += meter.seconds()
    rates = [load.rate for load in loads]
    taken = together(loads)
    note = (
        f"{min(rates):,.0f}–{max(rates):,.0f} holds a second over {CONNECTIONS} connections, {taken.waits()}, pgbench "
        f"{min(below):,.0f}–{max(below):,.0f}; booking took {cpu / taken.count * 1e6:.0f} µs of a core a hold, "
        f"the client {taken.cpu / taken.count * 1e6:.0f}"
    )
    return [Figure(HOLD_HTTP, ratios(rates, below), note)]


def offers(url: str, signer: Signer, base: int, count: int) -> Iterator[bytes]:
    """Requests for holds of so many times, none twice, in no order."""
    from servicekit.capabilities import Offer, OfferedResource

    expires = int(time.time()) + 600
    path = f"/v1/clinics/{TENANT}/holds"
    numbers = list(range(count))
    random.shuffle(numbers)
    for number in numbers:
        start = base + QUARTER * (number // HTTP_OWN)
        identity = UUID(f"1{_FIRST_OF_HTTP + number % HTTP_OWN:031d}")
        taken = OfferedResource(identity, start, start + QUARTER, "p", 1, False)
        offer = Offer(
            expires,
            TENANT,
            OFFERING,
            1,
            start,
            start + QUARTER,
            30_000,
            "pln",
            600.0,
            1,
            False,
            "Europe/Warsaw",
            [[taken]],
        )
        yield request("POST", url, path, b'{"slot_id":"%b"}' % signer.sign(offer).encode())
