"""Tables as they are after years: clinics, their catalogues, and visits that are over, written straight into them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, LiteralString
from uuid import UUID

import psycopg

if TYPE_CHECKING:
    from .bench import Tell
    from .stage import Stage

CLINIC = UUID("0c000000-0000-7000-8000-000000000001")
OFFERING = UUID("0c000000-0000-7000-8000-000000000002")
PRACTITIONERS = 100
COMING = 90
"""Visits of each practitioner in the next 30 days."""
SHARE = 0.1
"""Of the past visits that were in the clinic that is measured."""

# Ids of other clinics and of visits follow from their numbers. Visits of the clinic that is measured are of its own
# practitioners; the others are spread over all other clinics, one practitioner each.
_NAMES: tuple[LiteralString, ...] = (
    "CREATE FUNCTION pg_temp.name(kind text, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS"
    " $$ SELECT md5(kind || n)::uuid $$",
    "CREATE FUNCTION pg_temp.practitioner(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS"
    " $$ SELECT ('c' || lpad(n::text, 31, '0'))::uuid $$",
)

_PAST: LiteralString = """
CREATE TEMP TABLE visit AS
SELECT n, CASE WHEN own THEN %(clinic)s::uuid ELSE pg_temp.name('clinic', n %% %(tenants)s) END AS tenant_id,
  CASE WHEN own THEN %(offering)s::uuid ELSE pg_temp.name('offering', n %% %(tenants)s) END AS offering_id,
  CASE WHEN own THEN pg_temp.practitioner(n %% %(practitioners)s) ELSE pg_temp.name('resource', n %% %(tenants)s) END
    AS resource_id,
  date_trunc('hour', now()) - interval '2 days'
    - interval '30 min' * (CASE WHEN own THEN n / %(practitioners)s ELSE n / %(tenants)s END) AS start_at,
  'completed' AS status
FROM (SELECT n, n < %(past)s * %(share)s AS own FROM generate_series(0, %(past)s - 1) AS n) AS numbered
"""

# On the grid of half hours between 7 and 15 UTC, so within everybody's hours.
_COMING: LiteralString = """
INSERT INTO visit
SELECT %(past)s + p * 1000 + k, %(clinic)s, %(offering)s, pg_temp.practitioner(p),
  date_trunc('day', now()) + interval '1 day' * (1 + k / 3)
    + interval '7 h' + interval '30 min' * ((p * 7 + k / 3 * 5 + k %% 3 * 5) %% 15), 'confirmed'
