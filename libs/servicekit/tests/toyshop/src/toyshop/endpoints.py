"""HTTP in."""

import asyncio
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import text

from events import new_id
from events.contracts.identity import UserRegistered
from servicekit.edge import Asking, CallingService, PlainTx, TenantTx
from servicekit.idempotency import IdempotentRoute
from servicekit.problems import Problem

router = APIRouter(route_class=IdempotentRoute)


class Taken(Problem):
    """As booking's."""

    status, code, title = 409, "slot-taken", "Taken"


class Refused(Problem):
    """A refusal that stays one."""

    status, code, title = 422, "rule-broken", "Refused"


class Thing(BaseModel):
    """A thing to be stored."""

    name: str = Field(min_length=1)
    code: str | None = None


HELD = asyncio.Event()


@router.post("/v1/clinics/{clinic}/things", status_code=201)
async def create(clinic: UUID, body: Thing, tx: TenantTx) -> dict[str, str]:
    """Stores the thing, then does what its name says."""
    identity = new_id()
    await tx.connection.execute(
        text("INSERT INTO thing (tenant_id, id, name, code) VALUES (:tenant, :id, :name, :code)"),
        {"tenant": clinic, "id": identity, "name": body.name, "code": body.code},
    )
    await tx.emit(UserRegistered(tenant_id=clinic, version=1, user_id=identity))
    tx.wake("polish")
    if body.name == "taken":
        raise Taken("Somebody was faster.")
    if body.name == "refused":
        raise Refused("A rule forbids it.")
    if body.name == "broken":
        raise RuntimeError("a bug")
    if body.name == "slow":
        await HELD.wait()
    return {"id": str(identity), "name": body.name}


@router.get("/v1/clinics/{clinic}/things")
async def listed(tx: TenantTx) -> list[str]:
    """What the clinic has."""
    return list((await tx.connection.execute(text("SELECT name FROM thing ORDER BY id"))).scalars())


@router.get("/v1/clinics/{clinic}/bug")
async def bug(tx: TenantTx) -> None:
    """A statement that the database refuses."""
    await tx.connection.execute(text("SELECT 1 / 0"))


@router.get("/v1/outbox")
async def outbox(tx: PlainTx) -> int:
    """How many events wait."""
    return int((await tx.connection.execute(text("SELECT count(*) FROM outbox"))).scalar_one())


@router.get("/v1/me")
async def me(asking: Asking) -> dict[str, Any]:
    """Who asks."""
    return {"user": asking.user_id, "token": asking.manage_token, "operator": asking.operator}


@router.get("/internal/me")
async def internal(service: CallingService) -> str:
    """Which service asks."""
    return service
