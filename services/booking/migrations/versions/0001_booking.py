"""Slots, claims, bookings, blocks, and the functions that take and free a slot."""

from alembic import op

from servicekit.migrations import create_copies, create_idempotency, create_messaging, define, protect

revision = "0001"
down_revision = None

TABLES = """
-- One time of one offering with one provider (the nil UUID: none). Seats are a counter under the row's lock.
CREATE TABLE slot (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  offering_id uuid NOT NULL,
  provider_id uuid NOT NULL,
  start_at timestamptz NOT NULL,
  end_at timestamptz NOT NULL,
  status text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'blocked', 'cancelled')),
  capacity int NOT NULL CHECK (capacity >= 1),
  reserved int NOT NULL DEFAULT 0,
  -- a class's resources, claimed by the slot itself from its first seat to its last; NULL while it has none
  resources jsonb,
  version bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CHECK (reserved BETWEEN 0 AND capacity),
  CHECK (status <> 'open' OR reserved < capacity),
  CHECK (status <> 'blocked' OR reserved = capacity),
  CHECK (end_at > start_at),
  UNIQUE (tenant_id, offering_id, provider_id, start_at)
) WITH (fillfactor = 80);

-- Live claims only: a hold's has its end, a booked one 'infinity', a release deletes. Buffers are in `during`. The
-- primary key is the promise that nothing is sold twice. `owner_id`: the booking, or the slot of a class.
CREATE TABLE claim (
  tenant_id uuid NOT NULL,
  resource_id uuid NOT NULL,
  during tstzrange NOT NULL,
  owner_id uuid NOT NULL,
  expires_at timestamptz NOT NULL DEFAULT 'infinity',
  CONSTRAINT claim_never_twice PRIMARY KEY (resource_id, during WITHOUT OVERLAPS),
  CHECK (NOT isempty(during) AND upper(during) - lower(during) <= interval '48 h')
) WITH (fillfactor = 85);
-- None on expires_at: moving it has to stay a heap-only update.
CREATE INDEX claim_owner ON claim (owner_id);

-- A hold and the appointment it becomes are one row.
CREATE TABLE booking (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  slot_id uuid NOT NULL REFERENCES slot (id),
  offering_id uuid NOT NULL,
  provider_id uuid,
  status text NOT NULL CHECK (status IN ('held', 'released', 'expired', 'pending_payment', 'pending_approval',
    'confirmed', 'rejected', 'completed', 'no_show', 'cancelled', 'unfulfillable')),
  version bigint NOT NULL DEFAULT 1,
  seats int NOT NULL CHECK (seats >= 1),
  seated boolean NOT NULL DEFAULT true,
  start_at timestamptz NOT NULL,
  end_at timestamptz NOT NULL,
  time_zone text NOT NULL,
  resources jsonb NOT NULL,
  offer text NOT NULL,
  price bigint NOT NULL CHECK (price >= 0),
  currency text NOT NULL,
  mode text NOT NULL CHECK (mode IN ('free', 'full', 'deposit', 'authorize')),
  amount_due bigint NOT NULL CHECK (amount_due >= 0),
  terms jsonb NOT NULL,
  needs_approval boolean NOT NULL,
  expires_at timestamptz NOT NULL,
  claim_until timestamptz NOT NULL,
  renewed boolean NOT NULL DEFAULT false,
  hold_token bytea NOT NULL,
  manage_token bytea,
  manage_sealed text, -- for the links of messages
  origin bytea,
  person_id uuid,
  contact_id uuid,
  user_id uuid,
  locale text,
  payment_status text NOT NULL DEFAULT 'none' CHECK (payment_status IN ('none', 'pending', 'authorized', 'paid',
    'failed', 'voided', 'partially_refunded', 'refunded')),
  payment_id uuid,
  session_id text,
  paid bigint NOT NULL DEFAULT 0,
  refunded bigint NOT NULL DEFAULT 0,
  fee bigint NOT NULL DEFAULT 0,
  details jsonb NOT NULL DEFAULT '{}',
  external_ref text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (tenant_id, external_ref)
) WITH (fillfactor = 80);
CREATE INDEX booking_due ON booking (claim_until) WHERE status IN ('held', 'pending_payment', 'pending_approval');
CREATE INDEX booking_slot ON booking (slot_id) WHERE seated;
CREATE INDEX booking_agenda ON booking (tenant_id, start_at, id) WHERE contact_id IS NOT NULL;
CREATE INDEX booking_origin ON booking (tenant_id, origin, created_at) WHERE origin IS NOT NULL;
CREATE INDEX booking_person ON booking (tenant_id, person_id, start_at) WHERE person_id IS NOT NULL;

CREATE TABLE history (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id uuid NOT NULL,
  booking_id uuid NOT NULL REFERENCES booking (id),
  at timestamptz NOT NULL DEFAULT now(),
  event text NOT NULL,
  by text NOT NULL
);
CREATE INDEX history_booking ON history (booking_id, id);

-- What keeps a resource from being booked besides claims: external busy times, raw; padded when checked.
CREATE TABLE block (
  tenant_id uuid NOT NULL,
  key text NOT NULL,
  resource_id uuid NOT NULL,
  during tstzrange NOT NULL,
  version bigint NOT NULL,
  PRIMARY KEY (tenant_id, key)
);
CREATE INDEX block_time ON block USING gist (resource_id, during);
"""

