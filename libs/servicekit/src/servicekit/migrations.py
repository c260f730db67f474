"""What migrations of every service are made of: messaging tables, tenant tables, roles and grants.

Roles of a service `s`: `s_owner` (NOLOGIN) owns the schema and its tables; `s_app` logs in, owns nothing and is
under Row Level Security; `s_definer` (NOLOGIN) owns the SECURITY DEFINER functions and sees every tenant.
"""

from alembic import context, op
from sqlalchemy import create_engine, text

from events.tables import MESSAGING_DDL

TENANT_IS_MINE = "tenant_id = nullif(current_setting('app.tenant', true), '')::uuid"

COPY_DDL = """CREATE TABLE copy (
  tenant_id uuid NOT NULL, type text NOT NULL, key text NOT NULL, version bigint NOT NULL, document text NOT NULL,
  PRIMARY KEY (tenant_id, type, key))"""

IDEMPOTENCY_DDL = """CREATE TABLE idempotency (
  scope bytea PRIMARY KEY, request_hash bytea NOT NULL, status int, answer bytea,
  created_at timestamptz NOT NULL DEFAULT now())"""


def run_migrations() -> None:
    """The whole of a service's migrations/env.py: upgrades the schema named by the `schema` option."""
    schema = context.config.attributes["schema"]
    engine = create_engine(context.config.attributes["url"])
    with engine.connect() as connection:
        connection.execute(text(f"SET ROLE {schema}_owner"))
        connection.execute(text(f"SET search_path = {schema}"))
        connection.commit()
        context.configure(connection=connection, version_table_schema=schema, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


def create_messaging() -> None:
    """Outbox, inbox and parked: without a tenant policy, since relay and consumer serve all tenants."""
    for statement in MESSAGING_DDL:
        op.execute(statement)
    grant("outbox", "inbox", "parked")


def create_copies() -> None:
    """The table of `servicekit.copies`."""
    op.execute(COPY_DDL)
    protect("copy")


def create_idempotency() -> None:
    """The table of `servicekit.idempotency`; its rows are named by hashes and sealed."""
    op.execute(IDEMPOTENCY_DDL)
    op.execute("CREATE INDEX idempotency_age ON idempotency (created_at)")
    grant("idempotency")


def grant(*tables: str) -> None:
    """Lets the login role and the functions' owner read and write these tables."""
    schema = _schema()
    for table in tables:
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {schema}_app, {schema}_definer")


def protect(*tables: str) -> None:
    """Row Level Security for tables with a `tenant_id`: a row is there for its own tenant's transactions only, also
    for the tables' owner. The functions' owner sees all rows and must check the tenant itself."""
    schema = _schema()
    for table in tables:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY own_tenant ON {table} TO {schema}_app, {schema}_owner"
            f" USING ({TENANT_IS_MINE}) WITH CHECK ({TENANT_IS_MINE})"
        )
        op.execute(f"CREATE POLICY every_tenant ON {table} TO {schema}_definer USING (true) WITH CHECK (true)")
    grant(*tables)


def define(signature: str, statement: str) -> None:
    """Creates a SECURITY DEFINER function owned by the functions' owner; only the login role may call it.

    `signature` is its name with argument types, as in GRANT; `statement` the CREATE FUNCTION text, which has to
    say SECURITY DEFINER and SET search_path itself.
    """
    schema = _schema()
    op.execute(statement)
    op.execute(f"ALTER FUNCTION {signature} OWNER TO {schema}_definer")
    op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO {schema}_app")


def _schema() -> str:
    schema: str = context.config.attributes["schema"]
    return schema
