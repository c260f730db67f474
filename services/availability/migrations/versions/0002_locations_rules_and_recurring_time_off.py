"""Locations; rules, members' offerings and optional requirements; time off that comes back; a practitioner's words."""

from alembic import op

from servicekit.migrations import protect

revision = "0002"
down_revision = "0001"

LOCATION = (
    """CREATE TABLE location (
         tenant_id uuid NOT NULL, id uuid NOT NULL, slug text NOT NULL, name text NOT NULL,
         address text, phone text, time_zone text NOT NULL, opening_hours jsonb NOT NULL, metadata jsonb NOT NULL,
         version bigint NOT NULL DEFAULT 1,
         created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
         deleted_at timestamptz,
         PRIMARY KEY (tenant_id, id))""",
    "CREATE UNIQUE INDEX location_slug ON location (tenant_id, slug) WHERE deleted_at IS NULL",
)

COLUMNS = (
    """ALTER TABLE resource ADD COLUMN location_id uuid, ADD COLUMN bio text,
         ADD FOREIGN KEY (tenant_id, location_id) REFERENCES location (tenant_id, id)""",
    "CREATE INDEX resource_by_location ON resource (tenant_id, location_id) WHERE location_id IS NOT NULL",
    """ALTER TABLE offering ADD COLUMN rules jsonb NOT NULL DEFAULT '[]',
         ADD COLUMN members_only boolean NOT NULL DEFAULT false""",
    # start_at and end_at are the first occurrence; last_end_at is the end of the last one: what a search reads by.
    """ALTER TABLE time_off ADD COLUMN rrule text, ADD COLUMN time_zone text, ADD COLUMN last_end_at timestamptz,
         ADD COLUMN version bigint NOT NULL DEFAULT 1""",
)

# The tables' owner is under Row Level Security too: lifted here, or these would change no row.
REFILLED = (
    "ALTER TABLE resource NO FORCE ROW LEVEL SECURITY",
    "ALTER TABLE offering NO FORCE ROW LEVEL SECURITY",
    "ALTER TABLE time_off NO FORCE ROW LEVEL SECURITY",
    """UPDATE offering SET requirements = (
         SELECT jsonb_agg('{"optional": false, "preferences": {}}'::jsonb || document ORDER BY place)
         FROM jsonb_array_elements(requirements) WITH ORDINALITY AS listed(document, place))""",
    """UPDATE time_off AS t SET last_end_at = t.end_at, time_zone = r.time_zone
         FROM resource AS r WHERE r.tenant_id = t.tenant_id AND r.id = t.resource_id""",
    "ALTER TABLE resource FORCE ROW LEVEL SECURITY",
    "ALTER TABLE offering FORCE ROW LEVEL SECURITY",
    "ALTER TABLE time_off FORCE ROW LEVEL SECURITY",
)

TIME_OFF = (
    "ALTER TABLE time_off ALTER COLUMN time_zone SET NOT NULL, ALTER COLUMN last_end_at SET NOT NULL",
    "ALTER TABLE time_off ADD CHECK (last_end_at >= end_at AND (rrule IS NOT NULL OR last_end_at = end_at))",
    "DROP INDEX time_off_by_resource",
    "CREATE INDEX time_off_by_resource ON time_off (tenant_id, resource_id, last_end_at) WHERE deleted_at IS NULL",
)


def upgrade() -> None:
    """Adds them, with the values that what is there already had in effect."""
    for statement in LOCATION:
        op.execute(statement)
    protect("location")
    for statement in (*COLUMNS, *REFILLED, *TIME_OFF):
        op.execute(statement)
