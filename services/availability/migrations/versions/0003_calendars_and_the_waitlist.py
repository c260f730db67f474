"""Calendars as packed bitmaps, the one statement of a search, cancelled sessions, and who waits for a time.

A calendar row holds one resource's next 8 days from `chunk * 8` days after 1970 on: 2,304 granules of 5 minutes.
`map` is three bitmaps of 288 bytes, each to be read as one big-endian number whose bit i is granule i: what bookings
claim, where their visits start, and what external events cover, not padded. They are always drawn from all rows
again, under the lock of the resource's row in `feed`; holds, sessions that were cancelled, and external events longer
than 64 days are not in them and come as rows.
"""

from alembic import op

from servicekit.migrations import define, protect

revision = "0003"
down_revision = "0002"

TABLES = (
    """CREATE TABLE calendar (
         tenant_id uuid NOT NULL, resource_id uuid NOT NULL, chunk int NOT NULL,
         map bytea NOT NULL CHECK (length(map) = 864),
         PRIMARY KEY (tenant_id, resource_id, chunk)) WITH (fillfactor = 70)""",
    "ALTER TABLE calendar ALTER COLUMN map SET STORAGE PLAIN",
    "CREATE INDEX calendar_by_age ON calendar (chunk)",
    "ALTER TABLE occupancy ADD COLUMN cancelled boolean NOT NULL DEFAULT false, ADD COLUMN provider_id uuid",
    """CREATE INDEX occupancy_held ON occupancy (tenant_id, resource_id, claim_end)
         WHERE expires_at IS NOT NULL AND NOT freed""",
    "CREATE INDEX occupancy_by_offering ON occupancy (tenant_id, offering_id, claim_end) WHERE NOT freed",
    """CREATE INDEX occupancy_cancelled ON occupancy (tenant_id, offering_id, claim_end)
         WHERE cancelled AND NOT freed""",
    """CREATE INDEX busy_long ON busy (tenant_id, resource_id)
         WHERE end_at - start_at > interval '64 days' AND NOT freed""",
    # A row of the waitlist as booking says it; `tried` counts the times that were found for it.
    """CREATE TABLE waiting (
         tenant_id uuid NOT NULL, entry_id uuid NOT NULL, version bigint NOT NULL,
         offering_id uuid, provider_id uuid, start_at timestamptz, end_at timestamptz, seats int,
         since timestamptz NOT NULL DEFAULT now(), tried bigint NOT NULL DEFAULT 0, tried_at timestamptz,
         found_resources uuid[], found_start timestamptz, found_end timestamptz,
         ended boolean NOT NULL DEFAULT false, changed_at timestamptz NOT NULL DEFAULT now(),
         PRIMARY KEY (tenant_id, entry_id), CHECK (ended OR start_at < end_at))""",
    "CREATE INDEX waiting_in_line ON waiting (tenant_id, since, entry_id) WHERE NOT ended",
    "CREATE INDEX waiting_ended ON waiting (changed_at) WHERE ended",
    # Stretches that came free in clinics where somebody waits, until the job has looked at them.
    """CREATE TABLE opening (
         tenant_id uuid NOT NULL, id bigint GENERATED ALWAYS AS IDENTITY, resource_id uuid NOT NULL,
         start_at timestamptz NOT NULL, end_at timestamptz NOT NULL, noted_at timestamptz NOT NULL DEFAULT now(),
         PRIMARY KEY (tenant_id, id))""",
)

# Bits a … b - 1 of a chunk, counted from the right; what lies outside of it is cut off.
BITS = """CREATE FUNCTION bits_between(a float8, b float8) RETURNS bit LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (((-1)::bit(2304) >> (2304 - least(2304, greatest(0, b))::int)) >> least(2304, greatest(0, a))::int)
         << least(2304, greatest(0, a))::int
$$"""
PACKED = """CREATE FUNCTION packed(bits bit) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT substr(bit_send(coalesce(bits, 0::bit(2304))), 5)
$$"""

