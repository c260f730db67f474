"""Accounts, payments, refunds, the ledger, and the webhook inbox."""

from alembic import op

from servicekit.migrations import create_copies, create_idempotency, create_messaging, define, grant, protect

revision = "0001"
down_revision = None

TABLES = """
-- One row a booking, locked by whatever changes its money: one live Checkout a booking. `ended` is a tombstone that
-- refuses new Checkouts; `version` counts what was said about the booking's money.
CREATE TABLE account (
  booking_id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  version bigint NOT NULL DEFAULT 0,
  ended boolean NOT NULL DEFAULT false
);

-- One attempt to pay: a Checkout Session and what became of it. `desired` is where it has to get to; a job moves it.
CREATE TABLE payment (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  booking_id uuid NOT NULL REFERENCES account (booking_id),
  attempt int NOT NULL,
  mode text NOT NULL,
  capture boolean NOT NULL,
  amount bigint NOT NULL CHECK (amount >= 0),
  currency text NOT NULL,
  status text NOT NULL CHECK (status IN ('starting', 'open', 'processing', 'authorized', 'paid', 'voided', 'closed')),
  desired text NOT NULL DEFAULT 'open' CHECK (desired IN ('open', 'closed', 'captured', 'returned')),
  keep bigint NOT NULL DEFAULT 0 CHECK (keep >= 0),
  reason text NOT NULL DEFAULT 'late',
  request jsonb NOT NULL,
  session_id text UNIQUE,
  intent_id text,
  url text,
  session_expires_at timestamptz NOT NULL,
  hold_ends timestamptz NOT NULL,
  captured bigint NOT NULL DEFAULT 0 CHECK (captured BETWEEN 0 AND amount),
  refunded bigint NOT NULL DEFAULT 0 CHECK (refunded BETWEEN 0 AND captured),
  answered boolean NOT NULL DEFAULT false,
  announcement jsonb,
  announced_at timestamptz,
  failures int NOT NULL DEFAULT 0,
  due_at timestamptz,
  check_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (booking_id, attempt)
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX payment_one_live ON payment (booking_id) WHERE status IN ('starting', 'open');
CREATE INDEX payment_intent ON payment (intent_id) WHERE intent_id IS NOT NULL;
CREATE INDEX payment_due ON payment (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX payment_check ON payment (check_at) WHERE check_at IS NOT NULL;
CREATE INDEX payment_unanswered ON payment (announced_at) WHERE announced_at IS NOT NULL AND NOT answered;

CREATE TABLE refund (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  payment_id uuid NOT NULL REFERENCES payment (id),
  amount bigint NOT NULL CHECK (amount > 0),
  status text NOT NULL DEFAULT 'starting' CHECK (status IN ('starting', 'succeeded', 'failed')),
  stripe_id text UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX refund_payment ON refund (payment_id);

-- Double entry by construction: every line takes from one account what it gives to another.
CREATE TABLE ledger (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id uuid NOT NULL,
  booking_id uuid NOT NULL,
  payment_id uuid NOT NULL REFERENCES payment (id),
  reference text NOT NULL UNIQUE,
  debit text NOT NULL CHECK (debit IN ('stripe', 'patient')),
  credit text NOT NULL CHECK (credit IN ('stripe', 'patient') AND credit <> debit),
  amount bigint NOT NULL CHECK (amount > 0),
  currency text NOT NULL,
  at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ledger_booking ON ledger (booking_id);

-- Stripe's events as they came, verified, once each. They have no tenant before their object was looked up.
CREATE TABLE webhook (
  event_id text PRIMARY KEY,
  type text NOT NULL,
  object_id text NOT NULL,
  intent_id text,
  payment_id uuid, -- from the object's metadata: an intent is not known here before its first try to pay
  status text NOT NULL DEFAULT 'received' CHECK (status IN ('received', 'done', 'ignored')),
  received_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhook_received ON webhook (received_at) WHERE status = 'received';
"""

FUNCTIONS = {
    "payment_of(text, text, uuid)": """
CREATE FUNCTION payment_of(p_session text, p_intent text, p_payment uuid) RETURNS TABLE (tenant_id uuid, id uuid)
LANGUAGE sql SECURITY DEFINER SET search_path = payment, pg_temp AS $$
  SELECT p.tenant_id, p.id FROM payment p
  WHERE p.session_id = p_session OR p.intent_id = p_intent OR p.id = p_payment LIMIT 1
$$""",
    "due_payments(int)": """
CREATE FUNCTION due_payments(p_limit int) RETURNS TABLE (tenant_id uuid, id uuid)
LANGUAGE sql SECURITY DEFINER SET search_path = payment, pg_temp AS $$
  SELECT p.tenant_id, p.id FROM payment p WHERE p.due_at <= now() ORDER BY p.due_at LIMIT p_limit
$$""",
    "unchecked_payments(int)": """
CREATE FUNCTION unchecked_payments(p_limit int) RETURNS TABLE (tenant_id uuid, id uuid)
LANGUAGE sql SECURITY DEFINER SET search_path = payment, pg_temp AS $$
  SELECT p.tenant_id, p.id FROM payment p WHERE p.check_at <= now() ORDER BY p.check_at LIMIT p_limit
$$""",
    "unanswered_payments(interval, int)": """
CREATE FUNCTION unanswered_payments(p_age interval, p_limit int) RETURNS TABLE (tenant_id uuid, id uuid)
LANGUAGE sql SECURITY DEFINER SET search_path = payment, pg_temp AS $$
  SELECT p.tenant_id, p.id FROM payment p
  WHERE NOT p.answered AND p.announced_at <= now() - p_age ORDER BY p.announced_at LIMIT p_limit
$$""",
}


def upgrade() -> None:
    """Creates everything."""
    create_messaging()
    create_copies()
    create_idempotency()
    for statement in TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)
    protect("account", "payment", "refund", "ledger")
    grant("webhook")
    for signature, statement in FUNCTIONS.items():
        define(signature, statement)
