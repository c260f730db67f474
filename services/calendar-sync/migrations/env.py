"""Alembic's entry point for this service's history."""

from servicekit.migrations import run_migrations

run_migrations()