# What is older than yesterday is not drawn: nobody searches it.
REDRAW = """CREATE FUNCTION redraw(p_tenant uuid, p_resource uuid, p_first int, p_last int) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = availability AS $$
DECLARE
  earliest int := greatest(p_first, floor(extract(epoch FROM now() - interval '1 day') / 691200)::int);
BEGIN
  IF earliest > p_last THEN RETURN; END IF;
  INSERT INTO feed AS f (tenant_id, resource_id, version) VALUES (p_tenant, p_resource, 0)
  ON CONFLICT (tenant_id, resource_id) DO UPDATE SET version = f.version;
  INSERT INTO calendar AS c (tenant_id, resource_id, chunk, map)
  SELECT p_tenant, p_resource, d.chunk, packed(taken.claimed) || packed(taken.started) || packed(outside.covered)
  FROM (SELECT chunk, to_timestamp(chunk * 691200::bigint) AS opens,
               to_timestamp((chunk + 1) * 691200::bigint) AS closes, chunk * 691200::float8 AS origin
        FROM generate_series(earliest, p_last) AS chunk) AS d,
  LATERAL (SELECT
      bit_or(bits_between(floor((date_part('epoch', o.claim_start) - d.origin) / 300),
                          ceil((date_part('epoch', o.claim_end) - d.origin) / 300))) AS claimed,
      bit_or(bits_between(floor((date_part('epoch', o.start_at) - d.origin) / 300),
                          floor((date_part('epoch', o.start_at) - d.origin) / 300) + 1)) AS started
    FROM occupancy AS o
    -- A claim lasts 24 hours at most (booking's CHECK): that bounds the index range on both sides.
    WHERE o.tenant_id = p_tenant AND o.resource_id = p_resource AND NOT o.freed AND NOT o.cancelled
      AND o.expires_at IS NULL AND o.claim_end > d.opens AND o.claim_end < d.closes + interval '24 h'
      AND o.claim_start < d.closes) AS taken,
  LATERAL (SELECT
      bit_or(bits_between(floor((date_part('epoch', b.start_at) - d.origin) / 300),
                          ceil((date_part('epoch', b.end_at) - d.origin) / 300))) AS covered
    FROM busy AS b
    WHERE b.tenant_id = p_tenant AND b.resource_id = p_resource AND NOT b.freed
      AND b.end_at > d.opens AND b.end_at < d.closes + interval '64 days' AND b.start_at < d.closes
      AND b.end_at - b.start_at <= interval '64 days') AS outside
  ON CONFLICT (tenant_id, resource_id, chunk) DO UPDATE SET map = excluded.map WHERE c.map <> excluded.map;
END$$"""

# One row: the versions of the catalogue, and of the resources in the order in which they are given:
# maps    (number int2, chunk - p_first int2, map) …
# claims  (number int2, flags int2 (1 held, 2 cancelled, 4 the ignored owner's, 8 its provider), slot 16, offering 16,
#          claim_start, claim_end, start, end, capacity, reserved int4) …: what holds, cancelled sessions of
#          p_offering, and everything of p_offerings, those up to p_wide days around
# outside (number int2, start, end int4) …: external events longer than 64 days, cut to the range
# Instants are epoch minutes, rounded outwards.
READ = """CREATE FUNCTION read_calendar(
  p_tenant uuid, p_resources uuid[], p_first int, p_last int, p_offering uuid, p_offerings uuid[], p_wide int,
  p_ignore uuid,
  OUT resources bigint, OUT offerings bigint, OUT clinic bigint, OUT degraded text,
  OUT maps bytea, OUT claims bytea, OUT outside bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = availability AS $$
DECLARE
  opens timestamptz := to_timestamp(p_first * 691200::bigint);
  closes timestamptz := to_timestamp((p_last + 1) * 691200::bigint);
  opens_wide timestamptz := opens - make_interval(days => p_wide);
  closes_wide timestamptz := closes + make_interval(days => p_wide);
BEGIN
  -- Versions only grow, and what is deleted keeps its row: the sums are other ones after every change.
  SELECT coalesce(sum(r.version), 0) INTO resources FROM resource AS r WHERE r.tenant_id = p_tenant;
  SELECT coalesce(sum(o.version), 0) INTO offerings FROM offering AS o WHERE o.tenant_id = p_tenant;
  SELECT c.version INTO clinic FROM copy AS c
  WHERE c.tenant_id = p_tenant AND c.type = 'identity.tenant_changed.v1' AND c.key = p_tenant::text;
  SELECT jsonb_object_agg(d.resource_id, d.since)::text INTO degraded
  FROM (SELECT cc.resource_id, min(cc.since) AS since FROM calendar_connection AS cc
        WHERE cc.tenant_id = p_tenant AND cc.degraded GROUP BY cc.resource_id) AS d;
  -- Not a join with the array: its length is not known to the plan, which then compares everything with everything.
  SELECT string_agg(
      int2send((array_position(p_resources, c.resource_id) - 1)::int2)
      || int2send((c.chunk - p_first)::int2) || c.map, ''::bytea)
  INTO maps
  FROM calendar AS c
  WHERE c.tenant_id = p_tenant AND c.resource_id = ANY (p_resources) AND c.chunk BETWEEN p_first AND p_last;
  SELECT string_agg(
      int2send((array_position(p_resources, o.resource_id) - 1)::int2)
      || int2send((CASE WHEN o.expires_at IS NULL THEN 0 ELSE 1 END + CASE WHEN o.cancelled THEN 2 ELSE 0 END
                   + CASE WHEN o.owner_id = p_ignore THEN 4 ELSE 0 END
                   + CASE WHEN o.resource_id = o.provider_id THEN 8 ELSE 0 END)::int2)
      || uuid_send(o.slot_id) || uuid_send(o.offering_id)
      || int4send(floor(extract(epoch FROM o.claim_start) / 60)::int)
      || int4send(ceil(extract(epoch FROM o.claim_end) / 60)::int)
      || int4send(floor(extract(epoch FROM o.start_at) / 60)::int)
      || int4send(ceil(extract(epoch FROM o.end_at) / 60)::int)
      || int4send(o.capacity) || int4send(o.reserved), ''::bytea)
  INTO claims
  FROM (
    SELECT * FROM occupancy AS a
    WHERE a.tenant_id = p_tenant AND a.resource_id = ANY (p_resources) AND NOT a.freed AND NOT a.cancelled
      AND a.expires_at IS NOT NULL AND a.expires_at > now() AND a.claim_end > opens AND a.claim_start < closes
      AND a.owner_id IS DISTINCT FROM p_ignore
    UNION ALL
    SELECT * FROM occupancy AS b
    WHERE b.tenant_id = p_tenant AND b.offering_id = ANY (p_offerings) AND b.resource_id = ANY (p_resources)
      AND NOT b.freed AND b.claim_end > opens_wide AND b.claim_start < closes_wide
      AND b.claim_end < closes_wide + interval '24 h'
      AND (b.expires_at IS NULL OR b.expires_at > now() AND (b.claim_end <= opens OR b.claim_start >= closes))
      AND b.owner_id IS DISTINCT FROM p_ignore
    UNION ALL
    SELECT * FROM occupancy AS c
    WHERE c.tenant_id = p_tenant AND c.offering_id = p_offering AND c.resource_id = ANY (p_resources)
      AND NOT c.freed AND c.cancelled AND c.claim_end > opens AND c.claim_start < closes
      AND NOT c.offering_id = ANY (p_offerings)
    UNION ALL
    SELECT * FROM occupancy AS d
    WHERE d.tenant_id = p_tenant AND d.owner_id = p_ignore AND d.resource_id = ANY (p_resources)
      AND NOT d.freed AND NOT d.cancelled
  ) AS o;
  SELECT string_agg(
      int2send((array_position(p_resources, b.resource_id) - 1)::int2)
      || int4send(floor(extract(epoch FROM greatest(b.start_at, opens)) / 60)::int)
      || int4send(ceil(extract(epoch FROM least(b.end_at, closes)) / 60)::int), ''::bytea)
  INTO outside
  FROM busy AS b
  WHERE b.tenant_id = p_tenant AND b.resource_id = ANY (p_resources) AND NOT b.freed
    AND b.end_at - b.start_at > interval '64 days' AND b.end_at > opens AND b.start_at < closes;
END$$"""

