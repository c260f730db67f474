"""The catalogue's tables (see migrations/ for their constraints)."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()

# None is SQL's NULL in every JSON column.
JSON = JSONB(none_as_null=True)


def _versioned() -> list[Column[object]]:
    return [
        Column("version", BigInteger, nullable=False, server_default="1"),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("deleted_at", DateTime(timezone=True)),
    ]


location = Table(
    "location",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("slug", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("address", Text),
    Column("phone", Text),
    Column("time_zone", Text, nullable=False),
    Column("opening_hours", JSON, nullable=False),
    Column("metadata", JSON, nullable=False),
    *_versioned(),
    PrimaryKeyConstraint("tenant_id", "id"),
)

resource = Table(
    "resource",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("slug", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("buffer_before_minutes", Integer, nullable=False),
    Column("buffer_after_minutes", Integer, nullable=False),
    Column("approval_required", Boolean, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("user_id", Uuid),
    Column("location_id", Uuid),
    Column("bio", Text),
    Column("metadata", JSON, nullable=False),
    Column("schedule", JSON),
    Column("schedule_version", BigInteger, nullable=False, server_default="1"),
    *_versioned(),
    PrimaryKeyConstraint("tenant_id", "id"),
)

offering = Table(
    "offering",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("slug", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("duration_minutes", Integer, nullable=False),
    Column("slot_step_minutes", Integer),
    Column("starts", JSON),
    Column("price", JSON, nullable=False),
    Column("capacity", Integer, nullable=False),
    Column("buffer_before_minutes", Integer, nullable=False),
    Column("buffer_after_minutes", Integer, nullable=False),
    Column("min_notice_minutes", Integer, nullable=False),
    Column("window_days", Integer, nullable=False),
    Column("hold_minutes", Float, nullable=False),
    Column("payment", JSON, nullable=False),
    Column("cancellation", JSON, nullable=False),
    Column("reminders_minutes", JSON, nullable=False),
    Column("requirements", JSON, nullable=False),
    Column("rules", JSON, nullable=False, server_default="[]"),
    Column("members_only", Boolean, nullable=False, server_default="false"),
    Column("external_ref", Text),
    Column("metadata", JSON, nullable=False),
    *_versioned(),
    PrimaryKeyConstraint("tenant_id", "id"),
)

time_off = Table(
    "time_off",
    metadata,
    Column("tenant_id", Uuid, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("resource_id", Uuid, nullable=False),
    Column("start_at", DateTime(timezone=True), nullable=False),
    Column("end_at", DateTime(timezone=True), nullable=False),
    Column("reason", Text),
    Column("rrule", Text),
    Column("time_zone", Text, nullable=False),
    Column("last_end_at", DateTime(timezone=True), nullable=False),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("deleted_at", DateTime(timezone=True)),
    PrimaryKeyConstraint("tenant_id", "id"),
    ForeignKeyConstraint(["tenant_id", "resource_id"], ["resource.tenant_id", "resource.id"]),
)
