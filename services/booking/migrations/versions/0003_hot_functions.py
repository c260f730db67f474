"""The functions that take a slot and place a hold, each in one call.

Lock order everywhere: slots by id → bookings → resources' advisory locks → claims by (resource, lower(during)).
"""

from alembic import op

from servicekit.migrations import define

revision = "0003"
down_revision = "0002"

# The first rule of the offering, or of another one about it, that a visit would break with this practitioner and these
# rooms; NULL when there is none. Called under the resources' exclusive advisory locks. Visits count while a seat of
# theirs is live. `p_booking` does not count: it is being moved.
BROKEN_RULE = """
CREATE FUNCTION broken_rule(
  p_tenant uuid, p_booking uuid, p_offering uuid, p_provider uuid, p_resources uuid[],
  p_start timestamptz, p_end timestamptz)
RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER SET search_path = booking, pg_temp AS $$
#variable_conflict use_column
DECLARE
  no_provider CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
  o offering%ROWTYPE;
  zone text;
  local timestamp;
  g record;
  visits int;
BEGIN
  SELECT * INTO o FROM offering WHERE tenant_id = p_tenant AND id = p_offering;
  SELECT c.time_zone INTO zone FROM clinic c WHERE c.tenant_id = p_tenant;
  local := p_start AT TIME ZONE zone;
  -- Days are compared by their local dates: one may have 23 or 25 hours, and its midnight may come twice or never.
  IF o.most_a_day IS NOT NULL AND p_provider <> no_provider THEN
    SELECT count(*) INTO visits FROM slot s WHERE s.tenant_id = p_tenant AND s.offering_id = p_offering
      AND s.provider_id = p_provider
      AND s.start_at > p_start - interval '26 h' AND s.start_at < p_start + interval '26 h'
      AND (s.start_at AT TIME ZONE zone)::date = local::date AND s.start_at <> p_start AND is_live(s.id, p_booking);
    IF visits >= o.most_a_day THEN
      RETURN jsonb_build_object('kind', 'max', 'of', 'practitioner', 'per', 'day', 'count', o.most_a_day);
    END IF;
  END IF;
  IF o.most_a_week IS NOT NULL AND p_provider <> no_provider THEN
    SELECT count(*) INTO visits FROM slot s WHERE s.tenant_id = p_tenant AND s.offering_id = p_offering
      AND s.provider_id = p_provider
      AND s.start_at > p_start - interval '170 h' AND s.start_at < p_start + interval '170 h'
      AND date_trunc('week', s.start_at AT TIME ZONE zone) = date_trunc('week', local)
      AND s.start_at <> p_start AND is_live(s.id, p_booking);
    IF visits >= o.most_a_week THEN
      RETURN jsonb_build_object('kind', 'max', 'of', 'practitioner', 'per', 'week', 'count', o.most_a_week);
    END IF;
  END IF;
  -- Both sides: what this visit may not follow too soon, and what may not follow it too soon.
  FOR g IN
    SELECT r.of, r.minutes, r.after_offering AS other, p_start - make_interval(mins => r.minutes) AS since,
           p_start AS until, true AS after, r.after_offering
      FROM gap_rule r WHERE r.tenant_id = p_tenant AND r.offering_id = p_offering
    UNION ALL
    SELECT r.of, r.minutes, r.offering_id, p_end, p_end + make_interval(mins => r.minutes), false, r.after_offering
      FROM gap_rule r WHERE r.tenant_id = p_tenant AND r.after_offering = p_offering
  LOOP
    CONTINUE WHEN g.of = 'practitioner' AND p_provider = no_provider;
    IF g.of = 'practitioner' THEN
      PERFORM FROM slot s WHERE s.tenant_id = p_tenant AND s.offering_id = g.other AND s.provider_id = p_provider
        AND s.start_at > g.since - interval '24 h' AND s.start_at < g.until + interval '1 min'
        AND CASE WHEN g.after THEN s.end_at > g.since AND s.end_at <= g.until
                 ELSE s.start_at >= g.since AND s.start_at < g.until END
        AND is_live(s.id, p_booking);
    ELSE
      PERFORM FROM claim c JOIN resource room ON room.tenant_id = p_tenant AND room.id = c.resource_id
        JOIN booking b ON b.seated AND (b.id = c.owner_id OR b.slot_id = c.owner_id)
      WHERE c.resource_id = ANY(p_resources) AND room.type = 'room' AND b.offering_id = g.other AND b.id <> p_booking
        -- a claim reaches at most two hours of buffers beyond its visit
        AND c.during && tstzrange(g.since - interval '2 h', g.until + interval '2 h') AND c.expires_at > now()
        AND (b.status NOT IN ('held', 'pending_payment') OR b.claim_until > now())
        AND CASE WHEN g.after THEN b.end_at > g.since AND b.end_at <= g.until
                 ELSE b.start_at >= g.since AND b.start_at < g.until END;
    END IF;
    IF FOUND THEN
      RETURN jsonb_build_object('kind', 'gap', 'of', g.of, 'minutes', g.minutes, 'after_offering', g.after_offering);
    END IF;
  END LOOP;
  RETURN NULL;
END $$
"""

