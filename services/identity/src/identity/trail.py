"""The audit: who did what to whose data, for owners and auditors."""

from datetime import datetime

from events import Transaction
from identity.checks import require_staff
from identity.customer_schemas import AuditActor, AuditLine
from identity.repository import audit
from servicekit.auth import Principal

READERS = frozenset(("owner", "auditor"))


async def read(tx: Transaction, asking: Principal, before: datetime | None, limit: int) -> list[AuditLine]:
    """The newest lines before an instant: owners and auditors."""
    await require_staff(tx, asking, READERS)
    return [_shown(line) for line in await audit.read(tx, before, limit)]


def _shown(line: audit.Line) -> AuditLine:
    actor = AuditActor.model_validate({"user_id": line.user_id, "role": line.role})
    return AuditLine(
        id=str(line.id), at=line.at, actor=actor, action=line.action, subject=line.subject, detail=line.detail
    )