EVERYTHING = """CREATE FUNCTION redraw_everything() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = availability AS $$
  SELECT redraw(t.tenant_id, t.resource_id, t.first, t.last) FROM (
    SELECT tenant_id, resource_id, min(floor(extract(epoch FROM starts) / 691200)::int) AS first,
           max(floor(extract(epoch FROM ends) / 691200)::int) AS last
    FROM (SELECT tenant_id, resource_id, claim_start AS starts, claim_end AS ends FROM occupancy
          WHERE NOT freed AND claim_end > now() - interval '9 days'
          UNION ALL
          SELECT tenant_id, resource_id, start_at, end_at FROM busy
          WHERE NOT freed AND end_at > now() - interval '9 days' AND end_at - start_at <= interval '64 days') AS s
    GROUP BY tenant_id, resource_id) AS t
$$"""

OPENINGS = """CREATE FUNCTION tenants_with_openings() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = availability AS $$
  SELECT DISTINCT tenant_id FROM opening LIMIT 100
$$"""

FORGET = """CREATE FUNCTION forget_past_calendars(p_before timestamptz) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = availability AS $$
  DELETE FROM calendar WHERE chunk < floor(extract(epoch FROM now() - interval '9 days') / 691200)::int;
  DELETE FROM waiting WHERE ended AND changed_at < p_before;
$$"""


def upgrade() -> None:
    """Makes them, and draws the calendars of what is there."""
    for statement in TABLES:
        op.execute(statement)
    protect("calendar", "waiting", "opening")
    op.execute(BITS)
    op.execute(PACKED)
    define("redraw(uuid, uuid, int, int)", REDRAW)
    define("read_calendar(uuid, uuid[], int, int, uuid, uuid[], int, uuid)", READ)
    define("tenants_with_openings()", OPENINGS)
    define("forget_past_calendars(timestamptz)", FORGET)
    define("redraw_everything()", EVERYTHING)
    op.execute("SELECT redraw_everything()")