IS_LIVE = """
CREATE FUNCTION is_live(p_slot uuid, p_but uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = booking, pg_temp AS $$
  SELECT EXISTS (SELECT FROM booking b WHERE b.slot_id = p_slot AND b.seated AND b.id <> p_but
    AND (b.status NOT IN ('held', 'pending_payment') OR b.claim_until > now()))
$$
"""

TAKEN = """
CREATE TYPE taken AS (
  outcome text, chosen int, slot_id uuid, slot_version bigint, reserved int, capacity int,
  resources jsonb, named jsonb, ids uuid[], lower timestamptz[], upper timestamptz[], rule jsonb)
"""

# Takes the first candidate assignment that is free: slot row, advisory locks, catalogue, blocks, rules, claims, seats.
# The caller writes the booking and the events in the same transaction. Each candidate is tried in a subtransaction, so
# that one that fails leaves nothing and holds no lock while the next is tried.
# With `p_moving` the booking gives back what it has in the same subtransaction: the old time is lost only when the new
# one is taken. A move holds the advisory locks of all its resources alone, so two crossing moves wait for each other
# before either has touched a claim.
# Runs with the rights and the search_path of `place_hold` and `retake_slot`, which have read the clinic and the rules.
# outcome: held | taken | blocked | rule | stale (a schedule has changed) | unknown (a copy is missing) | changed
TAKE_SLOT = """
CREATE FUNCTION take_slot(
  p_tenant uuid, p_booking uuid, p_offering uuid, p_start timestamptz, p_end timestamptz, p_capacity int, p_seats int,
  p_until timestamptz, p_pad interval, p_ruled boolean, p_moving boolean,
  p_providers uuid[], p_counts int[], p_resources uuid[], p_lower timestamptz[], p_upper timestamptz[],
  p_schedules bigint[])
RETURNS taken LANGUAGE plpgsql AS $$
#variable_conflict use_column
<<taking>>
DECLARE
  no_one CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
  place uuid;
  s slot%ROWTYPE;
  mine booking%ROWTYPE;
  first int := 1;
  last int;
  freed int;
  fresh boolean;
  visit tstzrange := tstzrange(p_start, p_end);
  padded tstzrange := tstzrange(p_start - p_pad, p_end + p_pad);
  d tstzrange;
  owner uuid;
  until timestamptz;
  from_slot uuid;
  target uuid;
  ids uuid[];
  known record;
  r uuid;
  seen text[] := '{}';
  resources jsonb;
  named jsonb;
  rule jsonb;
  result taken;
BEGIN
  IF p_moving THEN
    SELECT b.slot_id INTO from_slot FROM booking b WHERE b.id = p_booking AND b.tenant_id = p_tenant;
  END IF;
  FOR i IN 1 .. cardinality(p_counts) LOOP
    last := first + p_counts[i] - 1;
    place := CASE WHEN p_providers[i] = no_one THEN p_resources[first] ELSE no_one END;
    -- A look without a lock: most losers end here and write nothing.
    IF p_capacity = 1 THEN
      FOR j IN first .. last LOOP
        d := tstzrange(p_lower[j], p_upper[j]);
        EXIT WHEN EXISTS (SELECT FROM claim c WHERE c.resource_id = p_resources[j] AND c.during && d
                                                AND c.expires_at > now() AND c.owner_id <> p_booking);
        d := NULL;
      END LOOP;
      IF d IS NOT NULL THEN seen := array_append(seen, 'taken'); first := last + 1; CONTINUE; END IF;
    ELSIF EXISTS (SELECT FROM slot f WHERE f.tenant_id = p_tenant AND f.offering_id = p_offering
                    AND f.provider_id = p_providers[i] AND f.start_at = p_start AND f.place_id = place
                    AND f.status = 'blocked'
                    AND f.id IS DISTINCT FROM from_slot
                    AND NOT EXISTS (SELECT FROM booking b WHERE b.slot_id = f.id AND b.seated AND b.claim_until <= now()
                                      AND b.entry_id IS NULL AND b.status IN ('held', 'pending_payment'))) THEN
      seen := array_append(seen, 'taken'); first := last + 1; CONTINUE;
    END IF;
    BEGIN
      -- Which row this time has is the same for everybody, also before it exists: rows are locked in the order of ids.
      target := md5(p_tenant::text || p_offering || p_providers[i] || place || extract(epoch FROM p_start))::uuid;
      IF p_moving OR p_capacity > 1 THEN
        SELECT f.id INTO r FROM slot f WHERE f.tenant_id = p_tenant AND f.offering_id = p_offering
          AND f.provider_id = p_providers[i] AND f.start_at = p_start AND f.place_id = place;
        target := coalesce(r, target);
        IF from_slot < target THEN PERFORM FROM slot f WHERE f.id = from_slot FOR NO KEY UPDATE; END IF;
      END IF;
      -- A visit of its own that nobody had before is written as it will be, in one go.
      fresh := p_capacity = 1 AND p_seats = 1;
      INSERT INTO slot (id, tenant_id, offering_id, provider_id, place_id, start_at, end_at, capacity, reserved, status,
        version)
      VALUES (target, p_tenant, p_offering, p_providers[i], place, p_start, p_end, p_capacity, fresh::int,
        CASE WHEN fresh THEN 'blocked' ELSE 'open' END, fresh::int)
      ON CONFLICT DO NOTHING RETURNING * INTO s;
      IF FOUND THEN
        s.reserved := 0;
      ELSE
        fresh := false;
        SELECT * INTO s FROM slot f WHERE f.tenant_id = p_tenant AND f.offering_id = p_offering
          AND f.provider_id = p_providers[i] AND f.start_at = p_start AND f.place_id = place FOR NO KEY UPDATE;
        IF s.status = 'cancelled' THEN RAISE EXCEPTION 'taken' USING ERRCODE = 'HF001'; END IF;
        -- Seats of holds that ran out on this slot; the job tells the world about them later. A hold that was offered
        -- to somebody in the line is passed on by the job alone, or the public would overtake the next in line.
        WITH gone AS (
          UPDATE booking b SET seated = false WHERE b.slot_id = s.id AND b.seated AND b.claim_until <= now()
            AND b.status IN ('held', 'pending_payment') AND b.entry_id IS NULL AND b.id <> p_booking RETURNING b.seats)
        SELECT coalesce(sum(gone.seats), 0) INTO freed FROM gone;
        s.reserved := s.reserved - freed;
      END IF;
      IF p_moving THEN
        IF from_slot > target THEN PERFORM FROM slot f WHERE f.id = from_slot FOR NO KEY UPDATE; END IF;
        SELECT * INTO mine FROM booking b WHERE b.id = p_booking AND b.tenant_id = p_tenant FOR NO KEY UPDATE;
        IF mine.slot_id <> from_slot OR NOT mine.seated THEN RAISE EXCEPTION 'changed' USING ERRCODE = 'HF001'; END IF;
        IF from_slot = s.id THEN s.reserved := s.reserved - mine.seats; END IF;
      END IF;
      IF s.reserved = 0 AND s.resources IS NULL AND from_slot IS DISTINCT FROM s.id THEN
        s.capacity := p_capacity;
      END IF;
      IF s.reserved + p_seats > s.capacity THEN RAISE EXCEPTION 'taken' USING ERRCODE = 'HF001'; END IF;

      ids := p_resources[first:last];
      IF p_moving THEN
        SELECT array_agg(x ORDER BY x) INTO ids FROM (
          SELECT unnest(ids) AS x UNION SELECT (e->>'id')::uuid FROM jsonb_array_elements(mine.resources) e) AS every;
      END IF;
      FOREACH r IN ARRAY ids LOOP
        IF p_ruled OR p_moving THEN PERFORM pg_advisory_xact_lock(hashtextextended(r::text, 0));
        ELSE PERFORM pg_advisory_xact_lock_shared(hashtextextended(r::text, 0)); END IF;
      END LOOP;

      IF p_moving THEN
        IF from_slot <> s.id THEN
          UPDATE slot f SET reserved = f.reserved - mine.seats, version = f.version + 1, updated_at = now(),
            status = CASE WHEN f.status = 'cancelled' THEN 'cancelled' ELSE 'open' END,
            resources = CASE WHEN f.reserved > mine.seats THEN f.resources END
          WHERE f.id = from_slot;
          DELETE FROM claim c WHERE c.tenant_id = p_tenant AND (c.owner_id = p_booking OR c.owner_id = from_slot
            AND NOT EXISTS (SELECT FROM slot f WHERE f.id = from_slot AND f.reserved > 0));
        ELSIF s.reserved = 0 THEN
          DELETE FROM claim c WHERE c.tenant_id = p_tenant AND c.owner_id IN (p_booking, s.id);
          s.resources := NULL;
        END IF;
      END IF;

      IF s.resources IS NULL THEN
        resources := '[]'; named := '[]';
        result.ids := p_resources[first:last];
        result.lower := p_lower[first:last];
        result.upper := p_upper[first:last];
        FOR j IN first .. last LOOP
          IF j > first AND p_resources[j - 1] >= p_resources[j] THEN
            RAISE EXCEPTION 'claims must be sorted by resource' USING ERRCODE = '22023';
          END IF;
          SELECT k.type, k.name, k.active AND k.schedule_version <= p_schedules[j] AS fits,
                 EXISTS (SELECT FROM block b WHERE b.resource_id = k.id AND b.during && padded
                           AND (b.kind = 'external_event' OR b.during && visit)) AS blocked
            INTO known FROM resource k WHERE k.tenant_id = p_tenant AND k.id = p_resources[j];
          IF NOT FOUND THEN RAISE EXCEPTION 'unknown' USING ERRCODE = 'HF001'; END IF;
          IF NOT known.fits THEN RAISE EXCEPTION 'stale' USING ERRCODE = 'HF001'; END IF;
          IF known.blocked THEN RAISE EXCEPTION 'blocked' USING ERRCODE = 'HF001'; END IF;
          resources := resources || jsonb_build_object(
            'id', p_resources[j], 'claim_start', p_lower[j], 'claim_end', p_upper[j]);
          named := named || jsonb_build_object('id', p_resources[j], 'type', known.type, 'name', known.name);
        END LOOP;
        IF p_ruled THEN
          rule := broken_rule(p_tenant, p_booking, p_offering, p_providers[i], p_resources[first:last], p_start, p_end);
          IF rule IS NOT NULL THEN RAISE EXCEPTION 'rule' USING ERRCODE = 'HF001'; END IF;
        END IF;
        owner := CASE WHEN s.capacity = 1 THEN p_booking ELSE s.id END;
        until := CASE WHEN s.capacity = 1 THEN p_until ELSE 'infinity' END;
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
      ELSE
        -- A session stays with what it has; nobody joins one that cannot take place.
        resources := s.resources;
        SELECT array_agg(e.id), array_agg(e.claim_start), array_agg(e.claim_end)
          INTO result.ids, result.lower, result.upper
          FROM jsonb_to_recordset(s.resources) AS e(id uuid, claim_start timestamptz, claim_end timestamptz);
        SELECT jsonb_agg(jsonb_build_object('id', k.id, 'type', k.type, 'name', k.name) ORDER BY k.id) AS named,
               bool_and(k.active) AS fits,
               bool_or(EXISTS (SELECT FROM block b WHERE b.resource_id = k.id AND b.during && padded
                                 AND (b.kind = 'external_event' OR b.during && visit))) AS blocked
          INTO known FROM resource k WHERE k.tenant_id = p_tenant AND k.id = ANY (
            SELECT (e->>'id')::uuid FROM jsonb_array_elements(s.resources) AS e);
        IF NOT known.fits THEN RAISE EXCEPTION 'stale' USING ERRCODE = 'HF001'; END IF;
        IF known.blocked THEN RAISE EXCEPTION 'blocked' USING ERRCODE = 'HF001'; END IF;
        named := known.named;
      END IF;
      IF NOT fresh THEN
        UPDATE slot SET reserved = s.reserved + p_seats, capacity = s.capacity, version = slot.version + 1,
          status = CASE WHEN s.reserved + p_seats = s.capacity THEN 'blocked' ELSE 'open' END,
          end_at = CASE WHEN s.reserved = 0 THEN p_end ELSE slot.end_at END,
          resources = CASE WHEN s.capacity > 1 THEN taking.resources END, updated_at = now()
        WHERE slot.id = s.id RETURNING slot.version INTO s.version;
      END IF;
      result.outcome := 'held';
      result.chosen := i - 1;
      result.slot_id := s.id;
      result.slot_version := s.version;
      result.reserved := s.reserved + p_seats;
      result.capacity := s.capacity;
      result.resources := resources;
      result.named := named;
      RETURN result;
    EXCEPTION WHEN SQLSTATE 'HF001' THEN
      IF SQLERRM IN ('unknown', 'changed') THEN result.outcome := SQLERRM; RETURN result; END IF;
      seen := array_append(seen, SQLERRM);
    END;
    first := last + 1;
  END LOOP;
  -- That somebody was faster comes first, then what stands in the way; the offer is old only when all of it is.
  result.outcome := CASE WHEN 'taken' = ANY(seen) THEN 'taken' WHEN 'rule' = ANY(seen) THEN 'rule'
                         WHEN 'blocked' = ANY(seen) THEN 'blocked' ELSE 'stale' END;
  result.rule := rule;
  RETURN result;
END $$
"""

