"""Users, sessions, clinics, members, people and their contacts."""

from alembic import op

from servicekit.migrations import TENANT_IS_MINE, create_idempotency, create_messaging, define, grant, protect

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_messaging()
    create_idempotency()
    _accounts()
    _clinics()
    _members()
    _people()
    _visits()


def _accounts() -> None:
    """Accounts belong to no clinic, so they have no tenant policy."""
    op.execute("""
    CREATE TABLE account (
      id uuid PRIMARY KEY,
      email text NOT NULL,
      email_folded text NOT NULL UNIQUE,
      email_verified boolean NOT NULL,
      password_hash text NOT NULL,
      name text NOT NULL,
      phone text,
      time_zone text,
      locale text,
      operator boolean NOT NULL DEFAULT false,
      version bigint NOT NULL DEFAULT 1,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now())""")
    op.execute("""
    CREATE TABLE session (
      id uuid PRIMARY KEY,
      user_id uuid NOT NULL REFERENCES account ON DELETE CASCADE,
      created_at timestamptz NOT NULL DEFAULT now(),
      revoked_at timestamptz)""")
    op.execute("CREATE INDEX session_by_user ON session (user_id)")
    # A token stays here after its use: seeing it again is how a theft is noticed.
    op.execute("""
    CREATE TABLE refresh_token (
      token_hash bytea PRIMARY KEY,
      session_id uuid NOT NULL REFERENCES session ON DELETE CASCADE,
      expires_at timestamptz NOT NULL,
      used_at timestamptz)""")
    op.execute("CREATE INDEX refresh_token_session ON refresh_token (session_id)")
    op.execute("CREATE INDEX refresh_token_expiry ON refresh_token (expires_at)")
    op.execute("""
    CREATE TABLE login_failure (
      scope bytea PRIMARY KEY,
      since timestamptz NOT NULL,
      failures int NOT NULL)""")
    grant("account", "session", "refresh_token", "login_failure")


def _clinics() -> None:
    """A clinic's card is public, so every transaction may read it; only its own may write it."""
    op.execute("""
    CREATE TABLE clinic (
      id uuid PRIMARY KEY,
      slug text NOT NULL,
      name text NOT NULL,
      time_zone text NOT NULL,
      currency text NOT NULL,
      locales text[] NOT NULL,
      email text,
      phone text,
      address text,
      settings jsonb NOT NULL,
      metadata jsonb NOT NULL DEFAULT '{}',
      active boolean NOT NULL DEFAULT true,
      version bigint NOT NULL DEFAULT 1,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now())""")
    # A deleted clinic gives its slug back.
    op.execute("CREATE UNIQUE INDEX clinic_slug ON clinic (slug) WHERE active")
    own = TENANT_IS_MINE.replace("tenant_id", "id")
    op.execute("ALTER TABLE clinic ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE clinic FORCE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY public_card ON clinic FOR SELECT USING (true)")
    op.execute(f"CREATE POLICY own_insert ON clinic FOR INSERT TO identity_app WITH CHECK ({own})")
    op.execute(f"CREATE POLICY own_update ON clinic FOR UPDATE TO identity_app USING ({own}) WITH CHECK ({own})")
    grant("clinic")


def _members() -> None:
    op.execute("""
    CREATE TABLE member (
      tenant_id uuid NOT NULL REFERENCES clinic,
      id uuid PRIMARY KEY,
      user_id uuid REFERENCES account ON DELETE CASCADE,
      invited_hash bytea,
      invited_sealed bytea,
      role text NOT NULL CHECK (role IN ('owner', 'manager', 'practitioner', 'front_desk', 'auditor')),
      version bigint NOT NULL DEFAULT 1,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      UNIQUE (tenant_id, user_id),
      UNIQUE (tenant_id, invited_hash),
      CHECK ((user_id IS NULL) = (invited_hash IS NOT NULL)),
      CHECK ((invited_hash IS NULL) = (invited_sealed IS NULL)))""")
    op.execute("CREATE INDEX member_user ON member (user_id)")
    op.execute("CREATE INDEX member_invited ON member (invited_hash) WHERE invited_hash IS NOT NULL")
    protect("member")
    define(
        "memberships_of(uuid)",
        """
        CREATE FUNCTION memberships_of(asked uuid)
        RETURNS TABLE (tenant_id uuid, slug text, name text, role text)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = identity, pg_temp
        AS $$
          SELECT m.tenant_id, c.slug, c.name, m.role
          FROM member m JOIN clinic c ON c.id = m.tenant_id AND c.active
          WHERE m.user_id = asked ORDER BY c.slug
        $$""",
    )
    define(
        "accept_invitations(uuid, bytea[])",
        """
        CREATE FUNCTION accept_invitations(accepting uuid, hashes bytea[])
        RETURNS TABLE (tenant_id uuid, id uuid, role text, version bigint)
        LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = identity, pg_temp
        AS $$
          UPDATE member m SET user_id = accepting, invited_hash = NULL, invited_sealed = NULL,
                              version = m.version + 1, updated_at = now()
          WHERE m.invited_hash = ANY (hashes)
            AND NOT EXISTS (SELECT 1 FROM member o WHERE o.tenant_id = m.tenant_id AND o.user_id = accepting)
          RETURNING m.tenant_id, m.id, m.role, m.version
        $$""",
    )


def _people() -> None:
    op.execute("""
    CREATE TABLE person (
      tenant_id uuid NOT NULL REFERENCES clinic,
      id uuid PRIMARY KEY,
      address_hash bytea NOT NULL,
      wrapped_key bytea NOT NULL,
      user_id uuid REFERENCES account ON DELETE SET NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      UNIQUE (tenant_id, address_hash))""")
    op.execute("CREATE INDEX person_user ON person (user_id) WHERE user_id IS NOT NULL")
    op.execute("""
    CREATE TABLE contact (
      tenant_id uuid NOT NULL,
      id uuid PRIMARY KEY,
      person_id uuid NOT NULL REFERENCES person,
      sealed bytea NOT NULL,
      locale text NOT NULL,
      time_zone text,
      created_at timestamptz NOT NULL DEFAULT now())""")
    op.execute("CREATE INDEX contact_person ON contact (person_id)")
    protect("person", "contact")


def _visits() -> None:
    """Which appointments lie ahead: a small copy of booking's facts, so that a clinic with any is not deleted."""
    op.execute("""
    CREATE TABLE visit (
      tenant_id uuid NOT NULL,
      booking_id uuid NOT NULL,
      starts_at timestamptz NOT NULL,
      ahead boolean NOT NULL,
      version bigint NOT NULL,
      PRIMARY KEY (tenant_id, booking_id))""")
    op.execute("CREATE INDEX visit_ahead ON visit (tenant_id, starts_at) WHERE ahead")
    protect("visit")
    define(
        "forget_past_visits()",
        """
        CREATE FUNCTION forget_past_visits() RETURNS void
        LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = identity, pg_temp
        AS $$ DELETE FROM visit WHERE starts_at < now() - interval '30 days' $$""",
    )
