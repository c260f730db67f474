"""Who did what that somebody may ask about one day. Rows are only ever added."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text

from events import Transaction

_WRITE = text("""
INSERT INTO audit (tenant_id, actor, action, subject, detail) VALUES (:tenant, :actor, :action, :subject, :detail)
""")
_READ = text("""
SELECT id, at, actor, action, subject, detail FROM audit
WHERE tenant_id = :tenant AND (CAST(:before AS timestamptz) IS NULL OR at < :before)
ORDER BY at DESC, id DESC LIMIT :limit
""")


async def write(tx: Transaction, actor: UUID | None, action: str, subject: UUID, detail: str | None) -> None:
    """One line. `actor` None: the system."""
    parameters = {"tenant": tx.tenant_id, "actor": actor, "action": action, "subject": subject, "detail": detail}
    await tx.connection.execute(_WRITE, parameters)


async def read(tx: Transaction, before: datetime | None, limit: int) -> Sequence[RowMapping]:
    """The newest lines before an instant."""
    parameters: dict[str, Any] = {"tenant": tx.tenant_id, "before": before, "limit": limit}
    return (await tx.connection.execute(_READ, parameters)).mappings().all()
