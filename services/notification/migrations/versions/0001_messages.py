"""What is known of each booking, and the messages about it."""

from alembic import op

from servicekit.migrations import create_copies, create_messaging, define, protect

revision = "0001"
down_revision = None

TABLES = """
-- The newest that booking said about each booking. No name or address: those are fetched when a message is sent.
CREATE TABLE booking (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  version bigint NOT NULL,
  status text NOT NULL CHECK (status IN ('requested', 'pending_approval', 'confirmed', 'cancelled', 'rejected',
    'unfulfillable', 'expired')),
  contact_id uuid,
  locale text NOT NULL,
  offering_id uuid NOT NULL,
  provider_id uuid,
  start_at timestamptz NOT NULL,
  end_at timestamptz NOT NULL,
  terms jsonb NOT NULL DEFAULT '{}',
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- One row a message. `recipient` is a reference, never an address. The key makes that nothing is said twice.
CREATE TABLE message (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  booking_id uuid NOT NULL REFERENCES booking (id),
  template text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('email', 'sms')),
  recipient text NOT NULL CHECK (recipient ~ '^(clinic|(contact|user):[0-9a-f-]{36})$'),
  occasion text NOT NULL,
  status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'sending', 'sent', 'failed', 'unknown', 'dropped')),
  version bigint NOT NULL DEFAULT 1,
  attempts int NOT NULL DEFAULT 0,
  due_at timestamptz NOT NULL,
  claimed_at timestamptz,
  context jsonb NOT NULL DEFAULT '{}',
  reason text,
  provider_id text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (tenant_id, booking_id, template, kind, recipient, occasion),
  CHECK ((status = 'sending') = (claimed_at IS NOT NULL)),
  CHECK (status NOT IN ('failed', 'unknown', 'dropped') OR reason IS NOT NULL)
) WITH (fillfactor = 80);
CREATE INDEX message_due ON message (due_at) WHERE status = 'queued';
CREATE INDEX message_sending ON message (claimed_at) WHERE status = 'sending';
"""

FUNCTIONS = {
    "due_messages(int)": """
CREATE FUNCTION due_messages(p_limit int) RETURNS TABLE (tenant_id uuid, id uuid)
LANGUAGE sql SECURITY DEFINER SET search_path = notification, pg_temp AS $$
  SELECT m.tenant_id, m.id FROM message m
  WHERE m.status = 'queued' AND m.due_at <= now() ORDER BY m.due_at LIMIT p_limit
$$""",
    "stranded_messages(interval, int)": """
CREATE FUNCTION stranded_messages(p_age interval, p_limit int) RETURNS TABLE (tenant_id uuid, id uuid)
LANGUAGE sql SECURITY DEFINER SET search_path = notification, pg_temp AS $$
  SELECT m.tenant_id, m.id FROM message m
  WHERE m.status = 'sending' AND m.claimed_at <= now() - p_age ORDER BY m.claimed_at LIMIT p_limit
$$""",
}


def upgrade() -> None:
    """Creates everything."""
    create_messaging()
    create_copies()
    for statement in TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)
    protect("booking", "message")
    for signature, statement in FUNCTIONS.items():
        define(signature, statement)