# Takes the first candidate assignment that is free, for one booking: slot row, advisory locks, blocks, claims, seats.
# The caller writes the booking and the events in the same transaction. Each candidate is tried in a subtransaction, so
# that one that fails leaves nothing and holds no lock while the next is tried.
# Lock order: slot → (its bookings) → resources' advisory locks → claims by (resource, lower(during)).
TAKE_SLOT = """
CREATE FUNCTION take_slot(
  p_tenant uuid, p_booking uuid, p_offering uuid, p_start timestamptz, p_end timestamptz, p_capacity int, p_seats int,
  p_ttl interval, p_pad interval,
  p_providers uuid[], p_counts int[], p_resources uuid[], p_lower timestamptz[], p_upper timestamptz[],
  OUT outcome text, OUT chosen int, OUT slot_id uuid, OUT slot_version bigint, OUT reserved int, OUT capacity int,
  OUT resources jsonb, OUT expires timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = booking, pg_temp AS $$
#variable_conflict use_column
DECLARE
  s slot%ROWTYPE;
  first int := 1;
  last int;
  freed int;
  visit tstzrange := tstzrange(p_start - p_pad, p_end + p_pad);
  d tstzrange;
  owner uuid;
  until timestamptz;
BEGIN
  IF p_tenant::text IS DISTINCT FROM current_setting('app.tenant', true) THEN
    RAISE EXCEPTION 'take_slot was called for another tenant than the transaction''s' USING ERRCODE = '42501';
  END IF;
  outcome := 'taken';
  expires := now() + p_ttl;
  FOR i IN 1 .. cardinality(p_counts) LOOP
    last := first + p_counts[i] - 1;
    -- A look without a lock: most losers end here and write nothing.
    IF p_capacity = 1 THEN
      FOR j IN first .. last LOOP
        d := tstzrange(p_lower[j], p_upper[j]);
        EXIT WHEN EXISTS (SELECT FROM claim c WHERE c.resource_id = p_resources[j] AND c.during && d
                                                AND c.expires_at > now() AND c.owner_id <> p_booking);
        d := NULL;
      END LOOP;
      IF d IS NOT NULL THEN first := last + 1; CONTINUE; END IF;
    END IF;
    BEGIN
      SELECT * INTO s FROM slot WHERE tenant_id = p_tenant AND offering_id = p_offering
        AND provider_id = p_providers[i] AND start_at = p_start FOR UPDATE;
      IF NOT FOUND THEN
        INSERT INTO slot (id, tenant_id, offering_id, provider_id, start_at, end_at, capacity)
        VALUES (gen_random_uuid(), p_tenant, p_offering, p_providers[i], p_start, p_end, p_capacity)
        ON CONFLICT DO NOTHING;
        SELECT * INTO s FROM slot WHERE tenant_id = p_tenant AND offering_id = p_offering
          AND provider_id = p_providers[i] AND start_at = p_start FOR UPDATE;
      END IF;
      IF s.status = 'cancelled' THEN RAISE EXCEPTION 'taken' USING ERRCODE = 'HF001'; END IF;
      -- Seats of holds that ran out on this slot; the job tells the world about them later.
      WITH gone AS (
        UPDATE booking b SET seated = false WHERE b.slot_id = s.id AND b.seated AND b.claim_until <= now()
          AND b.status IN ('held', 'pending_payment') RETURNING b.seats)
      SELECT coalesce(sum(gone.seats), 0) INTO freed FROM gone;
      s.reserved := s.reserved - freed;
      IF s.reserved = 0 AND s.resources IS NULL THEN s.capacity := p_capacity; END IF;
      IF s.reserved + p_seats > s.capacity THEN RAISE EXCEPTION 'taken' USING ERRCODE = 'HF001'; END IF;
      FOR j IN first .. last LOOP
        IF j > first AND p_resources[j - 1] >= p_resources[j] THEN
          RAISE EXCEPTION 'claims must be sorted by resource' USING ERRCODE = '22023';
        END IF;
        PERFORM pg_advisory_xact_lock_shared(hashtextextended(p_resources[j]::text, 0));
      END LOOP;
      IF s.resources IS NULL THEN
        FOR j IN first .. last LOOP
          IF EXISTS (SELECT FROM block b WHERE b.resource_id = p_resources[j] AND b.during && visit) THEN
            RAISE EXCEPTION 'blocked' USING ERRCODE = 'HF001';
          END IF;
        END LOOP;
        owner := CASE WHEN s.capacity = 1 THEN p_booking ELSE s.id END;
        until := CASE WHEN s.capacity = 1 THEN expires ELSE 'infinity' END;
        FOR j IN first .. last LOOP
          d := tstzrange(p_lower[j], p_upper[j]);
          INSERT INTO claim (tenant_id, resource_id, during, owner_id, expires_at)
          VALUES (p_tenant, p_resources[j], d, owner, until) ON CONFLICT DO NOTHING;
          CONTINUE WHEN FOUND;
          -- Reaped only on a conflict, and in a statement of its own: expiry needs no timer to be true.
          DELETE FROM claim c WHERE c.resource_id = p_resources[j] AND c.during && d AND c.expires_at <= now();
          IF FOUND THEN
            INSERT INTO claim (tenant_id, resource_id, during, owner_id, expires_at)
            VALUES (p_tenant, p_resources[j], d, owner, until) ON CONFLICT DO NOTHING;
          END IF;
          IF NOT FOUND THEN RAISE EXCEPTION 'taken' USING ERRCODE = 'HF001'; END IF;
        END LOOP;
        SELECT jsonb_agg(jsonb_build_object('id', p_resources[j], 'claim_start', p_lower[j], 'claim_end', p_upper[j]))
          INTO resources FROM generate_series(first, last) AS j;
      ELSE
        resources := s.resources;
      END IF;
      UPDATE slot SET reserved = s.reserved + p_seats, capacity = s.capacity, version = slot.version + 1,
        status = CASE WHEN s.reserved + p_seats = s.capacity THEN 'blocked' ELSE 'open' END,
        resources = CASE WHEN s.capacity > 1 THEN take_slot.resources END, updated_at = now()
      WHERE slot.id = s.id RETURNING slot.version INTO slot_version;
      outcome := 'held';
      chosen := i - 1;
      slot_id := s.id;
      reserved := s.reserved + p_seats;
      capacity := s.capacity;
      RETURN;
    EXCEPTION WHEN SQLSTATE 'HF001' THEN
      IF SQLERRM = 'blocked' THEN outcome := 'blocked'; END IF;
    END;
    first := last + 1;
  END LOOP;
END $$
"""

DUE = """
CREATE FUNCTION due_bookings(p_limit int) RETURNS TABLE (tenant_id uuid, id uuid)
LANGUAGE sql SECURITY DEFINER SET search_path = booking, pg_temp AS $$
  SELECT b.tenant_id, b.id FROM booking b
  WHERE b.status IN ('held', 'pending_payment', 'pending_approval') AND b.claim_until <= now()
  ORDER BY b.claim_until LIMIT p_limit
$$
"""


def upgrade() -> None:
    """Creates everything."""
    create_messaging()
    create_copies()
    create_idempotency()
    for statement in TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)
    protect("slot", "claim", "booking", "history", "block")
    signature = (
        "take_slot(uuid, uuid, uuid, timestamptz, timestamptz, int, int, interval, interval,"
        " uuid[], int[], uuid[], timestamptz[], timestamptz[])"
    )
    define(signature, TAKE_SLOT)
    define("due_bookings(int)", DUE)
