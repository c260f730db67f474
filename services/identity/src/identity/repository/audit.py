"""Who did what to whose data. Rows are only ever added: the login role may do nothing else."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from events import Transaction, new_id

_WRITE = text("""
INSERT INTO audit (id, tenant_id, user_id, role, action, subject, detail)
VALUES (:id, :tenant, :user_id, :role, :action, :subject, :detail)
""")
_READ = text("""
SELECT id, at, user_id, role, action, subject, detail FROM audit
WHERE tenant_id = :tenant AND (cast(:before AS timestamptz) IS NULL OR at < :before)
ORDER BY at DESC, id DESC LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of it."""

    id: UUID
    at: datetime
    user_id: UUID
    role: str
    action: str
    subject: UUID | None
    detail: str | None


async def write(
    tx: Transaction, user_id: UUID, role: str, action: str, subject: UUID | None = None, detail: str | None = None
) -> None:
    """One more line. `detail` never has a person's data in it."""
    parameters = {
        "id": new_id(),
        "tenant": tx.tenant_id,
        "user_id": user_id,
        "role": role,
        "action": action,
        "subject": subject,
        "detail": detail,
    }
    await tx.connection.execute(_WRITE, parameters)


async def read(tx: Transaction, before: datetime | None, limit: int) -> list[Line]:
    """The newest lines before an instant."""
    parameters = {"tenant": tx.tenant_id, "before": before, "limit": limit}
    return [Line(*row) for row in await tx.connection.execute(_READ, parameters)]
