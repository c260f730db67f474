"""Counts of visits that were moved, took place, or were missed."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds the columns."""
    for step in ("rescheduled", "completed", "no_show"):
        op.execute(f"ALTER TABLE daily_offering ADD COLUMN {step} bigint NOT NULL DEFAULT 0")
