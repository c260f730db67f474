"""Copies that the hot functions read, and what the whole life of an appointment needs besides."""

from alembic import op

from servicekit.migrations import protect

revision = "0002"
down_revision = "0001"

TABLES = """
-- What place_hold has to know of a clinic, its offerings and its resources: typed, so that it parses no JSON. Fed by
-- the same events as `copy`, and from there when a row is missing.
CREATE TABLE clinic (
  tenant_id uuid PRIMARY KEY,
  version bigint NOT NULL,
  time_zone text NOT NULL,
  external_buffer interval NOT NULL
);
CREATE TABLE offering (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  version bigint NOT NULL,
  active boolean NOT NULL,
  mode text NOT NULL,
  deposit bigint NOT NULL,
  terms jsonb NOT NULL,
  members_only boolean NOT NULL,
  -- maxima of a practitioner: NULL where there are none
  most_a_day int,
  most_a_week int,
  PRIMARY KEY (tenant_id, id)
);
CREATE TABLE gap_rule (
  tenant_id uuid NOT NULL,
  offering_id uuid NOT NULL,
  after_offering uuid NOT NULL,
  minutes int NOT NULL CHECK (minutes > 0),
  of text NOT NULL CHECK (of IN ('practitioner', 'room')),
  PRIMARY KEY (tenant_id, offering_id, after_offering, of)
);
CREATE INDEX gap_rule_after ON gap_rule (tenant_id, after_offering);
CREATE TABLE resource (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL,
  version bigint NOT NULL,
  type text NOT NULL,
  name text NOT NULL,
  active boolean NOT NULL,
  schedule_version bigint NOT NULL,
  user_id uuid,
  PRIMARY KEY (tenant_id, id)
);

-- Visits and sessions that need no practitioner (the nil UUID) are told apart by what they take: a court is sold at an
-- hour when another one was.
ALTER TABLE slot ADD COLUMN place_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000';
ALTER TABLE slot DROP CONSTRAINT slot_tenant_id_offering_id_provider_id_start_at_key;
ALTER TABLE slot ADD CONSTRAINT slot_once UNIQUE (tenant_id, offering_id, provider_id, start_at, place_id);

-- The appointments that a cancelled session had.
ALTER TABLE slot ADD COLUMN called_off uuid[] NOT NULL DEFAULT '{}';

-- External events are padded by the clinic's buffer when they are checked, time off is not.
ALTER TABLE block ADD COLUMN kind text NOT NULL DEFAULT 'external_event' CHECK (kind IN ('external_event', 'time_off'));

ALTER TABLE booking
  ADD COLUMN held_by text NOT NULL DEFAULT 'guest',
  ADD COLUMN verified boolean NOT NULL DEFAULT false,
  ADD COLUMN arrived_at timestamptz,
  ADD COLUMN moved_by_clinic boolean NOT NULL DEFAULT false,
  ADD COLUMN move_fee bigint NOT NULL DEFAULT 0,
  ADD COLUMN remind_at timestamptz,
  ADD COLUMN series_id uuid,
  ADD COLUMN moves uuid REFERENCES booking (id),
  ADD COLUMN entry_id uuid;
COMMENT ON COLUMN booking.moves IS 'a hold that keeps the dearer time to which that appointment moves once it is paid';
COMMENT ON COLUMN booking.entry_id IS 'the waitlist entry that this hold was offered to';

-- One constraint each: PostgreSQL prepares every constraint of a row that it writes anew.
ALTER TABLE booking
  DROP CONSTRAINT booking_status_check, DROP CONSTRAINT booking_seats_check, DROP CONSTRAINT booking_price_check,
  DROP CONSTRAINT booking_mode_check, DROP CONSTRAINT booking_amount_due_check,
  DROP CONSTRAINT booking_payment_status_check,
  ADD CONSTRAINT booking_is_sound CHECK (
    status IN ('held', 'released', 'expired', 'pending_payment', 'pending_approval', 'confirmed', 'rejected',
      'completed', 'no_show', 'cancelled', 'unfulfillable')
    AND seats >= 1 AND price >= 0 AND amount_due >= 0 AND move_fee >= 0
    AND mode IN ('free', 'full', 'deposit', 'authorize')
    AND payment_status IN ('none', 'pending', 'authorized', 'paid', 'failed', 'voided', 'partially_refunded',
      'refunded'));
ALTER TABLE slot
  DROP CONSTRAINT slot_status_check, DROP CONSTRAINT slot_capacity_check, DROP CONSTRAINT slot_check,
  DROP CONSTRAINT slot_check1, DROP CONSTRAINT slot_check2, DROP CONSTRAINT slot_check3,
  ADD CONSTRAINT slot_is_sound CHECK (
    status IN ('open', 'blocked', 'cancelled') AND capacity >= 1 AND reserved BETWEEN 0 AND capacity
    AND (status <> 'open' OR reserved < capacity) AND (status <> 'blocked' OR reserved = capacity)
    AND end_at > start_at);

ALTER TABLE booking DROP CONSTRAINT booking_tenant_id_external_ref_key;
CREATE UNIQUE INDEX booking_external_ref ON booking (tenant_id, external_ref) WHERE external_ref IS NOT NULL;
CREATE INDEX booking_series ON booking (series_id, start_at) WHERE series_id IS NOT NULL;
CREATE INDEX booking_over ON booking (end_at) WHERE status = 'confirmed';
CREATE INDEX booking_reminder ON booking (remind_at) WHERE remind_at IS NOT NULL;
CREATE INDEX booking_moves ON booking (moves) WHERE moves IS NOT NULL;

-- Who broke which rule, or reached for which record, and why. Nothing is ever changed in it.
CREATE TABLE audit (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id uuid NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  actor uuid,
  action text NOT NULL,
  subject uuid NOT NULL,
  detail text
);
CREATE INDEX audit_at ON audit (tenant_id, at DESC, id DESC);

CREATE TABLE series (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  offering_id uuid NOT NULL,
  rrule text NOT NULL,
  status text NOT NULL CHECK (status IN ('active', 'cancelled')),
  person_id uuid NOT NULL,
  contact_id uuid NOT NULL,
  user_id uuid,
  manage_token bytea NOT NULL,
  -- starts that could not be had
  refused jsonb NOT NULL DEFAULT '[]',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX series_list ON series (tenant_id, created_at, id);

CREATE TABLE waitlist (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  offering_id uuid NOT NULL,
  provider_id uuid,
  during tstzrange NOT NULL CHECK (NOT isempty(during)),
  seats int NOT NULL CHECK (seats >= 1),
  status text NOT NULL CHECK (status IN ('waiting', 'offered', 'taken', 'passed')),
  version bigint NOT NULL DEFAULT 1,
  -- the hold that this entry will be offered, minted with it: an offer needs no key then
  hold_id uuid NOT NULL UNIQUE,
  hold_token bytea NOT NULL,
  hold_sealed text NOT NULL,
  offer_until timestamptz,
  person_id uuid NOT NULL,
  contact_id uuid NOT NULL,
  user_id uuid,
  locale text NOT NULL,
  manage_token bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CHECK (status <> 'offered' OR offer_until IS NOT NULL)
);
-- The line: who came first is first. Ids of version 7 sort by the millisecond.
CREATE INDEX waitlist_line ON waitlist (tenant_id, offering_id, id) WHERE status = 'waiting';
CREATE INDEX waitlist_over ON waitlist (upper(during)) WHERE status = 'waiting';
CREATE INDEX waitlist_list ON waitlist (tenant_id, id);

CREATE TABLE conflict (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  booking_id uuid NOT NULL REFERENCES booking (id),
  resource_id uuid NOT NULL,
  cause text NOT NULL CHECK (cause IN ('external_event', 'time_off', 'schedule', 'deactivated')),
  -- the visit's when it was found: what is kept is kept at that time
  start_at timestamptz NOT NULL,
  status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'resolved')),
  resolution text,
  created_at timestamptz NOT NULL DEFAULT now(),
  resolved_at timestamptz
);
CREATE UNIQUE INDEX conflict_open ON conflict (booking_id, resource_id, cause) WHERE status = 'open';
CREATE INDEX conflict_list ON conflict (tenant_id, created_at, id) WHERE status = 'open';
"""


def upgrade() -> None:
    """Creates them."""
    for statement in TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)
    protect("clinic", "offering", "gap_rule", "resource", "series", "waitlist", "conflict")
    protect("audit")
    op.execute("REVOKE UPDATE, DELETE ON audit FROM booking_app, booking_definer")
