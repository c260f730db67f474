"""Visits that are over, the waiting list, and how many messages one address gets in an hour."""

from alembic import op

from servicekit.migrations import define

revision = "0002"
down_revision = "0001"

STATEMENTS = """
-- `waiting` is an entry of the waiting list, kept under its own id; `offered` the hold that came of one.
ALTER TABLE booking DROP CONSTRAINT booking_status_check;
ALTER TABLE booking ADD CONSTRAINT booking_status_check CHECK (status IN ('requested', 'pending_approval', 'confirmed',
  'completed', 'no_show', 'cancelled', 'rejected', 'unfulfillable', 'expired', 'waiting', 'offered'));

-- When it was to go out at first; `due_at` moves on while it is put off or tried again.
ALTER TABLE message ADD COLUMN wanted_at timestamptz NOT NULL DEFAULT now();

-- To whom it went: a keyed hash of the address, and since when it counts towards that address's limit.
ALTER TABLE message ADD COLUMN address bytea, ADD COLUMN addressed_at timestamptz;
CREATE INDEX message_address ON message (address, addressed_at) WHERE address IS NOT NULL;
"""

# Over all clinics, since it is one person's inbox. The lock makes senders to one address count each other.
ADDRESS = """
CREATE FUNCTION address_message(p_tenant uuid, p_message uuid, p_address bytea, p_most int) RETURNS interval
LANGUAGE plpgsql SECURITY DEFINER SET search_path = notification, pg_temp AS $$
DECLARE v_oldest timestamptz; v_now timestamptz;
BEGIN
  IF p_tenant::text IS DISTINCT FROM current_setting('app.tenant', true) THEN
    RAISE EXCEPTION 'not the tenant of this transaction' USING ERRCODE = '42501';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('address:' || encode(p_address, 'hex'), 0));
  v_now := clock_timestamp();
  -- The newest so many of the last hour: when there are so many, the oldest of them has to be an hour ago first.
  SELECT min(recent.addressed_at) INTO v_oldest FROM (
    SELECT m.addressed_at FROM message m
    WHERE m.address = p_address AND m.addressed_at > v_now - interval '1 hour' AND m.id <> p_message
      AND m.status IN ('sending', 'sent', 'unknown')
    ORDER BY m.addressed_at DESC LIMIT p_most) AS recent
  HAVING count(*) >= p_most;
  IF v_oldest IS NOT NULL THEN
    RETURN v_oldest + interval '1 hour' - v_now;
  END IF;
  UPDATE message SET address = p_address, addressed_at = v_now WHERE id = p_message AND tenant_id = p_tenant;
  RETURN NULL;
END $$"""


def upgrade() -> None:
    """Changes the tables and adds the function."""
    for statement in STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
    define("address_message(uuid, uuid, bytea, int)", ADDRESS)
