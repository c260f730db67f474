"""Connections, the mirror of external busy times, and the calendar events that show our appointments."""

from alembic import op

from servicekit.migrations import create_copies, create_idempotency, create_messaging, define, protect

revision = "0001"
down_revision = None

CONNECTION = """CREATE TABLE connection (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  resource_id uuid NOT NULL,
  kind text NOT NULL CHECK (kind = 'google'),
  calendar_id text NOT NULL,
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'active', 'degraded', 'revoked')),
  version bigint NOT NULL DEFAULT 0,       -- of what is said about it: one more in each transaction with events
  generation int NOT NULL DEFAULT 0,       -- of the mirror: one more for each full listing
  grant_sealed bytea,                      -- OAuth tokens, AES-GCM
  sync_token text,
  listed_at timestamptz,                   -- the last full listing; the horizon moves with it
  last_sync_at timestamptz,
  activated_at timestamptz,                -- the first successful read; appointments are written from then on
  degraded_since timestamptz,
  degraded_reason text,
  due_at timestamptz,                      -- when it is read next; NULL: not at all
  failures int NOT NULL DEFAULT 0,
  lease uuid,                              -- the reader that has it, until lease_until
  lease_until timestamptz,
  lease_of int,                            -- the reader's replica
  watch_due_at timestamptz,                -- when the next channel is opened
  watch_failures int NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz)"""

# A person's click starts a consent; whoever comes back with the state has to be the same browser, once, in time.
OAUTH_STATE = """CREATE TABLE oauth_state (
  state_hash bytea PRIMARY KEY,
  tenant_id uuid NOT NULL,
  connection_id uuid NOT NULL REFERENCES connection (id),
  started_by uuid NOT NULL,
  browser_hash bytea NOT NULL,
  verifier_sealed bytea NOT NULL,          -- PKCE
  expires_at timestamptz NOT NULL,
  used_at timestamptz)"""

CHANNEL = """CREATE TABLE channel (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  connection_id uuid NOT NULL REFERENCES connection (id),
  token_hash bytea NOT NULL,
  provider_resource text,                  -- what the provider wants to hear when the channel is closed
  expires_at timestamptz,
  superseded_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now())"""

MIRRORED = """CREATE TABLE mirrored (
  connection_id uuid NOT NULL REFERENCES connection (id),
  external_key text NOT NULL,
  series_key text,                         -- of the recurring event that it is an instance of
  tenant_id uuid NOT NULL,
  starts_at timestamptz NOT NULL,
  ends_at timestamptz NOT NULL,
  generation int NOT NULL,
  PRIMARY KEY (connection_id, external_key),
  CHECK (starts_at < ends_at))"""

APPOINTMENT = """CREATE TABLE appointment (
  booking_id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  version bigint NOT NULL,
  confirmed boolean NOT NULL,
  provider_id uuid,
  offering_id uuid NOT NULL,
  contact_id uuid NOT NULL,
  starts_at timestamptz NOT NULL,
  ends_at timestamptz NOT NULL)"""

# The desired state of one appointment in one calendar, and what the calendar is known to show.
CALENDAR_EVENT = """CREATE TABLE calendar_event (
  booking_id uuid NOT NULL REFERENCES appointment (booking_id),
  connection_id uuid NOT NULL REFERENCES connection (id),
  tenant_id uuid NOT NULL,
  present boolean NOT NULL,
  version bigint NOT NULL,                 -- the appointment's that is desired
  written_version bigint,
  etag text,
  due_at timestamptz,                      -- NULL: the calendar shows what is desired
  failures int NOT NULL DEFAULT 0,
  last_error text,
  lease uuid,
  lease_until timestamptz,
  lease_of int,
  PRIMARY KEY (booking_id, connection_id))"""

INDEXES = (
    "CREATE UNIQUE INDEX connection_once ON connection (tenant_id, resource_id, kind, calendar_id)"
    " WHERE deleted_at IS NULL",
    "CREATE INDEX connection_due ON connection (due_at) WHERE due_at IS NOT NULL",
    "CREATE INDEX connection_watch_due ON connection (watch_due_at) WHERE watch_due_at IS NOT NULL",
    "CREATE INDEX channel_of ON channel (connection_id)",
    "CREATE INDEX appointment_of ON appointment (tenant_id, provider_id, ends_at)",
    "CREATE INDEX calendar_event_due ON calendar_event (due_at) WHERE due_at IS NOT NULL",
    "CREATE INDEX calendar_event_of ON calendar_event (connection_id)",
)

