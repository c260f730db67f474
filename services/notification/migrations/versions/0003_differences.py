"""What was paid to move to a dearer time is told of as the appointment's."""

from alembic import op

from servicekit.migrations import protect

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """The hold that kept the dearer time has an id of its own, and its money goes by that."""
    op.execute(
        "CREATE TABLE difference (booking_id uuid PRIMARY KEY, tenant_id uuid NOT NULL, appointment_id uuid NOT NULL)"
    )
    protect("difference")
