"""Customers that staff see, find and change; who read or changed what."""

from alembic import op

from servicekit.migrations import define, protect

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # What staff see of a person (name, e-mail, phone, language, metadata, notes), sealed with the person's key. People
    # of before have none until the job `complete_people` has opened their newest contact.
    op.execute("""
    ALTER TABLE person
      ADD COLUMN profile bytea,
      ADD COLUMN external_ref text,
      ADD COLUMN version bigint NOT NULL DEFAULT 1,
      ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now()""")
    op.execute("CREATE UNIQUE INDEX person_external_ref ON person (tenant_id, external_ref)")
    op.execute("CREATE INDEX person_created ON person (tenant_id, created_at, id)")
    op.execute("CREATE INDEX person_updated ON person (tenant_id, updated_at, id)")
    op.execute("CREATE INDEX person_incomplete ON person (id) WHERE profile IS NULL")
    _tokens()
    _audit()


def _tokens() -> None:
    """What a person can be found by: keyed hashes, so that the table says nothing to who has only the table."""
    op.execute("""
    CREATE TABLE person_token (
      tenant_id uuid NOT NULL,
      token bytea NOT NULL,
      person_id uuid NOT NULL REFERENCES person ON DELETE CASCADE,
      PRIMARY KEY (tenant_id, token, person_id))""")
    op.execute("CREATE INDEX person_token_person ON person_token (person_id)")
    protect("person_token")
    define(
        "incomplete_people(int)",
        """
        CREATE FUNCTION incomplete_people(most int) RETURNS TABLE (tenant_id uuid, id uuid)
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = identity, pg_temp
        AS $$
          SELECT p.tenant_id, p.id FROM person p
          WHERE p.profile IS NULL AND EXISTS (SELECT 1 FROM contact c WHERE c.person_id = p.id) LIMIT most
        $$""",
    )


def _audit() -> None:
    """Who did what to whose data, without the data. Rows are only ever added."""
    op.execute("""
    CREATE TABLE audit (
      id uuid PRIMARY KEY,
      tenant_id uuid NOT NULL,
      at timestamptz NOT NULL DEFAULT clock_timestamp(),
      user_id uuid NOT NULL,
      role text NOT NULL,
      action text NOT NULL,
      subject uuid,
      detail text)""")
    op.execute("CREATE INDEX audit_at ON audit (tenant_id, at DESC, id DESC)")
    protect("audit")
    op.execute("REVOKE UPDATE, DELETE ON audit FROM identity_app, identity_definer")
