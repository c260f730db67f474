"""The three messaging tables that each service has in its own schema. They have no tenant policy."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("topic", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("headers", JSONB, nullable=False),
    # Text, not JSONB: it is only passed on, and a consumer should get the bytes that the producer wrote.
    Column("payload", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    postgresql_with={"autovacuum_vacuum_scale_factor": "0", "autovacuum_vacuum_threshold": "2000"},
)

inbox = Table(
    "inbox",
    metadata,
    Column("consumer", Text, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("status", Text, nullable=False),  # done | parked
    Column("handled_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("consumer", "event_id"),
)

parked = Table(
    "parked",
    metadata,
    Column("seq", BigInteger, Identity(always=True), primary_key=True),
    Column("consumer", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("headers", JSONB, nullable=False),
    Column("payload", LargeBinary),  # the bytes as they came, whatever they are
    # early: waits for something · behind: an earlier event of its key is parked · dead: failed for good
    Column("kind", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("due_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("parked_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("consumer", "event_id"),
)
Index("parked_by_key", parked.c.consumer, parked.c.topic, parked.c.key, parked.c.seq)

MESSAGING_DDL = (
    """CREATE TABLE outbox (
         id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
         topic text NOT NULL, key text NOT NULL, headers jsonb NOT NULL, payload text,
         created_at timestamptz NOT NULL DEFAULT clock_timestamp()
       ) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000)""",
    """CREATE TABLE inbox (
         consumer text NOT NULL, event_id uuid NOT NULL,
         status text NOT NULL CHECK (status IN ('done', 'parked')),
         handled_at timestamptz NOT NULL DEFAULT now(),
         PRIMARY KEY (consumer, event_id))""",
    """CREATE TABLE parked (
         seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
         consumer text NOT NULL, topic text NOT NULL, key text NOT NULL, event_id uuid NOT NULL,
         partition int NOT NULL, "offset" bigint NOT NULL, headers jsonb NOT NULL, payload bytea,
         kind text NOT NULL CHECK (kind IN ('early', 'behind', 'dead')), reason text NOT NULL,
         attempts int NOT NULL DEFAULT 0,
         due_at timestamptz NOT NULL DEFAULT now(), parked_at timestamptz NOT NULL DEFAULT now(),
         UNIQUE (consumer, event_id))""",
    "CREATE INDEX parked_by_key ON parked (consumer, topic, key, seq)",
)
"""What a service's first migration runs. Kept beside the tables that describe it; a test compares the two."""
