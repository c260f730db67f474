"""HTTP in."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from notification import telling
from notification.schemas import MessageList, MessageView
from servicekit.auth import STAFF
from servicekit.edge import Asking, TenantTx
from servicekit.problems import NotFound

router = APIRouter(prefix="/v1/clinics/{clinic}")


@router.get("/appointments/{appointment_id}/messages")
async def list_messages(
    clinic: UUID,
    appointment_id: UUID,
    asking: Asking,
    tx: TenantTx,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: UUID | None = None,
) -> MessageList:
    """What was sent about the appointment, is on its way, or was not sent and why; oldest first (staff)."""
    asking.require_user()
    if not asking.is_staff(clinic, STAFF):
        raise NotFound("There is no such appointment, or it is not yours to see.")
    found = await telling.told(tx, appointment_id, after=cursor, limit=limit + 1)
    page = found[:limit]
    following = page[-1].id if len(found) > limit else None
    return MessageList(data=[MessageView.of(message) for message in page], next_cursor=following)
