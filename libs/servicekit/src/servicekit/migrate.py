"""Makes or upgrades the whole database: roles, schemas, and every service's own history."""

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import create_engine

SERVICES = ("identity", "availability", "booking", "payment", "calendar-sync", "notification", "insight")


def schema_of(service: str) -> str:
    """`calendar-sync` has the schema `calendar_sync`."""
    return service.replace("-", "_")


def migrations_of(service: str) -> Path | None:
    """The service's migrations folder, beside its `src`; None when the service has no database."""
    spec = importlib.util.find_spec(schema_of(service))
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parents[2] / "migrations"
    return folder if (folder / "env.py").exists() else None


def migrate_all(admin_url: str, passwords: Mapping[str, str], on_step: Callable[[str], None] | None = None) -> None:
    """Brings every service's schema to its newest version. Safe to run again, and quick when nothing is to do.

    `admin_url` is a role that may create roles and schemas; `passwords` are those of the login roles, by service.
    """
    for service in SERVICES:
        folder = migrations_of(service)
        if folder is None:
            continue
        create_roles(admin_url, service, passwords[service])
        if on_step:
            on_step(service)
        upgrade(admin_url, service, folder)


def create_roles(admin_url: str, service: str, password: str) -> None:
    """The three roles and the schema of a service (see `servicekit.migrations`)."""
    schema = schema_of(service)
    owner, app, definer = (sql.Identifier(f"{schema}_{suffix}") for suffix in ("owner", "app", "definer"))
    name = sql.Identifier(schema)
    with psycopg.connect(admin_url, autocommit=True) as connection:
        existing = {
            row[0]
            for row in connection.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE %s", [f"{schema}\\_%"])
        }
        for suffix, role in (("owner", owner), ("definer", definer)):
            if f"{schema}_{suffix}" not in existing:
                connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(role))
        if f"{schema}_app" not in existing:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN NOINHERIT").format(app))
        connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(app, sql.Literal(password)))
        connection.execute(sql.SQL("ALTER ROLE {} SET search_path = {}").format(app, name))
        connection.execute(sql.SQL("GRANT {}, {} TO CURRENT_USER").format(owner, definer))
        # The owner hands functions over to the definer role, which PostgreSQL allows to members only.
        connection.execute(sql.SQL("GRANT {} TO {}").format(definer, owner))
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}").format(name, owner))
        connection.execute(sql.SQL("GRANT USAGE, CREATE ON SCHEMA {} TO {}").format(name, definer))
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(name, app))
        connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        # For keys over (resource, range) WITHOUT OVERLAPS; a trusted extension.
        connection.execute("CREATE EXTENSION IF NOT EXISTS btree_gist SCHEMA public")


def upgrade(admin_url: str, service: str, folder: Path) -> None:
    """Runs the service's Alembic history up to its head, unless it is there already."""
    url = admin_url.replace("postgresql://", "postgresql+psycopg://", 1)
    schema = schema_of(service)
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.attributes.update(url=url, schema=schema)
    head = ScriptDirectory.from_config(config).get_current_head()
    engine = create_engine(url)
    with engine.connect() as connection:
        current = MigrationContext.configure(connection, opts={"version_table_schema": schema}).get_current_revision()
    engine.dispose()
    if current != head:
        command.upgrade(config, "head")