FROM generate_series(0, %(practitioners)s - 1) AS p, generate_series(0, %(coming)s - 1) AS k
"""

_BOOKING: tuple[LiteralString, ...] = (
    "SET session_replication_role = replica",  # the rows fit together: foreign keys need no look each
    """INSERT INTO clinic (tenant_id, version, time_zone, external_buffer)
       SELECT pg_temp.name('clinic', n), 1, 'Europe/Warsaw', interval '30 min'
       FROM generate_series(0, %(tenants)s - 1) AS n
       UNION ALL SELECT %(clinic)s, 1, 'Europe/Warsaw', interval '30 min'""",
    """INSERT INTO offering (tenant_id, id, version, active, mode, deposit, terms, members_only)
       SELECT tenant_id, id, 1, true, 'free', 0, '{"free_until_minutes": 0, "fee_percent": 0, "no_show_fee_percent": 0,
         "late_move_fee_percent": 0, "notice_minutes": 0}', false
       FROM (SELECT pg_temp.name('clinic', n) AS tenant_id, pg_temp.name('offering', n) AS id
             FROM generate_series(0, %(tenants)s - 1) AS n UNION ALL SELECT %(clinic)s, %(offering)s) AS every""",
    """INSERT INTO resource (tenant_id, id, version, type, name, active, schedule_version)
       SELECT tenant_id, id, 1, 'practitioner', 'Somebody', true, 1
       FROM (SELECT pg_temp.name('clinic', n) AS tenant_id, pg_temp.name('resource', n) AS id
             FROM generate_series(0, %(tenants)s - 1) AS n
             UNION ALL SELECT %(clinic)s, pg_temp.practitioner(p)
             FROM generate_series(0, %(practitioners)s - 1) AS p) AS every""",
    """INSERT INTO slot (id, tenant_id, offering_id, provider_id, start_at, end_at, status, capacity, reserved, version)
       SELECT pg_temp.name('slot', n), tenant_id, offering_id, resource_id, start_at, start_at + interval '30 min',
         'blocked', 1, 1, 1 FROM visit""",
    """INSERT INTO booking (id, tenant_id, slot_id, offering_id, provider_id, status, version, seats, start_at, end_at,
         time_zone, resources, offer, price, currency, mode, amount_due, terms, needs_approval, expires_at, claim_until,
         hold_token, person_id, contact_id, locale)
       SELECT pg_temp.name('booking', n), tenant_id, pg_temp.name('slot', n), offering_id, resource_id, status, 4, 1,
         start_at, start_at + interval '30 min', 'Europe/Warsaw', jsonb_build_array(
           jsonb_build_object('id', resource_id, 'claim_start', start_at, 'claim_end', start_at + interval '30 min')),
         repeat(md5(n::text), 8), 0, 'pln', 'free', 0, '{}', false, start_at, start_at, '\\x00',
         pg_temp.name('person', n / 5), pg_temp.name('contact', n / 5), 'pl' FROM visit""",
    """INSERT INTO claim (tenant_id, resource_id, during, owner_id)
       SELECT tenant_id, resource_id, tstzrange(start_at, start_at + interval '30 min'), pg_temp.name('booking', n)
       FROM visit ORDER BY resource_id, start_at""",
    "ANALYZE",
)

_AVAILABILITY: tuple[LiteralString, ...] = (
    """INSERT INTO copy (tenant_id, type, key, version, document)
       SELECT id, 'identity.tenant_changed.v1', id::text, 1, json_build_object('tenant_id', id, 'version', 1,
         'slug', 'clinic', 'name', 'Clinic', 'time_zone', 'Europe/Warsaw', 'currency', 'pln',
         'locales', json_build_array('pl'), 'settings', json_build_object())::text
       FROM (SELECT pg_temp.name('clinic', n) AS id FROM generate_series(0, %(tenants)s - 1) AS n
             UNION ALL SELECT %(clinic)s) AS every""",
    """INSERT INTO resource (tenant_id, id, slug, type, name, time_zone, buffer_before_minutes, buffer_after_minutes,
         approval_required, active, metadata, schedule)
       SELECT tenant_id, id, id::text, 'practitioner', 'Somebody', 'Europe/Warsaw', 0, 0, false, true, '{}',
         json_build_object('time_zone', 'Europe/Warsaw', 'overrides', json_build_array(), 'weekly',
           (SELECT json_object_agg(d, json_build_array(json_build_array('08:00', '18:00')))
            FROM unnest(ARRAY['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']) AS d))
       FROM (SELECT pg_temp.name('clinic', n) AS tenant_id, pg_temp.name('resource', n) AS id
             FROM generate_series(0, %(tenants)s - 1) AS n
             UNION ALL SELECT %(clinic)s, pg_temp.practitioner(p)
             FROM generate_series(0, %(practitioners)s - 1) AS p) AS every""",
    """INSERT INTO offering (tenant_id, id, slug, name, description, active, duration_minutes, slot_step_minutes, price,
         capacity, buffer_before_minutes, buffer_after_minutes, min_notice_minutes, window_days, hold_minutes, payment,
         cancellation, reminders_minutes, requirements, metadata)
       SELECT tenant_id, id, 'visit', 'Visit', '', true, 30, 15, '{"amount": 0, "currency": "pln"}', 1, 0, 0, 0, 365,
         10, '{"mode": "free"}', '{}', '[]',
         '[{"type": "practitioner", "any_of": "all", "optional": false, "preferences": {}}]', '{}'
       FROM (SELECT pg_temp.name('clinic', n) AS tenant_id, pg_temp.name('offering', n) AS id
             FROM generate_series(0, %(tenants)s - 1) AS n UNION ALL SELECT %(clinic)s, %(offering)s) AS every""",
    """INSERT INTO occupancy (tenant_id, owner_id, resource_id, version, slot_id, offering_id, claim_start, claim_end,
         start_at, end_at, capacity, reserved)
       SELECT tenant_id, pg_temp.name('booking', n), resource_id, 4, pg_temp.name('slot', n), offering_id, start_at,
         start_at + interval '30 min', start_at, start_at + interval '30 min', 1, 1 FROM visit""",
    """SELECT redraw(%(clinic)s, pg_temp.practitioner(p), floor(extract(epoch FROM now()) / 691200)::int,
         floor(extract(epoch FROM now()) / 691200)::int + 5) FROM generate_series(0, %(practitioners)s - 1) AS p""",
    "ANALYZE",
)


MANY = 100_000
"""From so many visits on, indexes are made at the end."""

_INDEXES: LiteralString = """
SELECT 'DROP INDEX ' || i.indexrelid::regclass, pg_get_indexdef(i.indexrelid)
FROM pg_index AS i JOIN pg_class AS t ON t.oid = i.indrelid
WHERE t.relnamespace = %(schema)s::regnamespace AND t.relname IN ('slot', 'booking', 'claim', 'occupancy')
  AND NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conindid = i.indexrelid)
