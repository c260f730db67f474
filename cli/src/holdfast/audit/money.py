"""Money is kept for what was given, and for nothing else. Each statement answers (id, sentence) of what is off."""

from __future__ import annotations

LEDGER = """
SELECT p.id, format('The payment took %s and gave back %s, and its ledger''s balance is %s %s.', p.captured, p.refunded,
       coalesce(l.balance, 0), p.currency) AS sentence
FROM payment.payment p LEFT JOIN (
  SELECT payment_id, sum(CASE WHEN debit = 'stripe' THEN amount ELSE -amount END) AS balance
  FROM payment.ledger GROUP BY payment_id) l ON l.payment_id = p.id
WHERE coalesce(l.balance, 0) <> p.captured - p.refunded
"""

REFUNDS = """
SELECT p.id, format('The payment gave back %s, and its refunds sum to %s %s.', p.refunded, coalesce(r.total, 0),
       p.currency) AS sentence
FROM payment.payment p LEFT JOIN (
  SELECT payment_id, sum(amount) AS total FROM payment.refund WHERE status = 'succeeded' GROUP BY payment_id) r
  ON r.payment_id = p.id
WHERE coalesce(r.total, 0) <> p.refunded
"""

# What a booking's end allows: an appointment that stands its payment (also while a move of it waits for approval), one
# that was called off or missed its fee, all others nothing. A payment that failed after the confirmation leaves the
# appointment standing and nothing kept. The difference to a dearer time stands as long as the appointment that moved
# there. What staff gave back by hand may have been a part of the fee.
KEPT = """
SELECT b.id, format('The booking is %s and may keep %s, and %s %s is kept for it.', b.status, allowed.amount,
       kept.amount, b.currency) AS sentence
FROM booking.booking b
JOIN (SELECT booking_id, sum(captured - refunded) AS amount FROM payment.payment GROUP BY booking_id) kept
  ON kept.booking_id = b.id
CROSS JOIN LATERAL (SELECT CASE
  WHEN b.status IN ('confirmed', 'completed') AND b.payment_status NOT IN ('failed', 'voided') THEN b.paid - b.refunded
  WHEN b.status = 'pending_approval' AND b.payment_status IN ('paid', 'partially_refunded', 'refunded')
    THEN b.paid - b.refunded
  WHEN b.status IN ('cancelled', 'no_show') THEN least(b.fee, b.paid)
  WHEN b.moves IS NOT NULL AND EXISTS (SELECT FROM booking.booking moved WHERE moved.id = b.moves
    AND moved.status IN ('confirmed', 'completed', 'pending_approval')) THEN b.paid - b.refunded
  ELSE 0 END AS amount) allowed
CROSS JOIN LATERAL (SELECT coalesce(sum(r.amount), 0) AS amount
  FROM payment.refund r JOIN payment.payment p ON p.id = r.payment_id
  WHERE p.booking_id = b.id AND r.reason = 'staff' AND r.status = 'succeeded') by_hand
WHERE kept.amount > allowed.amount
   OR kept.amount < allowed.amount - CASE WHEN b.status IN ('cancelled', 'no_show') THEN by_hand.amount ELSE 0 END
"""

UNKNOWN = """
SELECT p.id, format('%s %s is kept for the booking %s, which does not exist.', p.captured - p.refunded, p.currency,
       p.booking_id) AS sentence
FROM payment.payment p
WHERE p.captured > p.refunded AND NOT EXISTS (SELECT FROM booking.booking b WHERE b.id = p.booking_id)
"""

UNPAID = """
SELECT b.id, format('The booking is %s for %s %s, and no such payment was made.', b.status, b.amount_due, b.currency)
  AS sentence
FROM booking.booking b
WHERE b.status IN ('confirmed', 'completed') AND b.paid > 0 AND b.payment_status NOT IN ('failed', 'voided')
  AND NOT EXISTS (SELECT FROM payment.payment p WHERE p.id = b.payment_id AND p.status IN ('paid', 'authorized'))
"""

UNANSWERED = """
SELECT p.id, format('The payment is %s since %s, and booking %s has not said what becomes of it.', p.status,
       to_char(p.announced_at, 'HH24:MI:SS'), p.booking_id) AS sentence
FROM payment.payment p
WHERE p.status IN ('authorized', 'paid') AND NOT p.answered
"""

STUCK_REFUND = """
SELECT p.id, format('%s %s has to go back and has not (%s tries failed).', p.captured - p.refunded - p.keep, p.currency,
       p.failures) AS sentence
FROM payment.payment p
WHERE p.status = 'paid' AND p.captured - p.refunded > p.keep
"""

STUCK_AUTHORIZATION = """
SELECT p.id, format('The authorization of %s %s has to be %s and is not (%s tries failed).', p.amount, p.currency,
       CASE p.desired WHEN 'captured' THEN 'charged' ELSE 'cancelled' END, p.failures) AS sentence
FROM payment.payment p
WHERE p.status = 'authorized' AND p.desired IN ('captured', 'returned')
"""

OPEN_AUTHORIZATION = """
SELECT p.id, format('The card is authorized for %s %s, and the booking is %s.', p.amount, p.currency, b.status)
  AS sentence
FROM payment.payment p JOIN booking.booking b ON b.id = p.booking_id
WHERE p.status = 'authorized' AND b.status NOT IN ('pending_payment', 'pending_approval', 'confirmed')
"""

WEBHOOKS = """
SELECT w.event_id AS id, format('The webhook %s came at %s and was not acted on.', w.type,
       to_char(w.received_at, 'HH24:MI:SS')) AS sentence
FROM payment.webhook w WHERE w.status = 'received' AND w.received_at < now() - interval '60 s'
"""

CHECKS = {
    "ledger_unbalanced": LEDGER,
    "refunds_miscounted": REFUNDS,
    "money_kept_wrongly": KEPT,
    "money_without_booking": UNKNOWN,
    "booking_without_payment": UNPAID,
    "payment_unanswered": UNANSWERED,
    "refund_stuck": STUCK_REFUND,
    "authorization_stuck": STUCK_AUTHORIZATION,
    "authorization_left_open": OPEN_AUTHORIZATION,
    "webhook_unhandled": WEBHOOKS,
}
NEEDS = "payment.ledger"

# Ours, to be held against the provider's own books.
OURS = """
SELECT id::text AS id, status, captured, refunded, session_id, currency FROM payment.payment
WHERE session_id IS NOT NULL
"""