# What `place_hold` and `retake_slot` read first: how far external events keep off, and whether rules count.
HEAD = """
  SELECT o.*, c.external_buffer AS pad, NOT p_override AND (o.most_a_day IS NOT NULL OR o.most_a_week IS NOT NULL
      OR EXISTS (SELECT FROM gap_rule g WHERE g.tenant_id = p_tenant AND g.offering_id = p_offering)
      OR EXISTS (SELECT FROM gap_rule g WHERE g.tenant_id = p_tenant AND g.after_offering = p_offering)) AS ruled
    INTO o FROM offering o JOIN clinic c ON c.tenant_id = o.tenant_id
    WHERE o.tenant_id = p_tenant AND o.id = p_offering;
"""

# `take_slot` for a booking that there is: another time, or its own once more. Within the tenant's transaction only.
RETAKE_SLOT = """
CREATE FUNCTION retake_slot(
  p_tenant uuid, p_booking uuid, p_offering uuid, p_start timestamptz, p_end timestamptz, p_capacity int, p_seats int,
  p_until timestamptz, p_override boolean, p_moving boolean,
  p_providers uuid[], p_counts int[], p_resources uuid[], p_lower timestamptz[], p_upper timestamptz[],
  p_schedules bigint[])
RETURNS taken LANGUAGE plpgsql SECURITY DEFINER SET search_path = booking, pg_temp AS $$
#variable_conflict use_column
DECLARE
  o record;
  result taken;
BEGIN
  IF p_tenant::text IS DISTINCT FROM current_setting('app.tenant', true) THEN
    RAISE EXCEPTION 'retake_slot was called for another tenant than the transaction''s' USING ERRCODE = '42501';
  END IF;
{HEAD}
  IF NOT FOUND THEN result.outcome := 'unknown'; RETURN result; END IF;
  RETURN take_slot(p_tenant, p_booking, p_offering, p_start, p_end, p_capacity, p_seats, p_until, o.pad, o.ruled,
    p_moving, p_providers, p_counts, p_resources, p_lower, p_upper, p_schedules);
END $$
"""