UNION ALL
SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', c.conrelid::regclass, c.conname),
  format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid))
FROM pg_constraint AS c WHERE c.connamespace = %(schema)s::regnamespace AND c.conperiod AND c.contype = 'p'
"""


def fill(stage: Stage, tenants: int, past: int, tell: Tell) -> None:
    """The clinic that is measured with its coming visits, so many others, and past visits in all of them.

    Both services' tables at once: there are two cores.
    """
    with ThreadPoolExecutor(2) as pool:
        both = [
            pool.submit(_fill, stage, service, statements, tenants, past, tell)
            for service, statements in (("booking", _BOOKING), ("availability", _AVAILABILITY))
        ]
        for one in both:
            one.result()


def _fill(
    stage: Stage, service: str, statements: tuple[LiteralString, ...], tenants: int, past: int, tell: Tell
) -> None:
    parameters = {
        "clinic": CLINIC,
        "offering": OFFERING,
        "practitioners": PRACTITIONERS,
        "coming": COMING,
        "tenants": tenants,
        "past": past,
        "share": SHARE,
    }
    with stage.connect(service) as connection:
        _quickly(connection)
        again = _without_indexes(connection, service) if past > MANY else []
        for statement in (*_NAMES, _PAST, _COMING, *statements):
            if statement == "ANALYZE":
                for index in again:
                    tell(f"filling {service}: {index.split(' (')[0]}")
                    connection.execute(index)
            if past > MANY and statement.startswith("INSERT"):
                tell(f"filling {service}: {statement.split()[2]}")
            connection.execute(statement, parameters if "%(" in statement else None)


def _without_indexes(connection: psycopg.Connection[Any], schema: str) -> list[LiteralString]:
    """Drops what can be made again faster than it grows row by row; returns how."""
    found = connection.execute(_INDEXES, {"schema": schema}).fetchall()
    for drop, _ in found:
        connection.execute(drop)
    return [again for _, again in found]


def _quickly(connection: psycopg.Connection[Any]) -> None:
    """What is filled in is thrown away in the end: it need not survive a crash of the machine."""
    connection.execute("SET synchronous_commit = off")
    connection.execute("SET work_mem = '256MB'")
    connection.execute("SET maintenance_work_mem = '512MB'")
