"""Nobody's time is sold twice, and every seat is somebody's. Each statement answers (id, sentence) of what is off."""

from __future__ import annotations

# Holds that ran out are true before the job has said so: only live claims count.
OVERLAP = """
SELECT a.resource_id AS id, format('The resource is claimed twice: %s by %s and %s by %s.',
       a.during, a.owner_id, b.during, b.owner_id) AS sentence
FROM booking.claim a JOIN booking.claim b
  ON a.resource_id = b.resource_id AND a.during && b.during AND (a.during, a.owner_id) < (b.during, b.owner_id)
WHERE a.expires_at > now() AND b.expires_at > now()
"""

RESERVED = """
SELECT s.id, format('The slot counts %s seats as taken, and its bookings have %s.', s.reserved,
       coalesce(sum(b.seats), 0)) AS sentence
FROM booking.slot s LEFT JOIN booking.booking b ON b.slot_id = s.id AND b.seated
GROUP BY s.id HAVING s.reserved <> coalesce(sum(b.seats), 0)
"""

# A class's claims belong to its slot, all others to the booking. What lies in the past may have been cleared away.
UNCLAIMED = """
SELECT b.id, format('The booking is %s, and of the resource %s it claims nothing that lasts.', b.status,
       wanted.resource ->> 'id') AS sentence
FROM booking.booking b JOIN booking.slot s ON s.id = b.slot_id
CROSS JOIN LATERAL jsonb_array_elements(
  CASE WHEN s.capacity > 1 THEN coalesce(s.resources, b.resources) ELSE b.resources END) AS wanted (resource)
WHERE b.status IN ('confirmed', 'pending_approval') AND b.end_at > now() AND NOT EXISTS (
  SELECT FROM booking.claim c
  WHERE c.resource_id = (wanted.resource ->> 'id')::uuid AND c.owner_id IN (b.id, b.slot_id)
    AND c.during @> tstzrange(b.start_at, b.end_at)
    AND (c.expires_at = 'infinity' OR (b.status = 'pending_approval' AND c.expires_at >= b.claim_until)))
"""

UNSEATED = """
SELECT b.id, format('The booking is %s and has no seat.', b.status) AS sentence
FROM booking.booking b WHERE b.status IN ('confirmed', 'pending_approval') AND NOT b.seated
"""

ORPHAN = """
SELECT c.owner_id AS id, format('The resource %s is kept for %s by nobody who lives (%s).', c.resource_id, c.during,
       coalesce('booking ' || b.status, 'slot with ' || s.reserved || ' seats', 'no such owner')) AS sentence
FROM booking.claim c
LEFT JOIN booking.booking b ON b.id = c.owner_id
LEFT JOIN booking.slot s ON s.id = c.owner_id
WHERE c.expires_at > now()
  AND coalesce(b.status NOT IN ('held', 'pending_payment', 'pending_approval', 'confirmed', 'completed', 'no_show'),
               s.reserved = 0, true)
"""

CHECKS = {
    "claims_overlap": OVERLAP,
    "seats_miscounted": RESERVED,
    "booking_without_claim": UNCLAIMED,
    "booking_without_seat": UNSEATED,
    "claim_without_owner": ORPHAN,
}
NEEDS = "booking.claim"