# A hold of an offered time, whole: the offering as it is now, hoarding, the slot, the booking, what is said of it.
# Names its tenant in every statement, so that it can be a transaction of its own. Payloads are those of
# events.contracts.booking (a test reads them back). outcome also: inactive | members | hoarding | hoarding_hour
PLACE_HOLD = """
CREATE FUNCTION place_hold(
  p_tenant uuid, p_booking uuid, p_offering uuid, p_offering_version bigint,
  p_start timestamptz, p_end timestamptz, p_capacity int, p_seats int, p_ttl interval, p_override boolean,
  p_providers uuid[], p_counts int[], p_resources uuid[], p_lower timestamptz[], p_upper timestamptz[],
  p_schedules bigint[], p_approvals boolean[],
  p_offer text, p_amount bigint, p_currency text, p_time_zone text, p_token bytea, p_user uuid, p_by text,
  p_origin bytea, p_most_live int, p_most_hourly int, p_headers text, p_entry uuid,
  OUT outcome text, OUT chosen int, OUT expires timestamptz, OUT slot_id uuid, OUT slot_version bigint,
  OUT reserved int, OUT capacity int, OUT resources jsonb, OUT named jsonb, OUT rule jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = booking, pg_temp AS $$
#variable_conflict use_column
DECLARE
  o record;
  t taken;
  live int;
  hourly int;
  provider uuid;
  owner uuid := p_booking;
  owner_version bigint := 1;
  until timestamptz;
  iso CONSTANT text := 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"';
  starts text;
  ends text;
  slot_said text;
  topics text[];
  keys text[];
  versions bigint[];
  types text[];
  payloads text[];
BEGIN
  IF current_setting('app.tenant', true) NOT IN ('', p_tenant::text) THEN
    RAISE EXCEPTION 'place_hold was called for another tenant than the transaction''s' USING ERRCODE = '42501';
  END IF;
{HEAD}
  IF NOT FOUND OR o.version < p_offering_version THEN outcome := 'unknown'; RETURN; END IF;
  IF NOT o.active THEN outcome := 'inactive'; RETURN; END IF;
  IF o.members_only AND p_user IS NULL THEN outcome := 'members'; RETURN; END IF;
  IF p_origin IS NOT NULL THEN
    SELECT count(*) FILTER (WHERE b.status IN ('held', 'pending_payment') AND b.expires_at > now()), count(*)
      INTO live, hourly FROM booking b
      WHERE b.tenant_id = p_tenant AND b.origin = p_origin AND b.created_at > now() - interval '1 h';
    IF live >= p_most_live THEN outcome := 'hoarding'; RETURN; END IF;
    IF hourly >= p_most_hourly THEN outcome := 'hoarding_hour'; RETURN; END IF;
  END IF;
  expires := now() + p_ttl;
  IF p_entry IS NULL THEN until := expires; END IF;
  t := take_slot(p_tenant, p_booking, p_offering, p_start, p_end, p_capacity, p_seats, coalesce(until, 'infinity'),
    o.pad, o.ruled, false, p_providers, p_counts, p_resources, p_lower, p_upper, p_schedules);
  outcome := t.outcome;
  rule := t.rule;
  IF outcome <> 'held' THEN RETURN; END IF;
  chosen := t.chosen;
  slot_id := t.slot_id;
  slot_version := t.slot_version;
  reserved := t.reserved;
  capacity := t.capacity;
  resources := t.resources;
  named := t.named;
  provider := nullif(p_providers[chosen + 1], '00000000-0000-0000-0000-000000000000');
  INSERT INTO booking (id, tenant_id, slot_id, offering_id, provider_id, status, seats, start_at, end_at, time_zone,
    resources, offer, price, currency, mode, amount_due, terms, needs_approval, expires_at, claim_until, hold_token,
    origin, user_id, held_by, entry_id)
  VALUES (p_booking, p_tenant, t.slot_id, p_offering, provider, 'held', p_seats, p_start, p_end, p_time_zone,
    t.resources, p_offer, p_amount * p_seats, p_currency, o.mode,
    CASE o.mode WHEN 'free' THEN 0 WHEN 'deposit' THEN least(p_amount, o.deposit) * p_seats ELSE p_amount * p_seats END,
    o.terms, p_approvals[chosen + 1], expires, expires, p_token, p_origin, p_user, p_by, p_entry);

  IF t.capacity > 1 THEN owner := t.slot_id; owner_version := t.slot_version; until := NULL; END IF;
  -- The events as texts, in one INSERT: nothing in them needs to be escaped.
  starts := to_char(p_start AT TIME ZONE 'UTC', iso);
  ends := to_char(p_end AT TIME ZONE 'UTC', iso);
  slot_said := format('"slot_id":"%s","offering_id":"%s","provider_id":%s,"start":"%s","end":"%s"',
    t.slot_id, p_offering, coalesce('"' || provider || '"', 'null'), starts, ends);
  topics := ARRAY['holdfast.booking'];
  keys := ARRAY[p_booking::text];
  versions := ARRAY[1];
  types := ARRAY['booking.hold_created.v1'];
  payloads := ARRAY[format(
    '{"tenant_id":"%s","version":%s,"booking_id":"%s","visit":{%s,"resource_ids":["%s"],"seats":%s},"expires_at":"%s"}',
    p_tenant, 1, p_booking, slot_said, array_to_string(t.ids, '","'), p_seats,
    to_char(expires AT TIME ZONE 'UTC', iso))];
  FOR j IN 1 .. cardinality(t.ids) LOOP
    topics := topics || 'holdfast.occupancy'::text;
    keys := keys || (owner || ':' || t.ids[j]);
    versions := versions || owner_version;
    types := types || 'occupancy.row.v1'::text;
    payloads := payloads || format('{"tenant_id":"%s","version":%s,"owner_id":"%s","resource_id":"%s",%s,'
      '"claim_start":"%s","claim_end":"%s","expires_at":%s,"capacity":%s,"reserved":%s}',
      p_tenant, owner_version, owner, t.ids[j], slot_said, to_char(t.lower[j] AT TIME ZONE 'UTC', iso),
      to_char(t.upper[j] AT TIME ZONE 'UTC', iso),
      coalesce('"' || to_char(until AT TIME ZONE 'UTC', iso) || '"', 'null'), t.capacity, t.reserved);
  END LOOP;
  IF t.reserved = t.capacity THEN
    topics := topics || 'holdfast.booking'::text;
    keys := keys || t.slot_id::text;
    versions := versions || t.slot_version;
    types := types || 'booking.slot_blocked.v1'::text;
    payloads := payloads || format('{"tenant_id":"%s","version":%s,%s}', p_tenant, t.slot_version, slot_said);
  END IF;
  INSERT INTO outbox (topic, key, headers, payload)
  SELECT m.topic, m.key, (left(p_headers, -1) || format(',"tenantid":"%s","correlationid":"%s","ce_time":"%s",'
      '"ce_id":"%s","ce_type":"%s","ce_subject":"%s","version":"%s"}', p_tenant, p_booking,
      to_char(now() AT TIME ZONE 'UTC', iso), uuidv7(), m.type, m.key, m.version))::jsonb, m.payload
  FROM unnest(topics, keys, versions, types, payloads) AS m(topic, key, version, type, payload);
END $$
"""

