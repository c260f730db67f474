"""Things of a clinic."""

from alembic import op

from servicekit.migrations import create_copies, create_idempotency, create_messaging, define, protect

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_messaging()
    create_copies()
    create_idempotency()
    op.execute(
        "CREATE TABLE thing (tenant_id uuid NOT NULL, id uuid NOT NULL, name text NOT NULL,"
        # Checked at the commit only: how a test makes a commit fail.
        " code text UNIQUE DEFERRABLE INITIALLY DEFERRED, PRIMARY KEY (tenant_id, id))"
    )
    protect("thing")
    define(
        "count_things()",
        "CREATE FUNCTION count_things() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = toyshop, pg_temp"
        " AS 'SELECT count(*) FROM thing'",
    )