# What a job, a notice or a consent that comes back needs to see across tenants: (tenant_id, id) and nothing else.
DUE_READS = """CREATE FUNCTION due_reads(p_limit int) RETURNS TABLE (tenant_id uuid, id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
  SELECT c.tenant_id, c.id FROM connection c
  WHERE c.due_at <= clock_timestamp() AND (c.lease_until IS NULL OR c.lease_until < clock_timestamp())
  ORDER BY c.due_at LIMIT p_limit $$"""

DUE_WATCHES = """CREATE FUNCTION due_watches(p_limit int) RETURNS TABLE (tenant_id uuid, id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
  SELECT c.tenant_id, c.id FROM connection c
  WHERE c.watch_due_at <= clock_timestamp() AND c.status IN ('active', 'degraded')
  ORDER BY c.watch_due_at LIMIT p_limit $$"""

DUE_CLOSINGS = """CREATE FUNCTION due_closings(p_limit int) RETURNS TABLE (tenant_id uuid, id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
  SELECT h.tenant_id, h.id FROM channel h
  WHERE h.superseded_at IS NOT NULL ORDER BY h.superseded_at LIMIT p_limit $$"""

DUE_WRITES = """CREATE FUNCTION due_writes(p_limit int)
RETURNS TABLE (tenant_id uuid, booking_id uuid, connection_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
  SELECT e.tenant_id, e.booking_id, e.connection_id FROM calendar_event e JOIN connection c ON c.id = e.connection_id
  WHERE e.due_at <= clock_timestamp() AND (e.lease_until IS NULL OR e.lease_until < clock_timestamp())
    AND c.grant_sealed IS NOT NULL AND c.status IN ('active', 'degraded')
  ORDER BY e.due_at LIMIT p_limit $$"""

CHANNEL_OWNER = """CREATE FUNCTION channel_owner(p_channel uuid) RETURNS TABLE (tenant_id uuid, id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
  SELECT h.tenant_id, h.connection_id FROM channel h WHERE h.id = p_channel $$"""

STATE_OWNER = """CREATE FUNCTION state_owner(p_state_hash bytea) RETURNS TABLE (tenant_id uuid, id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
  SELECT s.tenant_id, s.connection_id FROM oauth_state s WHERE s.state_hash = p_state_hash $$"""

# A replica that was killed in the middle takes up its work again as soon as it is back.
RELEASE_LEASES = """CREATE FUNCTION release_leases(p_replica int) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
  UPDATE connection SET lease = NULL, lease_until = NULL, due_at = clock_timestamp()
    WHERE lease IS NOT NULL AND lease_of = p_replica;
  UPDATE calendar_event SET lease = NULL, lease_until = NULL, due_at = clock_timestamp()
    WHERE lease IS NOT NULL AND lease_of = p_replica $$"""

# Appointments over for a quarter of a year are nobody's to write any more.
SWEEP = """CREATE FUNCTION sweep() RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS $$
  DELETE FROM oauth_state WHERE expires_at < now() - interval '1 day';
  DELETE FROM channel WHERE expires_at < now() OR (expires_at IS NULL AND created_at < now() - interval '30 days');
  DELETE FROM calendar_event e USING appointment a
    WHERE a.booking_id = e.booking_id AND a.ends_at < now() - interval '90 days';
  DELETE FROM appointment a WHERE a.ends_at < now() - interval '90 days'
    AND NOT EXISTS (SELECT 1 FROM calendar_event e WHERE e.booking_id = a.booking_id) $$"""


def upgrade() -> None:
    """Makes everything."""
    create_messaging()
    create_copies()
    create_idempotency()
    for table in (CONNECTION, OAUTH_STATE, CHANNEL, MIRRORED, APPOINTMENT, CALENDAR_EVENT):
        op.execute(table)
    for index in INDEXES:
        op.execute(index)
    protect("connection", "oauth_state", "channel", "mirrored", "appointment", "calendar_event")
    define("due_reads(int)", DUE_READS)
    define("due_watches(int)", DUE_WATCHES)
    define("due_closings(int)", DUE_CLOSINGS)
    define("due_writes(int)", DUE_WRITES)
    define("channel_owner(uuid)", CHANNEL_OWNER)
    define("state_owner(bytea)", STATE_OWNER)
    define("release_leases(int)", RELEASE_LEASES)
    define("sweep()", SWEEP)