# What lies on a visit, and who claims a stretch of a resource. Functions because the range operator is not leakproof:
# behind a policy of Row Level Security it is no condition of an index.
IS_BLOCKED = """
CREATE FUNCTION is_blocked(
  p_tenant uuid, p_resources uuid[], p_start timestamptz, p_end timestamptz, p_kind text)
RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = booking, pg_temp AS $$
  SELECT EXISTS (SELECT FROM clinic c, block b
    WHERE c.tenant_id = p_tenant AND p_tenant::text = current_setting('app.tenant', true) AND b.tenant_id = p_tenant
    AND b.resource_id = ANY(p_resources)
    AND b.during && tstzrange(p_start - c.external_buffer, p_end + c.external_buffer)
    AND (b.kind = 'external_event' OR b.during && tstzrange(p_start, p_end)) AND (p_kind IS NULL OR b.kind = p_kind))
$$
"""
CLAIMANTS = """
CREATE FUNCTION claimants(p_tenant uuid, p_resource uuid, p_during tstzrange) RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = booking, pg_temp AS $$
  SELECT c.owner_id FROM claim c WHERE c.resource_id = p_resource AND c.during && p_during AND c.tenant_id = p_tenant
    AND p_tenant::text = current_setting('app.tenant', true)
$$
"""

