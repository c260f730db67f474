"""What the first version stored is complete after the second one's migration."""

import uuid

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from psycopg import sql

from servicekit.migrate import create_roles, migrations_of
from servicekit.testing import PASSWORD

STORED = """
INSERT INTO availability.resource (tenant_id, id, slug, type, name, time_zone, buffer_before_minutes,
  buffer_after_minutes, approval_required, active, metadata)
VALUES (%(tenant)s, %(anna)s, 'anna', 'practitioner', 'Anna', 'Europe/Vilnius', 0, 0, false, true, '{}');
INSERT INTO availability.offering (tenant_id, id, slug, name, description, active, duration_minutes, price, capacity,
  buffer_before_minutes, buffer_after_minutes, min_notice_minutes, window_days, hold_minutes, payment, cancellation,
  reminders_minutes, requirements, metadata)
VALUES (%(tenant)s, %(tenant)s, 'o', 'O', '', true, 30, '{}', 1, 0, 0, 0, 1, 1, '{}', '{}', '[]',
  '[{"type": "practitioner", "any_of": "all"}, {"type": "room", "any_of": ["x"]}]', '{}');
INSERT INTO availability.time_off (tenant_id, id, resource_id, start_at, end_at)
VALUES (%(tenant)s, %(tenant)s, %(anna)s, '2027-01-01T00:00Z', '2027-01-02T00:00Z')
"""


@pytest.fixture
def first_version(postgres_url):
    """A database at the first version, its URL and a way to its newest one."""
    name = f"test_history_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = postgres_url.rsplit("/", 1)[0] + f"/{name}"
    create_roles(url, "availability", PASSWORD)
    config = Config()
    config.set_main_option("script_location", str(migrations_of("availability")))
    config.attributes.update(url=url.replace("postgresql://", "postgresql+psycopg://", 1), schema="availability")
    command.upgrade(config, "0001")
    return url, lambda: command.upgrade(config, "head")


def test_what_was_stored_gets_the_values_that_it_had_in_effect(first_version):
    url, upgrade = first_version
    tenant, anna = uuid.uuid4(), uuid.uuid4()
    with psycopg.ClientCursor(psycopg.connect(url, autocommit=True)) as cursor:
        cursor.execute(STORED, {"tenant": tenant, "anna": anna})
        upgrade()
        cursor.execute("SELECT requirements, rules, members_only FROM availability.offering")
        documents, rules, members_only = cursor.fetchone()
        assert [one | {"any_of": 0} for one in documents] == [
            {"type": kind, "any_of": 0, "optional": False, "preferences": {}} for kind in ("practitioner", "room")
        ]
        assert [one["any_of"] for one in documents] == ["all", ["x"]]
        assert (rules, members_only) == ([], False)
        cursor.execute("SELECT time_zone, rrule, last_end_at = end_at, version FROM availability.time_off")
        assert cursor.fetchone() == ("Europe/Vilnius", None, True, 1)
        cursor.execute(
            """SELECT relname FROM pg_class WHERE relnamespace = 'availability'::regnamespace AND relkind = 'r'
               AND relname IN ('resource', 'offering', 'time_off', 'location') AND NOT relforcerowsecurity"""
        )
        assert cursor.fetchall() == []
        cursor.connection.close()
