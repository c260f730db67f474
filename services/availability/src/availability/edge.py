"""What this service's endpoints depend on besides `servicekit.edge`."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Body, Depends, Header, Query, Request

from availability.catalogue import Sort
from availability.slots import Slots
from events.base import Instant
from events.contracts.identity import TenantChanged
from servicekit import copies
from servicekit.auth import MANAGERS, Principal
from servicekit.database import Database
from servicekit.edge import Asking

CLINIC = "/v1/clinics/{clinic}"
TENANT = "/internal/tenants/{clinic}"


async def _clinic(request: Request, clinic: UUID) -> TenantChanged:
    database = request.app.state.service.database
    return await copies.await_copy(database, clinic, TenantChanged, str(clinic))


async def _managing(clinic: UUID, asking: Asking) -> Principal:
    asking.require_role(clinic, MANAGERS)
    return asking


def _slots(request: Request) -> Slots:
    found: Slots = request.app.state.service.get(Slots)
    return found


def _database(request: Request) -> Database:
    found: Database = request.app.state.service.database
    return found


# First of all, so that strangers learn nothing else: 401 and 403.
Managing = Annotated[Principal, Depends(_managing)]
# Declared before the transaction: the copy of a clinic that was just made is awaited outside of it.
Clinic = Annotated[TenantChanged, Depends(_clinic)]
# For what looks twice, each time in a short transaction of its own.
OwnDatabase = Annotated[Database, Depends(_database)]
Searching = Annotated[Slots, Depends(_slots)]
IfMatch = Annotated[str | None, Header(alias="If-Match")]
Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[str | None, Query(max_length=500)]
UpdatedSince = Annotated[Instant | None, Query()]
SortBy = Annotated[Sort, Query()]
Patch = Annotated[dict[str, Any], Body(description="JSON Merge Patch (RFC 7396)")]
