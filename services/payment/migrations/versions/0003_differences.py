"""What was paid to move to a dearer time belongs to the appointment that moved."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Adds the column: the difference is paid under the id of the hold that kept the dearer time."""
    op.execute("ALTER TABLE account ADD COLUMN appointment_id uuid")
    op.execute("CREATE INDEX account_appointment ON account (appointment_id) WHERE appointment_id IS NOT NULL")