# Locks a booking's slot and then the booking; false when the caller's tenant has none with this id. Who had to wait for
# a slot that a move has left meanwhile lets it go again and takes the one where the booking is now: never a slot after
# its booking. Only who waits needs the subtransaction for that.
LOCK_BOOKING = """
CREATE FUNCTION lock_booking(p_booking uuid) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  of_slot uuid;
BEGIN
  SELECT b.slot_id INTO of_slot FROM booking b WHERE b.id = p_booking;
  PERFORM FROM slot s WHERE s.id = of_slot FOR NO KEY UPDATE SKIP LOCKED;
  IF FOUND THEN
    PERFORM FROM booking b WHERE b.id = p_booking AND b.slot_id = of_slot FOR NO KEY UPDATE;
    IF FOUND THEN RETURN true; END IF;
  END IF;
  LOOP
    SELECT b.slot_id INTO of_slot FROM booking b WHERE b.id = p_booking;
    IF NOT FOUND THEN RETURN false; END IF;
    BEGIN
      PERFORM FROM slot s WHERE s.id = of_slot FOR NO KEY UPDATE;
      PERFORM FROM booking b WHERE b.id = p_booking AND b.slot_id = of_slot FOR NO KEY UPDATE;
      IF FOUND THEN RETURN true; END IF;
      RAISE EXCEPTION 'moved' USING ERRCODE = 'HF001';
    EXCEPTION WHEN SQLSTATE 'HF001' THEN NULL;
    END;
  END LOOP;
END $$
"""

