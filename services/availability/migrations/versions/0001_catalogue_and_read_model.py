"""The catalogue, time off, and the read model of what is taken."""

from alembic import op

from servicekit.migrations import create_copies, create_idempotency, create_messaging, define, protect

revision = "0001"
down_revision = None

TABLES = (
    """CREATE TABLE resource (
         tenant_id uuid NOT NULL, id uuid NOT NULL, slug text NOT NULL,
         type text NOT NULL CHECK (type IN ('practitioner', 'room', 'equipment', 'virtual')),
         name text NOT NULL, time_zone text NOT NULL,
         buffer_before_minutes int NOT NULL CHECK (buffer_before_minutes >= 0 AND buffer_before_minutes % 5 = 0),
         buffer_after_minutes int NOT NULL CHECK (buffer_after_minutes >= 0 AND buffer_after_minutes % 5 = 0),
         approval_required boolean NOT NULL, active boolean NOT NULL, user_id uuid, metadata jsonb NOT NULL,
         schedule jsonb, schedule_version bigint NOT NULL DEFAULT 1, version bigint NOT NULL DEFAULT 1,
         created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
         deleted_at timestamptz,
         PRIMARY KEY (tenant_id, id))""",
    "CREATE UNIQUE INDEX resource_slug ON resource (tenant_id, slug) WHERE deleted_at IS NULL",
    """CREATE TABLE offering (
         tenant_id uuid NOT NULL, id uuid NOT NULL, slug text NOT NULL, name text NOT NULL,
         description text NOT NULL, active boolean NOT NULL,
         duration_minutes int NOT NULL CHECK (duration_minutes > 0 AND duration_minutes % 5 = 0),
         slot_step_minutes int CHECK (slot_step_minutes > 0 AND slot_step_minutes % 5 = 0),
         starts jsonb, price jsonb NOT NULL, capacity int NOT NULL CHECK (capacity >= 1),
         buffer_before_minutes int NOT NULL CHECK (buffer_before_minutes >= 0 AND buffer_before_minutes % 5 = 0),
         buffer_after_minutes int NOT NULL CHECK (buffer_after_minutes >= 0 AND buffer_after_minutes % 5 = 0),
         min_notice_minutes int NOT NULL CHECK (min_notice_minutes >= 0 AND min_notice_minutes % 5 = 0),
         window_days int NOT NULL CHECK (window_days BETWEEN 1 AND 730),
         hold_minutes double precision NOT NULL CHECK (hold_minutes >= 0.05),
         payment jsonb NOT NULL, cancellation jsonb NOT NULL, reminders_minutes jsonb NOT NULL,
         requirements jsonb NOT NULL, external_ref text, metadata jsonb NOT NULL,
         version bigint NOT NULL DEFAULT 1,
         created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
         deleted_at timestamptz,
         PRIMARY KEY (tenant_id, id))""",
    "CREATE UNIQUE INDEX offering_slug ON offering (tenant_id, slug) WHERE deleted_at IS NULL",
    "CREATE UNIQUE INDEX offering_external_ref ON offering (tenant_id, external_ref) WHERE deleted_at IS NULL",
    """CREATE TABLE time_off (
         tenant_id uuid NOT NULL, id uuid NOT NULL, resource_id uuid NOT NULL,
         start_at timestamptz NOT NULL, end_at timestamptz NOT NULL, reason text,
         created_at timestamptz NOT NULL DEFAULT now(), deleted_at timestamptz,
         PRIMARY KEY (tenant_id, id),
         FOREIGN KEY (tenant_id, resource_id) REFERENCES resource (tenant_id, id),
         CHECK (start_at < end_at))""",
    "CREATE INDEX time_off_by_resource ON time_off (tenant_id, resource_id, end_at) WHERE deleted_at IS NULL",
    # A freed row keeps its version for a while, so that an older state that comes late does not bring it back.
    """CREATE TABLE occupancy (
         tenant_id uuid NOT NULL, owner_id uuid NOT NULL, resource_id uuid NOT NULL, version bigint NOT NULL,
         slot_id uuid, offering_id uuid, claim_start timestamptz, claim_end timestamptz,
         start_at timestamptz, end_at timestamptz, expires_at timestamptz,
         capacity int NOT NULL DEFAULT 1, reserved int NOT NULL DEFAULT 0,
         freed boolean NOT NULL DEFAULT false, changed_at timestamptz NOT NULL DEFAULT now(),
         PRIMARY KEY (tenant_id, owner_id, resource_id),
         CHECK (freed OR claim_start < claim_end))""",
    "CREATE INDEX occupancy_by_time ON occupancy (tenant_id, resource_id, claim_end) WHERE NOT freed",
    "CREATE INDEX occupancy_freed ON occupancy (changed_at) WHERE freed",
    """CREATE TABLE busy (
         tenant_id uuid NOT NULL, connection_id uuid NOT NULL, external_key text NOT NULL, version bigint NOT NULL,
         resource_id uuid, start_at timestamptz, end_at timestamptz,
         freed boolean NOT NULL DEFAULT false, changed_at timestamptz NOT NULL DEFAULT now(),
         PRIMARY KEY (tenant_id, connection_id, external_key),
         CHECK (freed OR resource_id IS NOT NULL))""",
    "CREATE INDEX busy_by_time ON busy (tenant_id, resource_id, end_at) WHERE NOT freed",
    "CREATE INDEX busy_freed ON busy (changed_at) WHERE freed",
    """CREATE TABLE calendar_connection (
         tenant_id uuid NOT NULL, connection_id uuid NOT NULL, resource_id uuid NOT NULL, version bigint NOT NULL,
         since timestamptz NOT NULL, degraded boolean NOT NULL,
         PRIMARY KEY (tenant_id, connection_id))""",
    # The version of a resource's availability; its row lock puts the resource's frames in order.
    """CREATE TABLE feed (
         tenant_id uuid NOT NULL, resource_id uuid NOT NULL, version bigint NOT NULL,
         PRIMARY KEY (tenant_id, resource_id))""",
)

FORGET = """CREATE FUNCTION forget_freed(p_before timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = availability AS $$
  DELETE FROM occupancy WHERE freed AND changed_at < p_before;
  DELETE FROM busy WHERE freed AND changed_at < p_before;
$$"""


def upgrade() -> None:
    """Makes everything."""
    create_messaging()
    create_copies()
    create_idempotency()
    for statement in TABLES:
        op.execute(statement)
    protect("resource", "offering", "time_off", "occupancy", "busy", "calendar_connection", "feed")
    define("forget_freed(timestamptz)", FORGET)
