"""Daily counts, what they are made of, and how far each topic was read."""

from alembic import op

from servicekit.migrations import create_messaging, grant, protect

revision = "0001"
down_revision = None

TABLES = (
    # A booking as far as the counts need it. `confirmed` while it is in the counts of its resources.
    """CREATE TABLE booking (
         tenant_id uuid NOT NULL, booking_id uuid NOT NULL, offering_id uuid NOT NULL,
         resource_ids uuid[] NOT NULL, starts_at timestamptz NOT NULL, ends_at timestamptz NOT NULL,
         confirmed boolean NOT NULL DEFAULT false,
         PRIMARY KEY (tenant_id, booking_id))""",
    # Money as it moved. `offering_id` is null until the booking is known: topics lag independently.
    """CREATE TABLE movement (
         id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
         tenant_id uuid NOT NULL, booking_id uuid NOT NULL, day date NOT NULL, offering_id uuid,
         charged bigint NOT NULL, refunded bigint NOT NULL, currency text NOT NULL)""",
    "CREATE INDEX movement_of_booking ON movement (tenant_id, booking_id) WHERE offering_id IS NULL",
    """CREATE TABLE daily_fact (
         tenant_id uuid NOT NULL, day date NOT NULL, type text NOT NULL, count bigint NOT NULL,
         PRIMARY KEY (tenant_id, day, type))""",
    """CREATE TABLE daily_offering (
         tenant_id uuid NOT NULL, day date NOT NULL, offering_id uuid NOT NULL,
         held bigint NOT NULL DEFAULT 0, requested bigint NOT NULL DEFAULT 0, confirmed bigint NOT NULL DEFAULT 0,
         cancelled bigint NOT NULL DEFAULT 0, expired bigint NOT NULL DEFAULT 0, rejected bigint NOT NULL DEFAULT 0,
         unfulfillable bigint NOT NULL DEFAULT 0,
         PRIMARY KEY (tenant_id, day, offering_id))""",
    """CREATE TABLE daily_money (
         tenant_id uuid NOT NULL, day date NOT NULL, offering_id uuid NOT NULL, currency text NOT NULL,
         charged bigint NOT NULL DEFAULT 0, refunded bigint NOT NULL DEFAULT 0,
         PRIMARY KEY (tenant_id, day, offering_id, currency))""",
    """CREATE TABLE daily_resource (
         tenant_id uuid NOT NULL, day date NOT NULL, resource_id uuid NOT NULL,
         bookings bigint NOT NULL DEFAULT 0, busy_seconds bigint NOT NULL DEFAULT 0,
         PRIMARY KEY (tenant_id, day, resource_id))""",
)

# How far each partition was read, kept in the transaction of the counts: the truth about the position.
PROGRESS = """CREATE TABLE progress (
  topic text NOT NULL, partition int NOT NULL, next_offset bigint NOT NULL, PRIMARY KEY (topic, partition))"""


def upgrade() -> None:
    create_messaging()
    for statement in TABLES:
        op.execute(statement)
    protect("booking", "movement", "daily_fact", "daily_offering", "daily_money", "daily_resource")
    op.execute(PROGRESS)
    grant("progress")