# What the clock's jobs find across tenants: (tenant, id) only.
DUE = (
    (
        "over_bookings",
        (("p_limit", "int"), ("p_after", "interval")),
        "b.status = 'confirmed' AND b.end_at <= now() - p_after ORDER BY b.end_at",
    ),
    (
        "undecided_bookings",
        (("p_limit", "int"),),
        "b.remind_at <= now() AND b.status = 'pending_approval' ORDER BY b.remind_at",
    ),
)

OUTLIVED = """
CREATE FUNCTION outlived_entries(p_limit int) RETURNS TABLE (tenant_id uuid, id uuid)
LANGUAGE sql SECURITY DEFINER SET search_path = booking, pg_temp AS $$
  SELECT w.tenant_id, w.id FROM waitlist w WHERE w.status = 'waiting' AND upper(w.during) <= now()
  ORDER BY upper(w.during) LIMIT p_limit
$$
"""


def _due(name: str, arguments: tuple[tuple[str, str], ...], condition: str) -> str:
    return f"""
CREATE FUNCTION {name}({", ".join(" ".join(argument) for argument in arguments)})
RETURNS TABLE (tenant_id uuid, id uuid)
LANGUAGE sql SECURITY DEFINER SET search_path = booking, pg_temp AS $$
  SELECT b.tenant_id, b.id FROM booking b WHERE {condition} LIMIT p_limit
$$"""


