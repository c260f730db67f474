"""What the hot functions read of the catalogue, as typed rows."""

import json
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text

from events import Deleted, Transaction
from events.contracts.availability import GapRule, MaxRule, OfferingState, ResourceState
from events.contracts.identity import TenantChanged

_CLINIC = text("""
INSERT INTO clinic AS c (tenant_id, version, time_zone, external_buffer) VALUES (:tenant, :version, :zone, :buffer)
ON CONFLICT (tenant_id) DO UPDATE SET version = :version, time_zone = :zone, external_buffer = :buffer
  WHERE c.version <= :version
""")
_OFFERING = text("""
INSERT INTO offering AS o (tenant_id, id, version, active, mode, deposit, terms, members_only, most_a_day, most_a_week)
VALUES (:tenant, :id, :version, :active, :mode, :deposit, CAST(:terms AS jsonb), :members_only, :day, :week)
ON CONFLICT (tenant_id, id) DO UPDATE SET version = :version, active = :active, mode = :mode, deposit = :deposit,
  terms = CAST(:terms AS jsonb), members_only = :members_only, most_a_day = :day, most_a_week = :week
  WHERE o.version <= :version
RETURNING 1
""")
_FORGET_GAPS = text("DELETE FROM gap_rule WHERE tenant_id = :tenant AND offering_id = :id")
_GAP = text("""
INSERT INTO gap_rule (tenant_id, offering_id, after_offering, minutes, of)
VALUES (:tenant, :id, :after, :minutes, :of)
ON CONFLICT (tenant_id, offering_id, after_offering, of)
DO UPDATE SET minutes = greatest(gap_rule.minutes, excluded.minutes)
""")
_RESOURCE = text("""
INSERT INTO resource AS r (tenant_id, id, version, type, name, active, schedule_version, user_id)
VALUES (:tenant, :id, :version, :type, :name, :active, :schedule_version, :user)
ON CONFLICT (tenant_id, id) DO UPDATE SET version = :version, type = :type, name = :name, active = :active,
  schedule_version = :schedule_version, user_id = :user
  WHERE r.version <= :version
""")
_NAMED = text("SELECT id, type, name FROM resource WHERE tenant_id = :tenant AND id = ANY(:ids)")
_OF_USER = text("SELECT id FROM resource WHERE tenant_id = :tenant AND user_id = :user")
_GONE = {
    OfferingState.TYPE: text("UPDATE offering SET active = false WHERE tenant_id = :tenant AND id = :id"),
    ResourceState.TYPE: text("UPDATE resource SET active = false WHERE tenant_id = :tenant AND id = :id"),
}


async def keep_clinic(tx: Transaction, state: TenantChanged) -> None:
    """The clinic, unless a newer version is here."""
    parameters = {
        "tenant": tx.tenant_id,
        "version": state.version,
        "zone": state.time_zone,
        "buffer": timedelta(minutes=state.settings.external_buffer_minutes),
    }
    await tx.connection.execute(_CLINIC, parameters)


async def keep_offering(tx: Transaction, state: OfferingState) -> None:
    """The offering and its rules, unless a newer version is here."""
    maxima = {"day": [], "week": []}  # type: dict[str, list[int]]
    for rule in state.rules:
        if isinstance(rule, MaxRule) and rule.of == "practitioner":
            maxima[rule.per].append(rule.count)
    terms = state.cancellation.model_dump() | {"notice_minutes": state.min_notice_minutes}
    parameters = {
        "tenant": tx.tenant_id,
        "id": state.offering_id,
        "version": state.version,
        "active": state.active,
        "mode": state.mode,
        "deposit": state.deposit_amount or 0,
        "terms": json.dumps(terms),
        "members_only": state.members_only,
        "day": min(maxima["day"], default=None),
        "week": min(maxima["week"], default=None),
    }
    if (await tx.connection.execute(_OFFERING, parameters)).scalar_one_or_none() is None:
        return
    await tx.connection.execute(_FORGET_GAPS, {"tenant": tx.tenant_id, "id": state.offering_id})
    for rule in state.rules:
        if isinstance(rule, GapRule):
            gap = {"after": rule.after_offering, "minutes": rule.minutes, "of": rule.of}
            await tx.connection.execute(_GAP, {"tenant": tx.tenant_id, "id": state.offering_id} | gap)


async def keep_resource(tx: Transaction, state: ResourceState) -> None:
    """The resource, unless a newer version is here."""
    parameters = {
        "tenant": tx.tenant_id,
        "id": state.resource_id,
        "version": state.version,
        "type": state.type,
        "name": state.name,
        "active": state.active,
        "schedule_version": state.schedule_version,
        "user": state.user_id,
    }
    await tx.connection.execute(_RESOURCE, parameters)


async def forget(tx: Transaction, gone: Deleted) -> None:
    """The offering or resource of a tombstone can be booked no more."""
    await tx.connection.execute(_GONE[gone.type], {"tenant": tx.tenant_id, "id": gone.key.partition(":")[2]})


async def named(tx: Transaction, ids: Iterable[UUID]) -> dict[UUID, tuple[str, str]]:
    """Type and name of each of these resources."""
    rows = await tx.connection.execute(_NAMED, {"tenant": tx.tenant_id, "ids": list(ids)})
    return {row.id: (row.type, row.name) for row in rows}


async def of_user(tx: Transaction, user_id: UUID | None) -> list[UUID]:
    """The resources that are this account: a practitioner's own."""
    return list((await tx.connection.execute(_OF_USER, {"tenant": tx.tenant_id, "user": user_id})).scalars())