def upgrade() -> None:
    """Replaces `take_slot` and adds the others."""
    op.execute(
        "DROP FUNCTION take_slot(uuid, uuid, uuid, timestamptz, timestamptz, int, int, interval, interval,"
        " uuid[], int[], uuid[], timestamptz[], timestamptz[])"
    )
    define("is_live(uuid, uuid)", IS_LIVE)
    define("is_blocked(uuid, uuid[], timestamptz, timestamptz, text)", IS_BLOCKED)
    define("claimants(uuid, uuid, tstzrange)", CLAIMANTS)
    define("broken_rule(uuid, uuid, uuid, uuid, uuid[], timestamptz, timestamptz)", BROKEN_RULE)
    # Nobody's but the other functions': they look into whatever tenant they are told.
    op.execute("REVOKE EXECUTE ON FUNCTION is_live, broken_rule FROM booking_app")
    candidates = "uuid[], int[], uuid[], timestamptz[], timestamptz[], bigint[]"
    visit = "uuid, uuid, uuid, timestamptz, timestamptz, int, int, timestamptz"
    op.execute(TAKEN)
    # Not for the login role: it has neither the rights nor the checks that its callers have.
    op.execute(TAKE_SLOT)
    op.execute(f"REVOKE ALL ON FUNCTION take_slot({visit}, interval, boolean, boolean, {candidates}) FROM PUBLIC")
    op.execute(
        f"GRANT EXECUTE ON FUNCTION take_slot({visit}, interval, boolean, boolean, {candidates}) TO booking_definer"
    )
    define(f"retake_slot({visit}, boolean, boolean, {candidates})", RETAKE_SLOT.replace("{HEAD}", HEAD))
    define(
        "place_hold(uuid, uuid, uuid, bigint, timestamptz, timestamptz, int, int, interval, boolean,"
        f" {candidates}, boolean[], text, bigint, text, text, bytea, uuid, text, bytea, int, int, text, uuid)",
        PLACE_HOLD.replace("{HEAD}", HEAD),
    )
    for name, arguments, condition in DUE:
        define(f"{name}({', '.join(kind for _, kind in arguments)})", _due(name, arguments, condition))
    define("outlived_entries(int)", OUTLIVED)
    # With the caller's own rights and policies.
    op.execute(LOCK_BOOKING)
    op.execute("REVOKE ALL ON FUNCTION lock_booking(uuid) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION lock_booking(uuid) TO booking_app")
